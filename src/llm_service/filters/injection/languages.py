"""How one says "ignore the previous instructions" and "show me your system prompt" in many languages."""

from typing import Final, NamedTuple

from llm_service.filters.injection.signal import Signal, folded

_GAP: Final = r"[^.!?。\n]{0,30}?"
_SHORT_GAP: Final = r"[^.!?。\n]{0,12}?"
_OVERRIDE: Final = 0.8
_REVEAL: Final = 0.75
_PERSONA: Final = 0.75


class Wording(NamedTuple):
    """Parts of a sentence, in the order in which they stand; the first, or where it ends with its verb the last, is
    the rarest and serves as the hint."""

    kind: str
    parts: tuple[str, ...]
    gap: str = _GAP
    rarest: int = 0


def _override(*parts: str, gap: str = _GAP, rarest: int = 0) -> Wording:
    return Wording("override", parts, gap, rarest)


def _reveal(*parts: str, gap: str = _GAP, rarest: int = 0) -> Wording:
    return Wording("reveal", parts, gap, rarest)


def _persona(*parts: str, gap: str = r"[^!?。\n]{0,80}?", rarest: int = 0) -> Wording:
    return Wording("persona", parts, gap, rarest)


_WORDINGS: Final = (
    # German
    _override(
        "ignorier|vergiss|vergessen sie|missacht|übergeh|verwirf|überschreib|setz[^ ]{0,20} dich über",
        "vorherig|bisherig|vorig|obig|früher|ursprünglich|vorangegangen|vorhergehend|alle|deine|ihre",
        "anweisung|instruktion|befehl|regeln|vorgaben|richtlinie|anordnung|prompt",
    ),
    _reveal("zeig|verrat|nenn|gib |wiederhol|offenbar|wie lautet|wie lauten", "dein|system",
            r"system-?prompt|systemanweisung|systemnachricht|anweisungen|instruktionen"),
    _persona("du bist (?:jetzt|ab jetzt|nun|ab sofort)|spiele? eine|tu so, als", "ohne|keine",
             "regeln|einschränkung|filter|beschränkung|zensur"),
    # French
    _override("ignore[zr]?|oublie[zr]?|ne (?:tiens|tenez) pas compte|(?:fais|faites) abstraction|passe outre|contourne",
              "instruction|consigne|directive|ordres|règles",
              "précédent|antérieur|initial|d'origine|ci-dessus|au-dessus|reçu"),
    _override("ignore[zr]?|oublie[zr]?|ne (?:tiens|tenez) pas compte|(?:fais|faites) abstraction",
              "tes |vos |toutes ", "instruction|consigne|directive|ordres|règles"),
    _reveal("montre|affiche|révèle|répète|donne|quel[^ ]{0,20} (?:est|sont)", "ton |tes |votre |vos ",
            "prompt|instructions|consignes"),
    _persona("tu es (?:maintenant|désormais)|agis comme|fais semblant|comporte-toi", "sans|aucune",
             "restriction|filtre|règle|limite|censure"),
    # Spanish
    _override("ignora|olvida|haz caso omiso|descarta|desestima|no sigas|pasa por alto|anula",
              "instruccion|indicacion|órdenes|reglas|directrices|normas",
              "anterior|previa|precedente|original|inicial|de arriba|del sistema|recibid"),
    _override("ignora|olvida|haz caso omiso|descarta", "tus |todas ",
    "instruccion|indicacion|órdenes|reglas|directrices"),
    _reveal("muestra|muéstrame|revela|dime|repite|imprime|cuáles son|cuál es", "tu |tus ",
    "prompt|instrucciones|indicaciones"),
    _persona("actúa como|ahora eres|eres ahora|finge|a partir de ahora", "sin|ninguna|no tien",
             "restriccion|filtro|regla|límite|censura"),
    # Portuguese
    _override("ignore|ignora|esqueça|esquece|desconsidere|descarte|desobedeça",
              "instruç|ordens|regras|diretrizes|orientaç|comandos",
              "anterior|prévia|originais|iniciais|acima|do sistema"),
    _override("ignore|ignora|esqueça|esquece|desconsidere", "suas |todas as |tuas ",
    "instruç|ordens|regras|diretrizes"),
    _reveal("mostre|revele|diga|repita|exiba|qual é|quais são", "seu |seus |suas |teu |tuas ", "prompt|instruções"),
    _persona("aja como|você agora é|agora você é|finja|a partir de agora", "sem|nenhuma",
    "restriç|filtro|regra|limite|censura"),
    # Italian
    _override("ignora|dimentica|non seguire|tralascia|scarta", "istruzion|indicazion|ordini|regole|direttive|comandi",
              "precedent|anterior|original|inizial|sopra|di sistema|ricevut"),
    _override("ignora|dimentica|non seguire", "tue |tutte le ", "istruzion|indicazion|regole|direttive"),
    _reveal("mostra|rivela|dimmi|ripeti|stampa|qual è|quali sono", "tuo |tue |tuoi ", "prompt|istruzioni"),
    # Dutch, Swedish, Polish, Czech, Turkish, Indonesian, Vietnamese
    _override("negeer|vergeet", "vorige|eerdere|voorgaande|bovenstaande|alle|je |jouw|oorspronkelijke",
              "instructie|opdracht|aanwijzing|regels|richtlijn"),
    _override("ignorera|glöm|bortse från", "tidigare|föregående|ovanstående|alla|dina", "instruktion|anvisning|regler"),
    _override("ignoruj|zignoruj|zapomnij|pomiń|porzuć|odrzuć",
    "poprzedni|wcześniejsz|powyższ|wszystkie|swoje|dotychczasow",
              "instrukcj|polece|wytyczn|zasad|regu"),
    _override("ignoruj|zapomeň|zapomen", "předchozí|všechny|dosavadní|své", "instrukce|pokyny|příkazy|pravidla"),
    _override("önceki|yukar[ıi]daki|tüm|bütün", "talimat|komut|yönerge|kural",
    "yok say|görmezden gel|unut|dikkate alma|göz ard[ıi]",
              rarest=1),
    _override("abaikan|lupakan", "instruksi|perintah|aturan|petunjuk", "sebelumnya|di atas|semula"),
    _override("bỏ qua|quên", "hướng dẫn|chỉ dẫn|lệnh|chỉ thị", "trước|ở trên"),
    # Russian, Ukrainian, Greek
    _override("игнорируй|игнорировать|забудь|не обращай[^ ]{0,20} внимания|отбрось|не следуй|отмени|пренебреги",
              "предыдущ|прежн|предшествующ|вышеуказанн|вышеизложенн|все |всё |всех |свои|твои|ранее|изначальн",
              "инструкци|указани|команд|правил|промпт|распоряжени|директив"),
    _reveal("покажи|раскрой|выведи|повтори|назови|скажи|напечатай", "сво|тво|системн", "промпт|инструкци|подсказк"),
    _persona("ты теперь|представь, что ты|притворись|действуй как|с этого момента ты", "без |не имеешь|никаких",
             "ограничени|фильтр|правил|цензур"),
    _override("ігноруй|забудь", "попередн|усі|всі|свої", "інструкці|вказівк|правила|команди"),
    _override("αγνόησε|ξέχασε|παράβλεψε", "προηγούμεν|όλες|παραπάνω", "οδηγίες|εντολές|κανόνες"),
    # Arabic, Hebrew, Persian, Hindi
    _override("تجاهل|انس |لا تتبع|تجاوز", "التعليمات|الأوامر|الإرشادات|القواعد|تعليمات",
    "السابقة|أعلاه|الأصلية|السالفة"),
    _override("התעלם|שכח", "הוראות|ההוראות|ההנחיות", "הקודמות|שלך|למעלה"),
    _override("دستورات|دستورالعمل", "قبلی|بالا|پیشین", "نادیده|فراموش"),
    _override("पिछले|पिछली|पूर्व|ऊपर|सभी|पहले", "निर्देश|आदेश|नियम|हिदायत",
    "अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल|उपेक्षा", rarest=-1),
    # Chinese, Japanese, Korean
    _override("忽略|无视|無視|忘记|忘掉|忘記|不要理会|不要遵守|抛弃|覆盖|跳过",
              "之前|以前|先前|前面|上面|以上|上述|此前|所有|全部|你的|原有|原来|系统|系統",
              "指令|指示|命令|规则|規則|提示|说明|設定|设定|要求", gap=_SHORT_GAP),
    _reveal("显示|告诉|输出|打印|透露|重复|说出|公布|展示", "你的|系统|初始|隐藏",
            "提示词|提示|指令|设定", gap=_SHORT_GAP),
    _persona("你现在是|从现在起|从现在开始|扮演|假装", "没有|不受|不再|无任何", "限制|约束|规则|审查|道德", gap=_GAP),
    _override("以前|これまで|今まで|前の|上記|先ほど|すべて|全て|システム|元の",
              "指示|命令|ルール|プロンプト|規則|制約",
              "無視|忘れ|破棄|従わない|上書き", gap=_SHORT_GAP, rarest=-1),
    _reveal("システムプロンプト|初期指示|あなたの指示|あなたのプロンプト|隠された指示",
            "表示|教えて|出力|見せて|公開", rarest=0),
    _override("이전|위의|앞선|기존|모든|지금까지", "지시|명령|지침|규칙|프롬프트",
              "무시|잊어|잊고|따르지", gap=_SHORT_GAP, rarest=-1),
    _reveal("시스템 프롬프트|너의 지시|당신의 지침|초기 지시", "보여|알려|출력|공개", rarest=0),
)  # fmt: skip
_WEIGHTS: Final = {"override": _OVERRIDE, "reveal": _REVEAL, "persona": _PERSONA}


def signals_of_languages() -> tuple[Signal, ...]:
    return tuple(map(_signal, _WORDINGS))


def _signal(wording: Wording) -> Signal:
    groups = [f"(?:{folded(part)})" for part in wording.parts]
    hint = (r"\b" if groups[wording.rarest].isascii() else "") + groups[
        wording.rarest
    ]  # RE2 knows words of ASCII alone
    return Signal(wording.kind, _WEIGHTS[wording.kind], f"({wording.gap.join(groups)})", hint)
