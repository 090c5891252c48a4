"""The crisis protocol: words of danger are recognised by rules and answered in fixed words, by no model.

Danger is suicide and self-harm, violence, a medical emergency, and the wish to hurt somebody. Asked first, and about
every utterance. After an alarm it stays for some turns, so that "yes", "no" and "thanks" are met too. What it knows
stands in config/care: how it recognises in crisis.yaml and danger.yaml, what it says in replies.yaml and answers/,
whom to call in lines.yaml.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache

import yaml

from esc_robot.assets import config
from esc_robot.errors import Problem

RULES = ("care/crisis.yaml", "care/danger.yaml")
LINES = {  # a line of config/care/lines.yaml, its number, and what is said where it is not known
    "line": ("number", "a crisis line in your country"),
    "violence_line": ("violence_number", "a helpline for violence in your country"),
    "child_line": ("child_number", "a helpline for children in your country"),
}
LISTEN = "listen"  # the kind of an answer that is none of the others
SHORT_ANSWER = 6  # words; "no, that is not it" is an answer, a longer turn that begins with "no" tells something
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class CareReply:
    """Fixed sentences, and why they are said: an alarm of config/care/replies.yaml, or ``followup``."""

    sentences: tuple[str, ...]
    level: str


@dataclass(frozen=True)
class Rules:
    """One compiled file of rules: what is set aside before reading, what is told but no alarm, the alarms in order."""

    harmless: re.Pattern
    mentions: dict[str, re.Pattern]
    alarms: list[tuple[str, re.Pattern]]

    def level(self, words: str) -> str | None:
        """The first alarm in these words, else the last mention that they hold, else None."""
        words = rest = self.harmless.sub(" . ", words)
        for pattern in self.mentions.values():
            rest = pattern.sub(" . ", rest)
        for level, pattern in self.alarms:
            if pattern.search(rest):
                return level
        return next((level for level in reversed(self.mentions) if self.mentions[level].search(words)), None)


def recognise(text: str) -> str | None:
    """The gravest danger that an utterance speaks of, or None: a name under ``alarms`` in config/care/replies.yaml,
    such as ``imminent`` (suicide), ``violence_now``, ``emergency`` or ``harm_others``. ``past`` and ``violence_past``
    are over or denied; ``loss`` is somebody's death by suicide."""
    words = _plain(text)
    levels = [level for level in (rules.level(words) for rules in _rules()) if level]
    return min(levels, key=list(_replies()["alarms"]).index, default=None)


class CrisisProtocol:
    """One person's crisis protocol. ``country``: a key of config/care/lines.yaml; raises Problem on another."""

    def __init__(self, country: str = "default"):
        self._alarms = _replies()["alarms"]
        self._answers = _answers()
        self._kinds = {kind: re.compile(pattern) for kind, pattern in _replies()["followups"].items()}
        self._numbers = crisis_numbers(country)
        self._said = Counter()
        self._asked = ""
        self._alarm = ""
        self._turns_left = 0
        self._calm = True

    @property
    def active(self) -> bool:
        """True while the next utterance is read as an answer to the protocol."""
        return self._turns_left > 0

    def check(self, text: str) -> CareReply | None:
        """The fixed reply to an utterance, or None where it is no matter of the protocol."""
        level = recognise(text)
        if level and not (self.active and self._is_followup(level)):
            return self._raise_alarm(level)
        if not self.active:
            return None
        self._turns_left -= 1
        key = self._answer(text, denied=level == "past")
        if key.endswith(LISTEN) and self._calm:
            self._turns_left = 0
            return None
        return CareReply(self._say(key, self._answers[self._theme][key]), "followup")

    @property
    def _theme(self) -> str:
        return self._alarms[self._alarm]["theme"]

    def _is_followup(self, level: str) -> bool:
        return level == "past" or (not self._calm and self._alarms[level].get("minor", False))

    def _raise_alarm(self, level: str) -> CareReply:
        if self.active and not self._calm:
            same = self._alarms[level]["theme"] == self._theme
            if same or self._alarms[self._alarm].get("acute"):
                level = min(level, self._alarm, key=list(self._alarms).index)
        self._alarm, alarm = level, self._alarms[level]
        self._turns_left = max(self._turns_left, alarm["turns"])
        self._calm = alarm.get("calm", False)
        return CareReply(self._say(level, alarm["say"]), level)

    def _answer(self, text: str, denied: bool) -> str:
        """The key of what answers a follow-up: the first kind that fits the words and is answered in this theme."""
        words, answers = _plain(text), self._answers[self._theme]
        short = len(words.split()) <= SHORT_ANSWER
        kinds = ["intent_no"] if denied else []
        kinds += [kind for kind, pattern in self._kinds.items()
                  if pattern.search(words) and (short or kind not in ("yes", "no"))]
        for kind in (*kinds, LISTEN):
            keys = (f"{self._alarm}_{self._asked}_{kind}", f"{self._asked}_{kind}", f"{self._alarm}_{kind}", kind)
            if key := next((key for key in keys if key in answers), None):
                return key

    def _say(self, key: str, variants: list[dict]) -> tuple[str, ...]:
        """The next of the variants in turn, so that no two replies running are the same."""
        reply = variants[self._said[key] % len(variants)]
        self._said[key] += 1
        self._asked = reply.get("asks", "")
        if reply.get("calm"):
            self._calm = True
            self._turns_left = min(self._turns_left, 2)
        self._turns_left = max(self._turns_left, reply.get("turns", 0))
        return tuple(re.split(r"(?<=[.?!]) ", reply["text"].format(**self._numbers)))


def crisis_numbers(country: str) -> dict[str, str]:
    """What replies.yaml fills in: ``line``, ``line_sentence``, ``violence_line``, ``child_line``, ``quiet``
    (a way without a voice), ``emergency`` and ``police``. Raises Problem on an unknown country.
    """
    lines = yaml.safe_load(config("care/lines.yaml").read_text())
    if country not in lines:
        raise Problem("country", country, f"not in config/care/lines.yaml; use one of {', '.join(sorted(lines))}")
    entry = lines[country]
    named = {line: f"{entry[line]}, on {spoken_number(entry[number])}" if line in entry else unnamed
             for line, (number, unnamed) in LINES.items()}
    quiet = spoken_number(entry["text"]) if "text" in entry else "somebody you trust"
    return {**named, "line_sentence": f"You can also call {named['line']}.", "quiet": f"a message to {quiet}",
            "emergency": spoken_number(entry["emergency"]),
            "police": spoken_number(entry.get("police", entry["emergency"]))}


def spoken_number(number: str) -> str:
    """Digits one by one, a comma between groups: ``116 123`` is "one one six, one two three". Words stay as is."""
    if not number.replace(" ", "").isdigit():
        return number
    return ", ".join(" ".join(DIGITS[int(digit)] for digit in group) for group in number.split())


def _plain(text: str) -> str:
    """Lower case without apostrophes and commas, "." between sentences, contractions and slips written out."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"[.!?;:\n]+", " . ", re.sub(r"['\u2019`\u00b4]", " ", text))
    text = " ".join(re.sub(r"[^\w. ]|_", " ", text).split())
    for pattern, replacement in _spelling():
        text = pattern.sub(replacement, text)
    return text


@cache
def _replies() -> dict:
    return yaml.safe_load(config("care/replies.yaml").read_text())


@cache
def _answers() -> dict:
    return {file.stem: yaml.safe_load(file.read_text()) for file in config("care/answers").glob("*.yaml")}


@cache
def _spelling() -> list[tuple[re.Pattern, str]]:
    entries = yaml.safe_load(config(RULES[0]).read_text())["spelling"]
    return [(re.compile(pattern), replacement) for pattern, replacement in entries]


@cache
def _rules() -> list[Rules]:
    words, rules = {}, []

    def filled(pattern: str) -> str:
        return re.sub(r"<(\w+)>", lambda name: words[name[1]], pattern)

    def compiled(patterns: list[str]) -> re.Pattern:
        return re.compile("|".join(map(filled, patterns)))

    for file in RULES:
        entries = yaml.safe_load(config(file).read_text())
        for name, pattern in entries["words"].items():
            words[name] = filled(pattern)
        rules.append(Rules(
            harmless=compiled(entries["harmless"]),
            mentions={level: compiled(patterns) for level, patterns in entries["mentions"].items()},
            alarms=[(level, compiled(patterns)) for rule in entries["rules"] for level, patterns in rule.items()]))
    return rules
