"""LiteLLM's settings without a counterpart, and what to do instead; tables by section, nothing here is executed.

Source: docs/proxy/config_settings.md of BerriAI/litellm-docs (2026-05-02), and the pages that it names.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

KEYS: Final = (
    "Virtual keys, teams and users live in LiteLLM's database and do not come over. Make keys here: `llm-service keys "
    "create NAME --model ... --requests-per-minute ... --budget-usd ...`, or POST /admin/keys (docs/keys.md)."
)
_DEFAULTS: Final = "A deployment has no default fields for requests here. Let clients send it."
_PROMPTS: Final = "Prompts are passed on as they come. The model's server applies its own template."
_ENTRA: Final = (
    "Tokens of Microsoft Entra are not fetched. Use the resource's API key, or bring a token by a proxy of your own."
)
_CLOUD: Final = "It belongs to a cloud's own interface, which this service does not speak."
_TESTS: Final = "The sandbox simulates answers and failures: `llm-service sandbox` (docs/sandbox.md)."
_COOLDOWN: Final = "Breakers are for all deployments alike: routing.breaker."
_DASHBOARD: Final = "The dashboard here has no log-in of its own: it opens with a key (docs/dashboard.md)."
_DATABASE: Final = "The connections to the database need no setting here."
_HEALTH: Final = (
    "Health is learned from live traffic and free endpoints here; no model is asked for it (docs/health.md)."
)
_ROUTES: Final = "What a caller may do is a scope of its key (docs/keys.md), or the port: server.admin_port."
_MCP: Final = "There is no gateway for tools (MCP) here."
_SECRETS: Final = "Secrets come from variables or files here: `${NAME}`, `file:/run/secrets/name`."
_SSO: Final = "Tokens of your identity provider are taken by auth.jwt (docs/keys.md)."
_SPENDING: Final = "Every request has a record here, which is always written (docs/usage.md)."
_LANGFUSE: Final = "Send traces to its OpenTelemetry endpoint: observability.otlp_endpoint and otlp_headers."
_RETRIES: Final = "What is tried again is one table for all (docs/routing.md), within providers.<name>.max_retries."
_TOKENIZER: Final = "Tokens are counted by vocabularies that the service has (docs/limits.md)."


def _table(*rows: tuple[str, Iterable[str]]) -> Mapping[str, str]:
    return MappingProxyType({name: remedy for remedy, names in rows for name in names})


PARAMETERS: Final = _table(
    (
        _DEFAULTS,
        """temperature top_p top_k min_p max_tokens max_completion_tokens max_new_tokens seed stop n stream
        stream_options presence_penalty frequency_penalty repetition_penalty logit_bias logprobs top_logprobs user
        response_format tools tool_choice functions function_call parallel_tool_calls reasoning_effort reasoning
        thinking verbosity modalities audio prediction metadata service_tier store extra_body num_ctx keep_alive
        num_predict safety_settings web_search_options dimensions
        encoding_format provider transforms route models""".split(),
    ),
    (_PROMPTS, "initial_prompt_value final_prompt_value roles bos_token eos_token hf_model_name prompt_id".split()),
    (
        _ENTRA,
        """azure_ad_token azure_ad_token_provider tenant_id client_id client_secret azure_username azure_password
        azure_scope azure_certificate_password""".split(),
    ),
    (_TESTS, "mock_response mock_timeout mock_testing_fallbacks".split()),
    (_COOLDOWN, ("cooldown_time", "allowed_fails", "allowed_fails_policy")),
    (
        "Requests name their own fallbacks in `models: [..]`, and models.<name>.fallbacks are for all.",
        ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"),
    ),
    (
        "Fields that a provider lacks are dropped by its row (docs/providers.md).",
        ("additional_drop_params", "allowed_openai_params"),
    ),
    (
        "Name the authority of the server's certificate: providers.<name>.ca_file. Verification "
        "cannot be switched off.",
        ("ssl_verify", "ssl_certificate"),
    ),
    ("Its fields are passed on in both directions as they come.", ("merge_reasoning_content_in_choices",)),
    ("Clients mark what is to be cached by the provider in their messages.", ("cache_control_injection_points",)),
    ("Limit a filter to the model: filters[].models.", ("guardrails",)),
    (
        "There are no pass-through endpoints here: ask the provider itself.",
        ("use_in_pass_through", "use_litellm_proxy"),
    ),
    (
        "Deployments are not chosen by region here. Give them tags, and requests `X-LLM-Tags: route=<word>`.",
        ("region_name",),
    ),
    ("Set a price by the token: prices.<provider>/<model>.", ("input_cost_per_second", "output_cost_per_second")),
    ("Regular expressions of headers choose no deployment here; clients send `X-LLM-Tags`.", ("tag_regex",)),
)
"""Of ``litellm_params``."""

CLOUD_PREFIXES: Final = ("aws_", "vertex_", "watsonx_", "s3_", "gcs_", "oci_", "sap_")
CLOUD: Final = _CLOUD

MODEL_FACTS: Final = _table(
    ("Set the price: prices.<provider>/<model>.", ("base_model",)),
    ("Give keys the names of the models that they may ask for: `models` of a key (docs/keys.md).", ("access_groups",)),
    ("Give the team's keys the names of the models that they may ask for.", ("team_id", "team_public_model_name")),
    ("Have a configuration for each environment, and leave the model out of it.", ("supported_environments",)),
    (_TOKENIZER, ("custom_tokenizer",)),
    (
        "The cap of an answer is limits.max_output_tokens, for all models.",
        ("max_tokens", "max_output_tokens"),
    ),
    (
        _HEALTH,
        ("health_check_model", "health_check_timeout", "disable_background_health_check", "health_check_max_tokens"),
    ),
    ("The price of what was written to a prompt cache cannot be set.", ("cache_creation_input_token_cost",)),
)
"""Of ``model_info``."""

LABELS: Final = frozenset(
    """id version description created_at updated_at created_by updated_by db_model name tier owner team notes
    litellm_provider key direct_access blocked""".split()
)
"""Of ``model_info``: notes for people, without effect on requests."""

LITELLM: Final = _table(
    (_LANGFUSE, ("langfuse_default_tags",)),
    (
        "Keys of callers are never logged; records name them by id.",
        ("redact_user_api_key_info", "redact_messages_in_exceptions"),
    ),
    (_MCP, ("mcp_aliases", "mcp_semantic_tool_filter", "public_mcp_servers")),
    (
        KEYS,
        "key_generation_settings default_key_generate_params upperbound_key_generate_params "
        "default_team_params".split(),
    ),
    (
        KEYS,
        "default_internal_user_params default_team_settings max_internal_user_budget "
        "internal_user_budget_duration".split(),
    ),
    (
        "Name the authority of the certificate: providers.<name>.ca_file. Verification cannot be switched off.",
        ("ssl_verify",),
    ),
    ("Addresses are tried in the order of the resolver.", ("force_ipv4",)),
    (
        "Discounts and margins are no settings: set the prices themselves, prices.<provider>/<model>.",
        ("cost_discount_config", "cost_margin_config"),
    ),
    ("A budget by tag is none of the limits here. Give each purpose a key with a budget.", ("tag_budget_config",)),
    ("An end user has a limit: limits.per_user.", ("max_end_user_budget_id",)),
    (_TOKENIZER, ("disable_hf_tokenizer_download",)),
    ("Provider's answers are not validated against schemas here.", ("enable_json_schema_validation",)),
    (_RETRIES, ("model_group_retry_policy", "retry_policy")),
    (_ENTRA, ("enable_azure_ad_token_refresh",)),
    ("Code of your own is not loaded: put it behind an OpenAI-compatible server.", ("custom_provider_map",)),
    (
        "Give each key its share: limits.per_key, or those of a key.",
        ("priority_reservation", "priority_reservation_settings"),
    ),
    (
        "Set a filter: {type: moderation, ...} (docs/filters.md).",
        ("azure_content_safety_params", "llamaguard_moderations"),
    ),
    ("Labels of figures are fixed (docs/metrics.md).", ("custom_prometheus_metadata_labels", "custom_prometheus_tags")),
    ("Headers of clients are not passed on.", ("forward_client_headers_to_llm_api", "model_group_settings")),
    ("Prompts are no part of the configuration here.", ("global_prompt_directory",)),
    ("Give each filter its own list: filters[].", ("guardrails",)),
    (
        "There is /v1/chat/completions, /v1/completions and /v1/embeddings here.",
        ("use_chat_completions_url_for_anthropic_messages", "route_all_chat_openai_to_responses"),
    ),
    ("Fields are passed on as they come.", ("modify_params", "add_function_to_prompt", "enable_preview_features")),
)
"""Of ``litellm_settings``."""

ROUTER: Final = _table(
    (_RETRIES, ("retry_policy", "model_group_retry_policy")),
    ("Set the pause: routing.backoff_s and routing.backoff_max_s.", ("retry_after",)),
    ("Set when a breaker opens, for all errors together: routing.breaker.", ("allowed_fails_policy",)),
    (
        "Breakers stay on. So that they open hardly ever: routing.breaker {failures: 10000, min_requests: 100000}.",
        ("disable_cooldowns",),
    ),
    (_DEFAULTS, ("default_litellm_params",)),
    ("All fallbacks of a model are tried, in their order.", ("max_fallbacks",)),
    ("Requests have no priority here.", ("default_priority", "polling_interval")),
    ("Strategies have no arguments here (docs/routing.md).", ("routing_strategy_args",)),
    (
        "Answers are kept by the deployments that would give them: a model of several deployments shares them.",
        ("caching_groups",),
    ),
    (
        "models.<name>.sticky sends requests that begin alike to the same deployment.",
        ("optional_pre_call_checks", "deployment_affinity_ttl_seconds", "model_group_affinity_config"),
    ),
    ("There is no search interface here.", ("search_tools",)),
    ("Filters are not spread over several servers.", ("guardrail_list",)),
    (
        _HEALTH,
        ("enable_health_check_routing", "health_check_staleness_threshold", "health_check_ignore_transient_errors"),
    ),
    ("The service keeps its connections by itself: providers.<name>.max_connections.", ("client_ttl", "cache_kwargs")),
    ("Requests always have their assistants elsewhere: there is no such interface here.", ("assistants_config",)),
    ("Alerts are rules of the service: docs/alerts.md.", ("alerting_config",)),
)
"""Of ``router_settings``."""

GENERAL: Final = _table(
    (
        "Do not give this service LiteLLM's database: it has another schema. With one of its own set "
        "store.database_url and "
        "auth.hash_key; without, it keeps SQLite in server.data_dir.",
        ("database_url",),
    ),
    (
        _DATABASE,
        """database_connection_pool_limit database_connection_timeout database_connection_pool_timeout
        proxy_batch_write_at
        use_redis_transaction_buffer disable_prisma_schema_update""".split(),
    ),
    (
        "Requests of known keys go on while the database is away (docs/reliability.md).",
        ("allow_requests_on_db_unavailable",),
    ),
    (
        "Models are in the configuration alone; what was added in LiteLLM's pages is in its database "
        "and does not come over. "
        "Write it into models and have the file read again (SIGHUP).",
        ("store_model_in_db", "supported_db_objects"),
    ),
    (
        KEYS,
        "custom_key_generate default_team_disabled allow_user_auth service_account_settings "
        "user_api_key_cache_ttl".split(),
    ),
    (
        "Code of your own is not loaded. " + _SSO,
        ("custom_auth", "custom_auth_run_common_checks", "custom_sso", "custom_ui_sso_sign_in_handler"),
    ),
    (
        "Set auth.jwt with the issuer, the audience and what its claims grant (docs/keys.md).",
        (
            "enable_jwt_auth",
            "litellm_jwtauth",
            "enable_oauth2_auth",
            "enable_oauth2_proxy_auth",
            "oauth2_config_mappings",
        ),
    ),
    (_ROUTES, "allowed_routes public_routes admin_only_routes role_permissions enforce_rbac".split()),
    ("Let a firewall or proxy decide which addresses reach it.", ("allowed_ips",)),
    ("No forwarding header is believed.", ("use_x_forwarded_for",)),
    (_SECRETS, "key_management_system key_management_settings use_azure_key_vault use_google_kms".split()),
    ("Clients send the key as `Authorization: Bearer` or `x-api-key`.", ("litellm_key_header_name",)),
    ("Clients send the user as `X-LLM-User`, or as `user` of the body.", ("user_header_name", "user_header_mappings")),
    ("A request without a user counts for its key alone.", ("enforce_user_param", "enforced_params")),
    ("Tags come from clients (`X-LLM-Tags`) and keys, and have no budget.", ("reject_clientside_metadata_tags",)),
    (
        "Requests name their model themselves.",
        "completion_model embedding_model image_generation_model moderation_model".split(),
    ),
    (
        "Callers' own provider keys are not taken.",
        ("allow_client_side_credentials", "forward_llm_provider_auth_headers"),
    ),
    (
        "Headers of clients are not passed on. Fixed ones: providers.<name>.headers.",
        ("forward_client_headers_to_llm_api", "forward_openai_org_id"),
    ),
    (
        "There are no pass-through endpoints here.",
        ("pass_through_endpoints", "use_client_credentials_pass_through_routes"),
    ),
    (
        "Rules are built in, and can be your own: alerts (docs/alerts.md).",
        ("alerting_threshold", "alert_types", "alerting_args", "alert_type_config", "spend_report_frequency"),
    ),
    ("Have a notifier for each address, and name it in the rules: alerts[].notify.", ("alert_to_webhook_url",)),
    (
        _DASHBOARD,
        ("UI_USERNAME", "UI_PASSWORD", "ui_access_mode", "auto_redirect_ui_login_to_sso", "control_plane_url"),
    ),
    ("Prompts are kept nowhere. With observability.log_content they are in the log.", ("store_prompts_in_spend_logs",)),
    (
        _SPENDING,
        "disable_spend_logs disable_spend_updates disable_error_logs disable_adding_master_key_hash_to_db".split(),
    ),
    (
        "Old records are removed once a day: ledger.retention_days.",
        ("maximum_spend_logs_retention_interval", "maximum_spend_logs_cleanup_cron"),
    ),
    ("Tokens of prompts and answers count together: tokens_per_minute.", ("token_rate_limit_type",)),
    (
        "There is no bound for answers. Streams have one of time: providers.<name>.timeouts.total_s.",
        ("max_response_size_mb",),
    ),
    (
        _MCP,
        """mcp_client_side_auth_header_name mcp_internal_ip_ranges mcp_required_fields mcp_trusted_proxy_ranges
        enable_mcp_registry require_end_user_mcp_access_defined user_mcp_management_mode search_tools""".split(),
    ),
    ("This service needs no licence key.", ("litellm_license",)),
)
"""Of ``general_settings``."""

NOTHING_TO_DO: Final[Mapping[str, str]] = _table(
    (
        _HEALTH,
        """background_health_checks health_check_interval health_check_details health_check_concurrency
        use_shared_health_check""".split(),
    ),
    (
        "Budgets begin anew with their period by themselves.",
        "disable_reset_budget proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time".split(),
    ),
    ("The admin key is shown nowhere.", ("disable_master_key_return",)),
    (
        "A refusal by a limit of this service is not tried again.",
        ("disable_retry_on_max_parallel_request_limit_error",),
    ),
    (
        "The length of prompts is looked at before each call (docs/routing.md).",
        ("enable_pre_call_checks", "enable_pre_call_check"),
    ),
    ("A deployment that cannot be used is a mistake that check-config names.", ("ignore_invalid_deployments",)),
    ("Usage is always asked for, and is in the last chunk for clients that want it.", ("always_include_stream_usage",)),
    ("Answers belong to their key: no other can read them.", ("disable_responses_id_security",)),
    ("A model is what the file says it is.", ("infer_model_from_keys",)),
    (
        "What it sets is the default here.",
        ("disable_end_user_cost_tracking_prometheus_only", "disable_copilot_system_to_assistant"),
    ),
)
"""Settings of any section that need no counterpart: what they are for is so by itself."""

SECTIONS: Final = _table(
    ("There are no assistants here.", ("assistant_settings",)),
    (
        "There is no fine-tuning, and there are no files and batches here: ask the provider itself.",
        ("finetune_settings", "files_settings"),
    ),
    (_MCP, ("mcp_servers", "mcp_tools")),
    ("There are no agents here.", ("agent_list", "agents")),
    ("There are no vector stores here.", ("vector_store_registry", "vector_stores")),
    ("There is no search interface here.", ("search_tools",)),
    ("Limit each filter itself: filters[].models, keys and except_keys.", ("policies", "policy_attachments")),
    ("Prompts are no part of the configuration here.", ("prompts",)),
    ("Set what is told to a collector: observability (docs/tracing.md).", ("callback_settings",)),
    ("There are no pass-through endpoints here.", ("pass_through_endpoints",)),
)
"""Whole sections."""

UNKNOWN: Final = "This import does not know it. See whether docs/configuration.md has something for its purpose."
