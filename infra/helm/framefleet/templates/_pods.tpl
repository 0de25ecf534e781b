{{/* What every pod says of itself. Dict root, account. */}}
{{- define "framefleet.pod" -}}
serviceAccountName: {{ include "framefleet.fullname" .root }}-{{ .account }}
automountServiceAccountToken: false
{{- /* Kubernetes would set FLOWER_PORT and the like after its services, which programs take for settings. */}}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .root.Values.uid }}
  runAsGroup: {{ .root.Values.uid }}
  fsGroup: {{ .root.Values.uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* What every container may do: nothing special. no_new_privs, which the decoder's lock asks for, follows from the first line. */}}
{{- define "framefleet.security" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The broker's URL, put together from a secret, so that no password is in a manifest. */}}
{{- define "framefleet.brokerEnv" -}}
{{- $prefix := "" -}}
{{- with .Values.redis.keyPrefix }}{{ $prefix = printf "key_prefix=%s" (urlquery .) }}{{ end -}}
{{- if .Values.redis.enabled }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.passwordSecret.name }}
      key: {{ .Values.redis.passwordSecret.key }}
- name: FRAMEFLEET_BROKER_URL
  value: "redis://:$(REDIS_PASSWORD)@{{ include "framefleet.redisAddress" . }}/0{{ with $prefix }}?{{ . }}{{ end }}"
{{- else }}
{{- $query := compact (list .Values.redis.external.query $prefix) | join "&" }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ required "redis.external.secret: say in which secret the URL of your Redis is" .Values.redis.external.secret }}
      key: url
- name: FRAMEFLEET_BROKER_URL
  value: "$(REDIS_URL){{ with $query }}?{{ . }}{{ end }}"
{{- end }}
{{- end -}}

{{/* Where object storage is, and by which keys. Dict root, account. */}}
{{- define "framefleet.storageEnv" -}}
{{- with .root.Values.storage.endpointUrl }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
{{- end }}
{{- with .root.Values.storage.region }}
- name: AWS_DEFAULT_REGION
  value: {{ . | quote }}
- name: AWS_REGION
  value: {{ . | quote }}
{{- end }}
{{- with index .root.Values.storage.secrets .account }}
{{- $secret := . }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where programs write, for the root file system is read-only, and by what name they go, for the image may not know the uid. */}}
{{- define "framefleet.homeEnv" -}}
- name: HOME
  value: /tmp
- name: USER
  value: framefleet
- name: XDG_CACHE_HOME
  value: /tmp/cache
{{- end -}}

{{/* How programs log, and whether they are traced: which endpoint, how many of the traces, and of which fleet. */}}
{{- define "framefleet.sightEnv" -}}
- name: FRAMEFLEET_LOG_FORMAT
  value: {{ .Values.logs.format }}
- name: FRAMEFLEET_LOG_LEVEL
  value: {{ .Values.logs.level }}
{{- with .Values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_TRACES_SAMPLER
  value: traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $.Values.tracing.samplerRatio | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ printf "service.namespace=%s/%s" $.Release.Namespace $.Release.Name | quote }}
{{- end }}
{{- end -}}

{{/* A pod that runs one framefleet command with tools: dict root, name, args (list), broker (whether it asks it), resources, restart, port, price. */}}
{{- define "framefleet.tool" -}}
{{ include "framefleet.pod" (dict "root" .root "account" "control") }}
{{- with .restart }}
restartPolicy: {{ . }}
{{- end }}
containers:
  - name: {{ .name }}
    image: {{ include "framefleet.image" (dict "root" .root "image" "tools") }}
    imagePullPolicy: {{ .root.Values.images.pullPolicy }}
    command: {{ concat .root.Values.init (list "framefleet") | toJson }}
    args: {{ .args | toJson }}
    env:
      {{- include "framefleet.homeEnv" . | nindent 6 }}
      {{- include "framefleet.sightEnv" .root | nindent 6 }}
      {{- if .broker }}
      {{- include "framefleet.brokerEnv" .root | trim | nindent 6 }}
      {{- end }}
      {{- with include "framefleet.storageEnv" (dict "root" .root "account" "control") | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with .price }}
      - name: FRAMEFLEET_GPU_DOLLARS_PER_HOUR
        value: {{ . | quote }}
      {{- end }}
    {{- with .port }}
    ports:
      - name: metrics
        containerPort: {{ . }}
    readinessProbe:
      tcpSocket:
        port: metrics
      periodSeconds: 10
    {{- end }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    securityContext:
      {{- include "framefleet.security" . | nindent 6 }}
    volumeMounts:
      - name: scratch
        mountPath: /tmp
volumes:
  - name: scratch
    emptyDir:
      sizeLimit: 4Gi
{{- end -}}
