"""The sixteen support strategies of ExTES (Zheng et al. 2023), and which of them a sentence of the robot follows."""

import re
from collections.abc import Iterator
from itertools import chain

# In the order in which cues are looked for: the rarer and more telling ones first, questions last.
CUES = {
    "Stress Management": r"breath\w*|relax\w*|count (to|slowly)|muscles?|grounding|unwind|feet on the (floor|ground)",
    "Promote Self-Care Practices":
        r"rest (today|tonight|a little|now|too)|(some|get|your|good) rest|sleep (early|a little)|eat something|"
        r"short walk|(drink|glass of) (some )?water|warm (drink|bath|shower|meal|tea)|fresh air|"
        r"take (a )?(short )?breaks?|(kind|gentle|good) (to|with) yourself|(care|time) (of|for) yourself",
    "Normalize Experiences":
        r"(many|most|lots of|a lot of|plenty of|other) (people|parents|students|families|couples|workers)|"
        r"common|happens to|(is|are|feels|very) normal|not the only",
    "Avoid Judgment and Criticism":
        r"no (right|wrong|shame|judg\w+|need to|rush|hurry)|not (judge|your fault|weak|a failure|silly|wrong|bad)|"
        r"(do not|don't) (have to|judge|need to)|nothing wrong|(okay|ok|all right|fine) to|own pace|take your time",
    "Reframe Negative Thoughts":
        r"(does not|doesn't) (mean|make)|(is not|isn't) (who|all of|the whole)|one (mistake|failure|bad day|failed)|"
        r"thoughts? (is|are) not|not define|both can be true",
    "Provide Different Perspectives":
        r"another way|other side|(might|may) (also|be that|have (been|not))|(perhaps|maybe) (he|she|they|it|part)|"
        r"point of view|perspective|on the other hand|see it",
    "Offer Hope":
        r"hope\w*|gets? (easier|better)|will pass|get through|can (change|heal|grow)|with time|not (always|forever)",
    "Collaborative Planning":
        r"we (could|can|will|might)|let us|let's|shall we|together|(first|next|small) step|plan|start with",
    "Affirmation":
        r"brave|courage|strong|strength|proud|good (step|idea|sign|choice|start|thing)|well done|takes a lot|"
        r"you (have )?(tried|managed|did|kept)|shows|(telling|sharing|trusting) (me|this|that)",
    "Suggest Options":
        r"you (could|can|might|may)|(maybe|perhaps) (you|a|try|write|talk|one|some)|how about|what about|try|idea|"
        r"(might|could|may) help|would it help",
    "Share Information":
        r"research|studies|doctors?|often (caused|happens|comes)|can (cause|last|take)|there are|helplines?|"
        r"counsel+ors?|usually|services?|i am a robot|i cannot",
    "Emotional Validation":
        r"makes sense|understandable|natural|of course you|any(one|body) would|no wonder|reason to (be|feel)",
    "Reflective Statements":
        r"sounds like you|so you|you (feel|felt|seem|want|miss|wish|sound|are (feeling|saying))|i hear|it seems",
    "Empathetic Statements":
        r"sorry|sounds?|must (be|feel|have)|hurts?|hard|painful|heavy|difficult|lonely|(am|'m) (here|listening)",
    "Clarification":
        r"(what|how|when|where|who|which|why|do you|did you|have you|are you|is it|is there|(c|w)ould you)\b.*\?",
}
STRATEGIES = (*CUES, "Others")
_compiled = {strategy: re.compile(rf"\b(?:{cue})(?:\b|$)", re.I) for strategy, cue in CUES.items()}


def strategy_of(sentence: str) -> str:
    """The first strategy whose cue a sentence carries; "Others" when it carries none."""
    return next((strategy for strategy, cue in _compiled.items() if cue.search(sentence)), "Others")


#: A short word of sympathy that asserts nothing but how it sounds; hardships alone, as praise may not fit.
_SYMPATHY = re.compile(
    r"(?:That|It|This) (?:sounds|must (?:be|have been|feel)|seems)(?: so| very| really| quite)? (?:hard|painful|heavy|"
    r"lonely|exhausting|tiring|frustrating|difficult|hurtful|sad|upsetting|unfair|scary|frightening|confusing|"
    r"stressful|overwhelming|disappointing|tense|tough|unsettling|worrying)(?: for you)?\.")
#: Where such words are in a turn, something may be well, or no hardship at all.
_BRIGHT = re.compile(r"\b(?:fine|okay|ok|good|great|lovely|nice|happy|glad|likes?|liked|love\w*|better|best|well|fun|"
                     r"funny|again|but|enjoy\w*|laugh\w*|smil\w*|jok\w+|kidding|thank\w*|proud|relie\w+|calm|"
                     r"beautiful)\b", re.I)


def is_sympathy(sentence: str, text: str) -> bool:
    """Whether a sentence of a model is a word of sympathy and nothing else, and may follow a user's ``text``."""
    return bool(_SYMPATHY.fullmatch(sentence)) and not _BRIGHT.search(text)


def told_strategy(pieces: Iterator[str]) -> tuple[str, Iterator[str]]:
    """The strategy that a model says before its reply, as in ``[Clarification] What happened?``, "" where it says
    none, and the pieces of the reply, each as soon as it is known to be one."""
    held = ""
    for piece in pieces:
        held += piece
        if "]" in held or not "[".startswith(held.lstrip()[:1]) or len(held) > 60:
            break
    name, bracket, rest = held.lstrip().removeprefix("[").partition("]")
    strategy = next((known for known in STRATEGIES if known.lower() == name.strip().lower()), "") if bracket else ""
    return strategy, chain([rest if strategy else held], pieces)
