import numpy as np
import pytest

from esc_robot.listening.vad import WINDOW, SileroVad
from esc_robot.speaking.flite import flite_line

LINE = "I have not been sleeping well since my father passed away."


def probabilities(sound: np.ndarray, frame: int) -> np.ndarray:
    vad = SileroVad()
    return np.array([probability for start in range(0, len(sound), frame)
                     for _, probability in vad.feed(sound[start:start + frame])])


@pytest.mark.parametrize("voice", ["slt", "rms"])
def test_speech_is_told_from_silence(voice):
    speech = probabilities(flite_line(LINE, voice), 320)
    assert (speech > 0.5).mean() > 0.7
    assert probabilities(np.zeros(32_000, np.int16), 320).max() < 0.2


@pytest.mark.parametrize("amplitude", [30, 300, 3000])
def test_noise_is_no_speech(amplitude):
    noise = np.random.default_rng(0).normal(0, amplitude, 5 * 16_000).clip(-32768, 32767).astype(np.int16)
    assert (probabilities(noise, 320) > 0.5).mean() < 0.02


@pytest.mark.parametrize("frame", [1, 320, 512, 1600, 100_000])
def test_the_size_of_the_frames_changes_nothing(frame):
    sound = flite_line("Yes.")
    assert np.allclose(probabilities(sound, frame), probabilities(sound, WINDOW), atol=1e-4)


def test_no_sample_is_lost_or_doubled():
    sound, vad = flite_line(LINE), SileroVad()
    windows = [pcm for start in range(0, len(sound), 700) for pcm, _ in vad.feed(sound[start:start + 700])]
    assert np.array_equal(np.concatenate(windows), sound[:len(sound) // WINDOW * WINDOW])
