import re

import jiwer
import numpy as np
import pytest

from esc_robot.bench_speech import recorded, word_errors
from esc_robot.errors import Problem
from esc_robot.listening.recognizer import make_recognizer, transcribe
from esc_robot.listening.vad import RATE
from esc_robot.listening.vosk import OWN_MODEL, VoskRecognizer, find_model
from esc_robot.listening.whisper import WhisperRecognizer
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


def test_a_person_reading_aloud_is_understood(recognizer):
    if not (lines := recorded()):
        pytest.skip("no recorded speech of people (pocketsphinx-testdata)")
    heard = [recognizer.transcribe(pcm).text for _, pcm in lines]
    assert word_errors([line for line, _ in lines], heard) <= 0.1


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


def padded(line: str) -> np.ndarray:
    return np.concatenate([np.zeros(RATE // 2, np.int16), flite_line(line), np.zeros(RATE // 2, np.int16)])


@pytest.fixture(scope="module")
def streaming():
    return VoskRecognizer(str(OWN_MODEL))


def test_the_packages_own_vosk_model_understands_the_voices_it_knows(streaming):
    heard = [transcribe(streaming, padded(line)).text for line in LINES]
    assert jiwer.wer([words(line) for line in LINES], heard) <= 0.15


def test_partial_words_grow_while_the_user_speaks(streaming):
    sound, utterance, partials = padded(LINES[4]), streaming.utterance(), []
    for start in range(0, len(sound), 1600):
        utterance.feed(sound[start:start + 1600])
        partials.append(utterance.partial().text)
    final = utterance.final()
    assert len(set(partials)) >= 5 and sorted(partials, key=len) == partials
    assert final.text == words(LINES[4]) and final.text.startswith(partials[len(partials) // 2])


@pytest.mark.parametrize("name", ["whisper", "vosk"])
def test_each_word_has_its_time_and_confidence(recognizer, streaming, name):
    sound = padded(LINES[4])
    heard = transcribe(recognizer if name == "whisper" else streaming, sound)
    assert [words(word.text) for word in heard.words] == words(LINES[4]).split()
    times = [time for word in heard.words for time in (word.start, word.end)]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= len(sound) / RATE
    assert 1.6 < heard.words[5].start < 2.3      # "and", after half a second of silence
    assert all(0 < word.confidence <= 1 for word in heard.words)


def test_more_sound_after_a_partial_is_heard_too(recognizer):
    first, second = padded(LINES[0]), padded(LINES[3])
    utterance = recognizer.utterance()
    utterance.feed(first)
    assert words(utterance.partial().text) == words(LINES[0])
    utterance.feed(second)
    assert words(utterance.final().text) == words(f"{LINES[0]} {LINES[3]}")


def test_a_given_vosk_model_comes_first_then_the_one_in_vosks_cache_then_the_packages_own(tmp_path, monkeypatch):
    import vosk
    monkeypatch.setattr(vosk, "MODEL_DIRS", [None, tmp_path / "no", tmp_path])
    assert find_model(network=False) == OWN_MODEL
    cached = tmp_path / "vosk-model-small-en-us-0.15"
    (cached / "am").mkdir(parents=True)
    assert find_model(network=False) == cached
    assert find_model(str(OWN_MODEL)) == OWN_MODEL


def test_without_a_network_the_packages_own_model_listens_and_says_how_to_get_a_better_one(monkeypatch):
    import vosk
    monkeypatch.setattr(vosk, "MODEL_DIRS", [])
    monkeypatch.setattr("esc_robot.listening.vosk.DOWNLOADS", ("127.0.0.1", 1))
    assert "for people" in VoskRecognizer().name and "vosk_model:=" in VoskRecognizer().name


def test_a_folder_without_a_vosk_model_is_named(tmp_path):
    with pytest.raises(Problem, match="no model there"):
        make_recognizer("vosk", model=str(tmp_path))
    with pytest.raises(Problem, match="choose one of whisper, vosk"):
        make_recognizer("ears")
