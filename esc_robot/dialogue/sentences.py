"""From a stream of text to sentences that can be spoken: complete, few, and free of what only the eye understands."""

import re
import unicodedata

ABBREVIATIONS = frozenset(("mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "approx", "dept", "fig"))
# After these a sentence may end or go on; a capital decides.
OPEN_ABBREVIATIONS = frozenset(("etc", "a.m", "p.m", "jr", "sr", "inc", "ltd", "u.s", "u.k", "ph.d"))
STAGE_VERBS = (r"smil|nod|laugh|sigh|paus|lean|chuckl|giggl|whisper|look|gestur|hug|wav|tilt|plac|reach|gentl|soft|"
               r"warm|quiet|tak|sit|mov|wink|blush|cr(?:y|ies)|listen|pat|offer|grin|shrug|breath|extend|hold|put|speak|beep")

_BOUNDARY = re.compile(r"([.!?\u2026]+)([\"'\u201d\u2019)\]*_]*)(\s+)(?=\S)|(\s*\n\s*)(?=\S)")
_ROLE = re.compile(r"^\W*(?:assistant|robot|ai|bot|companion(?: robot)?|therapist|supporter|response|answer)\s*:\s*",
                   re.I)
_OTHER_ROLE = re.compile(r"^\W*(?:user|human|system|patient|client|person|you)\s*:", re.I)
_BULLET = re.compile(r"^\s*(?:[-*\u2022>#]+\s+|#+\s*|\(?\d{1,2}[.)]\s+)+")
_STAGE = re.compile(rf"\*+(?:{STAGE_VERBS})[^*]*\*+|\((?:{STAGE_VERBS})[^)]*\)|\[[^\]]*\](?!\()", re.I)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_URL = re.compile(r"(?:https?://|www\.)\S+")
_EMOTICON = re.compile(r"(?<!\S)(?:[:;=8xX]['-]?[)(DPpOo/\\|*3]|<3|\^_*\^|[:;]-?\])(?!\w)")


class SentenceSplitter:
    """Pieces of text in, speakable sentences out as soon as each is known to be complete; at most ``limit`` of them.

    ``done`` is True when nothing more will come: enough was said, or the text began to speak for the user.
    """

    def __init__(self, limit: int = 3):
        self.limit = limit
        self.done = False
        self._text = ""
        self._count = 0

    def push(self, piece: str) -> list[str]:
        """The sentences that ``piece`` completed. A sentence is complete when the next one begins."""
        self._text += piece
        sentences = []
        start = 0
        while not self.done and (boundary := _BOUNDARY.search(self._text, start)):
            start = boundary.end()
            if not self._ends(boundary):
                continue
            sentences += self._take(self._text[:boundary.end()])
            self._text, start = self._text[boundary.end():], 0
        return sentences

    def finish(self, complete: bool) -> list[str]:
        """What is left at the end of the text. ``complete``: the model ended by itself, and was not cut off.

        An unfinished sentence is dropped, unless it is all there is: then it is ended at its last clause.
        """
        rest, self._text = self._text.strip(), ""
        if self.done or not rest:
            return []
        if not complete and not re.search(r"[.!?\u2026][\"'\u201d\u2019)*_]*$", rest):
            if self._count:
                return []
            rest = _up_to_last_clause(rest)
        sentences = self._take(rest)
        self.done = True
        return sentences

    def _ends(self, boundary: re.Match) -> bool:
        """Whether a sentence ends here, and not an abbreviation, an initial, a list's number or a pause."""
        marks, closers = boundary[1], boundary[2]
        if marks is None:
            return True
        following = self._text[boundary.end()]
        before = self._text[:boundary.start()].split()
        word = before[-1].lstrip("\"'\u201c\u2018(*_") if before else ""
        if marks in ("...", "\u2026") or closers:
            return not following.islower() or ("." in marks and len(marks) == 1 and not closers)
        if marks != ".":
            return True
        if word.lower() in OPEN_ABBREVIATIONS:
            return following.isupper()
        if word.lower() in ABBREVIATIONS or (len(word) == 1 and word.isupper() and word != "I"):
            return False
        return not (word.isdigit() and len(before) == 1)

    def _take(self, text: str) -> list[str]:
        if _OTHER_ROLE.match(text):
            self.done = True
            return []
        sentence = speakable(text)
        if not sentence:
            return []
        self._count += 1
        self.done = self._count == self.limit
        return [sentence]


def split(reply: str) -> list[str]:
    """The speakable sentences of a reply that is there as a whole."""
    splitter = SentenceSplitter(limit=len(reply))
    return [*splitter.push(reply), *splitter.finish(complete=True)]


def speakable(text: str) -> str:
    """A sentence without markdown, emoji, role labels, stage directions and links, ended by a mark; may be empty."""
    text = _LINK.sub(r"\1", text)
    text = _URL.sub("", text)
    text = _STAGE.sub(" ", text)
    text = _ROLE.sub("", _BULLET.sub("", text))
    text = _EMOTICON.sub("", text)
    text = re.sub(r"[*_~`#|<>{}\[\]\\^]+", "", text)
    text = "".join(character for character in text
                   if unicodedata.category(character) not in ("So", "Cs", "Co", "Cn", "Cc", "Cf", "Sk", "Mn", "Me")
                   or character in "\n\t")
    text = text.replace("&", " and ").replace("\u2014", ", ").replace("\u2026", "...")
    if text.count('"') % 2 or text.count("\u201c") != text.count("\u201d"):
        text = re.sub(r"[\"\u201c\u201d]", "", text)
    if text.count("(") != text.count(")"):
        text = re.sub(r"[()]", "", text)
    text = re.sub(r"\s+([.,!?;:])", r"\1", " ".join(text.split())).strip(" ,;:-")
    if not any(character.isalnum() for character in text):
        return ""
    text = re.sub(r"\bi\b(?![.\w])", "I", text)
    first = next(at for at, character in enumerate(text) if character.isalnum())
    text = text[:first] + text[first].upper() + text[first + 1:]
    return text if re.search(r"[.!?][\"'\u201d\u2019)]*$", text) else f"{text}."


def _up_to_last_clause(text: str) -> str:
    """A cut sentence up to its last clause, when at least three words are left; else without its last word."""
    cuts = [cut.start() for cut in re.finditer(r"[,;:\u2014]\s|\s(?:and|but|because|so|or|which|while|when|if)\s", text)
            if len(text[:cut.start()].split()) >= 3]
    return text[:cuts[-1]] if cuts else text.rsplit(None, 1)[0]
