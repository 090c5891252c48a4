"""The mind: from what was heard to what is said, a sentence at a time."""

import logging
import re
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache

from esc_robot.care.crisis import CrisisProtocol
from esc_robot.care.limits import SafeSentences, overstepped
from esc_robot.dialogue.conversation import Conversation, Turn
from esc_robot.dialogue.memory import Memory
from esc_robot.dialogue.memory_talk import MemoryTalk
from esc_robot.dialogue.prompt import SYSTEM_PROMPT, with_prompt
from esc_robot.dialogue.reflection import is_company
from esc_robot.dialogue.selector import Choice, Chooser
from esc_robot.dialogue.sentences import SentenceSplitter, split
from esc_robot.dialogue.strategy import is_sympathy, strategy_of, told_strategy
from esc_robot.dialogue.summary import due, write
from esc_robot.dialogue.views import VIEWS, knowledge, summary
from esc_robot.errors import Problem

LONG_UTTERANCE = 400  # words; more than three minutes of speech
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sentence:
    """One sentence to be spoken. ``source``: ``model``, ``care`` for fixed words, or where a chosen reply is from."""

    text: str
    strategy: str
    source: str


@dataclass
class TurnStats:
    """What a turn cost. ``started`` is system time; the other seconds count from there, 0 when it did not happen."""

    turn: str
    started: float
    level: str = ""
    prompt_tokens: int = 0
    computed_tokens: int = 0
    tokens: int = 0
    first_token_seconds: float = 0.0
    first_sentence_seconds: float = 0.0
    seconds: float = 0.0
    dropped: int = 0
    ahead_tokens: int = 0   # computed after the turn, by `between_turns`
    choice: Choice | None = None
    kept: tuple[str, ...] = ()      # sentences of the turn that the memory keeps


class Mind:
    """One conversation: ``engine`` writes, ``view`` of dialogue/views.py shows it the history, ``care`` is asked first.

    ``chooser``: what chooses the replies instead; the engine is kept for what else is to be written.
    ``memory``: what is known of the person from other days, None: nothing; asked about through ``memory_talk``.
    ``budget``: tokens of history the model sees, None for all; never more than half of the model's context.
    ``respond`` may be called from one thread while another calls ``cancel``, ``wake`` and ``heard_aloud``; a second
    ``respond`` waits until the first has ended or is closed.
    """

    def __init__(self, engine, view: Callable, care: CrisisProtocol, prompt: str = SYSTEM_PROMPT,
                 budget: int | None = 512, max_sentences: int = 3, seed: int | None = None,
                 chooser: Chooser | None = None, memory: Memory | None = None):
        self.engine, self.view, self.care, self.chooser = engine, view, care, chooser
        self.prompt, self.budget, self.max_sentences, self.seed = prompt, budget, max_sentences, seed
        self.conversation = Conversation()
        self.memory_talk = MemoryTalk(memory, self.conversation)
        self.stats: TurnStats | None = None
        self._safe = SafeSentences()
        self._busy = threading.Lock()
        self._turn_id = ""
        self._cancel = threading.Event()
        self._awake = threading.Event()
        self._count_tokens = lru_cache(4096)(engine.count_tokens)

    def respond(self, turn_id: str, text: str) -> Iterator[Sentence]:
        """The reply to an utterance, each sentence as soon as it is complete; never empty unless cancelled."""
        self.wake()
        with self._busy:
            self._awake.clear()
            self._turn_id, self._cancel = turn_id, threading.Event()
            self.stats = stats = TurnStats(turn_id, time.time())
            start = time.perf_counter()
            text = readable(text)
            care_reply, unheard = self.care.check(text), _unheard(text)
            if unheard == "silent":     # the chooser keeps silence company; the model would fill it
                unheard = None if self.chooser else "empty"
            stats.level = care_reply.level if care_reply else ""
            answer = None if unheard else self.memory_talk.answer(turn_id, text, stats.level)
            turn = self.conversation.add(turn_id, " ".join((answer.user if answer else text).split()[:LONG_UTTERANCE]))
            tells = not (care_reply or answer or unheard)
            if care_reply or answer:
                fixed = (*(answer.sentences if answer else ()), *(care_reply.sentences if care_reply else ()))
                sentences = (Sentence(sentence, "Others", "care") for sentence in fixed)
            elif unheard:
                sentences = iter([self._fixed(unheard)])
            elif self.chooser:
                sentences = self._chosen(turn, text, stats)
            else:
                sentences = self._written(turn, stats)
            try:
                for sentence in sentences:
                    if self._cancel.is_set():
                        break
                    stats.first_sentence_seconds = stats.first_sentence_seconds or time.perf_counter() - start
                    turn.strategy = turn.strategy or sentence.strategy
                    turn.sentences.append(sentence.text)
                    yield sentence
            finally:
                sentences.close() if hasattr(sentences, "close") else None
                if tells:
                    stats.kept = tuple(fact.source for fact in self.memory_talk.remember(turn))
                stats.seconds = time.perf_counter() - start

    def cancel(self, turn_id: str = "") -> None:
        """No further sentence of this turn, or of any, is written; the model stops within one token."""
        if turn_id in ("", self._turn_id):
            self._cancel.set()

    def between_turns(self) -> None:
        """What can be done before the user speaks again: the summary is written on, where the view shows one, and the
        prompt is computed up to where the next utterance begins. Ended by ``wake`` and by the next ``respond``."""
        with self._busy:
            if self._awake.is_set():
                return
            turns, computed = self.conversation.turns, 0
            try:
                if self.view is summary and due(turns):
                    write(self.engine, turns, self.seed, self._awake)
                    computed += self.engine.last.computed_tokens + self.engine.last.new_tokens
                ahead = self._messages([*turns, Turn("", "I")])
                with closing(self.engine.generate(ahead, seed=self.seed, cancel=self._awake)) as pieces:
                    next(pieces, None)
                computed += self.engine.last.computed_tokens
            except Problem as problem:
                log.warning("between turns: %s", problem)
            if self.stats:
                self.stats.ahead_tokens = computed

    def wake(self) -> None:
        """The user has said something: work between turns ends within a token, and none begins before the reply."""
        self._awake.set()

    def heard_aloud(self, turn_id: str, sentences: int) -> None:
        """Only the first ``sentences`` of the turn's reply were sounded: the rest is forgotten, as if never said."""
        self.conversation.heard_aloud(turn_id, sentences)

    @contextmanager
    def silent(self) -> Iterator[MemoryTalk]:
        """For another thread that changes the memory: what is being said is broken off, and nothing begins meanwhile.
        """
        self.wake()
        self.cancel()
        with self._busy:
            yield self.memory_talk

    def _messages(self, turns: list[Turn]) -> list[dict]:
        room = self.engine.context_length // 2
        budget = room if self.budget is None else min(self.budget, room)
        known = knowledge([fact.triples for fact in self.memory_talk.known()], budget, self._count_tokens)
        budget -= self._count_tokens(known) if known else 0
        prompt = f"{self.prompt}\n\n{known}" if known else self.prompt
        return with_prompt(self.view(turns, budget, self._count_tokens), prompt)

    def _chosen(self, turn: Turn, text: str, stats: TurnStats) -> Iterator[Sentence]:
        """What the chooser says. Where it can only say the user's words back and keep company, the model writes what
        follows them while they are spoken, and is heard where that is a word of sympathy."""
        stats.choice = choice = self.chooser.choose(self.conversation.turns[:-1], text, self.memory_talk.state)
        said = split(choice.reply)
        told = next((at for at in range(1, len(said)) if is_company(" ".join(said[at:]))), len(said))
        for sentence in said[:told]:
            yield Sentence(sentence, choice.strategy, choice.source)
        if told < len(said) and (own := self._sympathy(turn, text, stats)):
            yield Sentence(own, choice.strategy, "model")
            return
        for sentence in said[told:]:
            yield Sentence(sentence, choice.strategy, choice.source)

    def _sympathy(self, turn: Turn, text: str, stats: TurnStats) -> str:
        """The model's next sentence after the ones that are said, "" where it is no fresh word of sympathy."""
        messages = self._messages([*self.conversation.turns[:-1], Turn(turn.id, turn.user)])
        try:
            with closing(self._sentences(messages, turn, stats, turn.reply)) as written:
                sentence = next(written, "")
        except Problem as problem:
            log.warning("turn %s: %s", turn.id, problem)
            return ""
        fresh = not any(sentence in earlier.sentences for earlier in self.conversation.turns)
        return sentence if fresh and is_sympathy(sentence, text) else ""

    def _written(self, turn: Turn, stats: TurnStats) -> Iterator[Sentence]:
        said = 0
        try:
            for text in self._sentences(self._messages(self.conversation.turns), turn, stats):
                limit = overstepped(text)
                if limit:
                    stats.dropped += 1
                    log.info("turn %s: a sentence of the model claimed %s and was dropped", turn.id, limit)
                elif text not in turn.sentences:
                    said += 1
                    yield Sentence(text, turn.told or strategy_of(text), "model")
        except Problem as problem:
            log.warning("turn %s: %s", turn.id, problem)
            yield self._fixed("broken")
            return
        if not said and not self._cancel.is_set():
            yield self._fixed("instead")

    def _sentences(self, messages: list[dict], turn: Turn, stats: TurnStats, begun: str = "") -> Iterator[str]:
        splitter = SentenceSplitter(self.max_sentences)
        asked = time.time() - stats.started
        with closing(self.engine.generate(messages, seed=self.seed, cancel=self._cancel, begun=begun)) as pieces:
            turn.told, words = told_strategy(pieces)
            for piece in words:
                for sentence in splitter.push(piece):
                    self._account(stats, asked)
                    yield sentence
                if splitter.done:
                    break
        self._account(stats, asked)
        if not self._cancel.is_set():
            yield from splitter.finish(complete=self.engine.last.finished)

    def _account(self, stats: TurnStats, asked: float) -> None:
        """``asked``: seconds from the utterance to the engine's first step."""
        run = self.engine.last
        stats.prompt_tokens, stats.computed_tokens = run.prompt_tokens, run.computed_tokens
        stats.tokens = run.new_tokens
        stats.first_token_seconds = asked + run.first_token_seconds if run.new_tokens else 0.0

    def _fixed(self, kind: str) -> Sentence:
        text = self._safe.next(kind)
        return Sentence(text, strategy_of(text), "care")


def reasons(mind: Mind) -> dict[str, str]:
    """Why the last reply was what it was, and what it cost; holds the user's words, so it never goes into a log."""
    stats, found = mind.stats, {}
    if stats is None:
        return {"reply": "nothing was said yet"}
    if choice := stats.choice:
        found = {"reply": f"chosen, from {choice.source}, score {choice.score:.2f}, in {stats.seconds:.2f} s",
                 "act": choice.act, "strategy": choice.strategy}
        found |= {f"candidate {number}": f"{one.source}, near {one.near:.2f}, score {one.score:.2f}: {one.reply}"
                  for number, one in enumerate(choice.candidates, 1)}
    elif not stats.prompt_tokens:
        found["reply"] = f"fixed words, in {stats.seconds:.2f} s: the model was not asked"
    if mind.memory_talk.state == "on":
        found["remembered"] = " ".join(stats.kept) or "nothing of this turn"
    if stats.prompt_tokens:
        view = next(name for name, view in VIEWS.items() if view is mind.view)
        found["model"] = (
            f"view {view}, budget {mind.budget}: prompt {stats.prompt_tokens} tokens, "
            f"{stats.prompt_tokens - stats.computed_tokens} from the cache, {stats.computed_tokens} computed; "
            f"first token {stats.first_token_seconds:.2f} s, first sentence {stats.first_sentence_seconds:.2f} s, "
            f"{stats.tokens} tokens in {stats.seconds:.2f} s; {stats.dropped} sentences dropped; "
            f"{stats.ahead_tokens} tokens computed since")
    return found


def readable(text: str) -> str:
    """An utterance in composed Unicode on one line, without terminal codes, control, format and unassigned signs."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", unicodedata.normalize("NFC", text))
    text = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    return " ".join(text.split())


def _unheard(text: str) -> str | None:
    """Why the model is not asked about a readable utterance: ``empty``, ``silent`` ("..."), ``long`` or ``script``;
    None when it is."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    if not re.search(r"\w", text):
        return "silent" if text else "empty"
    if len(text.split()) > LONG_UTTERANCE or len(text) > 10 * LONG_UTTERANCE:
        return "long"
    return "script" if letters and latin < len(letters) / 2 else None
