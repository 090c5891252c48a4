"""What the encoders learn from: replies with what was said before them, and replies that are wrong."""

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from esc_robot.assets import config
from training.datasets import CORPUS, Dialogue, corpus, part_of

KINDS = ("contradicting", "wrong_person", "invented")
_PEOPLE = (("mother", "mum", "mom", "sister", "wife", "daughter", "aunt", "grandmother", "grandma", "girlfriend"),
           ("father", "dad", "brother", "husband", "son", "uncle", "grandfather", "grandad", "boyfriend"),
           ("friend", "boss", "neighbour", "teacher", "doctor", "roommate", "flatmate", "colleague"),
           ("dog", "cat", "horse", "rabbit"))
_PERSON = re.compile(r"\b(" + "|".join(word for group in _PEOPLE for word in group) + r")\b", re.I)
_HE_SHE = {"he": "she", "him": "her", "his": "her", "himself": "herself", "she": "he", "her": "his",
           "herself": "himself"}
_OPPOSITES = {
    "hard": "easy", "sad": "happy", "good": "bad", "painful": "pleasant", "hurts": "feels good", "tired": "rested",
    "sorry": "glad", "angry": "calm", "scary": "exciting", "heavy": "light", "lonely": "close to people",
    "lost": "kept", "alone": "with people", "better": "worse", "difficult": "easy", "awful": "lovely",
    "afraid": "sure", "hurt": "help", "miss": "forget", "missing": "having", "left": "stayed", "long": "short",
    "worried": "calm", "want": "refuse", "a relief": "a blow", "bad": "good", "frightening": "nice",
    "always": "never", "never": "always", "more": "less", "still": "no longer", "exhausting": "restful",
    "terrible": "wonderful", "shock": "joy", "love": "dislike"}
_NEGATIONS = ((r"\b(is|are|was|were|do|does|did|have|has|can) ?not\b", r"\1"), (r"\bcannot\b", "can"),
              (r"\b(it|that|this|there) is\b(?! not)", r"\1 is not"),
              (r"\byou (have|are|were)\b(?! not)", r"you \1 not"),
              (r"\b(he|she|they) (is|was|are|were|has|have)\b", r"\1 \2 not"), (r"\bno\b", "some"))
_INVENTED = ("after {} years", "since {}", "because of your {}", "like your {} said", "as you told me last week",
             "before the move", "at the hospital", "in {}", "with your {}")
_FILLS = {"after {} years": ("two", "ten", "twenty"), "since {}": ("Monday", "Christmas", "last spring", "March"),
          "in {}": ("London", "June", "the new office", "winter")}


@dataclass(frozen=True)
class Pair:
    """A reply, the user's turn it answers, and all that was said before that turn, oldest first."""

    before: tuple[str, ...]
    text: str
    reply: str


@dataclass(frozen=True)
class WrongReplies:
    """A user's turn with what was said before it, its right reply, and the wrong ones by kind."""

    before: tuple[str, ...]
    text: str
    right: str
    wrong: dict[str, str]


def pairs(dialogues: Iterable[Dialogue], portable: bool = False) -> list[Pair]:
    """The replies of dialogues, or only those that answer the last turn alone."""
    found = []
    for dialogue in dialogues:
        lines = [turn.text for turn in dialogue.turns]
        for k in range(1, len(lines), 2):
            if dialogue.turns[k].portable or not portable:
                found.append(Pair(tuple(lines[:k - 1]), lines[k - 1], lines[k]))
    return found


def wrong_replies() -> tuple[list[WrongReplies], list[WrongReplies]]:
    """wrong.jsonl, for training and held out: the part follows the dialogue each was made from."""
    parts = {}
    for dialogue in corpus():
        for turn in dialogue.turns:
            parts[turn.text] = part_of(dialogue)
    found = [], []
    for line in (CORPUS / "wrong.jsonl").read_text().splitlines():
        entry = json.loads(line)
        *before, text = [turn["text"] for turn in entry["context"]]
        part = parts.get(text) or parts.get(entry["right"])
        found[part != "train"].append(
            WrongReplies(tuple(before), text, entry["right"], {kind: entry[kind] for kind in KINDS}))
    return found


def act_replies() -> dict[str, list[str]]:
    acts = yaml.safe_load(config("care/acts.yaml").read_text())["acts"]
    return {act["name"]: [reply["text"] for reply in act["replies"]] for act in acts}


def as_heard(text: str) -> str:
    """Now and then a text as a recogniser writes it: lower case, no punctuation."""
    return re.sub(r"[^\w\s']+", " ", text.lower()) if random.random() < 0.3 else text


def renamed(texts: Sequence[str]) -> list[str] | None:
    """The texts with one person or animal that they name changed into another everywhere: what followed still follows.
    None where nobody is named."""
    named = sorted({word.lower() for text in texts for word in _PERSON.findall(text)})
    if not named:
        return None
    old = random.choice(named)
    new = random.choice([word for word in _group(old) if word not in named] or [old])
    return [re.sub(rf"\b{old}\b", new, text, flags=re.I) for text in texts]


def contradicted(reply: str) -> str | None:
    """A reply that says the opposite at one place, by a list of opposites and negations; None where there is none."""
    ways = [(rf"\b{word}\b", other) for word, other in _OPPOSITES.items()] + list(_NEGATIONS)
    return _changed_once(reply, ways)


def misattributed(reply: str) -> str | None:
    """A reply about somebody else: another relation, the other sex, or "your sister" for "you"."""
    ways = [(rf"\b{word}\b", random.choice([w for group in _PEOPLE for w in group if w != word]))
            for word in {found.lower() for found in _PERSON.findall(reply)}]
    ways += [(rf"\b{word}\b", other) for word, other in _HE_SHE.items()]
    someone = "your " + random.choice(random.choice(_PEOPLE[:3]))
    ways += [(r"\byou are\b", f"{someone} is"), (r"\byou have\b", f"{someone} has"), (r"\byour\b", f"{someone}'s")]
    return _changed_once(reply, ways)


def invented(reply: str) -> str:
    """A reply with a fact that nobody told."""
    phrase = random.choice(_INVENTED)
    fact = phrase.format(random.choice(_FILLS.get(phrase) or random.choice(_PEOPLE[:3])))
    first, mark, rest = re.match(r"([^.?!]*)([.?!]?)(.*)", reply, re.S).groups()
    return f"{first} {fact}{mark}{rest}"


def _group(word: str) -> tuple[str, ...]:
    return next(group for group in _PEOPLE if word in group)


def _changed_once(reply: str, ways: list[tuple[str, str]]) -> str | None:
    fitting = [way for way in ways if re.search(way[0], reply, re.I)]
    if not fitting:
        return None
    pattern, other = random.choice(fitting)
    changed = re.sub(pattern, other, reply, count=1, flags=re.I)
    return changed[0].upper() + changed[1:]
