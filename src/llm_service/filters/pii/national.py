"""National ids, by a table: how each is written, its check, and the words of which one must stand before.

One without words is believed for its writing and check alone: its date, letters or two check digits make it a chance of
less than one in a hundred. A bare row of nine to twelve digits with one check digit is not: one number in ten fits.
"""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from llm_service.domain import fact_in_order
from llm_service.filters.pii import national_checks as checks
from llm_service.filters.pii.checksums import luhn, mod_11_10, verhoeff
from llm_service.filters.pii.kind import Kind, Span, stands_alone
from llm_service.filters.pii.words import Words, before, words

_MARKS: Final = re.compile(r"[^0-9A-Za-z]+")


@fact_in_order
class NationalId:
    """``country``: as ISO 3166 abbreviates it. ``pattern``: as it is written; ``words``: empty where none is needed."""

    country: str
    pattern: str
    check: Callable[[str], bool]
    words: str = ""


_CONSONANTS: Final = "CFGHJKLMNPRTVWXYZ"
_NINO: Final = "[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
_FISCAL: Final = "[0-9L-NP-Vl-np-v]"

_9: Final = r"\b[0-9]{9}\b"
_10: Final = r"\b[0-9]{10}\b"
_11: Final = r"\b[0-9]{11}\b"
_12: Final = r"\b[0-9]{12}\b"
_13: Final = r"\b[0-9]{13}\b"
_333: Final = r"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{3}\b"
_334: Final = r"\b[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}\b"
_444: Final = r"\b[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}\b"

_SSN: Final = "ssn, social security, itin, tax id, taxpayer"
_NHS: Final = "nhs"
_TFN: Final = "tfn, tax file"
_SIN: Final = "SIN, NAS, social insurance, assurance sociale"
_PERSONNUMMER: Final = "personnummer, personnr, samordningsnummer"
_SVNR: Final = "svnr, sozialversicherungsnummer, versicherungsnummer, SV"
_CPR: Final = "cpr, cprnummer, personnummer"
_RRN: Final = "주민등록번호, 주민번호, 외국인등록번호"
_MY_NUMBER: Final = "マイナンバー, 個人番号, my number"
_AADHAAR: Final = "aadhaar, aadhar, uidai, आधार"

NATIONAL_IDS: Final = (
    NationalId("US", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", checks.us_ssn),
    NationalId("US", r"\b[0-9]{3} [0-9]{2} [0-9]{4}\b", checks.us_ssn, _SSN),
    NationalId("US", _9, checks.us_ssn, _SSN),
    NationalId("GB", rf"\b{_NINO} [0-9]{{2}} [0-9]{{2}} [0-9]{{2}} [A-D]\b", checks.gb_nino),
    NationalId(
        "GB", rf"\b{_NINO} ?[0-9]{{6}} ?[A-D]\b", checks.gb_nino, "nino, NI, national insurance, insurance number"
    ),
    NationalId("GB", _10, checks.gb_nhs, _NHS),
    NationalId("GB", _334, checks.gb_nhs, _NHS),
    NationalId("DE", r"\b[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}\b", checks.de_tax_id),
    NationalId(
        "DE",
        _11,
        checks.de_tax_id,
        """steuer, steuerid, steueridentifikationsnummer, steuernummer, identifikationsnummer, idnr, TIN, tax id""",
    ),
    NationalId(
        "DE",
        rf"\b[{_CONSONANTS}][0-9{_CONSONANTS}]{{8}}[0-9]\b",
        checks.de_identity_card,
        "ausweis, personalausweis, ausweisnummer, personalausweisnummer, reisepass, pass, id card, identity card",
    ),
    NationalId("DE", r"\b[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3}\b", checks.de_pension),
    NationalId("FR", r"\b[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b", checks.fr_nir),
    NationalId("ES", r"\b[0-9]{8}-?[A-HJ-NP-TV-Z]\b", checks.es_dni),
    NationalId("ES", r"\b[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]\b", checks.es_dni),
    NationalId(
        "IT",
        rf"\b[A-Za-z]{{6}}{_FISCAL}{{2}}[A-EHLMPR-Ta-ehlmpr-t]{_FISCAL}{{2}}[A-Za-z]{_FISCAL}{{3}}[A-Za-z]\b",
        checks.it_fiscal_code,
    ),
    NationalId("NL", _9, checks.nl_bsn, "bsn, burgerservicenummer, sofinummer"),
    NationalId("NL", r"\b[0-9]{4}\.[0-9]{2}\.[0-9]{3}\b", checks.nl_bsn, "bsn, burgerservicenummer"),
    NationalId("BE", r"\b[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}\b", checks.be_national),
    NationalId("BE", _11, checks.be_national, "rijksregisternummer, rijksregister, registre national, niss, insz"),
    NationalId("PL", _11, checks.pl_pesel, "pesel"),
    NationalId("SE", r"\b(?:19|20)?[0-9]{6}[-+][0-9]{4}\b", checks.se_personal),
    NationalId("SE", _10, checks.se_personal, _PERSONNUMMER),
    NationalId("SE", _12, checks.se_personal, _PERSONNUMMER),
    NationalId("NO", _11, checks.no_birth),
    NationalId("NO", r"\b[0-9]{6} [0-9]{5}\b", checks.no_birth),
    NationalId("DK", r"\b[0-9]{6}-[0-9]{4}\b", checks.dk_cpr),
    NationalId("DK", r"\b[0-9]{6}-[0-9]{4}\b", checks.dk_cpr_date, _CPR),
    NationalId("DK", _10, checks.dk_cpr_date, _CPR),
    NationalId("FI", r"\b[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]\b", checks.fi_hetu),
    NationalId("PT", _9, checks.pt_nif, "nif, contribuinte, contribuição"),
    NationalId("PT", _333, checks.pt_nif, "nif, contribuinte"),
    NationalId("CH", r"\b756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}\b", checks.ch_ahv),
    NationalId("AT", _10, checks.at_insurance, _SVNR),
    NationalId("AT", r"\b[0-9]{4} [0-9]{6}\b", checks.at_insurance, _SVNR),
    NationalId("IE", r"\b[0-9]{7}[A-W][A-IW]?\b", checks.ie_pps, "PPS, ppsn"),
    NationalId("CZ", r"\b[0-9]{6}/[0-9]{4}\b", checks.cz_birth),
    NationalId("CZ", _10, checks.cz_birth, "rodné číslo, rč, rodne cislo"),
    NationalId("SK", r"\b[0-9]{6}/[0-9]{4}\b", checks.cz_birth),
    NationalId("SK", _10, checks.cz_birth, "rodné číslo, rč, rodne cislo"),
    NationalId("RO", r"\b[1-8][0-9]{12}\b", checks.ro_cnp),
    NationalId("BG", _10, checks.bg_egn, "егн, egn"),
    NationalId("HR", _11, mod_11_10, "oib"),
    NationalId("HU", _9, checks.hu_taj, "TAJ"),
    NationalId("HU", _333, checks.hu_taj, "TAJ"),
    NationalId("GR", _11, checks.gr_amka, "αμκα, amka"),
    NationalId("EE", _11, checks.baltic_code, "isikukood, isikukoodi, personal code"),
    NationalId("LT", _11, checks.baltic_code, "asmens kodas, asmens kodo, asmens kodą, personal code"),
    NationalId("RU", r"\b[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}\b", checks.ru_snils),
    NationalId("RU", _11, checks.ru_snils, "снилс, snils"),
    NationalId("RU", _12, checks.ru_inn, "инн, INN"),
    NationalId("UA", _10, checks.ua_tax, "рнокпп, іпн, инн"),
    NationalId("TR", _11, checks.tr_identity, "kimlik, tckn, TC, t c"),
    NationalId("BR", r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", checks.br_cpf),
    NationalId("BR", _11, checks.br_cpf, "cpf"),
    NationalId("AR", r"\b2[0347]-[0-9]{8}-[0-9]\b", checks.ar_cuil),
    NationalId("AR", _11, checks.ar_cuil, "cuil, cuit"),
    NationalId("CL", r"\b[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]\b", checks.cl_rut),
    NationalId("CL", r"\b[0-9]{7,8}-[0-9Kk]\b", checks.cl_rut, "RUT, RUN"),
    NationalId("MX", r"\b[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]\b", checks.mx_curp),
    NationalId("CA", _333, luhn, _SIN),
    NationalId("CA", _9, luhn, _SIN),
    NationalId("IN", _444, lambda number: checks.is_no_row_of_years(number) and verhoeff(number)),
    NationalId("IN", _12, verhoeff, _AADHAAR),
    NationalId("IN", r"\b[A-Z]{3}P[A-Z][0-9]{4}[A-Z]\b", lambda _: True),
    NationalId("CN", r"\b[1-9][0-9]{16}[0-9Xx]\b", checks.cn_resident),
    NationalId("HK", r"\b[A-Z]{1,2}[0-9]{6}\([0-9A]\)", checks.hk_identity),
    NationalId("SG", r"\b[STFGM][0-9]{7}[A-Z]\b", checks.sg_nric),
    NationalId("KR", r"\b[0-9]{6}-[1-8][0-9]{6}\b", checks.kr_resident),
    NationalId("KR", r"\b[0-9]{6}-[1-8][0-9]{6}\b", checks.kr_resident_date, _RRN),
    NationalId("KR", _13, checks.kr_resident_date, _RRN),
    NationalId("JP", _12, checks.jp_my_number, _MY_NUMBER),
    NationalId("JP", r"\b[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}\b", checks.jp_my_number, _MY_NUMBER),
    NationalId("TH", r"\b[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]\b", checks.th_identity),
    NationalId("TH", _13, checks.th_identity, "ประชาชน, thai id"),
    NationalId("ID", r"\b[1-9][0-9]{15}\b", checks.id_nik, "nik, ktp"),
    NationalId("MY", r"\b[0-9]{6}-[0-9]{2}-[0-9]{4}\b", checks.my_kad),
    NationalId("IL", _9, checks.il_identity, "ת ז, תז, תעודת זהות, זהות, teudat zehut, israeli id"),
    NationalId("ZA", _13, checks.za_identity),
    NationalId("AU", _9, checks.au_tax, _TFN),
    NationalId("AU", _333, checks.au_tax, _TFN),
    NationalId("AU", _10, checks.au_medicare, "medicare"),
    NationalId("AU", r"\b[2-6][0-9]{3} [0-9]{5} [0-9]\b", checks.au_medicare, "medicare"),
)
COUNTRIES: Final = tuple(sorted({row.country for row in NATIONAL_IDS}))


def national_ids(countries: Collection[str]) -> Iterator[Kind]:
    """A kind for each way of writing that ids of these countries have."""
    writings: dict[str, list[NationalId]] = {}
    for row in NATIONAL_IDS:
        if row.country in countries:
            writings.setdefault(row.pattern, []).append(row)
    for pattern, rows in writings.items():
        # Where blanks join the digits, a neighbour behind a blank may be one more of them.
        joints = "-./ " if " " in pattern else "-./"
        check = _AnyOf(tuple((row.check, words(row.words) if row.words else None) for row in rows), joints)
        yield Kind(label="national_id", pattern=pattern, check=check)


@fact_in_order
class _AnyOf:
    """Whether a place is an id of one of the countries that write theirs like this."""

    rows: tuple[tuple[Callable[[str], bool], Words | None], ...]
    joints: str

    def __call__(self, text: str, begin: int, end: int) -> Span | None:
        if not stands_alone(text, begin, end, joints=self.joints):
            return None
        said = before(text, begin)
        number = ""
        for fits, needed in self.rows:
            if needed and not needed.among(said):
                continue
            number = number or _MARKS.sub("", text[begin:end]).upper()
            if fits(number):
                return begin, end
        return None
