{{/* A worker's own settings, out of its values. */}}
{{- define "framefleet.workerEnv" -}}
- name: FRAMEFLEET_ENGINE
  value: {{ .engine }}
{{- with .recipe }}
- name: FRAMEFLEET_RECIPE
  value: {{ . | quote }}
{{- end }}
- name: FRAMEFLEET_SHARDS_AT_ONCE
  value: {{ .shardsAtOnce | quote }}
- name: FRAMEFLEET_READ_COSTS
  value: {{ .readCosts | quote }}
- name: FRAMEFLEET_GRACE_SECONDS
  value: {{ .graceSeconds | quote }}
- name: FRAMEFLEET_HEALTH_FOLDER
  value: /run/framefleet
- name: FRAMEFLEET_CEILING_DIR
  value: {{ eq .model.cache "none" | ternary "/tmp/ceilings" "/models/ceilings" }}
{{- with .ceilingFramesPerSecond }}
- name: FRAMEFLEET_CEILING_FRAMES_PER_SECOND
  value: {{ . | quote }}
{{- end }}
{{- with .dollarsPerHour }}
- name: FRAMEFLEET_GPU_DOLLARS_PER_HOUR
  value: {{ . | quote }}
{{- end }}
{{- with .model.path }}
- name: FRAMEFLEET_VLLM_MODEL
  value: {{ . | quote }}
{{- end }}
{{- with .model.args }}
- name: FRAMEFLEET_VLLM_ARGS
  value: {{ toJson . | quote }}
{{- end }}
{{- if eq .engine "vllm" }}
- name: HF_HOME
  value: {{ eq .model.cache "none" | ternary "/tmp/huggingface" "/models/huggingface" }}
- name: VLLM_CACHE_ROOT
  value: /tmp/vllm
{{- end }}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $from := .secretEnv }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.name }}
      key: {{ $from.key }}
{{- end }}
{{- end -}}
