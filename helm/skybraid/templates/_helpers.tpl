{{/* All charts of the release share these: names depend on the release alone. */}}

{{- define "skybraid.fullname" -}}
{{- if contains "skybraid" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-skybraid" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Arguments: a dict of `root` and `component`. */}}
{{- define "skybraid.selectorLabels" -}}
app.kubernetes.io/name: skybraid
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "skybraid.labels" -}}
{{ include "skybraid.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: skybraid-{{ .root.Chart.Version }}
{{- end -}}

{{/* Arguments: a dict of `root` and `image`. */}}
{{- define "skybraid.image" -}}
{{- $registry := .image.registry | default .root.Values.global.image.registry -}}
{{- $name := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Values.global.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "skybraid.pullSecrets" -}}
{{- with .Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "skybraid.collectorNamespace" -}}
{{- .Values.global.collectorNamespace.name | default (printf "%s-collectors" (include "skybraid.fullname" .)) -}}
{{- end -}}

{{/* What the pods of the restricted standard have in common. */}}
{{- define "skybraid.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "skybraid.restrictedContainer" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The same file names, whoever made the secret. */}}
{{- define "skybraid.busSecret" -}}
{{- $given := index .root.Values.global.bus (printf "%sSecret" .role) -}}
{{- $given | default (printf "%s-bus-%s" (include "skybraid.fullname" .root) .role) -}}
{{- end -}}

{{/* Arguments: `root`, and the secret that is `given`, if any. */}}
{{- define "skybraid.apiTokenSecret" -}}
{{- .given | default (printf "%s-api-token" (include "skybraid.fullname" .root)) -}}
{{- end -}}

{{/* The same file name, whoever made the secret; arguments as above. */}}
{{- define "skybraid.apiTokenVolume" -}}
- name: api-token
  secret:
    secretName: {{ include "skybraid.apiTokenSecret" . }}
    defaultMode: 0440
    items:
      - {key: token, path: token}
{{- end -}}

{{/* Servers of the bus as a list in JSON. */}}
{{- define "skybraid.busServers" -}}
{{- if .Values.global.bus.servers -}}
{{- toJson .Values.global.bus.servers -}}
{{- else -}}
{{- $scheme := ternary "tls" "nats" .Values.global.bus.tls -}}
{{- $name := include "skybraid.fullname" . -}}
{{- list (printf "%s://%s-nats.%s.svc:4222" $scheme $name .Release.Namespace) | toJson -}}
{{- end -}}
{{- end -}}

{{/* Options of the bus for a program; arguments: `root` and `role`. */}}
{{- define "skybraid.busConfig" -}}
cluster: {{ .root.Values.global.cluster | quote }}
{{- if and (eq .role "aggregator") (gt (int .root.Values.global.repartition.epoch) 1) }}
partitions: {{ .root.Values.global.repartition.partitions }}
partitions-epoch: {{ .root.Values.global.repartition.epoch }}
{{- else }}
partitions: {{ .root.Values.global.partitions }}
{{- end }}
nats: {{ include "skybraid.busServers" .root }}
{{- if and .root.Values.global.bus.perNodeIdentity (eq .role "collector") }}
nats-token-file: /etc/skybraid-bus/token
nats-inbox-prefix: _INBOX_{node}
{{- else }}
nats-password-file: /etc/skybraid-bus/password
nats-inbox-prefix: _INBOX_{{ .role }}
{{- end }}
{{- if .root.Values.global.bus.tls }}
nats-ca-file: /etc/skybraid-bus/ca.crt
{{- end }}
{{- end -}}

{{/* Whom the tokens of collectors are for: this bus alone. */}}
{{- define "skybraid.busAudience" -}}
{{ include "skybraid.fullname" . }}-bus.{{ .Release.Namespace }}
{{- end -}}

{{- define "skybraid.dnsEgress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* Arguments: `root`, whose values are the component's, and `component`. */}}
{{- define "skybraid.placement" -}}
topologySpreadConstraints:
{{- with .root.Values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "skybraid.selectorLabels" . | nindent 8 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
