{{/* Where each secret is: its name, the Secret and the key there. As JSON, for templates hand on nothing but text. */}}
{{- define "llm-service.secrets" -}}
{{- $found := dict }}
{{- range $name, $value := .Values.secrets.values }}
{{- $found = set $found $name (dict "secret" (include "llm-service.fullname" $) "key" $name) }}
{{- end }}
{{- range $name, $where := .Values.secrets.existing }}
{{- $found = set $found $name $where }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* A file for each, in one folder: sources of a projected volume. */}}
{{- define "llm-service.secretSources" -}}
{{- range $name, $where := include "llm-service.secrets" . | fromJson }}
- secret:
    name: {{ $where.secret }}
    items: [{key: {{ $where.key | quote }}, path: {{ $name | quote }}}]
{{- end }}
{{- end }}

{{- define "llm-service.secretFolder" -}}
/run/secrets/llm-service
{{- end }}
