import re
import threading
import time

import numpy as np
import pytest

from esc_robot.listening.ears import Ears, Heard, Partial, SpeechEnded, SpeechStarted
from esc_robot.listening.endpointing import Endpointer, EndpointerParameters
from esc_robot.listening.recognizer import WhisperRecognizer
from esc_robot.listening.vad import RATE
from esc_robot.speaking.flite import flite_line

FIRST, SECOND = "I feel very lonely here.", "Thank you for listening to me today."


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


@pytest.fixture(scope="module")
def recognizer():
    return WhisperRecognizer(threads=2)


@pytest.fixture
def ears(recognizer):
    made = Ears(recognizer, Endpointer(EndpointerParameters(silence=0.7)))
    yield made
    made.close()


def feed(ears: Ears, *sounds: np.ndarray, frame: int = 320) -> list:
    sound = np.concatenate(sounds)
    return [event for start in range(0, len(sound), frame) for event in ears.feed(sound[start:start + frame])]


def wait(ears: Ears, kind: type, seconds: float = 30.0) -> list:
    events, until = [], time.monotonic() + seconds
    while not any(isinstance(event, kind) for event in events) and time.monotonic() < until:
        events += ears.poll()
        time.sleep(0.01)
    return events


@pytest.mark.parametrize("frame", [320, 1600])
def test_a_spoken_line_starts_ends_and_is_heard_under_one_turn(ears, frame):
    events = feed(ears, silence(0.5), flite_line(FIRST), silence(1), frame=frame)
    events = [event for event in events + wait(ears, Heard) if not isinstance(event, Partial)]
    started, ended, heard = events
    assert isinstance(started, SpeechStarted) and isinstance(ended, SpeechEnded) and isinstance(heard, Heard)
    assert started.turn == ended.turn == heard.turn != ""
    assert words(heard.text) == words(FIRST) and heard.confidence > 0.5 and ended.silence >= 0.7


def test_two_turns_have_two_ids_and_are_heard_in_order(ears):
    events = feed(ears, silence(0.5), flite_line(FIRST), silence(1), flite_line(SECOND), silence(1))
    while len([event for event in events if isinstance(event, Heard)]) < 2:
        more = wait(ears, Heard)
        assert more, "the second turn was never heard"
        events += more
    first, second = (event for event in events if isinstance(event, Heard))
    assert [words(first.text), words(second.text)] == [words(FIRST), words(SECOND)]
    assert [event.turn for event in events if isinstance(event, SpeechStarted)] == [first.turn, second.turn]
    assert first.turn != second.turn


def test_words_so_far_come_at_a_pause_and_all_of_them_at_the_end(ears):
    events = feed(ears, silence(0.5), flite_line(FIRST), silence(0.4))
    partial = (events + wait(ears, Partial))[-1]
    assert words(partial.text) == words(FIRST)
    events = feed(ears, flite_line(SECOND), silence(1)) + wait(ears, Heard)
    heard = next(event for event in events if isinstance(event, Heard))
    assert heard.turn == partial.turn and words(heard.text) == words(FIRST + SECOND)


def test_words_decoded_at_the_pause_are_heard_with_the_end_of_the_turn(ears):
    feed(ears, silence(0.5), flite_line(FIRST), silence(0.4))
    wait(ears, Partial)
    events = feed(ears, silence(0.6))
    assert [type(event) for event in events] == [SpeechEnded, Heard]


def test_feeding_does_not_wait_for_the_words(recognizer):
    release = threading.Event()

    class Slow:
        def transcribe(self, pcm):
            assert release.wait(30)
            return recognizer.transcribe(pcm)

    ears = Ears(Slow())
    events = feed(ears, silence(0.5), flite_line(FIRST), silence(1))
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
    release.set()
    assert words(wait(ears, Heard)[-1].text) == words(FIRST)
    ears.close()


def test_silence_and_noise_are_not_heard(ears):
    noise = np.random.default_rng(0).normal(0, 500, 10 * RATE).astype(np.int16)
    assert feed(ears, silence(5), noise, silence(5)) == []
