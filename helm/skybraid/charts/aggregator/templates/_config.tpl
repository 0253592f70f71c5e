{{- define "skybraid.aggregatorConfig" -}}
{{ include "skybraid.busConfig" (dict "root" . "role" "aggregator") }}
listen: 0.0.0.0:7100
api-token-file: /etc/skybraid-api/token
replicas: {{ .Values.replicas }}
{{- with .Values.config }}
{{ toYaml . }}
{{- end }}
{{- end -}}
