#!/usr/bin/env bash
# Plain HTTP: models, an answer with what it cost, a stream, an answer from the cache, and what a refusal says.
# Start a service (./serve), then: docs/examples/curl.sh
# LLM_URL and LLM_KEY name another service and a key.
set -euo pipefail

url=${LLM_URL:-http://127.0.0.1:8080}
key=${LLM_KEY:-local}
headers=$(mktemp)
trap 'rm -f -- "$headers"' EXIT

ask() { curl --silent --show-error -H "Authorization: Bearer $key" -H "Content-Type: application/json" "$@"; }
question() { printf '{"model": "%s", "messages": [{"role": "user", "content": "%s"}]%s}' "$1" "$2" "${3:-}"; }
told() { sed -n "s/^$1: *//Ip" "$headers" | tr -d '\r'; }

echo "models: $(ask "$url/v1/models" | grep -o '"id":' | wc -l)"

ask --fail-with-body --dump-header "$headers" "$url/v1/chat/completions" -d "$(question deepseek/deepseek-flash "What is 12 * 12?")"
echo
echo "cost: $(told x-llm-cost-usd) USD, by $(told x-llm-provider), request $(told x-request-id)"

# -N: each piece as it comes. The last event is [DONE].
ask --fail-with-body -N "$url/v1/chat/completions" -d "$(question deepseek/deepseek-flash "Count to 3." ', "stream": true')"

# The same again comes from the cache, unless the request says otherwise.
ask --fail-with-body --output /dev/null --dump-header "$headers" "$url/v1/chat/completions" -d "$(question deepseek/deepseek-flash "What is 12 * 12?")"
echo "again: cache $(told x-llm-cache), cost $(told x-llm-cost-usd) USD"

ask "$url/v1/chat/completions" -d "$(question nobody/no-such-model "Hello!")"
echo
