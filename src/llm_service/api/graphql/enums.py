"""The words of the schema that come from a fixed list; their values are the words that the services use."""

from enum import Enum

import strawberry


@strawberry.enum(name="MessageRole", description="Who says a message.")
class MessageRole(Enum):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    FUNCTION = strawberry.enum_value("function", deprecation_reason="OpenAI replaced functions by tools: use TOOL.")


@strawberry.enum(name="ReasoningEffort", description="How much a model is to think; not every model knows each word.")
class ReasoningEffort(Enum):
    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@strawberry.enum(name="ToolChoiceMode", description="Whether a model calls tools.")
class ToolChoiceMode(Enum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@strawberry.enum(name="ResponseFormatType", description="In which form a model answers.")
class ResponseFormatType(Enum):
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@strawberry.enum(name="OnDisconnect", description="What becomes of a generation when its last reader leaves.")
class OnDisconnectWord(Enum):
    CANCEL = "cancel"
    FINISH = "finish"


@strawberry.enum(name="CacheStatus", description="What the response cache did for a request.")
class CacheWord(Enum):
    HIT = "hit"
    SEMANTIC = "semantic"
    COALESCED = "coalesced"
    REPLAY = "replay"
    STALE = "stale"
    MISS = "miss"
    BYPASS = "bypass"


@strawberry.enum(name="FilterDirection", description="Which side of a request a filter looks at.")
class DirectionWord(Enum):
    INPUT = "input"
    OUTPUT = "output"


@strawberry.enum(name="FilterAction", description="What a filter does with what it finds.")
class FilterActionWord(Enum):
    BLOCK = "block"
    MASK = "mask"
    REPORT = "report"


@strawberry.enum(name="CostSource", description="Who says what a request cost.")
class CostWord(Enum):
    PROVIDER = "provider"
    CATALOG = "catalog"
    ESTIMATE = "estimate"
    NONE = "none"


@strawberry.enum(name="GenerationStatus", description="How a request ended.")
class StatusWord(Enum):
    OK = "ok"
    ERROR = "error"
    ABORTED = "aborted"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


@strawberry.enum(name="UsageGroup", description="What records are summed up by.")
class UsageGroupWord(Enum):
    KEY = "key"
    USER = "user"
    MODEL = "model"
    PROVIDER = "provider"
    TAG = "tag"
    HOUR = "hour"
    DAY = "day"
    SURFACE = "surface"
    STATUS = "status"
    CACHE = "cache"


@strawberry.enum(name="Scope", description="What an api key may be used for; none includes another.")
class ScopeWord(Enum):
    INFERENCE = "inference"
    READ = "read"
    ADMIN = "admin"


@strawberry.enum(name="KeyStatus", description="Whether an api key works.")
class KeyStatusWord(Enum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@strawberry.enum(name="BudgetPeriod", description="How often a budget begins anew, in UTC.")
class BudgetPeriodWord(Enum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@strawberry.enum(name="LimitScope", description="Whom a limit holds for.")
class LimitScopeWord(Enum):
    GLOBAL = "global"
    MODEL = "model"
    KEY = "key"
    USER = "user"
    PROVIDER = "provider"


@strawberry.enum(name="LimitKind", description="What a limit counts.")
class LimitKindWord(Enum):
    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENCY = "concurrency"
    MONEY = "money"


@strawberry.enum(name="Reach", description="Who shares what a store keeps.")
class ReachWord(Enum):
    PROCESS = "process"
    MACHINE = "machine"
    CLUSTER = "cluster"


@strawberry.enum(name="AlertSeverity", description="How bad an alert is.")
class SeverityWord(Enum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@strawberry.enum(name="AlertState", description="Whether an alert fires.")
class AlertStateWord(Enum):
    PENDING = strawberry.enum_value("pending", description="It has not held for long enough yet.")
    FIRING = "firing"


@strawberry.enum(name="AlertHappening", description="What can happen to an alert, and to a notice of alerts.")
class HappeningWord(Enum):
    FIRING = strawberry.enum_value("firing", description="It began to fire.")
    RESOLVED = strawberry.enum_value("resolved", description="It is over.")
    NOTIFIED = strawberry.enum_value("notified", description="A notice was delivered.")
    FAILED = strawberry.enum_value("failed", description="A notice could not be delivered.")


@strawberry.enum(name="ProviderState", description="Whether a provider gets requests.")
class ProviderStateWord(Enum):
    ENABLED = "enabled"
    DRAINING = strawberry.enum_value("draining", description="None that is new; what runs finishes.")
    DISABLED = strawberry.enum_value("disabled", description="None; what has begun to answer finishes.")


@strawberry.enum(name="ProviderCondition", description="How a provider is.")
class ConditionWord(Enum):
    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"
    DISABLED = "disabled"
    DRAINING = "draining"
    UNKNOWN = strawberry.enum_value("unknown", description="Nobody has asked it yet.")


@strawberry.enum(name="EventKind", description="What events are about.")
class EventKindWord(Enum):
    REQUEST = strawberry.enum_value("request", description="A request has ended.")
    ALERT = "alert"
    BREAKER = strawberry.enum_value("breaker", description="A deployment is left alone, or asked again.")
    PROVIDER = strawberry.enum_value("provider", description="A provider is switched, or its free endpoints say so.")
    CONFIG = strawberry.enum_value("config", description="Other settings are in force.")
    STORE = strawberry.enum_value("store", description="A store is lost, or back.")
    METRICS = strawberry.enum_value("metrics", description="Figures, once a second.")


@strawberry.enum(name="ActDoor", description="By which way an act of an operator came.")
class ActDoorWord(Enum):
    REST = "rest"
    GRAPHQL = "graphql"
    DASHBOARD = "dashboard"
    COMMAND = strawberry.enum_value("command", description="The command line, on the database itself.")
    SERVICE = strawberry.enum_value("service", description="Nobody asked for it.")


@strawberry.enum(name="ActOutcome", description="What came of an act of an operator.")
class ActOutcomeWord(Enum):
    DONE = "done"
    REFUSED = "refused"
    FAILED = strawberry.enum_value("failed", description="A part of it may have been done.")
