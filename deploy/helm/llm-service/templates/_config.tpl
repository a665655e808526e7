{{/* What the chart sets of the service's configuration, and nobody else may. */}}
{{- define "llm-service.config.own" -}}
{{- $at := printf "file:%s" (include "llm-service.secretFolder" .) }}
{{- $server := dict "workers" .Values.workers "data_dir" "/var/lib/llm-service/data" "admin_port" 8081 "shutdown_grace_s" .Values.shutdown.graceSeconds }}
{{- if .Values.tls.secret }}
{{- $server = set $server "tls" (dict "cert" "/etc/llm-service-tls/tls.crt" "key" "/etc/llm-service-tls/tls.key") }}
{{- end }}
{{- $auth := dict }}
{{- $store := dict }}
{{- $providers := dict }}
{{- range $name, $_ := include "llm-service.secrets" . | fromJson }}
{{- $file := printf "%s/%s" $at $name }}
{{- if eq $name "admin-key" }}
{{- $auth = set $auth "admin_key" $file }}
{{- else if eq $name "hash-key" }}
{{- $auth = set $auth "hash_key" (prepend (default list $auth.hash_key) $file) }}
{{- else if eq $name "other-hash-key" }}
{{- $auth = set $auth "hash_key" (append (default list $auth.hash_key) $file) }}
{{- else if has $name (list "redis-url" "database-url") }}
{{- $store = set $store ($name | replace "-" "_") $file }}
{{- else if hasPrefix "provider-" $name }}
{{- $providers = set $providers ($name | trimPrefix "provider-") (dict "api_key" $file) }}
{{- end }}
{{- end }}
{{- dict "server" $server "auth" $auth "store" $store "providers" $providers "ledger" (dict "shipping_grace_s" .Values.shutdown.shippingSeconds) | toJson }}
{{- end }}

{{/* The configuration file: what is given, what the chart sets, and what it prefers. `merge` would take a given false for
nothing given, so preferences are no third part of it. */}}
{{- define "llm-service.config" -}}
{{- $config := merge (include "llm-service.config.own" . | fromJson) (deepCopy .Values.config) }}
{{- $preferred := dict "auth" (dict "required" "always") "observability" (dict "metrics_open" true "log_format" "json") }}
{{- range $group, $settings := $preferred }}
{{- $given := default dict (get $config $group) }}
{{- range $name, $value := $settings }}
{{- if not (hasKey $given $name) }}{{ $given = set $given $name $value }}{{ end }}
{{- end }}
{{- $config = set $config $group $given }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* Every place below a value where a secret stands in clear, a line each. What refers to one is none. */}}
{{- define "llm-service.config.inClear" -}}
{{- $secret := .secret }}
{{- $path := .path }}
{{- if kindIs "map" .value }}
{{- range $name, $below := .value }}
{{- $named := has $name (list "admin_key" "api_key" "api_keys" "database_url" "hash_key" "headers" "otlp_headers" "password" "query" "redis_url" "secret" "url" "webhook_url") }}
{{- include "llm-service.config.inClear" (dict "value" $below "path" (printf "%s.%s" $path $name) "secret" (or $secret $named)) }}
{{- end }}
{{- else if kindIs "slice" .value }}
{{- range $number, $below := .value }}
{{- include "llm-service.config.inClear" (dict "value" $below "path" (printf "%s[%d]" $path $number) "secret" $secret) }}
{{- end }}
{{- else if and $secret (not (kindIs "invalid" .value)) (not (regexMatch "^file:|\\$\\{" (toString .value))) }}
{{- printf "%s\n" $path }}
{{- end }}
{{- end }}
