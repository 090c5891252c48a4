"""What an utterance tells of the user's life that still means something on another day."""

import re
from dataclasses import dataclass

from esc_robot.dialogue.acts import asks
from esc_robot.dialogue.triples import Triple, triples
from esc_robot.dialogue.words import without_stopwords

# Nobody knows on another day who or what these were, and what concerns "you" is no fact of the user's life.
_PASSING = {"you", "it", "this", "that", "these", "those", "there", "he", "she", "they", "him", "her", "them", "one",
            "what", "who", "u"}
_SAYING = re.compile(r"\b(?:know|think|guess|mean|suppose|hope|say|said|tell|told|feel like|want to talk)\b")
_NOT_TOLD = re.compile(r"\b(?:if|wish|would(?:n't)?|could|should|might|maybe|perhaps|imagine|you|your|robot)\b",
                       re.I)
_OWN = re.compile(r"\b(?:i|i'm|im|i've|ive|me|my|mine|we|we're|we've|us|our|ours)\b", re.I)
# A mood passes; and what somebody calls themselves in a bad hour is not to be told to them on another day.
_OF_THE_HOUR = re.compile(
    r"\b(?:now|today|tonight|at the moment|feel|feels|feeling|felt|stupid|pathetic|worthless|useless|lazy|ugly|idiot|"
    r"failure|burden|disgusting|hate (?:myself|me|my life))\b", re.I)


@dataclass(frozen=True)
class Fact:
    """A sentence of the user and what it tells. ``told``: s of the system clock, the same for all of a turn;
    ``number``: its name until it is erased."""

    number: int
    source: str
    triples: tuple[Triple, ...]
    told: float


def told_in(text: str, whole: bool = False) -> list[tuple[str, list[Triple]]]:
    """The sentences of an utterance that tell a fact of the user's life, with their triples.

    Left out are questions, what only might be, what is said to the robot or not of the user's own life, moods, harsh
    words about oneself, and triples that mean nothing on another day ("she left user"). ``whole``: every sentence, with
    the triples it has.
    """
    found = []
    for sentence in sentences_of(text):
        told = [triple for triple in triples(sentence) if _lasting(triple)]
        plain = sentence.replace("\u2019", "'")
        if whole or (told and _OWN.search(plain) and not asks(plain) and not _NOT_TOLD.search(plain)
                     and not _OF_THE_HOUR.search(plain)):
            found.append((sentence, told))
    return found


def sentences_of(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<=[.?!])\s+", text) if re.search(r"\w", part)]


def speaks_of(text: str, about: str) -> bool:
    """Whether all content words of ``about`` stand in ``text``; "dogs" is "dog"."""
    wanted = _content(about)
    return bool(wanted) and wanted <= _content(text)


def _content(text: str) -> set[str]:
    words = re.findall(r"[^\W_]+", without_stopwords(text.lower()))
    return {word.removesuffix("s") for word in words if len(word) > 1}


def _lasting(triple: Triple) -> bool:
    parts = (triple.subject.lower(), triple.object.lower())
    return not (set(parts) & _PASSING) and not _SAYING.search(triple.predicate)
