{{- define "framefleet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What pods of one component are found by: dict root, component. */}}
{{- define "framefleet.selector" -}}
app.kubernetes.io/name: framefleet
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "framefleet.labels" -}}
{{ include "framefleet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* An image: dict root, image. The digest counts, where there is one. */}}
{{- define "framefleet.image" -}}
{{- $image := index .root.Values.images .image -}}
{{- $image.repository }}:{{ $image.tag }}{{ with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Host and port of Redis, as KEDA wants it. */}}
{{- define "framefleet.redisAddress" -}}
{{- if .Values.redis.enabled -}}
{{ include "framefleet.fullname" . }}-redis.{{ .Release.Namespace }}.svc:6379
{{- else -}}
{{ required "redis.external.address: say host:port of your Redis, or set redis.enabled" .Values.redis.external.address }}
{{- end -}}
{{- end -}}

{{/* What keeps the job's output prefix: a job's commands make no sense without it. */}}
{{- define "framefleet.out" -}}
{{ required "job.out: say where the job lies, such as s3://bucket/prefix" .Values.job.out }}
{{- end -}}

{{/* Addresses beyond the cluster that may be reached. `except` must lie within the block, so only the whole internet can leave something out. */}}
{{- define "framefleet.storageBlocks" -}}
{{- range .Values.networkPolicy.storageCidrs }}
- ipBlock:
    cidr: {{ . }}
    {{- if eq . "0.0.0.0/0" }}
    except: [169.254.0.0/16]
    {{- else if eq . "::/0" }}
    except: ["fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128"]
    {{- end }}
{{- end }}
{{- end -}}
