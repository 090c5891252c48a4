"""The queue between a voice and a loudspeaker: sentences of turns in, frames and what began or ended in them out."""

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from esc_robot.audio.resample import resample

FADE_S = 0.010
LONGEST_HOLD_S = 6.0    # then the turn goes on: whoever held it has gone
REMEMBERED_TURNS = 64


@dataclass(frozen=True)
class PlaybackEvent:
    """What happened `offset` samples into the frame that was pulled.

    name: "sentence_started" (sentence = its index), "sentence_resumed" (the same; sounded = samples of it that had
    sounded when it was held), "turn_finished" (sentence = how many the turn had) or "turn_interrupted" (sentence = how
    many had sounded to their end).
    """

    name: str
    turn: str
    sentence: int
    offset: int
    sounded: int = 0


@dataclass
class _Piece:
    turn: str
    sentence: int
    pcm: np.ndarray | None      # None ends the turn
    position: int = 0


class Playback:
    """Sound of one loudspeaker at `rate` Hz. Threads may push and interrupt while a sound device's callback pulls."""

    def __init__(self, rate: int):
        self.rate = rate
        self._lock = threading.Lock()
        self._queue: deque[_Piece] = deque()
        self._started: dict[str, list[int]] = {}     # sentences that began to sound, of turns that are not over
        self._over: deque[str] = deque(maxlen=REMEMBERED_TURNS)
        self._fade = np.zeros(0, np.int16)
        self._interrupted: list[tuple[str, int]] = []
        self._held = 0                               # samples for which it will be held at most
        self._sounded = 0                            # of the sentence that began last, samples
        self._paused = False                         # it fell silent in the middle of that sentence

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be pulled: no sound, no end of a turn, no interruption."""
        with self._lock:
            return not (self._queue or len(self._fade) or self._interrupted)

    def push(self, turn: str, sentence: int, pcm: np.ndarray, rate: int) -> None:
        """Queue int16 [n] at `rate` Hz; a sentence may come in several pieces. A turn that is over is dropped."""
        pcm = resample(pcm, rate, self.rate)
        self._append(_Piece(turn, sentence, pcm))

    def end(self, turn: str) -> None:
        """Say that the turn has no more sentences."""
        self._append(_Piece(turn, -1, None))

    def _append(self, piece: _Piece) -> None:
        with self._lock:
            if piece.turn not in self._over:
                self._started.setdefault(piece.turn, [])
                self._queue.append(piece)

    def hold(self, held: bool) -> None:
        """Fall silent, with a short fade-out, and lose nothing; not held: go on from there."""
        with self._lock:
            if held and not self._held:
                self._fade = self._fade_out()
            self._held = int(LONGEST_HOLD_S * self.rate) if held else 0

    def interrupt(self, turn: str) -> None:
        """Drop what is left of `turn` ("" = of every turn), now and when it comes late, with a short fade-out."""
        with self._lock:
            for name in [turn] if turn else list(self._started):
                if name not in self._over:
                    self._drop(name)

    def _fade_out(self) -> np.ndarray:
        """The last of what sounds, int16 [at most FADE_S]."""
        if not self._mid_sentence():
            return np.zeros(0, np.int16)
        head = self._queue[0]
        rest = head.pcm[head.position:head.position + int(FADE_S * self.rate)]
        return (rest * np.linspace(1, 0, len(rest))).astype(np.int16)

    def _mid_sentence(self) -> bool:
        """Whether what is pulled next is the rest of a sentence that has begun."""
        head = self._queue[0] if self._queue else None
        return head is not None and head.pcm is not None and head.sentence in self._started[head.turn]

    def _drop(self, turn: str) -> None:
        left = {piece.sentence for piece in self._queue if piece.turn == turn}
        if self._queue and self._queue[0].turn == turn and not self._held:
            self._fade = self._fade_out()
        self._held = 0
        self._queue = deque(piece for piece in self._queue if piece.turn != turn)
        started = self._started.pop(turn, [])
        self._over.append(turn)
        self._interrupted.append((turn, sum(sentence not in left for sentence in started)))

    def pull(self, samples: int) -> tuple[np.ndarray, list[PlaybackEvent]]:
        """Next frame int16 [samples], silence where there is nothing to say, and what began or ended in it."""
        frame = np.zeros(samples, np.int16)
        events = []
        with self._lock:
            filled = min(len(self._fade), samples)
            frame[:filled], self._fade = self._fade[:filled], self._fade[filled:]
            if not len(self._fade):
                events += [PlaybackEvent("turn_interrupted", *interrupted, filled) for interrupted in self._interrupted]
                self._interrupted.clear()
            if self._held:
                self._held = max(self._held - samples, 0)
                self._paused = self._mid_sentence()
                return frame, events
            if self._paused and self._mid_sentence():
                head = self._queue[0]
                events.append(PlaybackEvent("sentence_resumed", head.turn, head.sentence, filled, self._sounded))
            self._paused = False
            while self._queue and filled < samples:
                piece = self._queue[0]
                if piece.pcm is None:
                    events.append(self._finish(piece.turn, filled))
                    continue
                if piece.sentence not in self._started[piece.turn]:
                    self._started[piece.turn].append(piece.sentence)
                    self._sounded = 0
                    events.append(PlaybackEvent("sentence_started", piece.turn, piece.sentence, filled))
                part = piece.pcm[piece.position:piece.position + samples - filled]
                frame[filled:filled + len(part)] = part
                filled += len(part)
                piece.position += len(part)
                self._sounded += len(part)
                if piece.position == len(piece.pcm):
                    self._queue.popleft()
            # The end of a turn is known with its last sample, not a frame later.
            if self._queue and self._queue[0].pcm is None:
                events.append(self._finish(self._queue[0].turn, filled))
        return frame, events

    def _finish(self, turn: str, offset: int) -> PlaybackEvent:
        self._over.append(turn)
        self._queue = deque(piece for piece in self._queue if piece.turn != turn)
        return PlaybackEvent("turn_finished", turn, len(self._started.pop(turn)), offset)
