{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "porthole.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What the DaemonSet finds its pods by, and the kubectl plugin the agent. Never changes. */}}
{{- define "porthole.selector" -}}
app.kubernetes.io/name: porthole
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "porthole.labels" -}}
{{ include "porthole.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "porthole.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* State directories of the chosen runtimes, as a JSON list under "paths". */}}
{{- define "porthole.runtimePaths" -}}
{{- $paths := list }}
{{- range $runtime := .Values.runtimes }}
{{- $paths = concat $paths (index $.Values.runtimePaths $runtime | required (printf "runtimes: '%s' is no key of runtimePaths" $runtime)) }}
{{- end }}
{{- dict "paths" ($paths | uniq) | toJson }}
{{- end }}

{{/* portholed.conf */}}
{{- define "porthole.config" -}}
{{- range $key, $value := .Values.config }}
{{- range $one := kindIs "slice" $value | ternary $value (list $value) }}
{{ $key }} = {{ kindIs "bool" $one | ternary (ternary "yes" "no" (eq (toString $one) "true")) $one }}
{{- end }}
{{- end }}
{{- end }}

{{- define "porthole.profile" -}}
type: {{ .type }}
{{- if eq .type "Localhost" }}
localhostProfile: {{ .localhostProfile | required "localhostProfile: needed for type Localhost" | quote }}
{{- end }}
{{- end }}

{{- define "porthole.probe" -}}
exec:
  command: [/usr/bin/porthole, status]
timeoutSeconds: {{ .Values.probes.timeoutSeconds }}
{{- end }}
