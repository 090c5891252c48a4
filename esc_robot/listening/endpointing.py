"""Where an utterance begins, pauses, goes on and ends."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np

from esc_robot.errors import Problem
from esc_robot.listening.vad import RATE, WINDOW

WINDOW_S = WINDOW / RATE
PAUSE_S = 0.2           # silence after which an utterance is worth a first decoding
HYSTERESIS = 0.15       # speech that has begun goes on down to threshold - HYSTERESIS


def _bounded(default: float, low: float, high: float, description: str):
    return field(default=default, metadata={"low": low, "high": high, "description": description})


@dataclass(frozen=True)
class EndpointerParameters:
    """Bounds and descriptions are in the metadata of the fields. Raises Problem when a value is out of bounds."""

    threshold: float = _bounded(0.5, 0.2, 0.95, "probability from which a 32 ms window counts as speech")
    silence: float = _bounded(1.0, 0.3, 5.0, "seconds of silence that end a turn when no punctuation tells")
    shortest_silence: float = _bounded(0.5, 0.3, 5.0, "seconds of silence that end a turn after a finished sentence")
    longest_silence: float = _bounded(2.3, 0.3, 10.0, "seconds of silence that end a turn after 'and' or a filler")
    pre_roll: float = _bounded(0.3, 0.0, 1.0, "seconds of sound kept from before speech was noticed")
    minimum_speech: float = _bounded(0.13, 0.03, 1.0, "seconds of speech that open a turn; less is a noise")
    maximum_utterance: float = _bounded(60.0, 5.0, 120.0, "seconds after which a turn ends even if speech goes on")

    def __post_init__(self):
        for item in fields(self):
            value, low, high = getattr(self, item.name), item.metadata["low"], item.metadata["high"]
            if not low <= value <= high:
                raise Problem(f"endpointing {item.name}", value, f"out of range; give {low} to {high}")
        if not self.shortest_silence <= self.silence <= self.longest_silence:
            raise Problem("endpointing silence", self.silence, "must lie between shortest_silence "
                          f"({self.shortest_silence}) and longest_silence ({self.longest_silence})")


@dataclass(frozen=True)
class Started:
    """Speech was heard for long enough to be one."""


@dataclass(frozen=True)
class Paused:
    """The speaker stopped for PAUSE_S, perhaps for good; pcm int16 [n]: pre-roll, speech and that pause."""

    pcm: np.ndarray


@dataclass(frozen=True)
class Resumed:
    """The speaker goes on after a pause of `silence` seconds."""

    silence: float


@dataclass(frozen=True)
class Ended:
    """The turn is over, after `silence` seconds without speech; pcm int16 [n] as in the last Paused."""

    pcm: np.ndarray
    silence: float


EndpointerEvent = Started | Paused | Resumed | Ended


class Endpointer:
    """Judges windows with their speech probability, one after the other.

    silence: seconds without speech that end the turn; may be set anew at any time.
    """

    def __init__(self, parameters: EndpointerParameters | None = None):
        self.parameters = parameters or EndpointerParameters()
        self.silence = self.parameters.silence
        self._before: deque[np.ndarray] = deque(maxlen=_windows(self.parameters.pre_roll))
        self._utterance: list[np.ndarray] = []      # windows since the first of speech, pre-roll in front
        self._speech = 0                            # windows from the first to the last of speech
        self._voiced = 0                            # windows of speech
        self._quiet = 0                             # windows since the last of speech
        self._open = False

    @property
    def talking(self) -> bool:
        """Whether an utterance is open and its speaker does not pause."""
        return self._open and self._quiet < _windows(PAUSE_S)

    @property
    def voiced(self) -> float:
        """Seconds of speech in the open utterance, its pauses not counted."""
        return self._voiced * WINDOW_S

    @property
    def quiet(self) -> float:
        """Seconds since the last of speech in the open utterance."""
        return self._quiet * WINDOW_S

    @property
    def windows(self) -> list[np.ndarray]:
        """The open utterance so far, windows of int16 [512]."""
        return self._utterance if self._open else []

    def feed(self, windows: Iterable[tuple[np.ndarray, float]]) -> list[EndpointerEvent]:
        """What SileroVad.feed gives in, what happened out."""
        return [event for pcm, probability in windows for event in self._judge(pcm, probability)]

    def _judge(self, pcm: np.ndarray, probability: float) -> Iterable[EndpointerEvent]:
        talking = self._speech > 0 and not self._quiet
        speech = probability >= self.parameters.threshold - (HYSTERESIS if talking else 0)
        if not speech and not self._speech:
            self._before.append(pcm)
            return
        if not self._speech:
            self._utterance = list(self._before)
            self._before.clear()
        self._utterance.append(pcm)
        quiet = self._quiet
        if speech:
            self._speech += self._quiet + 1
            self._voiced += 1
            self._quiet = 0
        else:
            self._quiet += 1
        if not self._open:
            if not speech:
                self._close()       # too short to be speech
            elif self._speech >= _windows(self.parameters.minimum_speech):
                self._open = True
                yield Started()
            return
        if speech and quiet >= _windows(PAUSE_S):
            yield Resumed(quiet * WINDOW_S)
        if self._quiet == _windows(PAUSE_S):
            yield Paused(np.concatenate(self._utterance))
        if self._quiet >= _windows(max(self.silence, PAUSE_S)) or self._too_long():
            kept = len(self._utterance) - max(self._quiet - _windows(PAUSE_S), 0)
            yield Ended(np.concatenate(self._utterance[:kept]), self._quiet * WINDOW_S)
            self._close()

    def _too_long(self) -> bool:
        return len(self._utterance) >= _windows(self.parameters.maximum_utterance)

    def _close(self) -> None:
        """Keep the last of the silence as the next utterance's pre-roll, never speech that was already heard."""
        self._before.extend(self._utterance[len(self._utterance) - self._quiet:] if self._open else self._utterance)
        self._utterance, self._speech, self._voiced, self._quiet, self._open = [], 0, 0, 0, False


def _windows(seconds: float) -> int:
    return math.ceil(round(seconds / WINDOW_S, 6))
