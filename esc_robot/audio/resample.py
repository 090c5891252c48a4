"""Sample rate conversion with the SoX resampler."""

import numpy as np
import soxr


def resample(pcm: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Whole sound int16 [n] at `from_rate` Hz as int16 [n * to_rate / from_rate] at `to_rate` Hz."""
    if from_rate == to_rate or not len(pcm):
        return pcm
    return soxr.resample(pcm, from_rate, to_rate)


class StreamResampler:
    """The same for sound that arrives in pieces: no seam between two pieces, a few milliseconds of delay."""

    def __init__(self, from_rate: int, to_rate: int):
        self._stream = None if from_rate == to_rate else soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16")

    def feed(self, pcm: np.ndarray) -> np.ndarray:
        """Next piece int16 [n] at the one rate; what is ready of it, int16 [m], at the other."""
        return pcm if self._stream is None else self._stream.resample_chunk(pcm)
