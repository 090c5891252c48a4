"""The talk about the memory: consent, what the robot remembers, and forgetting. What it says is only what it did.

"Forget that" goes beyond the file: what is erased there leaves this conversation too, so that neither the model nor a
later reply takes it up again.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import yaml

from esc_robot.assets import config
from esc_robot.dialogue.conversation import Conversation, Turn
from esc_robot.dialogue.facts import Fact, speaks_of
from esc_robot.dialogue.memory import Memory
from esc_robot.dialogue.memory_commands import Command, command, consent
from esc_robot.dialogue.reflection import second_person
from esc_robot.dialogue.sentences import split
from esc_robot.errors import Problem

NEW_TALK_S = 1800.0     # after so long a silence another conversation begins, and what this one told is remembered
TOLD_AT_ONCE = 4        # facts read out in one reply
NEUTRAL = "Please forget that."     # stands in the history for words that ask to forget, and name what
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What is said, and what stands in the history for the user's words."""

    sentences: tuple[str, ...]
    user: str


class MemoryTalk:
    """One person's ``memory`` (None: there is none) in one ``conversation``. Not for two threads at once."""

    def __init__(self, memory: Memory | None, conversation: Conversation):
        self.memory, self.conversation = memory, conversation
        self._say = yaml.safe_load(config("care/memory.yaml").read_text())
        self._asked = ""                        # the turn in which the robot asked for consent
        self._wanted: Turn | None = None        # what is to be kept once it is given
        self._barred: set[str] = set()          # turns that the crisis protocol answered
        self._listed = 0
        self.dropped: list[str] = []            # turns that have left the conversation; "": all
        self._began = self._latest = time.time()
        self._failed = False

    @property
    def state(self) -> str:
        """The memory's, or ``none``."""
        return self.memory.state if self.memory else "none"

    def known(self) -> list[Fact]:
        """What the person told before this conversation and agreed to be remembered, oldest first."""
        return [fact for fact in self.memory.facts() if fact.told < self._began] if self.state == "on" else []

    def answer(self, turn_id: str, text: str, alarm: str = "") -> Answer | None:
        """Does what an utterance asks of the memory and says so; None where it asks nothing.

        ``alarm``: why the crisis protocol answers this turn, if it does. Then the turn is never kept, no consent is
        asked for or taken, and only requests to forget are followed, while no new danger is told.
        """
        now = time.time()
        if now - self._latest > NEW_TALK_S:
            self._began = now
        self._latest = now
        if alarm:
            self._barred.add(turn_id)
        asked, wanted, self._asked = self._asked, self._wanted, ""
        asking = command(text)
        forgets = asking is not None and asking.kind in ("stop", "forget_last", "forget_about", "forget_all")
        if alarm and not (forgets and alarm == "followup"):
            return None
        meant = consent(text)
        if asked and (asking is None or meant == "yes") and (said := self._consented(turn_id, meant, asked, wanted)):
            return Answer(tuple(split(said)), text)
        if asking is None or not (said := self._follow(turn_id, asking)):
            return None
        return Answer(tuple(split(said)), NEUTRAL if forgets else text)

    def remember(self, turn: Turn) -> list[Fact]:
        """Keeps what a turn tells, where the person has agreed, and gives it. A disk that refuses is one line in the
        log."""
        try:
            return self.memory.remember(turn) if self.memory else []
        except Problem as problem:
            if not self._failed:
                log.warning("%s", problem)
            self._failed = True
            return []

    def agree(self, yes: bool) -> None:
        """The person agrees to be remembered, or does so no longer. Raises Problem as ``Memory`` does, and where there
        is none."""
        if self.memory is None:
            raise Problem("parameter dialogue.memory", "", "is empty, so nothing can be remembered; give it a folder")
        self.memory.agree() if yes else self.memory.stop()

    def forget_last(self) -> list[Fact]:
        """Erases what was told last, and gives what of it had been kept. Raises Problem as ``Memory`` does."""
        last, erased = self._last_turn(), self.memory.forget_last() if self.memory else []
        self._drop(erased)
        self._let_go(lambda turn: turn is last)
        return erased

    def forget_number(self, number: int) -> list[Fact]:
        """Erases one fact, and gives it. Raises Problem as ``Memory`` does."""
        erased = self.memory.forget_number(number) if self.memory else []
        self._drop(erased)
        return erased

    def forget_all(self) -> None:
        """Erases everything, this conversation too. Raises Problem as ``Memory`` does."""
        self.conversation.forget(lambda turn: True)
        self.dropped = [""]
        if self.memory:
            self.memory.forget_all()

    def _drop(self, erased: list[Fact]) -> None:
        """Out of this conversation too."""
        sources = [fact.source.lower() for fact in erased]
        self._let_go(lambda turn: any(source in turn.user.lower() for source in sources))

    def _let_go(self, hit: Callable[[Turn], bool]) -> bool:
        """Whether any turn of this conversation went."""
        gone = [turn.id for turn in self.conversation.forget(hit)]
        self.dropped += gone
        return bool(gone)

    def _consented(self, turn_id: str, meant: str, asked: str, wanted: Turn | None) -> str:
        """The answer to "shall I?"; only a yes to a question that was heard to its end counts."""
        last = self._last_turn()
        if last is None or last.id != asked:
            return ""
        if meant == "unclear" or (meant == "yes" and last.interrupted):
            self._asked, self._wanted = turn_id, wanted
            return self._say["ask_again"]
        if meant == "no":
            return self._say["refused"]
        if meant != "yes":
            return ""
        try:
            self.memory.agree()
            kept = self.memory.remember(wanted, whole=True) if wanted else []
        except Problem as problem:
            return self._refused_by_disk(problem)
        return self._say["agreed_and_kept" if kept else "agreed"]

    def _follow(self, turn_id: str, asking: Command) -> str:
        """Does it, and gives what is said; "" where it turns out to be no matter of the memory."""
        try:
            return getattr(self, f"_{asking.kind}")(turn_id, asking)
        except Problem as problem:
            return self._refused_by_disk(problem)

    def _refused_by_disk(self, problem: Problem) -> str:
        log.warning("%s", problem)
        return self._say["unreachable" if self.state == "unreachable" else "failed"]

    def _remember(self, turn_id: str, asking: Command) -> str:
        last, text = self._last_turn(), asking.about or asking.rest
        if asking.kind == "remember_this" and not text and last:
            if last.id in self._barred:
                return self._say["never_kept"]
            text = last.user
        wanted = Turn(turn_id, text) if text and not command(text) else None
        if self.state in ("none", "unreachable"):
            return self._say[self.state]
        if self.state != "on":
            self._asked, self._wanted = turn_id, wanted
            return self._say["ask"]
        if asking.kind != "remember":
            return self._say["kept" if wanted and self.memory.remember(wanted, whole=True) else "nothing_to_keep"]
        return self._say["already"]

    _remember_this = _remember_that = _remember

    def _stop(self, turn_id: str, asking: Command) -> str:
        if self.state in ("none", "unreachable"):
            return self._say[self.state]
        kept = self.memory.facts()
        self.memory.stop()
        return self._say["stopped" if kept else "stopped_empty"]

    def _tell(self, turn_id: str, asking: Command) -> str:
        self._listed = 0
        return self._tell_more(turn_id, asking)

    def _tell_more(self, turn_id: str, asking: Command) -> str:
        words = self._say["list"]
        if self.state in ("none", "off"):
            return words[self.state]
        if self.state == "unreachable":
            return self._say["unreachable"]
        facts = self.memory.facts()[::-1]
        if not facts:
            return words["empty"]
        if self._listed >= len(facts):
            return words["no_more"]
        number = words["one"] if len(facts) == 1 else words["many"].format(facts=len(facts))
        opening = [] if self._listed else [words["unused"]] if self.state == "stopped" else [number]
        now = facts[self._listed:self._listed + TOLD_AT_ONCE]
        self._listed += len(now)
        more = [words["more"]] if self._listed < len(facts) else []
        return " ".join([*opening, *map(self._told, now), *more])

    def _tell_about(self, turn_id: str, asking: Command) -> str:
        found = [fact for fact in self.memory.facts() if speaks_of(fact.source, asking.about)] if self.memory else []
        return " ".join(map(self._told, found[::-1][:TOLD_AT_ONCE]))

    def _told(self, fact: Fact) -> str:
        quoted = re.search(r"\byou", fact.source, re.I)
        words = (fact.source if quoted else second_person(fact.source)).rstrip(" .!?") + "."
        words = re.sub(r"[.!?]+(?= )", ",", words)
        return self._say["list"]["quoted" if quoted else "told"].format(
            when=day(fact.told), fact=re.sub("^You", "you", words))

    def _forget_last(self, turn_id: str, asking: Command) -> str:
        if asking.rest:
            return self._say["erased"]["talk"]      # it is about what was said with it, which is not kept yet
        if self.state == "unreachable":
            return self._say["unreachable"]
        said = self._last_turn()
        erased = self.forget_last()
        if erased and erased[0].told >= self._began:
            return self._say["erased"]["last"]
        if erased:
            when = day(erased[0].told)
            return self._say["erased"]["older"].format(when=when[0].lower() + when[1:])
        return self._say["erased"]["talk" if said else "nothing"]

    def _forget_about(self, turn_id: str, asking: Command) -> str:
        if self.state == "unreachable":
            return self._say["unreachable"]
        erased = self.memory.forget(asking.about) if self.memory else []
        self._drop(erased)
        said = self._let_go(lambda turn: speaks_of(turn.user, asking.about))
        return self._say["erased"]["about" if erased else "talk" if said else "about_nothing"]

    def _forget_all(self, turn_id: str, asking: Command) -> str:
        kept = self.state in ("on", "stopped", "unreachable")
        self.forget_all()
        return self._say["erased"]["all" if kept else "all_none"]

    def _last_turn(self) -> Turn | None:
        return next((turn for turn in reversed(self.conversation.turns) if turn.user), None)


def day(stamp: float, today: date | None = None) -> str:
    """A stamp (s of the system clock) as it is said: "Today", "On Monday", "On the 3rd of March"."""
    told, today = datetime.fromtimestamp(stamp).date(), today or date.today()
    days = (today - told).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    if 1 < days < 7:
        return f"On {told:%A}"
    ending = "th" if 10 < told.day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(told.day % 10, "th")
    return f"On the {told.day}{ending} of {told:%B}" + (f" {told.year}" if told.year != today.year else "")
