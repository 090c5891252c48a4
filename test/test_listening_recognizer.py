import re

import jiwer
import numpy as np
import pytest

from esc_robot.listening.recognizer import WhisperRecognizer
from esc_robot.listening.vad import RATE
from esc_robot.speaking.flite import flite_line

LINES = [
    "I have not been sleeping well since my father passed away.",
    "My boss keeps giving me more work and I do not know how to say no.",
    "It has been three weeks since we broke up and I still cry every night.",
    "I lost my job in March and the bills keep coming.",
    "My dog died this morning and the house is so quiet.",
    "I moved to a new city and I feel very lonely here.",
]


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


@pytest.fixture(scope="module")
def recognizer():
    return WhisperRecognizer(threads=2)


@pytest.mark.parametrize("voice", ["slt", "rms"])
def test_spoken_lines_are_understood(recognizer, voice):
    heard = [recognizer.transcribe(flite_line(line, voice)) for line in LINES]
    assert jiwer.wer([words(line) for line in LINES], [words(one.text) for one in heard]) <= 0.05
    assert all(0.5 < one.confidence <= 1 for one in heard)


@pytest.mark.parametrize("line", ["Yes.", "No.", "Thank you."])
def test_a_short_answer_is_heard_once(recognizer, line):
    assert words(recognizer.transcribe(flite_line(line)).text) == words(line)


@pytest.mark.parametrize("sound", ["nothing", "zeros", "faint", "white", "brown", "hum", "beeps", "clicks", "breath"])
def test_no_words_are_made_up(recognizer, sound):
    random, time = np.random.default_rng(0), np.arange(4 * RATE) / RATE
    noise = random.normal(0, 1, len(time))
    brown = np.cumsum(noise) - np.convolve(np.cumsum(noise), np.ones(400) / 400, "same")
    pcm = {
        "nothing": np.zeros(0), "zeros": 0 * time, "faint": 20 * noise, "white": 1000 * noise,
        "brown": 2000 * brown / brown.std(), "hum": 3000 * np.sin(2 * np.pi * 50 * time),
        "beeps": 8000 * np.sin(2 * np.pi * 440 * time) * (np.sin(2 * np.pi * time) > 0),
        "clicks": 15_000 * (random.random(len(time)) > 0.9995),
        "breath": 600 * noise * np.sin(2 * np.pi * 0.3 * time) ** 2,
    }[sound].clip(-32768, 32767).astype(np.int16)
    assert recognizer.transcribe(pcm).text == ""


def test_noise_lowers_the_confidence(recognizer):
    clean = flite_line(LINES[0])
    noisy = (clean + np.random.default_rng(0).normal(0, 2000, len(clean))).clip(-32768, 32767).astype(np.int16)
    assert recognizer.transcribe(noisy).confidence < recognizer.transcribe(clean).confidence


def test_an_utterance_longer_than_a_window_is_heard_to_its_end(recognizer):
    gap = np.zeros(RATE // 2, np.int16)
    sound = np.concatenate([part for line in LINES * 2 for part in (flite_line(line), gap)])
    assert len(sound) > 40 * RATE
    heard = recognizer.transcribe(sound)
    assert jiwer.wer(words(" ".join(LINES * 2)), words(heard.text)) <= 0.05
