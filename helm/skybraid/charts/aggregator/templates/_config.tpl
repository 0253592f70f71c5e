{{- define "skybraid.aggregatorConfig" -}}
{{ include "skybraid.busConfig" (dict "root" . "role" "aggregator") }}
listen: 0.0.0.0:7100
allow-remote: true
replicas: {{ .Values.replicas }}
{{- with .Values.config }}
{{ toYaml . }}
{{- end }}
{{- end -}}
