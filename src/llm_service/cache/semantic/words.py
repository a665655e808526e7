"""What the guard knows of languages: only words that are listed here may be missing or stand for each other."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from llm_service.domain import fact


@fact
class Language:
    """Tables of one language, all in small letters.

    ``cues``: common words by which it is told from others. ``begins``, ``ends``: politeness that may stand before and
    behind a question. ``forms``: ways of asking and what they come to, at the beginning alone. ``asks``: words that
    begin a question; ``helping``: words without a meaning of their own behind one of these; ``linking``: words that
    may be missing anywhere but at the beginning. ``same``: words for which another one stands.
    """

    cues: frozenset[str]
    begins: Sequence[str]
    ends: Sequence[str]
    forms: Mapping[str, str]
    asks: frozenset[str]
    helping: frozenset[str]
    linking: frozenset[str]
    same: Mapping[str, str]


def _same(*groups: str) -> Mapping[str, str]:
    """Every word of a group, and the first one of it."""
    return MappingProxyType({word: group.split()[0] for group in groups for word in group.split()[1:]})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH: Final = Language(
    cues=_words(
        "the a an is are was were do does did how what why when where who which can could should would will may must "
        "i my me you your we our it its to of in on for with and or not if this that there have has please tell be"
    ),
    begins=(
        "hi", "hello", "hey", "hi there", "hello there", "good morning", "good afternoon", "good evening", "please",
        "kindly", "quick question", "i have a question", "could you please tell me", "can you please tell me",
        "could you tell me", "can you tell me", "would you tell me", "please tell me", "do you know",
        "i would like to know", "i want to know", "i need to know",
    ),
    ends=("please", "thanks", "thank you", "thanks a lot", "thank you very much", "thx", "thanks in advance"),
    forms=MappingProxyType(
        {
            "how do i": "how", "how can i": "how", "how could i": "how", "how would i": "how", "how to": "how",
            "how does one": "how", "how can one": "how", "tell me how to": "how", "explain how to": "how",
            "show me how to": "how", "is it possible to": "can i", "is it possible for me to": "can i",
            "could i": "can i", "am i able to": "can i", "tell me what": "what", "tell me why": "why",
            "tell me when": "when", "tell me where": "where", "tell me who": "who", "tell me how": "how",
            "explain why": "why", "explain how": "how", "explain what": "what",
            "tell me the": "what the", "give me the": "what the", "name the": "what the",
        }
    ),
    asks=_words("how what why when where who which much many long often far old big"),
    helping=_words("do does"),
    linking=_words("is are"),
    same=_same(
        "buy purchase", "begin start commence", "photo photograph picture", "phone telephone", "repair fix mend",
        "shipping delivery", "big large", "color colour",
        "organize organise", "canceled cancelled", "license licence", "center centre", "favorite favourite",
        "behavior behaviour", "gray grey", "analyze analyse", "ok okay", "tv television",
        "kg kilo kilos kilogram kilograms kilogramme kilogrammes", "km kilometer kilometers kilometre kilometres",
        "cm centimeter centimeters centimetre centimetres", "mg milligram milligrams", "ml milliliter milliliters",
        "hour hours hrs hr", "minute minutes mins", "second seconds secs", "day days", "week weeks", "month months",
        "year years", "% percent",
    ),
)  # fmt: skip
GERMAN: Final = Language(
    cues=_words(
        "der die das den dem des ein eine einen einem einer ist sind war wie was warum wann wo wer welche welcher "
        "kann können darf soll muss wird ich mein meine meinen mir mich du sie wir unser es zu von im auf für mit und "
        "oder nicht kein keine wenn dies gibt habe hat haben bitte sich"
    ),
    begins=(
        "hallo", "hi", "guten morgen", "guten tag", "guten abend", "bitte", "ich habe eine frage", "kurze frage",
        "kannst du mir sagen", "können sie mir sagen", "könnten sie mir sagen", "können sie mir bitte sagen",
        "weißt du", "wissen sie", "ich möchte wissen", "ich würde gerne wissen", "sag mir bitte", "sagen sie mir bitte",
        "sag mir", "sagen sie mir",
    ),
    ends=("bitte", "danke", "vielen dank", "danke schön", "danke im voraus"),
    forms=MappingProxyType(
        {
            "wie heißt": "was", "wie kann man": "wie kann ich", "wie könnte ich": "wie kann ich",
            "kann man": "kann ich", "könnte ich": "kann ich",
        }
    ),
    asks=_words("wie was warum wieso weshalb wann wo wer welche welcher welches"),
    helping=frozenset(),
    linking=_words("ist sind denn eigentlich mal"),
    same=_same(
        "warum wieso weshalb", "versand lieferung", "kaufen erwerben", "beginnen anfangen", "kg kilo kilogramm",
        "km kilometer", "cm zentimeter", "mg milligramm", "ml milliliter", "stunde stunden std", "minute minuten",
        "sekunde sekunden", "tag tage tagen", "woche wochen", "monat monate monaten", "jahr jahre jahren", "% prozent",
    ),
)  # fmt: skip
LANGUAGES: Final[Sequence[Language]] = (ENGLISH, GERMAN)

NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        word: str(number)
        for words in (
            "two three four five six seven eight nine ten eleven twelve",
            "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        )
        for number, word in enumerate(words.split(), 2)
        if word != "acht"  # give heed
    }
)
CONTRACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not", "what's": "what is",
        "where's": "where is", "how's": "how is", "who's": "who is", "when's": "when is", "why's": "why is",
        "it's": "it is", "that's": "that is", "there's": "there is", "i'm": "i am", "i've": "i have", "i'll": "i will",
        "i'd": "i would", "you're": "you are", "we're": "we are", "they're": "they are", "e-mail": "email",
        "e-mails": "emails",
    }
)  # fmt: skip
SHOUTED: Final = _words("all am as aids at do go he his in is it me mis no off on or our out so sat to up us we who")
"""Common words that in capitals are another one: US, IT, WHO."""
POLITE: Final = frozenset(("Sie", "Ihnen", "Ihr", "Ihre", "Ihren", "Ihrem", "Ihrer", "Ihres"))
"""German words that with a capital mean another person."""
