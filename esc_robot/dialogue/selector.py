"""The chooser: of all that could be said in answer to a turn, the one reply that is said, with its strategy.

What a turn asks of the robot is answered first, and a situation that is known gets the words made for it
(dialogue/moves.py). What else it tells is said back, or asked about (dialogue/reflection.py); where neither can be
done, a fetched reply or one for the act of the turn is taken. A last check, an encoder that was trained to tell a reply
that follows from one that misses, contradicts or invents, reads them where a threshold is set: the first above it is
said, and when there is none, a short safe reply.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import yaml

from esc_robot.assets import config
from esc_robot.care.crisis import crisis_numbers
from esc_robot.dialogue.acts import ASKING, act_replies, asks
from esc_robot.dialogue.candidates import ActReplies, Candidate, Fetcher, Reader, Reading
from esc_robot.dialogue.clauses import clauses
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.encoder import Check
from esc_robot.dialogue.models import find
from esc_robot.dialogue.moves import Move, clock, fact_about, filled, moves, situations
from esc_robot.dialogue.reflection import asked, pronouns, said_back, telling_clauses, told, unread

REPLIES = ("auto", "chosen", "written")
NEAR = 0.78         # a fetched reply must lie at least this near
SURE = 0.55         # chance from which a turn is answered by its act,
SURE_TOLD = 0.75    # and where it tells of something: of the confident ones 0.84 and 0.92 are right
SURE_HEARD = 0.9    # to say "I did not understand" to what was understood is worse than to go on
CHECKED = 12        # candidates a turn that the last check reads
SOURCES = ("move", "situation", "act", "fetched", "reflection")
#: Acts that tell of something: a clause of theirs can be said back. The others want an answer of their kind.
TELLING = ("small_talk", "sadness", "missing", "grief", "loneliness", "breakup", "betrayal", "fear_ahead", "panic",
           "anger", "conflict", "hurt_by_others", "guilt", "failure", "exhaustion", "sleep", "money_work_home",
           "own_illness", "others_illness", "addiction", "self_worth", "hopelessness", "numbness", "jealousy",
           "decision", "event", "follow_up", "good_news")
#: Acts that need their words: what the encoder alone takes for one of them is most often something that is told.
WORDED = ("greets", "goodbye", "thanks", "agrees", "disagrees", "corrects_robot", "doubts_robot", "asks_repeat",
          "wants_company", "refuses", "robot_memory", "robot_privacy")
#: Acts that the encoder takes for what is only told in odd words: what holds a clause of some length is told.
UNTOLD = ("unintelligible", "silent_or_unsure")
#: Acts whose own replies follow when those of the move have been said.
MANY = ("silent_or_unsure", "goodbye", "thanks", "greets", "refuses", "wants_company")
_NO_QUESTIONS = re.compile(
    r"\b(?:no|not any|stop|enough|too many|so many|you (?:always|keep)|do(?: not|n'?t) want|(?:can|could) you not) "
    r"(?:\w+ ){0,4}(?:ask\w*|questions?)\b|"
    r"(?:^|[.,;!?] ?|\b(?:please|so|but|just|and) )(?:do not|don'?t) (?:\w+ ){0,2}ask\b", re.I)
_TIRED_OF = re.compile(r"\b(?:stop|quit|don'?t|you (?:keep|always|only|just)) say(?:ing)? \W*([\w', ]*\w)", re.I)
_OF_THE_ROBOT = re.compile(r"\b(?:you\w*|u|robots?|machine|this|record\w*|secret)\b", re.I)


_HARM = re.compile(r"(?<!never )(?<!not )(?<!n't )\b(?:hits?|hurt\w*|beat\w*|slap\w*|kick\w*|punch\w*|threat\w*|"
                   r"forc\w+|touch\w*|violen\w+|abus\w+|raped?|assault\w*|strangl\w+|chok\w+|grab\w*|"
                   r"(?:scared|afraid) of (?:him|her|them)|lock\w*|control\w*)\b", re.I)


@dataclass(frozen=True)
class Choice:
    """What is said, and why: the act of the turn, where the reply comes from (one of ``SOURCES``, ``robot`` for what is
    true of the robot, ``safe`` below the threshold), its score, and every candidate that was checked or prepared."""

    reply: str
    strategy: str
    act: str
    source: str
    score: float
    candidates: tuple[Candidate, ...] = ()


class Chooser:
    """Chooses replies. ``sources``: which of ``SOURCES`` are asked; ``threshold``: lowest score of the last check,
    0 to 1, 0 without a check; ``country``: whose emergency number is said where somebody is in danger.

    Raises Problem where an encoder or the index cannot be read. Without state: the conversation is passed in.
    """

    def __init__(self, sources: tuple[str, ...] = SOURCES, threshold: float = 0.0, country: str = "default",
                 threads: int = 1):
        self.sources, self.threshold = sources, threshold
        self._reader = Reader(threads)
        self._acts = ActReplies(self._reader.encoder)
        self._check = Check(self._reader.encoder, threads) if threshold else None
        self._fetcher = Fetcher(self._reader.encoder) if "fetched" in sources else None
        self._fixed = yaml.safe_load(config("care/robot.yaml").read_text())
        self._numbers = crisis_numbers(country)
        # rules and tagger are loaded at their first use: now, and not on the user's time
        self.choose([], "The keys are in the blue bowl."), told("I lost my keys.", [])

    def choose(self, turns: list[Turn], text: str, memory: str = "none") -> Choice:
        """The reply to ``text``, said after ``turns`` (oldest first, the present turn not among them). ``memory``: how
        the robot's memory of the person is (``MemoryTalk.state``), so that what it says of that is true. A phrase of
        the robot that the user is tired of ("stop saying I am here") is left out."""
        said = [turn.reply for turn in turns if turn.reply]
        choice = self._chosen(turns, text, said, memory)
        tired = [match[1].lower() for words in (*(turn.user for turn in turns), text)
                 for match in _TIRED_OF.finditer(words) if match[1].lower() in " ".join(said).lower()]

        def without(reply: str) -> str:
            return " ".join(one for one in _sentences(reply) if not any(words in one.lower() for words in tired))
        if without(choice.reply) == choice.reply:
            return choice
        instead = [(choice.reply, choice.strategy), *((one["text"], one["strategy"]) for one in self._fixed["below"])]
        words, strategy = next(((words, strategy) for reply, strategy in instead if (words := without(reply))),
                               (choice.reply, choice.strategy))
        return replace(choice, reply=words, strategy=strategy)

    def _chosen(self, turns: list[Turn], text: str, said: list[str], memory: str) -> Choice:
        if "move" in self.sources and (moved := self._moved(turns, text, said, memory)):
            return moved
        if "situation" in self.sources and (known := self._known(turns, text, said)):
            return known
        reading = self._reader.read(text)
        act, chance = _act(text, reading)
        candidates = self._checked(turns, text, self._ranked(turns, text, reading, act, chance, said)[:CHECKED])
        best = next((candidate for candidate in candidates if candidate.score >= self.threshold), None)
        if best is None:
            return replace(self._from("safe", self._fixed["below"], act, said), candidates=tuple(candidates))
        reply = best.reply
        if act == "abuse" and chance >= SURE and not any(self._danger in other for other in said):
            reply = f"{reply} {self._danger}"
        return Choice(reply, best.strategy, act, best.source, best.score, tuple(candidates))

    @property
    def _danger(self) -> str:
        return self._fixed["danger"].format(**self._numbers)

    def _ranked(self, turns: list[Turn], text: str, reading: Reading, act: str, chance: float, said: list[str]
                ) -> list[Candidate]:
        """Candidates in the order in which they are taken: a fetched reply only from very near, then the turn's own
        words with a closing for its act, then the act's replies."""
        sure = chance >= (SURE_HEARD if act == "unintelligible" else SURE_TOLD if act in TELLING else SURE)
        asking = _asking(turns, text)
        own = self._acts.of(act if sure or act in ASKING else "follow_up" if turns else "event", reading.vector)
        found = []
        heard = act in UNTOLD and len(text.split()) > 4 and clauses(text)
        if "reflection" in self.sources and (act in TELLING or not sure or heard):
            found += [Candidate(reply, strategy, "reflection", 0.0) for strategy, reply in
                      told(text, _pairs(turns), asking and not _asked_thrice(said), act == "good_news" and sure)]
        if self._fetcher and (self._check or not found):
            found += [candidate for candidate in self._fetcher.fetch(reading.vector)
                      if candidate.near >= NEAR or self.sources == ("fetched",)]
        if "reflection" in self.sources:
            found += [Candidate(reply, strategy, "reflection", 0.0) for strategy, reply in unread(" ".join(said))
                      if not sure and not asks(text)]
        if "act" in self.sources:
            found += own
        sentences = {sentence for reply in said for sentence in _sentences(reply)}
        fresh = [one for one in found if not sentences & set(_sentences(one.reply))]
        return [one for one in fresh or found if asking or "?" not in one.reply] or found

    def _moved(self, turns: list[Turn], text: str, said: list[str], memory: str) -> Choice | None:
        """The answer to what the words of a turn ask for; None where they ask for nothing that is known."""
        for move in moves(text, len(turns), said[-1] if said else ""):
            replies = move.replies
            if isinstance(replies, str):
                replies = self._fixed[replies][memory]
            asking = _asking(turns, text)
            fitting = filled(move, replies, self._slots(turns, said, memory, move, asking))
            if not asking:
                fitting = [reply | {"text": rest} for reply in fitting if (rest := _without_questions(reply["text"]))]
            if fitting and move.act in MANY:
                fitting += [{"text": reply.text, "strategy": reply.strategy} for reply in act_replies()[move.act]]
            if fitting:
                return self._from("robot" if move.replies is not replies else "move", fitting, move.act, said)
        return None

    def _known(self, turns: list[Turn], text: str, said: list[str]) -> Choice | None:
        """A reply made for the situation that a turn tells of, of which nothing was said or asked before."""
        asking = _asking(turns, text) and not _asked_thrice(said)
        before = " ".join(said)
        for situation in situations(text, len(turns)):
            who = pronouns(situation.groups.get("who", ""))
            slots = {name: lambda word=word: word for name, word in who.items()}
            fresh = [Candidate(words, reply["strategy"], "situation", 0.0, 1.0)
                     for reply in filled(situation, situation.replies, slots)
                     if (words := reply["text"] if asking else _without_questions(reply["text"]))
                     and not any(asked(sentence, before) for sentence in _sentences(words))]
            if fresh:
                return Choice(fresh[0].reply, fresh[0].strategy, situation.act, "situation", 1.0, tuple(fresh))
        return None

    def _slots(self, turns: list[Turn], said: list[str], memory: str, move: Move, asking: bool) -> dict:
        def telling() -> str | None:
            if known := self._known(turns, move.rest, said):
                return known.reply
            enough = any(len(clause.said.split()) > 4 for clause in telling_clauses(move.rest))
            return next((reply for _, reply in told(move.rest, _pairs(turns), asking)), None) if enough else None

        def tellings() -> Iterator[Turn]:
            """Earlier turns, the last first; what was asked of the robot is nothing that was told. Only as far as they
            are wanted: each is read with every rule."""
            return (turn for turn in reversed(turns) if not moves(turn.user, 1))

        def earlier() -> str | None:
            return next((reply for turn in tellings() for _, reply in told(turn.user, _pairs(turns))
                         if reply.endswith("?") and len(reply.split()) > 7), None) if asking else None
        return {"telling": telling, "next": lambda: telling() or earlier(),
                "told": lambda: next(filter(None, (said_back(words) for words in itertools.chain(
                    [move.rest], (turn.user for turn in tellings())))), None),
                "heard": lambda: turns[-1].user.rstrip(" .") if turns and len(turns[-1].user.split()) < 16 else None,
                "last": lambda: re.sub(r"^(?:I said|Once more): ", "", said[-1]) if said else None,
                "fact": lambda: fact_about(move.groups["topic"]),
                "forgot": lambda: self._fixed["other_days"]["on" if memory == "on" else "none"],
                **{name: lambda words=words: words for name, words in clock().items()}}

    def _checked(self, turns: list[Turn], text: str, candidates: list[Candidate]) -> list[Candidate]:
        if not self._check or not candidates:
            return candidates
        before = [line for pair in _pairs(turns) for line in pair]
        logits = self._check(text, before, [candidate.reply for candidate in candidates])
        return [replace(candidate, score=float(1 / (1 + np.exp(-logit))))
                for candidate, logit in zip(candidates, logits, strict=True)]

    def _from(self, source: str, replies: list[dict], act: str, said: list[str]) -> Choice:
        """The first of the replies that was not said yet; when all were, the one said longest ago."""
        reply = min(replies, key=lambda reply: _last_said(reply["text"], said))
        every = tuple(Candidate(one["text"], one["strategy"], source, 0.0, 1.0) for one in replies)
        return Choice(reply["text"], reply["strategy"], act, source, 1.0, every)


def chooser_for(replies: str, model: str, server_url: str = "", country: str = "default") -> Chooser | None:
    """The chooser for one of ``REPLIES``, None where the model writes: ``auto`` is what models.yaml says of the model,
    and ``written`` on a server, whose models are large. Raises Problem as Chooser does."""
    if replies == "auto":
        replies = "written" if server_url else find(model).replies
    return Chooser(country=country) if replies == "chosen" else None


def _act(text: str, reading: Reading) -> tuple[str, float]:
    """The likeliest act with its chance; of a question nobody is sure about, the likeliest that answers one."""
    acts = [(act, chance) for act, chance in reading.acts
            if act not in WORDED and (act != "abuse" or _HARM.search(text))
            and (_OF_THE_ROBOT.search(text) or not act.startswith("robot_"))]
    if asks(text) and acts[0][1] < SURE_TOLD:
        # A question about oneself wants no facts.
        facts = not re.search(r"\b(?:i|my|me|we)\b", text, re.I)
        return next((act, chance) for act, chance in acts if act in ASKING and (facts or act != "asks_fact"))
    if not asks(text):
        return next((act, chance) for act, chance in acts if act not in ASKING)
    return acts[0]


def _asking(turns: list[Turn], text: str) -> bool:
    return not any(_NO_QUESTIONS.search(words) for words in (text, *(turn.user for turn in turns)))


def _pairs(turns: list[Turn]) -> list[tuple[str, str]]:
    return [(turn.user, turn.reply) for turn in turns]


def _without_questions(reply: str) -> str:
    return " ".join(sentence for sentence in _sentences(reply) if not sentence.endswith("?"))


def _last_said(text: str, said: list[str]) -> int:
    return next(itertools.chain((at for at in range(len(said), 0, -1) if said[at - 1] == text), (0,)))


def _asked_thrice(said: list[str]) -> bool:
    return len(said) > 2 and all(reply.endswith("?") for reply in said[-3:])


def _sentences(reply: str) -> list[str]:
    return re.split(r"(?<=[.?!]) ", reply)
