{{/* Where the secret for OAP and OpenTelemetry is mounted; options of `config` name files in it. */}}
{{- define "skybraid.exportFolder" -}}/etc/skybraid-export{{- end -}}

{{/* Ports that OAP and a receiver of OpenTelemetry are reached at, as a list in JSON. */}}
{{- define "skybraid.exportPorts" -}}
{{- $ports := list -}}
{{- range .Values.config.oap -}}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) -}}
{{- end -}}
{{- with .Values.config.otlp -}}
{{- $url := urlParse . -}}
{{- $given := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $usual := dict "http" 80 "https" 443 "grpc" 4317 "grpcs" 4317 -}}
{{- $ports = append $ports ($given | default (get $usual $url.scheme) | int) -}}
{{- end -}}
{{- range .Values.exportPorts -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
