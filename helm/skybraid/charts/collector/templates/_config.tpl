{{- define "skybraid.collectorConfig" -}}
{{ include "skybraid.busConfig" (dict "root" . "role" "collector") }}
status-listen: 0.0.0.0:7101
{{- if .Values.spool.enabled }}
spool-dir: /var/spool/skybraid
{{- end }}
{{- if not .Values.capabilities.netAdmin }}
udp: false
{{- end }}
{{- with .Values.config }}
{{ toYaml . }}
{{- end }}
{{- end -}}
