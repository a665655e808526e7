"""Errors of OpenAI and of the servers that imitate it, as data. Ids name the imitator where the body is its own."""

from __future__ import annotations

from typing import Final

from llm_service.sandbox.dialects.errors import ErrorCase, Errors
from llm_service.sandbox.messages import Json


def _body(message: str, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


_OVERLOADED: Final = _body("The engine is currently overloaded, please try again later.", "service_unavailable_error",
                           "server_is_overloaded")  # fmt: skip
_SERVER: Final = _body("The server had an error while processing your request. Sorry about that!", "server_error")
_MODEL: Final = ErrorCase(
    404, _body("The model `{model}` does not exist or you do not have access to it.", code="model_not_found")
)
_PAGE: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

_OPENAI: Final[Errors] = {
    "400": ErrorCase(400, _body("{message}", param="{param}", code="invalid_value")),
    "400-json": ErrorCase(400, _body("We could not parse the JSON body of your request: {detail}")),
    "400-unknown-parameter": ErrorCase(
        400, _body("Unknown parameter: '{field}'.", code="unknown_parameter", param="{field}")
    ),
    "400-context": ErrorCase(
        400,
        _body(
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens. "
            "Please reduce the length of the messages.",
            code="context_length_exceeded",
            param="messages",
        ),
    ),
    "401": ErrorCase(401, _body("Incorrect API key provided: {hint}.", code="invalid_api_key")),
    "401-missing": ErrorCase(
        401, _body("You didn't provide an API key. Use an Authorization header: Bearer YOUR_KEY.")
    ),
    "403": ErrorCase(
        403,
        _body(
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
    ),
    "404": _MODEL,
    "model": _MODEL,
    "path": ErrorCase(404, _body("Invalid URL ({method} {path})")),
    "408": ErrorCase(408, _body("Request timed out.", "timeout")),
    "409": ErrorCase(409, _body("The resource is being changed by another request.", code="conflict")),
    "413": ErrorCase(413, _body("The request body is too large.")),
    "422": ErrorCase(422, _body("Unprocessable entity: {message}", param="{param}")),
    "429": ErrorCase(
        429,
        _body(
            "Rate limit reached for {model} on requests per min. Limit: 3, Used: 3.", "requests", "rate_limit_exceeded"
        ),
        (
            ("retry-after", "1"),
            ("retry-after-ms", "850"),
            ("x-ratelimit-limit-requests", "3"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "850ms"),
        ),
    ),
    "429-no-hint": ErrorCase(429, _body("Rate limit reached for {model}.", "requests", "rate_limit_exceeded")),
    "429-quota": ErrorCase(
        429,
        _body("You exceeded your current quota, please check your plan.", "insufficient_quota", "insufficient_quota"),
    ),
    "429-slow-down": ErrorCase(429, _body("Your traffic grew too fast.", "requests", "slow_down")),
    "500": ErrorCase(500, _SERVER),
    "usual": ErrorCase(500, _SERVER),
    "502": ErrorCase(502, _PAGE, content_type="text/html"),
    "503": ErrorCase(503, _OVERLOADED, (("retry-after", "2"),)),
    "504": ErrorCase(504, _PAGE.replace("502 Bad Gateway", "504 Gateway Time-out"), content_type="text/html"),
}

_OTHERS: Final[Errors] = {
    "400-azure-filter": ErrorCase(
        400,
        {
            "error": {
                "message": "The prompt was filtered by the content management policy of Azure OpenAI.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"violence": {"filtered": True, "severity": "medium"}},
                },
            }
        },
    ),
    "400-gemini": ErrorCase(
        400,
        [{"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT"}}],
    ),
    "400-groq": ErrorCase(
        400,
        {
            "error": {
                "message": "Tool choice is required, but model did not call a tool",
                "type": "invalid_request_error",
                "code": "tool_use_failed",
                "failed_generation": "perhaps",
            }
        },
    ),
    "400-llamacpp": ErrorCase(
        400,
        {
            "error": {
                "code": 400,
                "message": "request (9000 tokens) exceeds the available context size (8192 tokens)",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000,
                "n_ctx": 8192,
            }
        },
    ),
    "400-mistral": ErrorCase(
        400,
        {
            "object": "error",
            "message": "Tool call id must be a-z, A-Z, 0-9, with a length of 9.",
            "type": "invalid_function_call",
            "param": None,
            "code": "3280",
            "raw_status_code": 400,
        },
    ),
    "400-vllm": ErrorCase(
        400,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            }
        },
    ),
    "400-vllm-old": ErrorCase(
        400,
        {
            "object": "error",
            "message": "The prompt is too long.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "403-together": ErrorCase(403, _body("Input and max_new_tokens must not exceed 8193 tokens.", param="max_tokens")),
    "404-groq": ErrorCase(
        404,
        {
            "error": {
                "message": "The model `{model}` does not exist or you do not have access to it.",
                "type": "invalid_request_error",
                "code": "model_not_found",
            }
        },
    ),
    "404-ollama": ErrorCase(404, _body("model '{model}' not found", "not_found_error")),
    "422-fastapi": ErrorCase(
        422, {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]}
    ),
    "422-mistral": ErrorCase(
        422,
        {
            "object": "error",
            "message": {
                "detail": [
                    {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
                ]
            },
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
    ),
    "429-gemini": ErrorCase(
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": "Resource has been exhausted (e.g. check quota).",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}],
                }
            }
        ],
    ),
    "429-mistral": ErrorCase(429, {"message": "Requests rate limit exceeded"}),
    "498-groq": ErrorCase(498, _body("Flex tier capacity exceeded, please try again later.", code="capacity_exceeded")),
    "500-detail": ErrorCase(500, {"detail": "Internal Server Error"}),
    "500-string": ErrorCase(500, {"error": "llama runner process has terminated"}),
    "500-text": ErrorCase(500, "Internal Server Error", content_type="text/plain"),
    "503-llamacpp": ErrorCase(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}),
}

ERRORS: Final[Errors] = {**_OPENAI, **_OTHERS}
