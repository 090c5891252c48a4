"""What every recogniser is: sound goes in as it comes, words come out while it lasts and at its end."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from esc_robot.errors import Problem

RECOGNIZERS = ("whisper", "vosk")


@dataclass(frozen=True)
class Word:
    """A word as it was heard; start and end in seconds of the utterance's sound; confidence 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What was heard ("" = no words); confidence 0 to 1."""

    text: str
    confidence: float
    words: tuple[Word, ...] = ()


class Utterance(Protocol):
    """One utterance; used by one thread."""

    def feed(self, pcm: np.ndarray) -> None:
        """More of its sound, int16 [n] at 16 kHz, pieces of any size."""

    def partial(self) -> Transcript:
        """The words so far."""

    def final(self) -> Transcript:
        """The words of all of it; nothing may be fed after that."""


class Recognizer(Protocol):
    """A recogniser, loaded and warm.

    name: one line for the user: which model listens. streaming: whether a partial costs so little that it can be asked
    for while the user speaks; else it is worth it at a pause only. lag: seconds of sound a partial may not know yet.
    """

    name: str
    streaming: bool
    lag: float

    def utterance(self) -> Utterance:
        """Begin to listen to an utterance."""


def transcribe(recognizer: Recognizer, pcm: np.ndarray) -> Transcript:
    """A whole utterance int16 [n] at 16 kHz, in one piece."""
    utterance = recognizer.utterance()
    utterance.feed(pcm)
    return utterance.final()


def make_recognizer(name: str, threads: int = 2, model: str = "") -> Recognizer:
    """The recogniser of this name (one of RECOGNIZERS). threads: whisper's; model: a model folder, vosk's.

    Raises Problem for an unknown name, or a model that cannot be had.
    """
    # Imported on choice: each engine takes memory and seconds.
    if name == "whisper":
        from esc_robot.listening.whisper import WhisperRecognizer
        return WhisperRecognizer(threads)
    if name == "vosk":
        from esc_robot.listening.vosk import VoskRecognizer
        return VoskRecognizer(model)
    raise Problem("recogniser", name, f"unknown; choose one of {', '.join(RECOGNIZERS)}")
