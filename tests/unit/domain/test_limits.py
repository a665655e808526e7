"""Claims on a set of limits are the same as a list of them."""

from llm_service.domain import Claim, Claims, Limit, LimitKind, LimitSet, budgets_among, limits_among


def limit(kind: LimitKind, amount: int, name: str = "key") -> Limit:
    return Limit(key=f"{kind}:{name}", scope="key", subject="", kind=kind, amount=amount)


MONEY = limit("money", 7)
LIMITS = (
    limit("requests", 60),
    limit("tokens", 1000),
    limit("tokens", 9000, "all"),
    limit("concurrency", 3),
    MONEY,
)
LISTED = [Claim(one, cost) for one, cost in zip(LIMITS, (1, 300, 301, 1, 5), strict=True)]


def test_claims_on_a_set_are_a_sequence_of_claims() -> None:
    claims = Claims(LimitSet(LIMITS), (1, 300, 301, 1, 5))
    assert [*claims] == LISTED
    assert (claims[1].cost, claims[-1].limit, [*claims[:2]], len(claims)) == (300, MONEY, LISTED[:2], 5)
    assert claims == LISTED
    assert claims != LISTED[1:]
    assert hash(claims) == hash(Claims.among(LISTED))


def test_a_list_of_claims_becomes_claims_on_a_set() -> None:
    claims = Claims.among(LISTED)
    assert (claims, Claims.among(claims)) == (LISTED, claims)
    assert Claims.among(claims) is claims


def test_a_set_knows_what_follows_from_its_limits() -> None:
    known = LimitSet(LIMITS)
    assert known.amounts == (60, 1000, 9000, 3, 7)
    assert known.budgets == (MONEY,)
    assert known.rates == (("requests", ((0, 60),)), ("tokens", ((1, 1000), (2, 9000))))


def test_sets_are_told_apart_though_their_limits_are_the_same() -> None:
    assert len({LimitSet(LIMITS), LimitSet(LIMITS)}) == 2


def test_limits_and_budgets_are_found_among_claims_of_either_form() -> None:
    for claims in (LISTED, Claims.among(LISTED)):
        assert [*limits_among(claims)] == [*LIMITS]
        assert [*budgets_among(claims)] == [MONEY]
    assert not budgets_among(())
