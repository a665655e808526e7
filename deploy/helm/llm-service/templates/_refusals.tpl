{{/* What cannot work is refused, all of it at once and in words, rather than by pods that never become ready. */}}
{{- define "llm-service.refusals" -}}
{{- $refused := printf "%s%s%s%s" (include "llm-service.refusals.secrets" .) (include "llm-service.refusals.replicas" .) (include "llm-service.refusals.autoscaling" .) (include "llm-service.refusals.config" .) }}
{{- if $refused }}{{ fail $refused }}{{ end }}
{{- end }}

{{- define "llm-service.refusals.secrets" -}}
{{- $secrets := include "llm-service.secrets" . | fromJson }}
{{- range $name, $_ := .Values.secrets.values }}
{{- if hasKey $.Values.secrets.existing $name }}
- secrets.values and secrets.existing both have {{ $name }}: name it once
{{- end }}
{{- end }}
{{- if not (hasKey $secrets "admin-key") }}
- there is no secret admin-key, without which the service listens on loopback alone: give one in secrets.values (openssl rand -hex 32), or say in secrets.existing where it is
{{- end }}
{{- if and (hasKey $secrets "database-url") (not (hasKey $secrets "hash-key")) }}
- the secret database-url takes a hash-key beside it, the same for all that use the database (openssl rand -hex 32)
{{- end }}
{{- end }}

{{- define "llm-service.refusals.replicas" -}}
{{- $secrets := include "llm-service.secrets" . | fromJson }}
{{- $lacking := list }}
{{- range $name := list "redis-url" "database-url" "hash-key" }}
{{- if not (hasKey $secrets $name) }}{{ $lacking = append $lacking $name }}{{ end }}
{{- end }}
{{- if and .Values.ship.ordinals (has "database-url" $lacking) }}
- ship.ordinals has nowhere to ship to: without the secret database-url the claims are the databases themselves
{{- end }}
{{- $most := include "llm-service.most" . | int }}
{{- if and (gt $most 1) $lacking }}
- {{ $most }} replicas share limits, keys and records by Valkey and PostgreSQL, and there is no secret {{ join ", " $lacking }}: add what lacks, or run one replica
{{- end }}
{{- end }}

{{- define "llm-service.refusals.autoscaling" -}}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
- autoscaling.minReplicas is more than autoscaling.maxReplicas
{{- end }}
{{- if not (or .inFlightPerPod .cpuPercent) }}
- autoscaling has nothing to go by: set inFlightPerPod or cpuPercent
{{- end }}
{{- if and .cpuPercent (not (dig "requests" "cpu" "" $.Values.resources)) }}
- autoscaling.cpuPercent is a share of resources.requests.cpu, which is not set
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "llm-service.refusals.config" -}}
{{- $set := dict "sandbox" "it is always off" "server.host" "use host" "server.admin_host" "use host" "server.port" "it is always 8080, and service.port is free" "server.admin_port" "it is always 8081, and operators.port is free" "server.data_dir" "it is always on the volume" "server.workers" "use workers" "server.shutdown_grace_s" "use shutdown.graceSeconds" "ledger.shipping_grace_s" "use shutdown.shippingSeconds" "server.tls" "use tls.secret" "auth.admin_key" "use the secret admin-key" "auth.hash_key" "use the secret hash-key" "store.redis_url" "use the secret redis-url" "store.database_url" "use the secret database-url" }}
{{- range $path, $instead := $set }}
{{- $steps := splitList "." $path }}
{{- $group := ternary $.Values.config (get $.Values.config (first $steps)) (eq 1 (len $steps)) }}
{{- if and (kindIs "map" $group) (hasKey $group (last $steps)) }}
- config.{{ $path }} is the chart's to set: {{ $instead }}
{{- end }}
{{- end }}
{{- $secrets := include "llm-service.secrets" . | fromJson }}
{{- range $name, $provider := dig "providers" dict .Values.config }}
{{- if and (kindIs "map" $provider) (hasKey $provider "api_key") (hasKey $secrets (printf "provider-%s" $name)) }}
- config.providers.{{ $name }}.api_key and the secret provider-{{ $name }} are the same setting: give one of them
{{- end }}
{{- end }}
{{- range $path := include "llm-service.config.inClear" (dict "value" .Values.config "path" "config" "secret" false) | splitList "\n" | compact }}
- {{ $path }} would be in clear in a ConfigMap: put it into secrets by a name of yours, and refer to it as file:{{ include "llm-service.secretFolder" $ }}/NAME
{{- end }}
{{- if not (dig "providers" dict (include "llm-service.config" . | fromYaml)) }}
- there is no provider: add a secret provider-NAME, or config.providers
{{- end }}
{{- end }}
