{{/* Each role may do what docs/bus.md says, and no more. */}}
{{- define "skybraid.natsUsers" -}}
{{- $cluster := .root.Values.global.cluster -}}
accounts {
{{- if .root.Values.global.bus.perNodeIdentity }}
# hears what the servers ask about the tokens of collectors, answers, and may do nothing else
BUS_AUTH { users: [ { user: "bus-auth", password: {{ index .passwords "bus-auth" | quote }}, permissions: {
    publish: { deny: [">"] }
    subscribe: { allow: ["$SYS.REQ.USER.AUTH"] }
    allow_responses: true } } ] }
{{- end }}
SKYBRAID { jetstream: enabled, users: [
{{- if not .root.Values.global.bus.perNodeIdentity }}
# Pods of one DaemonSet share one secret, so this login may publish for every node.
{ user: "collector", password: {{ .passwords.collector | quote }}, permissions: {
    publish: { allow: [
      "skybraid.v1.{{ $cluster }}.flow.*.*"
      "$JS.API.DIRECT.GET.KV_SKYBRAID_LAYOUT_{{ $cluster }}.>"
    ] }
    subscribe: { allow: ["_INBOX_collector.>"] } } }
{{- end }}
{ user: "aggregator", password: {{ .passwords.aggregator | quote }}, permissions: {
    publish: { allow: [
      "skybraid.v1.{{ $cluster }}.rollup.*"
      {{- range $stream := list (printf "SKYBRAID_FLOW_%s" $cluster) (printf "SKYBRAID_ROLLUP_%s" $cluster) }}
      "$JS.API.STREAM.CREATE.{{ $stream }}"
      "$JS.API.STREAM.INFO.{{ $stream }}"
      "$JS.API.CONSUMER.CREATE.{{ $stream }}.>"
      "$JS.API.CONSUMER.INFO.{{ $stream }}.*"
      "$JS.API.CONSUMER.MSG.NEXT.{{ $stream }}.*"
      "$JS.API.CONSUMER.DELETE.{{ $stream }}.*"
      {{- end }}
      "$JS.API.CONSUMER.CREATE.SKYBRAID_FLOW_{{ $cluster }}"
      "$JS.API.STREAM.MSG.GET.SKYBRAID_ROLLUP_{{ $cluster }}"
      "$JS.API.DIRECT.GET.SKYBRAID_ROLLUP_{{ $cluster }}.>"
      {{- range $bucket := list (printf "SKYBRAID_LAYOUT_%s" $cluster) (printf "SKYBRAID_EXPORT_%s" $cluster) }}
      "$KV.{{ $bucket }}.>"
      "$JS.API.STREAM.CREATE.KV_{{ $bucket }}"
      "$JS.API.STREAM.INFO.KV_{{ $bucket }}"
      "$JS.API.STREAM.MSG.GET.KV_{{ $bucket }}"
      "$JS.API.DIRECT.GET.KV_{{ $bucket }}.>"
      {{- end }}
    ] }
    subscribe: { allow: ["_INBOX_aggregator.>"] } } }
] } }
{{- end -}}

{{- define "skybraid.natsRoutes" -}}
{{- $server := printf "%s-nats" (include "skybraid.fullname" .root) -}}
authorization { user: "routes", password: {{ .password | quote }}, timeout: 5 }
routes: [
  {{- range $i := until (int .root.Values.replicas) }}
  "nats://routes:{{ $.password }}@{{ $server }}-{{ $i }}.{{ $server }}-headless.{{ $.root.Release.Namespace }}.svc:6222"
  {{- end }}
]
{{- end -}}

{{- define "skybraid.natsConfig" -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
max_payload: 1MB
write_deadline: "10s"
ping_interval: "20s"
jetstream {
  store_dir: /data
  max_memory_store: 64MB
  max_file_store: {{ .Values.jetstream.maxFile }}
}
{{- if .Values.global.bus.tls }}
tls {
  cert_file: /etc/nats/tls.crt
  key_file: /etc/nats/tls.key
  min_version: "1.3"
}
{{- end }}
include ./users.conf
{{- if .Values.global.bus.perNodeIdentity }}
authorization {
  # a collector gives up after 5
  timeout: 3
  auth_callout {
    include ../nats-issuer/issuer.conf
    account: BUS_AUTH
    auth_users: [ "aggregator", "bus-auth" ]
  }
}
{{- end }}
{{- if gt (int .Values.replicas) 1 }}
cluster {
  name: {{ include "skybraid.fullname" . }}
  listen: "0.0.0.0:6222"
  # clients are told nothing of addresses that no certificate names
  no_advertise: true
  include ./routes.conf
  {{- if .Values.global.bus.tls }}
  tls {
    cert_file: /etc/nats/tls.crt
    key_file: /etc/nats/tls.key
    ca_file: /etc/nats/ca.crt
    verify: true
    min_version: "1.3"
  }
  {{- end }}
}
{{- end }}
{{- end -}}

{{- define "skybraid.busAuthCommand" -}}
[/usr/bin/node, /opt/skybraid/packages/cli/dist/main.js, bus-auth]
{{- end -}}

{{- define "skybraid.busAuthConfig" -}}
cluster: {{ .Values.global.cluster | quote }}
nats: {{ include "skybraid.busServers" . }}
nats-password-file: /etc/skybraid-bus/password
{{- if .Values.global.bus.tls }}
nats-ca-file: /etc/skybraid-bus/ca.crt
{{- end }}
issuer-secret-file: /etc/skybraid-bus/issuer
service-account: {{ include "skybraid.collectorNamespace" . }}/{{ include "skybraid.fullname" . }}-collector
audience: {{ include "skybraid.busAudience" . }}
kubernetes: in-cluster
status-listen: 0.0.0.0:7102
{{- end -}}
