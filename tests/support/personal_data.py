"""Invented personal data with valid check digits: made here, by the rules as published, not by what is tested."""

import random
from typing import Final

# Beginnings of test cards, as payment providers publish them: (what is given, how many digits).
CARDS: Final = (
    ("4111", 16),
    ("4000", 19),
    ("5105", 16),
    ("2223", 16),
    ("3714", 15),
    ("6011", 16),
    ("3056", 14),
    ("3530", 16),
    ("6200", 16),
    ("2200", 16),
    ("6304", 18),
)
# Of a bank account's number: the country, and its shape (0: a digit, A: a letter).
IBANS: Final = (
    ("DE", "0" * 18),
    ("GB", "AAAA" + "0" * 14),
    ("FR", "0" * 23),
    ("NL", "AAAA" + "0" * 10),
    ("ES", "0" * 20),
    ("IT", "A" + "0" * 22),
    ("CH", "0" * 17),
    ("PL", "0" * 24),
    ("NO", "0" * 11),
    ("MT", "AAAA" + "0" * 23),
    ("TR", "0" * 22),
    ("UA", "0" * 25),
)


def card(chance: random.Random) -> str:
    """The digits of a card."""
    beginning, length = chance.choice(CARDS)
    body = beginning + "".join(chance.choices("0123456789", k=length - 1 - len(beginning)))
    return next(number for digit in "0123456789" if _luhn_sum(number := body + digit) % 10 == 0)


def grouped(number: str, joint: str) -> str:
    """As it stands on the card."""
    if len(number) in {14, 15} and number[0] == "3":
        return joint.join((number[:4], number[4:10], number[10:]))
    return joint.join(number[place : place + 4] for place in range(0, len(number), 4))


def iban(chance: random.Random) -> str:
    """A bank account's number, without blanks."""
    country, shape = chance.choice(IBANS)
    account = "".join(chance.choice("ABCDEFGHJK" if sign == "A" else "0123456789") for sign in shape)
    rest = 0
    for sign in account + country + "00":
        value = int(sign, 36)
        rest = (rest * (100 if value > 9 else 10) + value) % 97
    return f"{country}{98 - rest:02d}{account}"


def email(chance: random.Random) -> str:
    """An address in a domain that is reserved for examples (RFC 2606)."""
    name = chance.choice(("anna.muster", "j.doe", "info", "max_power", "li-wei", "o.k.+news", "sales2", "x"))
    return f"{name}@{chance.choice(('example.com', 'example.org', 'mail.example.net', 'sub-domain.example.co.uk'))}"


def _luhn_sum(number: str) -> int:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total
