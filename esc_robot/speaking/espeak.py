"""The light voice: espeak-ng through pyttsx3's driver, its sound and events collected in memory."""

import ctypes
import functools
import itertools
import re
import threading

import numpy as np

from esc_robot.errors import Problem
from esc_robot.speaking.loudness import finished
from esc_robot.speaking.text import as_written, speakable
from esc_robot.speaking.voice import Speech, Word

WORDS_PER_MINUTE = 175  # espeak-ng's own pace
MIDDLE_PITCH = 50
PHONEME_EVENT = 7
WITH_PHONEME_EVENTS = 1
LANGUAGE = b"en-us"


class Pyttsx3Voice:
    """rate and pitch are factors of espeak-ng's own. Raises Problem when espeak-ng is not installed."""

    def __init__(self, rate: float, pitch: float):
        self._rate, self._pitch = round(WORDS_PER_MINUTE * rate), round(MIDDLE_PITCH * pitch)
        self._engine = _engine()

    def speak(self, sentence: str) -> Speech:
        """See Voice; espeak-ng varies the length of a sentence by about 1 % from one time to the next."""
        text = speakable(sentence)
        if not text:
            return finished(np.zeros(0), self._engine.hz, [])
        wave, events = self._engine.synthesise(text, self._rate, self._pitch)
        spoken = finished(wave, self._engine.hz, _words(text, events, len(wave), self._engine.hz))
        return Speech(spoken.pcm, spoken.rate, as_written(sentence, spoken.words))


class _Engine:
    """espeak-ng keeps its state in the library: one engine a process, one sentence at a time."""

    def __init__(self):
        try:
            from pyttsx3.drivers import _espeak
        except RuntimeError:
            raise Problem("voice", "pyttsx3", "libespeak-ng is missing; apt-get install espeak-ng") from None
        self._espeak, self._lock = _espeak, threading.Lock()
        self._samples, self._events = bytearray(), []
        self.hz = _espeak.Initialize(_espeak.AUDIO_OUTPUT_SYNCHRONOUS, 100, None, WITH_PHONEME_EVENTS)
        if self.hz <= 0 or _espeak.SetVoiceByName(LANGUAGE):
            raise Problem("voice", "pyttsx3", "espeak-ng has no English data; apt-get install espeak-ng-data")
        _espeak.SetSynthCallback(self._collect)

    def synthesise(self, text: str, words_per_minute: int, pitch: int) -> tuple[np.ndarray, list[tuple]]:
        """float [samples]; events (sample, position in the text or None for a pause) in order."""
        with self._lock:
            self._samples.clear()
            self._events.clear()
            self._espeak.SetParameter(self._espeak.RATE, words_per_minute)
            self._espeak.SetParameter(self._espeak.PITCH, pitch)
            self._espeak.Synth(text, flags=self._espeak.CHARS_UTF8)
            return np.frombuffer(bytes(self._samples), np.int16) / 32768, list(self._events)

    def _collect(self, samples, count, events) -> int:
        for event in map(events.__getitem__, itertools.count()):
            if event.type == self._espeak.EVENT_LIST_TERMINATED:
                break
            if event.type == self._espeak.EVENT_WORD:
                self._events.append((event.sample, event.text_position - 1))
            elif event.type == PHONEME_EVENT and ctypes.string_at(ctypes.addressof(event.id), 1) == b"_":
                self._events.append((event.sample, None))
        if count > 0:
            self._samples += ctypes.string_at(samples, count * 2)
        return 0


@functools.cache
def _engine() -> _Engine:
    return _Engine()


def _words(text: str, events: list[tuple], samples: int, hz: int) -> list[Word]:
    """espeak-ng says "I am" under one event: the time until the next event is shared by letters."""
    tokens = list(re.finditer(r"\S+", text))
    starts = {}
    for sample, position in events:
        if position is not None:
            starts.setdefault(next(i for i, token in enumerate(tokens) if position < token.end()), sample)
    words = []
    for (i, start), (following, limit) in itertools.pairwise([*sorted(starts.items()), (len(tokens), samples)]):
        end = next((sample for sample, position in events if position is None and start < sample < limit), limit)
        lengths = [len(token[0]) for token in tokens[i:following]]
        bounds = start + (end - start) * np.cumsum([0, *lengths]) / sum(lengths)
        words += [Word(token[0], first / hz, last / hz)
                  for token, first, last in zip(tokens[i:following], bounds[:-1], bounds[1:], strict=True)]
    return words
