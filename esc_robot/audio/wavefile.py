"""Wave files in and out: 16-bit PCM, the only kind the robot reads."""

import wave
from pathlib import Path

import numpy as np

from esc_robot.errors import Problem

RATE = 16_000


def read_wav(path: str | Path) -> np.ndarray:
    """Samples int16 [n] of a 16 kHz mono 16-bit wave file.

    Raises Problem when the file is missing, unreadable, empty, or has another rate, width or number of channels.
    """
    path = Path(path)
    convert = f"convert it with: sox {path} -r {RATE} -c 1 -b 16 {path.stem}_16k.wav"
    try:
        with open(path, "rb") as handle, wave.open(handle, "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except OSError as error:
        raise Problem("wave file", path, f"{error.strerror}; give a {RATE} Hz mono 16-bit wave file") from None
    except (wave.Error, EOFError):
        raise Problem("wave file", path, f"is not a PCM wave file; {convert}") from None
    if channels != 1:
        raise Problem("wave file", path, f"has {channels} channels, not one; {convert}")
    if rate != RATE:
        raise Problem("wave file", path, f"has {rate} Hz, not {RATE}; {convert}")
    if width != 2:
        raise Problem("wave file", path, f"has {8 * width} bits a sample, not 16; {convert}")
    pcm = np.frombuffer(data[:len(data) // 2 * 2], dtype="<i2").astype(np.int16)
    if not len(pcm):
        raise Problem("wave file", path, "holds no sound; record it again")
    return pcm


def write_wav(path: str | Path, pcm: np.ndarray, rate: int) -> None:
    """Write int16 samples [n] or [n, channels] at `rate` Hz. Raises Problem when the file cannot be written."""
    try:
        with open(path, "wb") as handle, wave.open(handle, "wb") as file:
            file.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(np.ascontiguousarray(pcm, dtype="<i2").tobytes())
    except OSError as error:
        raise Problem("wave file", path, f"{error.strerror}; give a place you can write to") from None
