"""The user's side of a scripted conversation: lines spoken into the microphone, one after each answer.

A line of the file that begins with ``+1.2`` is spoken into the robot's answer, 1.2 s after it began to sound.
"""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from esc_robot.audio.wavefile import read_wav
from esc_robot.errors import Problem
from esc_robot.listening.endpointing import Ended, Endpointer, EndpointerParameters
from esc_robot.listening.vad import SileroVad
from esc_robot.speaking.flite import flite_line

#: The microphone's rate, Hz.
RATE = 16000
#: Between two utterances of a recording: a shorter pause belongs to the utterance.
PAUSE_IN_RECORDING_S = 1.5
#: |sample| below this (-50 dBFS) at the end of a line is silence.
SILENCE = 104
OVER_THE_ROBOT = re.compile(r"\+(\d+(?:\.\d+)?)\s+(?=\S)")


@dataclass(frozen=True)
class Line:
    """said: the words, "" for a recording, whose words nobody wrote down; pcm: int16 [samples] at RATE.

    over: s after the robot began to answer the line before; None: after the robot has finished.
    """

    said: str
    pcm: np.ndarray
    over: float | None = None

    @property
    def speech_samples(self) -> int:
        """Samples up to the last one that sounds: the end of the user's speech."""
        loud = np.flatnonzero(np.abs(self.pcm.astype(np.int32)) > SILENCE)
        return int(loud[-1]) + 1 if len(loud) else 0


def spoken_lines(path: Path, voice: str) -> list[Line]:
    """The lines of a text file (empty ones and # comments left out) in a voice of flite."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.__class__.__name__
        raise Problem("lines file", path, f"cannot be read ({reason}); give a UTF-8 text file") from None
    said = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not said:
        raise Problem("lines file", path, "has no lines; write one line for each thing the user says")
    return [_line(words, voice) for words in said]


def _line(words: str, voice: str) -> Line:
    over = OVER_THE_ROBOT.match(words)
    said = words[over.end():] if over else words
    return Line(said, flite_line(said, voice), float(over[1]) if over else None)


def recorded_lines(path: Path) -> list[Line]:
    """The utterances of a recording, split where the person pauses. Raises Problem for an unfit or a silent file."""
    pcm = np.concatenate([read_wav(path), np.zeros(int((PAUSE_IN_RECORDING_S + 1) * RATE), np.int16)])
    events = Endpointer(EndpointerParameters(silence=PAUSE_IN_RECORDING_S)).feed(SileroVad().feed(pcm))
    lines = [Line("", event.pcm) for event in events if isinstance(event, Ended)]
    if not lines:
        raise Problem("recording", path, "nobody is heard speaking in it; give a louder recording of a person")
    return lines


class State(Enum):
    """Where the script is."""

    PAUSE = "before the next line"
    SPEAKING = "a line is spoken"
    WAITING = "for the robot to answer and to finish"
    DONE = "every line was spoken"


class Script:
    """Feeds the microphone in real time. pause: s before each line; answer_timeout: s to wait for an answer.

    ``pull`` gives the next samples of the user's side; ``answered`` says that the robot has finished speaking.
    """

    def __init__(self, lines: list[Line], pause: float, answer_timeout: float):
        self.lines, self.pause, self.answer_timeout = lines, pause, answer_timeout
        self.state, self.index, self._since, self._position = State.PAUSE, 0, 0, 0
        self._wait = pause

    def pull(self, samples: int) -> tuple[np.ndarray, Line | None]:
        """The next ``samples`` of the microphone (int16), and the line that begins with them, if one does."""
        begins = None
        if self.state is State.PAUSE and self._since >= self._wait * RATE:
            self.state, self._position, self._since = State.SPEAKING, 0, 0
            begins = self.lines[self.index]
        self._since += samples
        if self.state is State.SPEAKING:
            part = self.lines[self.index].pcm[self._position:self._position + samples]
            self._position += len(part)
            if self._position >= len(self.lines[self.index].pcm):
                self.state, self._since = State.WAITING, 0
            return np.concatenate([part, np.zeros(samples - len(part), np.int16)]), begins
        if self.state is State.WAITING and self._since >= self.answer_timeout * RATE:
            self.answered()
        return np.zeros(samples, np.int16), begins

    def answering(self) -> None:
        """The robot begins to sound: a line that is spoken over it has its time."""
        following = self.index + 1
        if self.state is State.WAITING and following < len(self.lines) and self.lines[following].over is not None:
            self._next(self.lines[following].over)

    def answered(self) -> None:
        """The robot has finished: the next line may come. A late answer, while a line is spoken, changes nothing."""
        if self.state is State.WAITING:
            self._next(self.pause)

    def _next(self, wait: float) -> None:
        self.index, self._wait, self._since = self.index + 1, wait, 0
        self.state = State.PAUSE if self.index < len(self.lines) else State.DONE


class Recording:
    """Both sides of the conversation as int16 [samples, 2] at RATE: left the user, right the robot."""

    def __init__(self):
        self._parts: list[np.ndarray] = []

    def add(self, user: np.ndarray, robot: np.ndarray) -> None:
        self._parts.append(np.stack([user, robot], axis=1))

    def pcm(self) -> np.ndarray:
        return np.concatenate(self._parts) if self._parts else np.zeros((0, 2), np.int16)
