"""Ears: 16 kHz sound in, turns of the user out, and who has the floor while the robot speaks."""

import time
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from esc_robot.listening.endpointing import (
    WINDOW_S,
    Ended,
    Endpointer,
    EndpointerEvent,
    EndpointerParameters,
    Paused,
    Resumed,
    Started,
)
from esc_robot.listening.recognizer import Recognizer, Transcript, Utterance
from esc_robot.listening.turn_taking import Patience, takes_the_floor
from esc_robot.listening.vad import RATE, WINDOW, SileroVad

# While the robot speaks, echo cancelling takes most of the user's voice too and leaves next to nothing of the robot's.
# So much probability in two windows is a hint; so is much less of it that is so much louder than all of the second
# before, and no faint sound. An "s", 0.2 s before the vowel in which a voice is heard, is a hiss.
HINT, FAINT_HINT = 0.3, 0.03
LOUDER_DB, FAINT_DB = 8.0, -50.0
LEVELS = 34
FULL_SCALE_DB = 90.3
HINT_S = 0.5            # after a hint that no speech followed the robot goes on
LONGEST_HINT_S = 1.5    # what hints for so long and is no speech is a noise
# After a hint that was none the robot is held for speech alone, each time for twice as long as the last.
WARY_S, MOST_WARY_S = 1.0, 16.0
BARGE_IN_S = 0.8        # of speech against the robot's: whoever says that much wants the floor
PARTIAL_S = 0.25        # between two looks at a streaming recogniser's words
CUT_OFF_S = 1.5         # who speaks again so soon had not finished


@dataclass(frozen=True)
class SpeechStarted:
    """The user began to speak; such a turn is ended, and then heard or found to be a backchannel."""

    turn: str


@dataclass(frozen=True)
class Partial:
    """The words of the turn so far; it may still go on."""

    turn: str
    text: str
    confidence: float


@dataclass(frozen=True)
class SpeechEnded:
    """The turn is over; `silence` seconds have passed since its last speech."""

    turn: str
    silence: float


@dataclass(frozen=True)
class Heard:
    """The words of a turn that is over; "" when there were none to understand."""

    turn: str
    text: str
    confidence: float


@dataclass(frozen=True)
class Backchannel:
    """A turn that is over and did not want the floor ("mhm"), or had no words, while the robot spoke and still does."""

    turn: str


@dataclass(frozen=True)
class Hold:
    """held: the robot must be silent at once, the user may be taking the floor; not held: it may go on."""

    held: bool


@dataclass(frozen=True)
class BargeIn:
    """The user has taken the floor: what the robot was saying is over."""

    turn: str


EarsEvent = SpeechStarted | Partial | SpeechEnded | Heard | Backchannel | Hold | BargeIn


class Ears:
    """Feeding never waits for words: a thread of its own recognizes them, and they come with a later feed or poll.

    Each pause is decoded at once, so that the words are there when the turn ends, and say how long to wait for more.
    decoding: seconds the last decoding took; real_time_factor: those over the seconds of sound they were for.
    """

    def __init__(self, recognizer: Recognizer, parameters: EndpointerParameters | None = None):
        self._recognizer = recognizer
        self._endpointer = Endpointer(parameters)
        self._patience = Patience(self._endpointer.parameters)
        self._vad = SileroVad()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recognizer")
        self._turn = ""
        self._utterance: Utterance | None = None
        self._fed = 0                                   # windows of it that the recogniser has
        self._looked = 0                                # windows of it at the last look at the words
        self._draft: Future[Transcript] | None = None   # the words so far, on their way
        self._words: Transcript | None = None           # the words so far
        self._ended: deque[tuple[str, bool, Future[Transcript]]] = deque()
        self._since_end = CUT_OFF_S                     # seconds
        self._silence_at_end = 0.0
        self._robot_speaks = False
        self._robots_floor = False                      # it speaks, and nobody has taken the floor from it
        self._aside = False                             # spoken while the robot speaks, and has not taken the floor
        self._held = False
        self._against = 0.0                             # seconds of speech the turn had when the robot was held
        self._held_for = self._since_hint = self._wary = 0.0    # seconds
        self._caution = WARY_S
        self._probability = 0.0                         # of speech, in the last window
        self._hiss = False
        self._levels = deque([0.0] * LEVELS, LEVELS)    # dB of full scale of the last windows
        self.decoding = self.real_time_factor = 0.0

    @property
    def busy(self) -> bool:
        """Whether words are on their way."""
        return bool(self._ended) or self._draft is not None

    def robot(self, speaks: bool) -> list[EarsEvent]:
        """Say that the robot begins or ends to speak."""
        begins, self._robot_speaks = speaks and not self._robot_speaks, speaks
        self._robots_floor = begins or speaks and self._robots_floor
        if not speaks:
            return self._release()
        if begins and self._endpointer.talking:         # it has begun to speak into the user's words
            self._aside = True
            return self._hold()
        return []

    def feed(self, pcm: np.ndarray, hiss: bool = False) -> list[EarsEvent]:
        """Any number of samples int16 [n] at 16 kHz in, what happened since the last call out. ``hiss``: one was heard
        in them that the robot did not make (``EchoCanceller.hiss``)."""
        self._hiss = hiss
        events = self.poll()
        for window in self._vad.feed(pcm):
            for event in self._endpointer.feed([window]):
                events += self._on(event)
            self._since_end += WINDOW_S
            self._follow()
            events += self._watch(*window)
            if self._held and self._endpointer.voiced - self._against >= BARGE_IN_S:
                events += self._barge_in(self._turn)
        return events + self.poll()

    def poll(self) -> list[EarsEvent]:
        """Words that are ready; for when no sound comes."""
        events: list[EarsEvent] = []
        while self._ended and self._ended[0][2].done():
            turn, aside, words = self._ended.popleft()
            events += self._on_final(turn, aside, words.result())
        if self._draft and self._draft.done():
            words, self._draft = self._draft.result(), None
            events += self._on_words(words)
        return events

    def close(self) -> None:
        """Give up what is not yet recognized and end the thread."""
        self._worker.shutdown(cancel_futures=True)

    def _on(self, event: EndpointerEvent) -> list[EarsEvent]:
        match event:
            case Started():
                return self._on_started()
            case Resumed():
                self._patience.bridged(event.silence)
                self._endpointer.silence = self._patience.needed(None)
                if self._aside and self._robots_floor:
                    return self._hold()
            case Paused():
                self._endpointer.silence = self._patience.needed(None)
                self._feed(event.pcm)
                self._decode(self._utterance.partial)
            case Ended():
                return self._on_ended(event)
        return []

    def _on_started(self) -> list[EarsEvent]:
        self._turn, self._utterance = uuid.uuid4().hex[:12], self._recognizer.utterance()
        self._fed = self._looked = 0
        self._words = None
        self._aside = self._robots_floor
        self._caution = WARY_S
        if self._since_end < CUT_OFF_S and not self._robot_speaks:
            self._patience.bridged(self._silence_at_end + self._since_end)
        self._endpointer.silence = self._patience.needed(None)
        started = [SpeechStarted(self._turn)]
        return started + self._hold() if self._aside else started

    def _on_ended(self, event: Ended) -> list[EarsEvent]:
        self._feed(event.pcm)
        words = self._submit(self._timed, self._utterance.final, len(event.pcm) / RATE)
        self._ended.append((self._turn, self._aside, words))
        self._utterance = self._draft = None
        self._aside = False
        self._patience.ended()
        self._since_end, self._silence_at_end = 0.0, event.silence
        return [SpeechEnded(self._turn, event.silence)]

    def _on_words(self, words: Transcript) -> list[EarsEvent]:
        """Words of an open turn: they set how long its end is waited for."""
        told = self._words is not None and self._words.text == words.text
        self._words = words
        self._endpointer.silence = self._patience.needed(words.text)
        events: list[EarsEvent] = []
        if words.text and not told:
            events.append(Partial(self._turn, words.text, words.confidence))
        if self._held and not self._endpointer.talking and self._endpointer.quiet >= self._recognizer.lag:
            events += self._barge_in(self._turn) if takes_the_floor(words.text) else self._release()
        return events

    def _on_final(self, turn: str, aside: bool, words: Transcript) -> list[EarsEvent]:
        if aside and self._robots_floor:
            if not takes_the_floor(words.text):
                return [*self._release(), Backchannel(turn)]
            return [*self._barge_in(turn), Heard(turn, words.text, words.confidence)]
        return [Heard(turn, words.text, words.confidence)]

    def _watch(self, pcm: np.ndarray, probability: float) -> list[EarsEvent]:
        """Hold the robot at the first hint of speech, and let it go on where none followed."""
        hint = self._hints(pcm, probability)
        self._since_hint = 0.0 if hint else self._since_hint + WINDOW_S
        if not self._held:
            self._wary = max(self._wary - WINDOW_S, 0.0)
            return self._hold() if hint and self._robots_floor and not self._wary else []
        self._held_for += WINDOW_S
        if self._utterance or self._ended or self._since_hint < HINT_S and self._held_for < LONGEST_HINT_S:
            return []
        self._wary, self._caution = self._caution, min(2 * self._caution, MOST_WARY_S)
        return self._release()

    def _hints(self, pcm: np.ndarray, probability: float) -> bool:
        """Whether this window and the last hint at speech."""
        likely, self._probability = self._probability + probability, probability
        self._levels.append(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1) - FULL_SCALE_DB)
        *before, last, this = self._levels
        louder = min(last, this) >= max(max(before) + LOUDER_DB, FAINT_DB)
        return self._hiss or likely >= HINT or likely >= FAINT_HINT and louder

    def _follow(self) -> None:
        """Give the recogniser what it has not heard: all of it when it streams, else nothing after a pause."""
        if self._utterance is None:
            return
        windows = self._endpointer.windows
        if self._fed < len(windows) and (self._endpointer.talking or self._recognizer.streaming):
            self._feed(np.concatenate(windows[self._fed:]), self._fed)
        if self._recognizer.streaming and (len(windows) - self._looked) * WINDOW_S >= PARTIAL_S and not self._draft:
            self._looked = len(windows)
            self._decode(self._utterance.partial)

    def _feed(self, pcm: np.ndarray, first: int = 0) -> None:
        """pcm: the utterance from window `first` on; the recogniser gets what is new to it."""
        new = pcm[(self._fed - first) * WINDOW:]
        if len(new):
            self._submit(self._utterance.feed, new)
            self._fed += len(new) // WINDOW

    def _decode(self, words) -> None:
        if self._draft:
            self._draft.cancel()        # nobody needs the words of less than this, unless they are nearly there
        self._draft = self._submit(self._timed, words, len(self._endpointer.windows) * WINDOW_S)

    def _timed(self, words, seconds: float) -> Transcript:
        began = time.perf_counter()
        found = words()
        self.decoding = time.perf_counter() - began
        self.real_time_factor = self.decoding / seconds
        return found

    def _submit(self, work, *arguments) -> Future:
        return self._worker.submit(work, *arguments)

    def _hold(self) -> list[EarsEvent]:
        held, self._held, self._held_for, self._against = self._held, True, 0.0, self._endpointer.voiced
        return [] if held else [Hold(True)]

    def _release(self) -> list[EarsEvent]:
        held, self._held = self._held, False
        return [Hold(False)] if held else []

    def _barge_in(self, turn: str) -> list[EarsEvent]:
        self._held = self._aside = self._robots_floor = False
        return [BargeIn(turn)]
