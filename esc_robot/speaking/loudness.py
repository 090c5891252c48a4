"""The last step of every voice: the same loudness for all, no silence before the first word or after the last."""

import numpy as np

from esc_robot.speaking.voice import Speech, Word

LEVEL = 10 ** (-20 / 20)  # RMS over speech, of full scale
MARGIN_SECONDS = 0.05
KNEE = 0.7


def finished(wave: np.ndarray, rate: int, words: list[Word]) -> Speech:
    """wave: float [samples], any level -> Speech at -20 dBFS RMS over speech, trimmed to 50 ms of silence at both ends.

    In frames of 10 ms: what lies within 30 dB of the loudest counts for the level, within 45 dB for the ends (a soft
    "h" or "f" stays). Peaks above 0.7 are bent, never clipped.
    """
    hop = rate // 100
    frames = wave[: len(wave) // hop * hop].reshape(-1, hop)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    if not power.size or power.max() < 1e-10:
        return Speech(np.zeros(0, np.int16), rate)
    sounding = np.flatnonzero(power > power.max() * 10**-4.5)
    margin = int(MARGIN_SECONDS * rate)
    first, last = max(0, sounding[0] * hop - margin), min(len(wave), (sounding[-1] + 1) * hop + margin)
    wave = wave[first:last] * (LEVEL / np.sqrt(power[power > power.max() * 1e-3].mean()))
    loud = np.abs(wave)
    bent = np.sign(wave) * (KNEE + (1 - KNEE) * np.tanh((loud - KNEE) / (1 - KNEE)))
    pcm = np.round(np.where(loud > KNEE, bent, wave) * 32767).astype(np.int16)
    sound = sounding[0] * hop / rate, (sounding[-1] + 1) * hop / rate
    moved = ((np.clip((word.start, word.end), *sound) - first / rate).tolist() for word in words)
    return Speech(pcm, rate, tuple(Word(word.text, *times) for word, times in zip(words, moved, strict=True)))
