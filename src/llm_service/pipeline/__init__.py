"""The one row of stages that every request passes, and the way out through the watchers they leave."""

from llm_service.pipeline.account import Account
from llm_service.pipeline.admit import Admit
from llm_service.pipeline.alike import Alike
from llm_service.pipeline.asking import Asking
from llm_service.pipeline.base import Exchange, Passing, Proceed, Refresh, Row, Stage, Watcher, compose
from llm_service.pipeline.call import MARK, Call, CallParts
from llm_service.pipeline.check import Check
from llm_service.pipeline.closing import Accounts, Closing
from llm_service.pipeline.delivery import Delivery, WatchedReply
from llm_service.pipeline.hedges import Hedges
from llm_service.pipeline.judges import InnerGateway, Judge, ModelJudge, WebhookJudge
from llm_service.pipeline.moderate import Moderate
from llm_service.pipeline.observe import Observe
from llm_service.pipeline.options import IdempotencyOptions, ImageUrlOptions, ValidationOptions
from llm_service.pipeline.rank import Rank, has_choice
from llm_service.pipeline.remember import MISSED, Remember
from llm_service.pipeline.replay import Promises, Replay
from llm_service.pipeline.resolve import Resolve, Resolver, check_allowed
from llm_service.pipeline.screen import Foreseeing, Screen, counting, reporting
from llm_service.pipeline.share import UNSERVED, Share
from llm_service.pipeline.shed import Shed, too_much
from llm_service.pipeline.sift import Sift
from llm_service.pipeline.trip import TripParts
from llm_service.pipeline.vet import Vet
from llm_service.pipeline.windows import Windows

__all__ = [
    "MARK",
    "MISSED",
    "UNSERVED",
    "Account",
    "Accounts",
    "Admit",
    "Alike",
    "Asking",
    "Call",
    "CallParts",
    "Check",
    "Closing",
    "Delivery",
    "Exchange",
    "Foreseeing",
    "Hedges",
    "IdempotencyOptions",
    "ImageUrlOptions",
    "InnerGateway",
    "Judge",
    "ModelJudge",
    "Moderate",
    "Observe",
    "Passing",
    "Proceed",
    "Promises",
    "Rank",
    "Refresh",
    "Remember",
    "Replay",
    "Resolve",
    "Resolver",
    "Row",
    "Screen",
    "Share",
    "Shed",
    "Sift",
    "Stage",
    "TripParts",
    "ValidationOptions",
    "Vet",
    "WatchedReply",
    "Watcher",
    "WebhookJudge",
    "Windows",
    "check_allowed",
    "compose",
    "counting",
    "has_choice",
    "reporting",
    "too_much",
]
