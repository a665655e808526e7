"""What the cache may do for one request: nothing, keep its answer, or give one again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from llm_service.cache.digest import Address, digest_of, digest_under, head_of
from llm_service.cache.options import CacheOptions
from llm_service.cache.semantic.question import Question, without_question
from llm_service.domain import (
    ANY_ANSWER,
    NO_TAGS,
    CacheControl,
    Caller,
    Candidate,
    ModelRequest,
    Operation,
    fact_in_order,
)

_DEFAULT_TEMPERATURE: Final = 1.0
"""What OpenAI, OpenRouter and DeepSeek take for a request that names none (their references, seen 2026-11)."""

_MOST_COMMON: Final = 4096
"""Callers and models of which it is known what their plans have in common: models are the callers' to invent."""


@fact_in_order
class CachePlan:
    """A request that the cache has to do with; all durations in seconds.

    ``groups``: what its answer can be purged by. ``serve``: whether a kept answer may be given at all; with
    ``no-cache`` a new one is made, and kept. An answer made now is fresh for ``fresh_s``; a stale one may be given for
    ``while_revalidating_s`` and ``on_error_s`` more. ``question``: what may be answered by likeness, if anything.
    """

    digest: bytes
    groups: tuple[str, ...]
    serve: bool
    control: CacheControl
    fresh_s: float
    while_revalidating_s: float
    on_error_s: float
    question: Question | None = None

    @property
    def kept_s(self) -> float:
        """How long an answer made now can be of use."""
        return self.fresh_s + max(self.while_revalidating_s, self.on_error_s)


class _Common(NamedTuple):
    """What the plans for all requests of one caller for one model have in common, and what it was made of.

    ``head``: of their digests, ``None`` where there is none.
    """

    candidates: tuple[Candidate, ...]
    policy_version: str
    fresh_s: float
    head: bytes | None
    groups: tuple[str, ...]


class CachePolicy:
    """Decides by the settings.

    ``ttls_s``: the seconds of models that have their own, by the name that is asked for. ``address`` tells where a
    candidate is served.
    """

    def __init__(
        self,
        options: CacheOptions,
        *,
        ttls_s: Mapping[str, float],
        address: Callable[[Candidate], Address],
    ) -> None:
        self._options = options
        self._ttls_s = dict(ttls_s)
        self._address = address
        self._common: dict[tuple[str, str | None, bool, str, Operation], _Common] = {}

    def plan(
        self,
        request: ModelRequest,
        *,
        candidates: tuple[Candidate, ...],
        caller: Caller,
        user: str | None,
        tags: Mapping[str, str] = NO_TAGS,
        control: CacheControl = ANY_ANSWER,
        policy_version: str = "",
    ) -> CachePlan | None:
        """What holds for a request. ``None``: it passes the cache by, and neither looks nor leaves anything there.

        ``policy_version`` names the filters that its answer passes; under another one nothing of before is found.
        """
        options = self._options
        common = self._common_of(request, candidates, caller, user, policy_version)
        head, fresh_s = common.head, common.fresh_s
        if head is None or self._obstacle(request, fresh_s, control) is not None:
            return None
        digest = digest_under(head, request.body)
        if digest is None:
            return None
        groups, question = common.groups, None
        if tags:
            groups = (*groups, *[f"tag:{name}={value}" for name, value in tags.items()])
        if options.semantic.enabled:
            question = self._question(request, caller, user, candidates, policy_version)
        return CachePlan(  # in the order of the fields: by their names it costs twice as much
            digest,
            groups,
            not control.no_cache,  # serve
            control,
            fresh_s,
            options.stale_while_revalidate_s,
            options.stale_if_error_s,
            question,
        )

    def _common_of(
        self,
        request: ModelRequest,
        candidates: tuple[Candidate, ...],
        caller: Caller,
        user: str | None,
        policy_version: str,
    ) -> _Common:
        """What is known of such requests. Made anew when the route or the filters are other ones by now."""
        if request.models:  # lists of models are too many to be known
            return self._made_common(request, candidates, caller, user, policy_version)
        is_own = user is not None and _is_own(caller, user)
        which = (caller.key_id, user, is_own, request.model, request.operation)
        common = self._common.get(which)
        if common is None or common.candidates is not candidates or common.policy_version != policy_version:
            common = self._made_common(request, candidates, caller, user, policy_version)
            if len(self._common) >= _MOST_COMMON:
                self._common.clear()
            self._common[which] = common
        return common

    def _made_common(
        self,
        request: ModelRequest,
        candidates: tuple[Candidate, ...],
        caller: Caller,
        user: str | None,
        policy_version: str,
    ) -> _Common:
        head = head_of(
            request.operation,
            scope=self._scope_of(caller, user),
            deployments=self._deployments(candidates),
            policy_version=policy_version,
        )
        groups = ("all", f"model:{request.model}", *self._tenants_of(caller, user))
        return _Common(candidates, policy_version, self._fresh_s(request), head, groups)

    def _deployments(self, candidates: Sequence[Candidate]) -> Sequence[Address]:
        return [self._address(candidate) for candidate in candidates]

    def why_not(self, request: ModelRequest, control: CacheControl) -> str:
        """Why there is no plan for a request, in words that follow "the cache is passed by: "."""
        return self._obstacle(request, self._fresh_s(request), control) or "the body has no one form to be known by"

    def _obstacle(self, request: ModelRequest, fresh_s: float, control: CacheControl) -> str | None:
        if not self._options.enabled:
            return "it is switched off"
        if fresh_s <= 0:
            return "answers of this model are not kept"
        if control.no_store:
            return "the request says no-store"
        return self._variety(request)

    def _question(
        self, request: ModelRequest, caller: Caller, user: str | None, candidates: Sequence[Candidate], version: str
    ) -> Question | None:
        """What may be answered by likeness: of keys that allow it alone, and never across keys or users.

        That holds for every ``scope``: who shares exact answers has not agreed to share guesses.
        """
        if caller.key is None or not caller.key.semantic_cache:
            return None
        parts = without_question(request, max_chars=self._options.semantic.max_prompt_chars)
        if parts is None:
            return None
        text, rest = parts
        bucket = digest_of(
            request.operation,
            rest,
            scope=f"key:{caller.key_id}" if user is None else f"key:{caller.key_id} user:{user}",
            deployments=self._deployments(candidates),
            policy_version=version,
        )
        return None if bucket is None else Question(bucket=bucket, text=text)

    def _fresh_s(self, request: ModelRequest) -> float:
        """The shortest time of all models that may answer: one that must not be cached is not, as a fallback either."""
        common, own = self._options.ttl_s, self._ttls_s
        if not own:
            return common
        return min([own.get(name, common) for name in (request.model, *request.models)])

    def _variety(self, request: ModelRequest) -> str | None:
        """Why an answer that was given before is not what is asked for, if it is not."""
        body = request.body
        if request.operation == "embedding":
            return None
        temperature = body.get("temperature")
        if (_DEFAULT_TEMPERATURE if temperature is None else temperature) > self._options.max_temperature:
            return "the temperature is above cache.max_temperature"
        if "n" in body or "best_of" in body:
            several = _is_several(body.get("n")) or _is_several(body.get("best_of"))
            return "the request asks for several answers" if several else None
        return None

    def _scope_of(self, caller: Caller, user: str | None) -> str:
        scope = self._options.scope
        if scope == "global":
            return scope
        if scope == "user" and user is not None:
            return f"user:{user}" if _is_own(caller, user) else f"key:{caller.key_id} user:{user}"
        return f"key:{caller.key_id}"  # who names no user shares with nobody else

    def _tenants_of(self, caller: Caller, user: str | None) -> Sequence[str]:
        """The groups of those to whom an answer belongs: of a user whom a key's request has named, to both."""
        scope = self._options.scope
        if scope == "global":
            return ("tenant:global",)
        if scope == "key" or user is None:
            return (f"tenant:key:{caller.key_id}",)
        if _is_own(caller, user):
            return (f"tenant:user:{user}",)
        return (f"tenant:key:{caller.key_id}", f"tenant:user:{user}")


def _is_own(caller: Caller, user: str) -> bool:
    """Whether the key says so itself: what a client says of its user would let it into another key's answers."""
    return caller.key is not None and caller.key.user == user


def _is_several(count: Any) -> bool:
    return type(count) in (int, float) and count > 1
