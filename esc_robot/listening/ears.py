"""Ears: 16 kHz sound in, turns of the user out."""

import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from esc_robot.listening.endpointing import Ended, Endpointer, Paused, Started
from esc_robot.listening.recognizer import Transcript, WhisperRecognizer
from esc_robot.listening.vad import SileroVad


@dataclass(frozen=True)
class SpeechStarted:
    """The user began to speak; every such turn is ended and then heard, in this order."""

    turn: str


@dataclass(frozen=True)
class Partial:
    """All words of the turn up to its last pause; it may still go on."""

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


EarsEvent = SpeechStarted | Partial | SpeechEnded | Heard


@dataclass
class _Draft:
    """Words of a turn up to a pause, on their way."""

    samples: int
    words: Future[Transcript]
    told: bool = False


class Ears:
    """Feeding never waits for words: a thread of its own recognizes them, and they come with a later feed or poll.

    Each pause is decoded at once, so that the words are there when the turn ends; until then they are a Partial.
    """

    def __init__(self, recognizer: WhisperRecognizer, endpointer: Endpointer | None = None):
        self._recognizer = recognizer
        self._endpointer = endpointer or Endpointer()
        self._vad = SileroVad()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recognizer")
        self._turn = ""
        self._draft: _Draft | None = None
        self._ended: deque[tuple[str, Future[Transcript]]] = deque()

    def feed(self, pcm: np.ndarray) -> list[EarsEvent]:
        """Any number of samples int16 [n] at 16 kHz in, what happened since the last call out."""
        events = self.poll()
        for event in self._endpointer.feed(self._vad.feed(pcm)):
            match event:
                case Started():
                    self._turn = uuid.uuid4().hex[:12]
                    events.append(SpeechStarted(self._turn))
                case Paused():
                    self._decode(event.pcm)
                case Ended():
                    if self._draft is None or self._draft.samples != len(event.pcm):
                        self._decode(event.pcm)
                    events.append(SpeechEnded(self._turn, event.silence))
                    self._ended.append((self._turn, self._draft.words))
                    self._draft = None
        return events + self.poll()

    def poll(self) -> list[EarsEvent]:
        """Words that are ready; for when no sound comes."""
        events: list[EarsEvent] = []
        while self._ended and self._ended[0][1].done():
            turn, words = self._ended.popleft()
            events.append(Heard(turn, words.result().text, words.result().confidence))
        if self._draft and not self._draft.told and self._draft.words.done():
            self._draft.told = True
            words = self._draft.words.result()
            if words.text:
                events.append(Partial(self._turn, words.text, words.confidence))
        return events

    def close(self) -> None:
        """Give up what is not yet recognized and end the thread."""
        self._worker.shutdown(cancel_futures=True)

    def _decode(self, pcm: np.ndarray) -> None:
        if self._draft:
            self._draft.words.cancel()      # nobody needs the words of less than this, unless they are nearly there
        self._draft = _Draft(len(pcm), self._worker.submit(self._recognizer.transcribe, pcm))
