"""The crisis protocol: words of suicide or self-harm are recognised by rules and answered in fixed words, by no model.

Asked first, and about every utterance. After an alarm it stays for some turns, so that "yes", "no" and "thanks" are met
too. What it knows stands in config/care: how it recognises in crisis.yaml, what it says in replies.yaml, whom to call
in lines.yaml.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache

import yaml

from esc_robot.assets import config
from esc_robot.errors import Problem

SHORT_ANSWER = 6  # words; "no, that is not it" is an answer, a longer turn that begins with "no" tells something
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class CareReply:
    """Fixed sentences, and why they are said: an alarm of config/care/replies.yaml, or ``followup``."""

    sentences: tuple[str, ...]
    level: str


@dataclass(frozen=True)
class Rules:
    """The compiled rules: what is set aside before reading, spoken-of-but-over, and the alarms in their order."""

    spelling: list[tuple[re.Pattern, str]]
    harmless: re.Pattern
    past: re.Pattern
    loss: re.Pattern
    alarms: list[tuple[str, re.Pattern]]


def recognise(text: str) -> str | None:
    """What an utterance says about suicide or self-harm: ``injured``, ``imminent``, ``ideation``, ``self_harm``,
    ``third_person``, ``past`` (over or denied), ``loss`` (somebody died by it), or None."""
    rules = _rules()
    words = rules.harmless.sub(" . ", _plain(text))
    rest = rules.loss.sub(" . ", rules.past.sub(" . ", words))
    for level, pattern in rules.alarms:
        if pattern.search(rest):
            return level
    if rules.loss.search(words):
        return "loss"
    return "past" if rules.past.search(words) else None


class CrisisProtocol:
    """One person's crisis protocol. ``country``: a key of config/care/lines.yaml; raises Problem on another."""

    def __init__(self, country: str = "default"):
        replies = yaml.safe_load(config("care/replies.yaml").read_text())
        self._alarms, self._answers = replies["alarms"], replies["answers"]
        self._kinds = {kind: re.compile(pattern) for kind, pattern in replies["followups"].items()}
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
        if level and not (level == "past" and self.active):
            return self._raise_alarm(level)
        if not self.active:
            return None
        self._turns_left -= 1
        kind = self._kind(text)
        if kind == "listen" and self._calm:
            self._turns_left = 0
            return None
        keys = (f"{self._alarm}_{self._asked}_{kind}", f"{self._asked}_{kind}", f"{self._alarm}_{kind}", kind)
        key = next(key for key in keys if key in self._answers)
        return CareReply(self._say(key, self._answers[key]), "followup")

    def _raise_alarm(self, level: str) -> CareReply:
        if self.active and not self._calm:
            level = min(level, self._alarm, key=list(self._alarms).index)
        self._alarm, alarm = level, self._alarms[level]
        self._turns_left = max(self._turns_left, alarm["turns"])
        self._calm = level in ("past", "loss")
        return CareReply(self._say(level, alarm["say"]), level)

    def _kind(self, text: str) -> str:
        words = _plain(text)
        if recognise(text) == "past":
            return "intent_no"
        for kind, pattern in self._kinds.items():
            if pattern.search(words) and (kind not in ("yes", "no") or len(words.split()) <= SHORT_ANSWER):
                return kind
        return "listen"

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
    """What replies.yaml fills in: ``line``, ``line_sentence``, ``emergency``. Raises Problem on an unknown country."""
    lines = yaml.safe_load(config("care/lines.yaml").read_text())
    if country not in lines:
        raise Problem("country", country, f"not in config/care/lines.yaml; use one of {', '.join(sorted(lines))}")
    entry = lines[country]
    line = "a crisis line in your country"
    if "line" in entry:
        line = f"{entry['line']}, on {spoken_number(entry['number'])}"
    return {"line": line, "line_sentence": f"You can also call {line}.", "emergency": spoken_number(entry["emergency"])}


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
    for pattern, replacement in _rules().spelling:
        text = pattern.sub(replacement, text)
    return text


@cache
def _rules() -> Rules:
    entries = yaml.safe_load(config("care/crisis.yaml").read_text())
    words = entries["words"]

    def compiled(patterns: list[str]) -> re.Pattern:
        return re.compile("|".join(re.sub(r"<(\w+)>", lambda name: words[name[1]], pattern) for pattern in patterns))

    words = {name: re.sub(r"<(\w+)>", lambda inner: words[inner[1]], pattern) for name, pattern in words.items()}
    return Rules(
        spelling=[(re.compile(pattern), replacement) for pattern, replacement in entries["spelling"]],
        harmless=compiled(entries["harmless"]), past=compiled(entries["past"]), loss=compiled(entries["loss"]),
        alarms=[(level, compiled(patterns)) for rule in entries["rules"] for level, patterns in rule.items()])
