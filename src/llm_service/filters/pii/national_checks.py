"""Checks of national ids: each takes one without blanks and marks, in capitals, and says whether it can be one.

Sources: the issuers' publications, as Wikipedia's and the OECD's (tax numbers) articles on each id name them, 2026-11.
"""

import re
from typing import Final

from llm_service.filters.pii.checksums import luhn, mod_11_2, mod_11_10, weigh, weighted

_MONTH_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_day(month: str | int, day: str | int) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= _MONTH_DAYS[int(month) - 1]


# ---- Europe


def gb_nino(number: str) -> bool:
    return number[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


gb_nhs: Final = weighted((10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 11)


def de_tax_id(number: str) -> bool:
    """Of the first ten digits one stands there twice or three times, the others once at most."""
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    return number[0] != "0" and counts[-1] in {2, 3} and counts[-2:-1] != [2] and mod_11_10(number)


def de_identity_card(number: str) -> bool:
    values = [int(character, 36) for character in number[:9]]
    return sum(value * (7, 3, 1)[place % 3] for place, value in enumerate(values)) % 10 == int(number[9])


def de_pension(number: str) -> bool:
    digits = number[:8] + f"{ord(number[8]) - 64:02d}" + number[9:11]
    products = (int(digit) * weight for digit, weight in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    return is_day(number[4:6], number[2:4]) and sum(sum(divmod(one, 10)) for one in products) % 10 == int(number[11])


def fr_nir(number: str) -> bool:
    month = int(number[3:5])
    if not (1 <= month <= 12 or 20 <= month <= 42):
        return False
    department = {"2A": "19", "2B": "18"}.get(number[5:7], number[5:7])
    if not department.isdigit():
        return False
    return 97 - int(number[:5] + department + number[7:13]) % 97 == int(number[13:])


def es_dni(number: str) -> bool:
    digits = number[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == number[-1]


_IT_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def it_fiscal_code(number: str) -> bool:
    values = [int(one) if one.isdigit() else ord(one) - 65 for one in number[:15]]
    total = sum(_IT_ODD[value] for value in values[::2]) + sum(values[1::2])
    return chr(65 + total % 26) == number[15]


nl_bsn: Final = weighted((9, 8, 7, 6, 5, 4, 3, 2, -1), 11)


def be_national(number: str) -> bool:
    check = int(number[9:])
    return is_day(number[2:4], number[4:6]) and check in {
        97 - int(number[:9]) % 97,
        97 - int("2" + number[:9]) % 97,
    }


_pl_sum: Final = weighted((1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10)


def pl_pesel(number: str) -> bool:
    return is_day(int(number[2:4]) % 20, number[4:6]) and _pl_sum(number)


def se_personal(number: str) -> bool:
    number = number[-10:]
    return is_day(number[2:4], int(number[4:6]) % 60) and luhn(number)


_no_first: Final = weighted((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), 11)
_no_second: Final = weighted((5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11)


def no_birth(number: str) -> bool:
    return is_day(number[2:4], int(number[:2]) % 40) and _no_first(number[:10]) and _no_second(number)


_dk_sum: Final = weighted((4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11)


def dk_cpr(number: str) -> bool:
    """With the check that numbers up to 2007 have."""
    return dk_cpr_date(number) and _dk_sum(number)


def dk_cpr_date(number: str) -> bool:
    return is_day(number[2:4], number[:2])


def fi_hetu(number: str) -> bool:
    digits = number[:6] + number[-4:-1]
    return is_day(number[2:4], number[:2]) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == number[-1]


def pt_nif(number: str) -> bool:
    check = 11 - weigh(number, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return number[0] in "1235689" and int(number[8]) == check % 11 % 10


def ch_ahv(number: str) -> bool:
    return weigh(number, (1, 3) * 6 + (1,)) % 10 == 0


def at_insurance(number: str) -> bool:
    check = weigh(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
    return number[0] != "0" and 1 <= int(number[4:6]) <= 31 and 1 <= int(number[6:8]) <= 15 and check == int(number[3])


def ie_pps(number: str) -> bool:
    second = ord(number[8]) - 64 if len(number) > 8 and number[8] != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[(weigh(number, (8, 7, 6, 5, 4, 3, 2)) + 9 * second) % 23] == number[7]


def cz_birth(number: str) -> bool:
    month = int(number[2:4])
    return is_day(month - next(add for add in (70, 50, 20, 0) if month > add or not add), number[4:6]) and (
        int(number) % 11 == 0
    )


def ro_cnp(number: str) -> bool:
    check = weigh(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    county = int(number[7:9])
    return is_day(number[3:5], number[5:7]) and 1 <= county <= 52 and int(number[12]) == (1 if check == 10 else check)


def bg_egn(number: str) -> bool:
    check = weigh(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return is_day(int(number[2:4]) % 20, number[4:6]) and int(number[9]) == check


def hu_taj(number: str) -> bool:
    return weigh(number, (3, 7) * 4) % 10 == int(number[8])


def gr_amka(number: str) -> bool:
    return is_day(number[2:4], number[:2]) and luhn(number)


def baltic_code(number: str) -> bool:
    """Estonia's and Lithuania's."""
    check = weigh(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weigh(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return is_day(number[3:5], number[5:7]) and check == int(number[10])


def ru_snils(number: str) -> bool:
    return weigh(number, (9, 8, 7, 6, 5, 4, 3, 2, 1)) % 101 % 100 == int(number[9:])


def ru_inn(number: str) -> bool:
    first = weigh(number, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    second = weigh(number, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return number[10:] == f"{first}{second}"


def ua_tax(number: str) -> bool:
    return weigh(number, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == int(number[9])


def tr_identity(number: str) -> bool:
    values = [int(digit) for digit in number]
    return (sum(values[:9:2]) * 7 - sum(values[1:8:2])) % 10 == values[9] and sum(values[:10]) % 10 == values[10]


# ---- the Americas

_ITIN: Final = re.compile(r"9..(?:5.|6[0-5]|7.|8[0-8]|9[0-24-9])....")


def us_ssn(number: str) -> bool:
    """Also the ITIN of who has no social security number."""
    if number[3:5] == "00" or number[5:] == "0000" or number[:3] in {"000", "666"}:
        return False
    return number[0] != "9" or _ITIN.fullmatch(number) is not None


def br_cpf(number: str) -> bool:
    first = weigh(number, (10, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    second = weigh(number, (11, 10, 9, 8, 7, 6, 5, 4, 3, 2)) * 10 % 11 % 10
    return len(set(number)) > 1 and number[9:] == f"{first}{second}"


ar_cuil: Final = weighted((5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11)


def cl_rut(number: str) -> bool:
    check = 11 - weigh(number[-2::-1], (2, 3, 4, 5, 6, 7, 2, 3)) % 11
    return number[-1] == {11: "0", 10: "K"}.get(check, str(check))


def mx_curp(number: str) -> bool:
    values = ["0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ".index(character) for character in number[:17]]
    total = sum(value * (18 - place) for place, value in enumerate(values))
    return is_day(number[6:8], number[8:10]) and -total % 10 == int(number[17])


# ---- Asia, Africa, Oceania


def is_no_row_of_years(number: str) -> bool:
    return not all(number[place : place + 2] in {"19", "20"} for place in range(0, len(number), 4))


def cn_resident(number: str) -> bool:
    return number[6:8] in {"19", "20"} and is_day(number[10:12], number[12:14]) and mod_11_2(number)


def hk_identity(number: str) -> bool:
    letters = number[:-7]
    total = sum(
        value * weight
        for value, weight in zip(
            (36 if len(letters) == 1 else ord(letters[0]) - 55, ord(letters[-1]) - 55, *map(int, number[-7:-1])),
            range(9, 1, -1),
            strict=True,
        )
    )
    return (total + int(number[-1], 11)) % 11 == 0


def sg_nric(number: str) -> bool:
    total = weigh(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"S": 0, "F": 0, "T": 4, "G": 4, "M": 3}[number[0]]
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
    place = total % 11 if number[0] != "M" else 10 - total % 11
    return letters[number[0]][place] == number[8]


def kr_resident(number: str) -> bool:
    """With the check that numbers up to 2020 have."""
    total = weigh(number, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    return kr_resident_date(number) and (11 - total % 11) % 10 == int(number[12])


def kr_resident_date(number: str) -> bool:
    return is_day(number[2:4], number[4:6])


def jp_my_number(number: str) -> bool:
    rest = weigh(number, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return int(number[11]) == (11 - rest if rest > 1 else 0)


def th_identity(number: str) -> bool:
    return (11 - weigh(number, range(13, 1, -1)) % 11) % 10 == int(number[12])


def id_nik(number: str) -> bool:
    return is_day(number[8:10], int(number[6:8]) % 40)


def my_kad(number: str) -> bool:
    return is_day(number[2:4], number[4:6]) and number[6:8] not in {"00", "17", "18", "19", "20"}


def il_identity(number: str) -> bool:
    return number.strip("0") != "" and luhn(number)


def za_identity(number: str) -> bool:
    return is_day(number[2:4], number[4:6]) and number[10] in "012" and luhn(number)


au_tax: Final = weighted((1, 4, 3, 7, 5, 8, 6, 9, 10), 11)


def au_medicare(number: str) -> bool:
    return number[0] in "23456" and weigh(number, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(number[8])
