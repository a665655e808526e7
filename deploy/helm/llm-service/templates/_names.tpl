{{- define "llm-service.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 45 characters at most: the set adds an ordinal and a hash to it, and we add what its parts are. */}}
{{- define "llm-service.fullname" -}}
{{- $name := include "llm-service.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "llm-service.selector" -}}
app.kubernetes.io/name: {{ include "llm-service.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the pods that serve; jobs and tests have another component. */}}
{{- define "llm-service.selector.service" -}}
{{ include "llm-service.selector" . }}
app.kubernetes.io/component: service
{{- end }}

{{- define "llm-service.labels" -}}
{{ include "llm-service.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "llm-service.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "llm-service.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "llm-service.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "llm-service.scheme" -}}
{{ if .Values.tls.secret }}https{{ else }}http{{ end }}
{{- end }}

{{/* The most pods that there can be. */}}
{{- define "llm-service.most" -}}
{{ if .Values.autoscaling.enabled }}{{ .Values.autoscaling.maxReplicas }}{{ else }}{{ .Values.replicas }}{{ end }}
{{- end }}

{{/* From the signal of the end to the kill. The supervising process itself gives up 15 s after both graces. */}}
{{- define "llm-service.terminationSeconds" -}}
{{- with .Values.shutdown -}}
{{ add .endpointsSeconds .graceSeconds .shippingSeconds 20 }}
{{- end }}
{{- end }}

{{/* The pod of `helm test`, for a NetworkPolicy. */}}
{{- define "llm-service.testPeer" -}}
- podSelector:
    matchLabels:
      {{- include "llm-service.selector" . | nindent 6 }}
      app.kubernetes.io/component: test
{{- end }}
