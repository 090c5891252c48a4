"""What every voice is: a sentence goes in, sound and the times of its words come out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from esc_robot.errors import Problem

VOICES = ("hibari", "pyttsx3")


@dataclass(frozen=True)
class Word:
    """A word as it is written in the sentence, without its punctuation; start and end in seconds of its Speech."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """pcm: int16 [samples], mono; rate in Hz; words in order. Nothing to say: no samples, no words."""

    pcm: np.ndarray
    rate: int
    words: tuple[Word, ...] = ()


class Voice(Protocol):
    """A synthesiser, loaded and warm. Every voice speaks at the same loudness and starts and ends at once."""

    def speak(self, sentence: str) -> Speech:
        """One sentence of English; what cannot be spoken (punctuation, another script) gives a Speech of no samples."""


def make_voice(name: str, rate: float = 0.8, pitch: float = 0.94) -> Voice:
    """The voice of this name (one of VOICES). rate (0.5 to 2) and pitch (0.7 to 1.4) are factors of the engine's own.

    The defaults are a calm voice: slower and a little lower than reading aloud. Raises Problem for an unknown name, a
    factor out of range, or an engine that is not installed.
    """
    if not 0.5 <= rate <= 2:
        raise Problem("speaking rate", rate, "must lie between 0.5 (slow) and 2 (fast)")
    if not 0.7 <= pitch <= 1.4:
        raise Problem("pitch", pitch, "must lie between 0.7 (low) and 1.4 (high)")
    # Imported on choice: each engine takes memory and seconds, and one may be missing on a robot that uses the other.
    if name == "hibari":
        from esc_robot.speaking.hibari import HibariVoice
        return HibariVoice(rate, pitch)
    if name == "pyttsx3":
        from esc_robot.speaking.espeak import Pyttsx3Voice
        return Pyttsx3Voice(rate, pitch)
    raise Problem("voice", name, f"unknown; choose one of {', '.join(VOICES)}")
