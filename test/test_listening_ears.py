import re
import threading
import time

import numpy as np
import pytest

from esc_robot.audio.echo import EchoCanceller, EchoPath
from esc_robot.audio.resample import resample
from esc_robot.listening.ears import Backchannel, BargeIn, Ears, Heard, Hold, Partial, SpeechEnded, SpeechStarted
from esc_robot.listening.recognizer import make_recognizer
from esc_robot.listening.vad import RATE
from esc_robot.speaking.flite import flite_line
from esc_robot.speaking.voice import make_voice

FIRST, SECOND = "I feel very lonely here.", "Thank you for listening to me today."


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


@pytest.fixture(scope="module", params=["whisper", "vosk"])
def recognizer(request):
    return make_recognizer(request.param)


@pytest.fixture
def ears(recognizer):
    made = Ears(recognizer)
    yield made
    made.close()


def feed(ears: Ears, *sounds: np.ndarray, frame: int = 320) -> list:
    """As if the recogniser took no time: words that are on their way are waited for before the sound goes on."""
    sound, events = np.concatenate(sounds), []
    for start in range(0, len(sound), frame):
        events += ears.feed(sound[start:start + frame])
        until = time.monotonic() + 30
        while ears.busy and time.monotonic() < until:
            time.sleep(0.002)
            events += ears.poll()
    return events


def kinds(events: list, but: tuple = (Partial,)) -> list[type]:
    return [type(event) for event in events if not isinstance(event, but)]


def heard(events: list) -> list[str]:
    return [words(event.text) for event in events if isinstance(event, Heard)]


@pytest.mark.parametrize("frame", [320, 1600])
def test_a_spoken_line_starts_ends_and_is_heard_under_one_turn(ears, frame):
    events = feed(ears, silence(0.5), flite_line(FIRST), silence(1.5), frame=frame)
    assert kinds(events) == [SpeechStarted, SpeechEnded, Heard]
    assert len({event.turn for event in events}) == 1
    assert heard(events) == [words(FIRST)] and events[-1].confidence > 0.5


def test_two_turns_have_two_ids_and_are_heard_in_order(ears):
    events = feed(ears, silence(0.5), flite_line(FIRST), silence(4), flite_line(SECOND), silence(1.5))
    assert heard(events) == [words(FIRST), words(SECOND)]
    started = [event.turn for event in events if isinstance(event, SpeechStarted)]
    assert started == [event.turn for event in events if isinstance(event, Heard)] and len(set(started)) == 2


def test_words_so_far_come_at_a_pause_and_all_of_them_at_the_end(ears):
    first = flite_line("I have lost my job because")
    events = feed(ears, silence(0.5), first, silence(1), flite_line(SECOND), silence(2.5))
    partials = [words(event.text) for event in events if isinstance(event, Partial)]
    assert any("lost my job" in partial and "thank" not in partial for partial in partials)
    assert kinds(events) == [SpeechStarted, SpeechEnded, Heard]
    assert "lost my job" in heard(events)[0] and heard(events)[0].endswith(words(SECOND))


def test_the_turn_ends_sooner_after_a_finished_sentence_than_after_one_that_goes_on(ears):
    def silence_after(line: str) -> float:
        events = feed(ears, silence(1), flite_line(line), silence(4))
        return next(event.silence for event in events if isinstance(event, SpeechEnded))
    finished = silence_after(FIRST)
    assert finished <= 1.05
    assert silence_after("I want to tell you that I am sad because my") > 2 * finished


def test_a_speaker_who_pauses_is_waited_for_longer_the_next_time(recognizer):
    def turns(ears: Ears, *sounds: np.ndarray) -> int:
        return kinds(feed(ears, *sounds)).count(SpeechEnded)
    gap = [flite_line(FIRST), silence(1.2), flite_line(SECOND), silence(4)]
    hasty, learned = Ears(recognizer), Ears(recognizer)
    assert turns(hasty, *gap) == 2
    assert turns(learned, flite_line("I lost my job because"), silence(1.2), flite_line("they closed the shop."),
                 silence(4)) == 1
    assert turns(learned, *gap) == 1
    hasty.close()
    learned.close()


def test_who_is_cut_off_goes_on_and_is_waited_for_the_next_time(ears):
    gap = [flite_line(FIRST), silence(1.2), flite_line(SECOND), silence(4)]
    assert kinds(feed(ears, *gap)).count(SpeechEnded) == 2
    assert kinds(feed(ears, *gap)).count(SpeechEnded) == 1


def test_feeding_does_not_wait_for_the_words(recognizer):
    release = threading.Event()

    class Slow:
        streaming, lag = recognizer.streaming, recognizer.lag

        def utterance(self):
            made = recognizer.utterance()
            final = made.final
            made.final = lambda: final() if release.wait(30) else None
            return made

    ears, events = Ears(Slow()), []
    for part in np.array_split(np.concatenate([silence(0.5), flite_line(FIRST), silence(3)]), 100):
        events += ears.feed(part)
    assert kinds(events) == [SpeechStarted, SpeechEnded]
    release.set()
    until = time.monotonic() + 30
    while not heard(events) and time.monotonic() < until:
        events += ears.poll()
    assert heard(events) == [words(FIRST)]
    ears.close()


def test_silence_and_noise_are_not_heard(ears):
    noise = np.random.default_rng(0).normal(0, 500, 10 * RATE).astype(np.int16)
    assert feed(ears, silence(5), noise, silence(5)) == []


@pytest.mark.parametrize("said", ["Yeah.", "Okay.", "Right."])
def test_a_listeners_word_holds_the_robot_for_a_moment_and_does_not_take_the_floor(ears, said):
    ears.robot(speaks=True)
    events = feed(ears, silence(0.5), flite_line(said), silence(3))
    assert kinds(events) == [Hold, SpeechStarted, Hold, SpeechEnded, Backchannel]
    assert [event.held for event in events if isinstance(event, Hold)] == [True, False]


def test_who_speaks_against_the_robot_gets_the_floor_before_the_sentence_is_over(ears):
    ears.robot(speaks=True)
    said = flite_line("Wait, I want to tell you about my brother.")
    events = feed(ears, silence(0.5), said[:int(1.4 * RATE)])
    assert kinds(events) == [Hold, SpeechStarted, BargeIn]
    ears.robot(speaks=False)
    events = feed(ears, said[int(1.4 * RATE):], silence(3))
    assert kinds(events) == [SpeechEnded, Heard]
    assert heard(events)[0].endswith("i want to tell you about my brother")


def test_a_short_word_that_is_no_listeners_takes_the_floor(ears):
    ears.robot(speaks=True)
    events = feed(ears, silence(0.5), flite_line("Stop it."), silence(3))
    assert BargeIn in kinds(events) and "stop" in heard(events)[0]


def test_a_short_answer_counts_once_the_robot_has_finished(ears):
    ears.robot(speaks=True)
    events = feed(ears, silence(0.5), flite_line("Yeah."))
    events += ears.robot(speaks=False)
    events += feed(ears, silence(3))
    assert kinds(events) == [Hold, SpeechStarted, Hold, SpeechEnded, Heard]


def test_a_cough_holds_the_robot_for_half_a_second_and_opens_no_turn(ears):
    ears.robot(speaks=True)
    events = feed(ears, silence(0.5), flite_line("Ha.")[:int(0.14 * RATE)], silence(3))
    assert kinds(events) == [Hold, Hold]


def test_an_s_spoken_into_the_robots_words_holds_it_before_the_vowel_is_heard(ears):
    robot = make_voice("hibari").speak("I am here with you, and we can take all the time you need for it today.")
    robot = np.tile(resample(robot.pcm, robot.rate, RATE), 2)
    said, room, canceller = flite_line("Stop, I need a moment."), EchoPath(0.2, 0.08), EchoCanceller()
    user = np.zeros(len(robot))
    user[5 * RATE:5 * RATE + len(said)] = said[:len(robot) - 5 * RATE]
    heard = (user + room.through(robot) + np.random.default_rng(0).normal(0, 58, len(robot))).astype(np.int16)
    first, vowel = 5 * RATE + np.flatnonzero(np.abs(said) > 300)[0], int(0.2 * RATE)
    ears.robot(speaks=True)
    held = []
    for start in range(0, len(robot), 320):
        canceller.played(robot[start:start + 320])
        held += [start for event in ears.feed(canceller.clean(heard[start:start + 320]), canceller.hiss)
                 if isinstance(event, Hold) and event.held]
    assert held[-1] - first < vowel


def test_voices_in_the_background_hold_the_robot_less_and_less(ears):
    line = np.resize(flite_line("I have not been sleeping well since my father passed away."), 5 * RATE)
    babble = sum(np.roll(line, shift).astype(float) for shift in np.random.default_rng(0).integers(0, len(line), 30))
    ears.robot(speaks=True)
    events = feed(ears, np.tile((babble * 800 / babble.std()).astype(np.int16), 4))
    assert set(kinds(events)) == {Hold} and 2 <= sum(event.held for event in events) <= 4


def test_a_robot_that_begins_into_the_users_words_is_held(ears):
    said = flite_line("I have not been sleeping well since my father passed away.")
    feed(ears, silence(0.5), said[:RATE])
    assert kinds(ears.robot(speaks=True)) == [Hold]
    assert BargeIn in kinds(feed(ears, said[RATE:3 * RATE]))
