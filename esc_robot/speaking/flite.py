"""A user's voice for demos and tests: flite, so that nobody mistakes the robot's own voice for a person's."""

import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

from esc_robot.errors import Problem
from esc_robot.speaking.loudness import finished
from esc_robot.speaking.text import speakable

FLITE_VOICES = ("slt", "awb", "rms", "kal16")  # those of flite that are made at 16 kHz
RATE = 16000


def flite_line(text: str, voice: str = "slt") -> np.ndarray:
    """A spoken line, int16 [samples] at 16 kHz, as loud as the robot's voice, 50 ms of silence at both ends.

    Raises Problem for an unknown voice, or when the flite program is missing or fails.
    """
    if voice not in FLITE_VOICES:
        raise Problem("user's voice", voice, f"unknown; choose one of {', '.join(FLITE_VOICES)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        try:
            command = ["flite", "-voice", voice, "-t", speakable(text), "-o", str(path)]
            done = subprocess.run(command, capture_output=True)
        except FileNotFoundError:
            raise Problem("program", "flite", "not found; apt-get install flite") from None
        if done.returncode or not path.exists():
            raise Problem("program", "flite", f"stopped with exit code {done.returncode}; reinstall flite")
        with wave.open(str(path)) as recording:
            samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    return finished(samples / 32768, RATE, []).pcm
