"""Check digits, by their published rules. All take digits as text, and tell whether the last of them fit the others."""

from collections.abc import Callable, Sequence
from typing import Final

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# Verhoeff's tables (1969): multiplication in the dihedral group D5, and the permutation by position.
_D5: Final = (
    "0123456789 1234067895 2340178956 3401289567 4012395678 5987604321 6598710432 7659821043 8765932104 9876543210"
).split()
_MOVED: Final = "0123456789 1576283094 5803796142 8916043527 9453126870 4286573901 2793806415 7046913258".split()


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    return (sum(map(int, number[-1::-2])) + sum(_DOUBLED[int(digit)] for digit in number[-2::-2])) % 10 == 0


def verhoeff(number: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = int(_D5[check][int(_MOVED[place % 8][int(digit)])])
    return check == 0


def mod_11_10(number: str) -> bool:
    """ISO/IEC 7064, MOD 11,10."""
    check = 10
    for digit in number[:-1]:
        check = ((check + int(digit)) % 10 or 10) * 2 % 11
    return (check + int(number[-1])) % 10 == 1


def mod_11_2(number: str) -> bool:
    """ISO/IEC 7064, MOD 11-2; the last may be X, which is ten."""
    check = 0
    for digit in number[:-1]:
        check = (check + int(digit)) * 2 % 11
    return (check + (10 if number[-1] == "X" else int(number[-1]))) % 11 == 1


def mod_97_10(text: str) -> bool:
    """ISO/IEC 7064, MOD 97-10, of digits and capital letters (A is 10)."""
    return int("".join(str(int(character, 36)) for character in text)) % 97 == 1


def weigh(number: str, weights: Sequence[int]) -> int:
    """The sum of the digits, each times its weight; as many as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


def weighted(weights: Sequence[int], modulus: int) -> Callable[[str], bool]:
    """A check whether the weighted sum of all digits is a multiple of ``modulus``; that of nothing but zeros is not."""

    def fits(number: str) -> bool:
        total = weigh(number, weights)
        return total != 0 and total % modulus == 0

    return fits
