"""Between the sentence as written and the words as spoken: numbers to dial, marks not to read, and the way back."""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from esc_robot.speaking.voice import Word

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EMERGENCY = {"000", "112", "911", "988", "999"}
NUMBER = re.compile(r"(?<![\w.,:/$£€+-])\+?\(?\d+\)?(?:[ -]\(?\d+\)?)*(?![\w/%-]|[.,:]\d)")
DIALLED = re.compile(r"\b(?i:call|dial|text|phone|ring)(?:ing)?(?: +(?:or|and|text|call|dial|to|on|at|[A-Z]+))*\s*$")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
UNSPOKEN = re.compile(r"[^A-Za-zÀ-ɏ0-9\s.,;:!?'()—/&%+=@$£€°–-]")
PAUSE = re.compile(r"\s+[-–]+\s+|\s*(?:—|–(?!\d)|--+)\s*")
WORD_GAP = re.compile(r"(?:\s|—|\.{3})+")
EDGES = re.compile(r"^[\W_]+|[\W_]+$")
LETTER = re.compile(r"[A-Za-zÀ-ɏ0-9]")


def speakable(sentence: str) -> str:
    """The sentence as a voice must be given it; "" when nothing in it can be said in English.

    >>> speakable("**Call 988**, or 116 123… 😊")
    'Call nine eight eight, or one one six, one two three...'
    """
    text = unicodedata.normalize("NFKC", sentence).replace("’", "'").replace("‘", "'")
    text = UNSPOKEN.sub(" ", PAUSE.sub(" — ", text)).replace("24/7", "twenty-four seven")
    text = re.sub(r"\.{3,}(?=\w)", "... ", re.sub(r"\s+(?=[,.;:!?])", "", text))
    text = NUMBER.sub(lambda match: _digits(match[0]) if _is_dialled(match) else match[0], text)
    words = [word for word in text.split() if LETTER.search(word) or word in "—&+=%"]
    return " ".join(words) if LETTER.search(text) else ""


def as_written(sentence: str, spoken: Sequence[Word]) -> tuple[Word, ...]:
    """The times of the words as spoken ("nine", "eight", "eight"), given to the words as written ("988").

    A written word that was said as several takes their whole time; one that was not said at all is left out.
    """
    written = [word for word in WORD_GAP.split(PAUSE.sub(" — ", sentence)) if _key(word)]
    spoken = [word for word in spoken if _key(word.text)]
    matcher = SequenceMatcher(None, [*map(_key, written)], [*map(_key, (word.text for word in spoken))], autojunk=False)
    words = []
    for _, first, last, begin, end in matcher.get_opcodes():
        for i in range(first, last):
            share = spoken[begin + (i - first) * (end - begin) // (last - first):
                           begin - (i + 1 - first) * (begin - end) // (last - first)]
            if share:
                words.append(Word(EDGES.sub("", written[i]), share[0].start, share[-1].end))
    return tuple(words)


def _is_dialled(match: re.Match) -> bool:
    """True for a telephone number or a short code, false for a count, a year, a range or a date."""
    groups = re.findall(r"\d+", match[0])
    digits = "".join(groups)
    if match[0][0] == "+" or (digits[0] == "0" and len(digits) > 2):
        return True
    if len(groups) == 1:
        dialled = len(digits) > 2 and DIALLED.search(match.string, 0, match.start())
        return digits in EMERGENCY or bool(dialled) or (len(digits) > 4 and not digits.endswith("000"))
    is_range = len(groups) == 2 and "-" in match[0] and len(groups[0]) == len(groups[1]) and groups[0] < groups[1]
    return len(digits) > 5 and not is_range and not DATE.fullmatch(match[0])


def _digits(number: str) -> str:
    """Digit by digit, with a short pause between groups; a long run is grouped in threes, as people say it."""
    groups = re.findall(r"\d+", number)
    if len(groups) == 1 and len(groups[0]) > 5:
        groups = re.findall(r"\d{3}(?=\d{2})|\d{2,4}", groups[0])
    said = ", ".join(" ".join(DIGITS[int(digit)] for digit in group) for group in groups)
    return f"plus {said}" if number[0] == "+" else said


def _key(word: str) -> str:
    return re.sub(r"[^\w']", "", word.replace("’", "'")).lower()
