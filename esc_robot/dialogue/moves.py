"""What a turn asks of the robot, known by its words: to repeat, to stop, to say what time it is, to let somebody go;
and situations that people tell of: a letter nobody dares to open, the first week in a new town.

Rules and answers stand in config/care/moves/ and config/care/situations/, in the order in which they are tried.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import yaml

from esc_robot.assets import config
from esc_robot.dialogue.acts import ASKING
from esc_robot.dialogue.clauses import in_full, second_person, sentences

_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Move:
    """A rule that holds for a turn: its name, the act it answers, its replies (strategy and text with slots), what its
    groups caught, in the second person, and the rest of the turn, to which the rule says nothing."""

    name: str
    act: str
    replies: list[dict]
    groups: dict[str, str]
    rest: str


def _rules(folder: str) -> list[dict]:
    """The compiled rules of a folder of config/care, its files in the order of their names."""
    files = sorted(config(f"care/{folder}").glob("*.yaml"))
    # the loader in C takes a fifteenth of the time
    rules = [rule for file in files for rule in yaml.load(file.read_text(), yaml.CSafeLoader)[folder]]
    return [rule | {key: re.compile(rule[key], re.I) if key in rule else None for key in ("when", "whole", "unless")}
            for rule in rules]


@cache
def _moves() -> list[dict]:
    return _rules("moves")


@cache
def _situations() -> list[dict]:
    return _rules("situations")


@cache
def _facts() -> dict[str, str]:
    return yaml.safe_load(config("care/facts.yaml").read_text())


def moves(text: str, turns: int, last: str = "") -> list[Move]:
    """The rules for what is asked that hold for a turn after ``turns`` earlier ones, in their order. ``last``: what the
    robot said last. A name for replies stands for those of that name in care/robot.yaml."""
    return _holding(_moves(), text, turns, last)


def situations(text: str, turns: int) -> list[Move]:
    """The rules for what is told that hold for a turn after ``turns`` earlier ones, in their order."""
    return _holding(_situations(), text, turns)


def _holding(rules: list[dict], text: str, turns: int, last: str = "") -> list[Move]:
    full = in_full(text)
    parts = sentences(full)
    found = []
    for rule in rules:
        if turns < rule.get("turns", 0):
            continue
        if rule["whole"]:
            match, at = rule["whole"].search(full), None
            heard = full
        else:
            hits = [(hit, k) for k, part in enumerate(parts) if (hit := rule["when"].search(part))] or [(None, None)]
            match, at = hits[-1 if rule["act"] in ASKING else 0]
            heard = parts[at] if match else ""
        if match and not (rule["unless"] and rule["unless"].search(heard)) and _follows(rule, match, last):
            groups = {name: second_person(words) for name, words in match.groupdict().items() if words}
            rest = "" if at is None else " ".join(parts[:at] + parts[at + 1:])
            # the question that ends a turn wants its answer first
            asked = at is None or (rule["act"] in ASKING and at == len(parts) - 1)
            found.append((not asked, Move(rule["name"], rule["act"], rule["replies"], groups, rest)))
    return [move for _, move in sorted(found, key=lambda pair: pair[0])]


def _follows(rule: dict, match: re.Match, last: str) -> bool:
    """Whether what the robot said last is what the rule answers; <name> stands for what that group caught."""
    after = re.sub(r"<(\w+)>", lambda name: re.escape(match[name[1]] or ""), rule.get("after", ""))
    return bool(re.search(after, last, re.I))


def filled(move: Move, replies: list[dict], slots: dict[str, Callable[[], str | None]]) -> list[dict]:
    """The replies of a move whose slots can all be filled, from its groups or from ``slots``. ``_low`` and ``_cap``
    after the name of a slot are about its first letter."""
    found = []
    for reply in replies:
        words = {name: _slot(name, move, slots) for name in _SLOT.findall(reply["text"])}
        if all(words.values()):
            found.append(reply | {"text": reply["text"].format(**words)})
    return found


def _slot(name: str, move: Move, slots: dict[str, Callable[[], str | None]]) -> str | None:
    base, _, case = name.partition("_")
    words = move.groups.get(base) or (slots[base]() if base in slots else None)
    if not words or not case:
        return words
    return (words[0].lower() if case == "low" else words[0].upper()) + words[1:]


def clock() -> dict[str, str]:
    """The time, the weekday and the date, as they are said."""
    now = time.localtime()
    return {"time": time.strftime("%I:%M %p", now).lstrip("0"), "weekday": time.strftime("%A", now),
            "date": f"{time.strftime('%B', now)} {now.tm_mday}"}


def fact_about(topic: str) -> str:
    """A small fact about a thing, or an honest word where none is known."""
    facts = _facts()
    return next((fact for name, fact in facts.items() if topic.lower().startswith(name)), facts["other"])
