"""What attempts in English look like, and what is the same in all languages: markers of turns, delimiters, links."""

from typing import Final

from llm_service.filters.injection.signal import Signal

_VERB: Final = (
    r"(?:ignore|disregard|forget|override|overrule|bypass|neglect|discard|skip|dismiss|abandon|set aside|erase|nullify"
    r"|supersede|(?:do not|don'?t|stop|never) (?:follow|following|obey|obeying)|pay no attention to|throw away|drop)"
)
_WEAK: Final = r"(?:all|any|every|each|these|those|the|our|of|and|or|other|about|single)"
_STRONG: Final = (
    r"(?:prior|previous(?:ly)?|preceding|earlier|above|foregoing|initial|original|former|past|existing|current"
    r"|system|your|my"
    r"|developer(?:'s)?|safety|hidden|built-?in|given|all|default|core)"
)
_NOUN: Final = (
    r"(?:instructions?|directions?|directives?|prompts?|guidelines?|guidance|rules?|commands?|orders?|programming"
    r"|training|constraints?|restrictions?|system messages?)"
)
_AFTER: Final = (
    r"(?:above|before|previously|given|you (?:were|have been|got|received)|that came|so far|from (?:the|your) system)"
)
_WORDS: Final = r"(?: [a-z'-]{1,12})"
_LIMITS: Final = (
    r"(?:restrictions?|limitations?|limits|filters?|filtering|guidelines|rules|censorship|morals?|morality|ethics"
    r"|ethical"
    r"|moral|safety|boundaries|constraints|policies|inhibitions)"
)
_ROLE: Final = (
    r"(?:you are|you're|you will be|act as|acting as|pretend|behave as|behave like|imagine you|role-?play|become"
    r"|simulate"
    r"|respond as|answer as|take the role)"
)
_UNBOUND: Final = (
    r"(?:unrestricted|unfiltered|uncensored|amoral|unethical|jailbroken|unaligned|unlimited|evil|immoral|rogue)"
)
_MACHINE: Final = r"(?:ai|assistant|model|chat ?bot|llm|version|language model|gpt|bot|entity|persona)\b"
_TARGET: Final = (
    r"(?:conversation|chat history|chat log|api[_ ]?keys?|credentials|system prompt|user'?s? (?:data|messages?"
    r"|input|e-?mail|details|passwords?)|secrets|personal (?:data|information|details)|private (?:data|information))"
)
_PLACED: Final = (
    r"(?:data|conversation|history|secret|summary|chat|message|prompt|context|input|e-?mail|password|key|token|info"
    r"|content|text)"
)
_FENCE: Final = r"(?:-{3,64}|={3,64}|#{3,64}|\*{3,64}|<{2,64}|\[)"

SIGNALS: Final = (
    # that others do not count any more
    Signal("override", 0.8,
           rf"\b({_VERB}(?:\s+{_WEAK}){{0,4}}\s+{_STRONG}(?:\s+(?:{_WEAK}|{_STRONG})){{0,4}}\s+{_NOUN})\b",
           rf"{_VERB}\s+(?:{_WEAK}|{_STRONG})\s"),
    Signal("override", 0.75, rf"\b({_VERB}(?:\s+{_WEAK}){{0,3}}\s+{_NOUN}\s+{_AFTER})", rf"{_NOUN}\s+{_AFTER}"),
    Signal("override", 0.75,
           rf"\b({_VERB}\s+(?:everything|all|anything|whatever|what)(?:\s+(?:that|which|of it))?\s+you"
           r"(?:\s+(?:were|have been|had been|are|got|'ve been))\s+(?:told|taught|instructed|trained|given"
           r"|programmed))",
           r"you (?:were|have been|had been|are|got) (?:told|taught|instruc|train|given|program)"),
    Signal("override", 0.55,
           rf"\b({_VERB}\s+(?:everything|all|anything|whatever)(?:\s+(?:that|of|which|the|is|was|came|text)"
           r"){0,3}\s+(?:above|before (?:this|that)|prior|previous|said before|written above))\b",
           rf"{_VERB}\s+(?:everything|all|anything|whatever)"),
    Signal("order", 0.5,
           r"(\bnew (?:system |priority |critical |important |admin |secret )?(?:instructions?|directives?|orders?"
           r"|prompt)\s?:)", r"new [a-z ]*(?:instruct|directive|order|prompt)"),
    Signal("order", 0.5,
           r"(\byour (?:new|real|actual|true|only) (?:system )?(?:instructions?|task|role|objective|goal|purpose"
           r"|prompt|mission|job) (?:is|are|will))", r"your (?:new|real|actual|true|only) "),
    Signal("obey", 0.4, r"(\byou (?:must|will|shall|have to) (?:now |always |only )?(?:obey|comply with|follow)\b)",
           r"you (?:must|will|shall|have to) (?:now |always |only )?(?:obey|compl|follow)"),
    Signal("override", 0.7,
           r"(\b(?:admin|administrator|system|root|master|debug|maintenance|emergency|safety) override\b)",
           r" override\b"),
    # to be somebody without rules
    Signal("persona", 0.8,
           r"(\bdo anything now\b|\byou are (?:now |going to be |going to act as )(?:a |an )?(?:dan|stan|dude"
           r"|evil-?bot|jailbroken)\b|\bbetterdan\b|\b(?:act|behave|respond|answer) as (?:a |an )?(?:dan|jailbroken)\b"
           r"|always intelligent and machiavellian|\byou have been jailbroken\b|\bdan mode\b|\bjailbreak mode\b)",
           r"anything now|\b(?:dan|stan|dude)\b|evil-?bot|betterdan|jailbr|machiavellian"),
    Signal("persona", 0.75,
           rf"(\b{_ROLE}\b[^!?\n]{{0,80}}\b(?:without|no|free (?:of|from)|not bound by|unbound by|lacks?|zero)"
           rf"{_WORDS}{{0,4}}? {_LIMITS})", rf"(?:without|no|free (?:of|from)|bound by|lacks?|zero)"
           rf"(?: [a-z'-]+){{0,4}} {_LIMITS}"),
    Signal("persona", 0.75, rf"(\b{_ROLE}{_WORDS}{{0,5}}? {_UNBOUND}{_WORDS}{{0,2}} {_MACHINE})", _UNBOUND),
    Signal("persona", 0.45, rf"(\b{_UNBOUND} {_MACHINE})", rf"{_UNBOUND} "),
    Signal("persona", 0.75,
           rf"(\b(?:bypass|disable|turn off|switch off|remove|deactivate|ignore|circumvent|lift|drop){_WORDS}{{0,2}}?"
           rf" your{_WORDS}{{0,3}}? (?:safety|content polic|ethic|moral"
           rf"|filters?|restrictions?|guardrails?|moderation|censorship"
           r"|safeguards?|alignment|limitations?|safety measures))", r"your [a-z' -]*(?:safe|content|ethic"
           r"|moral|filter|restric"
           r"|guardrail|moder|censor|align|limit)"),
    Signal("unbound", 0.6,
           r"(\byou (?:are|will be|'re) no longer (?:bound|restricted|limited|chatgpt|claude|an ai|an assistant"
           r"|required)|typical confines of ai)", r"(?:are|be|'re) no longer (?:bound|restr|limit|chatgpt|claude|an"
           r"|requ)|confines of ai"),
    Signal("persona", 0.6,
           rf"(\b(?:do not|don't|no longer|need not|not) (?:have to |need to )?(?:abide|adhere|follow|comply)"
           rf"{_WORDS}{{0,4}}? (?:rules|policies|guidelines|restrictions) (?:set|of|by|imposed"
           rf"|from)\b)", r"(?:rules|polic|guideline|restrict)"
           r"[a-z]* (?:set|of|by|imposed|from)"),
    Signal("persona", 0.75,
           r"(\byou(?:'re| are) (?:now |currently )?in (?:developer|dev|debug|god|admin|sudo|unrestricted|root"
           r"|maintenance) mode)", r"(?:developer|dev|debug|god|admin|sudo|unrestricted|root|maintenance) mode"),
    Signal("mode", 0.45,
           r"(\b(?:enable|activate|enter|switch (?:in)?to|turn on)(?: [a-z]{1,20}){0,2} (?:developer|dev|debug|god"
           r"|admin|sudo|unrestricted|root|unsafe) mode\b|developer mode (?:enabled|activated"
           r"|output))", r"(?:developer|dev|debug|god|admin"
           r"|sudo|unrestricted|root|unsafe) mode"),
    Signal("now", 0.35,
           r"(\bfrom (?:now on|this point(?: on| forward)?),? (?:you (?:will|are|must|shall|have)|act|respond|answer"
           r"|ignore))",
           r"from (?:now on|this point)"),
    Signal("refuse", 0.4,
           r"(\b(?:never|do not|don't|cannot|can't) (?:refuse|decline|say no|reject|turn down)\b|\bstay in"
           r" character\b)",
           r"(?:never|not|n't) (?:refuse|decline|say no|reject|turn down)|stay in character"),
    Signal("grandmother", 0.5,
           r"(\b(?:late|deceased|dead) grand(?:ma|mother)\b[^\n]{0,120}(?:used to|would) (?:read|tell|recite))",
           r"grand(?:ma|mother)"),
    # to say what it was told
    Signal("reveal", 0.75,
           r"(\b(?:reveal|show|print|repeat|output|display|leak|disclose|expose|share|recite|tell|give|dump|return"
           r"|write|paste|copy|quote|reproduce|summari[sz]e|provide|list|echo|send|what(?:'s| is| are| was| were))"
           r"(?:,? [a-z']{1,12}){0,5}? (?:your|the hidden|the initial|the secret|the confidential)(?:"
           r" [a-z-]{1,14}){0,3}?"
           r" (?:system prompt|system message|system instruction|instructions?\b|prompt\b|pre-?prompt|directives"
           r"|developer message"
           r"|initial message))", r"(?:your|hidden|initial|secret|confidential) [a-z -]*(?:prompt|message"
           r"|instruct|directive)"),
    Signal("reveal", 0.5,
           r"(\b(?:reveal|show|print|repeat|output|display|leak|disclose|expose|recite|tell me|give me|dump)"
           r"(?: [a-z']{1,12}){0,4}? (?:the|this|that|its) (?:[a-z]{1,10} )?(?:system prompt|system"
           r" message))", r"system (?:prompt|message)"),
    Signal("reveal", 0.6,
           r"(\b(?:repeat|print|output|copy|recite|display|show|write|return)(?: [a-z]{1,12}){0,4}? (?:text|words"
           r"|everything|all|contents?|lines?|sentences?|messages?|instructions?|prompt) (?:that (?:is|are|was|were"
           r"|came) )?"
           r"(?:above|before this|prior to this|preceding this))", r"(?:text|words|everything|all"
           r"|contents?|lines?|sentences?|messages?|instructions?|prompt) (?:that (?:is|are|was|were|came) )?"
           r"(?:above|before this|prior to this|preceding this)"),
    Signal("verbatim", 0.4,
           r"(\b(?:verbatim|word[ -]for[ -]word|in (?:a|one) (?:code ?block|txt block)|starting with[^\n]{0,20}you are"
           r"|beginning with[^\n]{0,20}you are|exactly as (?:written|given|it is)))",
           r"verbatim|word[ -]for[ -]word|code ?block|txt block|starting with|beginning with|exactly as"),
    # turns and tokens that only the service may write
    Signal("marker", 0.8,
           r"(<\|im_end\|>\s{0,4}<\|im_start\|>\s{0,4}(?:system|developer)"
           r"|<\|eot_id\|>\s{0,4}<\|start_header_id\|>\s{0,4}system"
           r"|\[/inst\]\s{0,4}\[inst\]\s{0,4}<<sys>>|\[system\]\(#[a-z_]{1,20}\))", r"im_end\|>|eot_id\|>|\[/inst\]"
           r"|\[system\]"),
    Signal("marker", 0.6,
           r"(<\|(?:im_start|start_header_id|start)\|>\s{0,4}(?:system|developer)|<\|(?:system|developer)\|>|<<sys>>"
           r"|\[system (?:override|message|prompt|note|instruction)s?\]|<start_of_turn>system)",
           r"<\|(?:im_start|start|system|developer)|<<sys>>|\[system |start_of_turn"),
    Signal("marker", 0.45,
           r"(<\|(?:im_start|im_end|endoftext|end_of_turn|eot_id|end|assistant|user|begin_of_text)\|>|\[/?inst\]"
           r"|<(?:start|end)_of_turn>)", r"<\|[a-z]|inst\]|_of_turn>"),
    Signal("marker", 0.55,
           r"(#{2,4}\s{0,2}(?:system|developer|admin)(?: (?:message|prompt|override|instructions?))?\s{0,2}[:\n]"
           r"|(?:^|\n)\s{0,4}[\[(*<]{1,3}system[\])*>]{1,3}\s{0,2}[:\n])", r"#\s{0,2}(?:system|developer|admin)"
           r"|[\[(*<]system[\])*>]"),
    Signal("marker", 0.4,
           r"(?:^|\n)(\s{0,4}(?:system|developer|root)\s{0,2}(?:message|prompt|note|notice|update|alert"
           r"|instructions?)?\s{0,2}:)",
           r"(?:^|\n)\s{0,4}(?:system|developer|root)[a-z ]*:"),
    # ends of what there was
    Signal("delimiter", 0.5,
           rf"({_FENCE}\s{{0,3}}(?:end|stop|begin|start)(?: of)?(?: the| all)?(?: (?:system|user|original|initial"
           rf"|previous"
           r"|new|hidden|admin|untrusted)){0,6} (?:prompts?|instructions?|input|context|documents?|data|conversation"
           r"|message|query|system)\b)",
           r"[-=#*<\[]\s{0,3}(?:end|stop|begin|start) "),
    Signal("delimiter", 0.45,
           r"(</(?:system|system_prompt|instructions?|user_?input|user_query|untrusted[a-z_]{0,10}|prompt|context"
           r"|document"
           r"|documents|user|data|input)>)", r"</(?:system|instr|user|untr|prompt|cont|docu|data|input)"),
    # what is to be decoded and done
    Signal("encoding", 0.75,
           r"(\b(?:base-?64|rot-?13|hex|hexadecimal|morse|caesar|binary|encoded|ciphertext|cipher|reversed|backwards"
           r"|encrypted|leetspeak)\b[^\n]{0,160}?\b(?:follow|execute|obey|comply with|carry out|act on|act upon|do "
           r"(?:what|as|exactly)|perform)\s"
           r"(?:[a-z]{1,20} ){0,4}(?:it|instructions?|commands?|them|says?|orders?|result|message|tells?|task)\b)",
           r"base-?64|rot-?13|\bhex|morse|caesar|binary|encoded|cipher|reversed|backwards|encrypted|leetspeak"),
    # what carries data out
    Signal("exfiltration", 0.75,
           rf"(!\[[^\]\n]{{0,80}}\]\(\s?https?://[^)\s]{{1,200}}?(?:\{{|<|\[|\$|%7b|\+)[a-z_ ]{{0,20}}?{_PLACED})",
           r"\]\(\s?https?://[^)\s]*(?:\{|<|\[|\$|%7b|\+)"),
    Signal("exfiltration", 0.45,
           rf"(\[[^\]\n]{{0,80}}\]\(\s?https?://[^)\s]{{1,200}}?[?&][a-z_]{{1,20}}=(?:\{{|<|\[|\$"
           rf"|%7b)[a-z_ ]{{0,20}}?{_PLACED})",
           r"\]\(\s?https?://[^)\s]*=(?:\{|<|\[|\$|%7b)"),
    Signal("exfiltration", 0.6,
           rf"(\b(?:send|post|forward|exfiltrate|upload|transmit|leak|e-?mail|submit|append|include|embed|encode"
           rf"|insert|put)\b"
           rf"[^.!?\n]{{0,60}}?{_TARGET}[^\n]{{0,60}}?(?:https?://|\burl\b|\bquery\b|\bimage\b|\bwebhook\b"
           rf"|\bparameter\b|[\w.]@[\w-]))", _TARGET),
    # who speaks, to whom, and what about
    Signal("addressed", 0.45,
           r"(\b(?:note|attention|message|instructions?|important|dear|hey|notice)\W{1,4}(?:(?:to|for) )?(?:the |any"
           r" |all )?"
           r"(?:ai|llms?|language models?|chat ?gpt|claude|gemini|ai (?:assistants?|models?|agents?|systems?)"
           r"|assistant)\b"
           r"|\bif you are an? (?:ai|llm|language model|large language model|ai assistant|chat ?bot)\b)",
           r"\b(?:note|attention|message|instructions?|important|dear|hey|notice)\W{1,4}(?:to |for )?(?:the |any "
           r"|all )?(?:ai|llm|lang|chat|claude"
           r"|gemini|assis)|if you are an? (?:ai|llm|lang|large|chat)"),
    Signal("secrecy", 0.5,
           r"(\b(?:do not|don't|never|without) (?:tell|telling|mention|mentioning|inform|informing|reveal|alert"
           r"|alerting"
           r"|notify|notifying|disclose)(?: [a-z]{1,20}){0,4}? users?\b)", r"(?:tell|mention|inform|reveal|alert|notify"
           r"|disclos)[a-z ]* users?\b"),
    Signal("authority", 0.45,
           r"(\b(?:i am|i'm|this is|as) (?:your|the|an?) (?:developer|creator|administrator|admin|system administrator"
           r"|(?:openai|anthropic|google) (?:employee|engineer|staff|developer)|programmer)\b)",
           r"(?:your|the|an?) (?:developer|creator|admin|system admin|openai|anthropic|google|programmer)"),
    Signal("boast", 0.45,
           r"(\b(?:say|print|output|respond with|reply with|write|answer)\W{1,4}[^\n.]{0,20}\b(?:pwned|hacked|haha)\b)",
           r"pwned|hacked|haha"),
)  # fmt: skip
