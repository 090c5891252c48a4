"""What a person says to the robot about its memory: requests to remember, to tell, to forget, by rules.

Erasing cannot be taken back, so a rule wants the whole sentence: "I forgot that", "I can't forget him", "help me
forget everything" and "will you forget me?" are no requests.
"""

import re
from dataclasses import dataclass

from esc_robot.dialogue.facts import sentences_of
from esc_robot.dialogue.triples import triples

# What may stand before and after a request.
_BEFORE = (r"(?:(?:please|okay|ok|now|well|so|and|but|no|oh|hey|hi|hello|robot|actually|um|uh|wait|sorry|then|yes|yeah|"
           r"all right|alright|also) )*")
_AFTER = (r"(?: (?:please|now|again|then|okay|ok|for me|right away|thank you|thanks|immediately|at once|robot|too|"
          r"as well|completely|if you can|if you like|from now on|any ?more|any longer))*")
_TOLD_TO = r"(?:just |(?:i (?:want|need|would like|would prefer) you to|you (?:should|must|have to)) )?"
_ASKED_TO = r"(?:(?:can|could|will|would) you (?:please )?(?:just )?|you (?:can|may|could) (?:just )?)?"
_ERASE = r"(?:forget|erase|delete|remove)"
_SAID = r"(?:said|told you|mentioned)"
_ANYTHING = (r"(?:me|anything(?: about me)?|any of (?:this|it)|things(?: about me)?|everything|"
             r"what i (?:say|tell you|said|told you))")
_ABOUT = r"(?P<about>(?:\w+(?: |$)){1,5}?)"
_PATTERNS = [
    ("forget_last", rf"{_TOLD_TO}{_ASKED_TO}(?:{_ERASE} (?:that|this)|(?:erase|delete|remove) it)"),
    ("forget_last", rf"{_TOLD_TO}{_ASKED_TO}forget about (?:that|this)"),
    ("forget_last", rf"{_TOLD_TO}{_ASKED_TO}{_ERASE} what i (?:just |have just |have )?{_SAID}(?: just now)?"),
    ("forget_last", rf"{_TOLD_TO}{_ASKED_TO}{_ERASE} (?:that |what )?i (?:ever |just )?{_SAID} (?:that|this|it)"),
    ("forget_last", rf"{_TOLD_TO}{_ASKED_TO}{_ERASE} (?:the|my) last (?:thing|bit|part|sentence|fact)"
                    rf"(?: (?:that )?i {_SAID})?"),
    ("forget_last", r"(?:do not|i do not want you to|you should not|you must not) (?:remember|keep|store|save) "
                    r"(?:this|that)"),
    ("forget_all", rf"{_TOLD_TO}{_ERASE} (?:everything|it all|all of (?:it|this|that)|all that|all)"
                   rf"(?: (?:about me|(?:that )?(?:i (?:have )?(?:ever )?{_SAID}|you (?:know|remember|have|kept)|"
                   r"we (?:said|talked about))(?: about me| of me)?))?"),
    ("forget_all", rf"{_TOLD_TO}(?:erase|delete|clear|wipe|empty) (?:all )?(?:of )?"
                   r"(?:your (?:whole )?memory|my data|your memories)(?: of me| about me)?"),
    ("forget_all", r"(?:i (?:want|would like) you to )?forget me"),
    ("forget_about", rf"{_TOLD_TO}{_ASKED_TO}{_ERASE} (?:everything |all |that )?(?:what )?"
                     rf"(?:you (?:know|remember)|(?:i )?(?:have )?(?:ever )?{_SAID}(?: anything| something)?) "
                     rf"(?:about|of) {_ABOUT}"),
    ("forget_about", rf"{_TOLD_TO}{_ASKED_TO}forget (?:about )?(?P<about>(?:my|our)(?: \w+){{1,4}}?)"),
    ("forget_about", rf"{_TOLD_TO}{_ASKED_TO}forget that (?P<about>(?:my|our|i|we) .+?)"),
    ("stop", rf"{_TOLD_TO}{_ASKED_TO}stop (?:remembering|keeping|storing|saving)(?: {_ANYTHING}| this| that)?"),
    ("stop", rf"(?:do not|never|i do not want you to|you (?:may|must|should|can) (?:not|no longer)|"
             rf"you are not allowed to) (?:remember|keep|store|save) {_ANYTHING}"),
    ("stop", r"(?:turn|switch) (?:off your memory|your memory off)"),
    ("stop", r"i (?:take back|withdraw) my (?:permission|consent)"),
    ("tell", r"what (?:do|can) you (?:still )?(?:remember|know|have|keep|store) (?:of|about|on|from) me"),
    ("tell", r"what (?:do|can) you (?:still )?remember"
             r"(?: from (?:last time|before|yesterday)| (?:of|from) our talks?)?"),
    ("tell", r"do you (?:still )?remember (?:me|(?:what|anything|something) (?:of me|about me|"
             rf"(?:that )?i (?:have )?{_SAID}(?: you)?)(?: last time| before| yesterday| the last time)?)"),
    ("tell", rf"{_ASKED_TO}(?:tell me|show me|list|say) (?:what|everything|all)(?: that)? you "
             r"(?:remember|know|have kept|keep)(?: (?:of|about) me)?"),
    ("tell", r"what have you (?:stored|kept|saved|remembered)(?: (?:of|about) me)?"),
    ("tell_more", r"what else do you (?:still )?(?:remember|know|have)(?: (?:of|about) me)?"),
    ("tell_about", r"(?:what do you (?:still )?(?:remember|know) about|do you (?:still )?remember) "
                   r"(?P<about>(?:my|our)(?: \w+){1,4}?)"),
    ("remember", r"(?:you (?:may|can|could|should)|i (?:allow|want|would like) you to|feel free to|"
                 rf"it is (?:ok|okay|fine|all right) (?:to|if you)) remember (?:this|that|it|{_ANYTHING}|about me)"
                 r"(?: (?:for )?next time)?"),
    ("remember", r"(?:can|could|will|would) you (?:please )?remember "
                 r"(?:me|this|that|it|what i (?:say|tell you|told you))(?: (?:for )?next time| tomorrow)?"),
    ("remember", r"remember (?:me|this|that|it|what i (?:just )?(?:said|told you))(?: (?:for )?(?:next time|later))?"),
    ("remember", r"do not forget (?:me|this|what i (?:just )?(?:said|told you))"),
    ("remember", r"start remembering(?: me)?"),
    ("remember_that", rf"{_ASKED_TO}(?:remember|do not forget) (?:that )?(?P<about>(?:my|our|i|we) (?!{_SAID}).+?)"),
]
_RULES = [(kind, re.compile(f"{_BEFORE}{pattern}{_AFTER}")) for kind, pattern in _PATTERNS]
_NO_REQUEST_AS_A_QUESTION = re.compile(rf"{_BEFORE}remember\b")
_THIS = re.compile(rf"\b(?:remember|forget) (?:this|that|it|what i (?:just )?{_SAID})\b")
_SPELLING = ((r"n't\b", " not"), (r"\bca not\b", "can not"), (r"\bdont\b", "do not"), (r"'d\b", " would"),
             (r"\bit's\b", "it is"), (r"\bi've\b", "i have"), (r"\bi'm\b", "i am"))
_YES = re.compile(
    r"(?:(?:oh|well|um|uh|okay|ok|hmm|please) )*"
    r"(?:yes|yeah|yep|yup|sure|of course|please do|go ahead|you may|i agree|do it|absolutely|definitely|certainly)"
    r"(?: (?:yes|please|sure|of course|do|do (?:it|that)|go ahead|you (?:may|can|should)|thank you|thanks|i agree|"
    r"remember|me|it|that|this|i would like that|i want that|i do|robot|okay|ok|that is (?:fine|okay|ok)))*")
_NO = re.compile(
    r"(?:(?:oh|well|um|uh|okay|ok|hmm|please|i think) )*"
    r"(?:no|nope|nah|never|not now|do not|better not|rather not|i would rather not|i do not want (?:that|it|you to))"
    r"(?: (?:no|please|thank you|thanks|not now|do not|rather not|better not|i would rather not|you may not|remember|"
    r"me|it|that|this|anything|i do not want (?:that|it)|robot|never|sorry))*")
_UNCLEAR = re.compile(r"(?:okay|ok|fine|maybe|perhaps|hmm+|mm+|mhm|why not|i guess(?: so)?|i am not sure|not sure|"
                      r"i do not know|all right|alright|whatever|if you (?:like|want)|you (?:can|decide))+")


@dataclass(frozen=True)
class Command:
    """``kind``: remember (the person), remember_this (what was said), remember_that, tell, tell_more, tell_about, stop,
    forget_last, forget_about or forget_all; ``about``: of what; ``rest``: what else was said with it."""

    kind: str
    about: str = ""
    rest: str = ""


def command(text: str) -> Command | None:
    """The last request about the memory that an utterance holds, None where it holds none."""
    sentences = sentences_of(text)
    for at in range(len(sentences) - 1, -1, -1):
        if found := _command(sentences[at]):
            return Command(*found, rest=" ".join(sentences[:at] + sentences[at + 1:]))
    return None


def consent(text: str) -> str:
    """What a person says when asked whether they may be remembered: ``yes``, ``no``, ``unclear``, or ``other`` where
    it is no answer."""
    words = _plain(text)
    if _YES.fullmatch(words):
        return "yes"
    if _UNCLEAR.fullmatch(words):
        return "unclear"
    return "no" if _NO.fullmatch(words) else "other"


def _command(sentence: str) -> tuple[str, str] | None:
    words, asks = _plain(sentence), sentence.rstrip().endswith("?")
    for kind, pattern in _RULES:
        match = pattern.fullmatch(words)
        about = match.groupdict().get("about", "") if match else ""
        if not match or (kind == "remember_that" and (asks or not triples(about))):
            continue
        if kind == "remember" and asks and _NO_REQUEST_AS_A_QUESTION.match(words):
            return ("tell", "") if re.search(r"\bme\b", words) else None
        if kind == "remember" and _THIS.search(words):
            kind = "remember_this"
        if kind == "remember_that":     # as it was said, with its names
            about = re.search(r"(?:remember|forget)\s+(?:that\s+)?(.+?)[.!]*$", sentence, re.I)[1]
        return kind, about.strip()
    return None


def _plain(text: str) -> str:
    """Lower case without punctuation, contractions written out."""
    text = text.lower().replace("\u2019", "'")
    for pattern, replacement in _SPELLING:
        text = re.sub(pattern, replacement, text)
    return " ".join(re.findall(r"[^\W_]+", text))
