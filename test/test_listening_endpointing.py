import numpy as np
import pytest

from esc_robot.errors import Problem
from esc_robot.listening.endpointing import PAUSE_S, WINDOW_S, Ended, Endpointer, EndpointerParameters, Paused, Started
from esc_robot.listening.vad import RATE, WINDOW, SileroVad
from esc_robot.speaking.flite import flite_line


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def hear(*sounds: np.ndarray, **parameters) -> list:
    return Endpointer(EndpointerParameters(**parameters)).feed(SileroVad().feed(np.concatenate(sounds)))


def names(events: list) -> list[str]:
    return [type(event).__name__ for event in events]


def judged(endpointer: Endpointer, *spans: tuple[float, float]) -> list:
    """Events of spans (seconds, probability); the sample value of each window is its number."""
    counts = [(round(seconds / WINDOW_S), probability) for seconds, probability in spans]
    flat = [probability for count, probability in counts for _ in range(count)]
    return endpointer.feed((np.full(WINDOW, index, np.int16), p) for index, p in enumerate(flat))


@pytest.mark.parametrize("line", ["Yes.", "No.", "My mother is in the hospital and I cannot visit her until Friday."])
def test_a_spoken_line_is_one_utterance_whole_from_its_first_to_its_last_sample(line):
    speech = flite_line(line, "rms")
    started, paused, ended = hear(silence(1), speech, silence(1.5))
    assert isinstance(started, Started) and isinstance(paused, Paused) and isinstance(ended, Ended)
    loud = np.flatnonzero(np.abs(speech) > 1000)
    whole = speech[loud[0]:loud[-1]].tobytes()
    assert whole in ended.pcm.tobytes() and np.array_equal(paused.pcm, ended.pcm)
    assert 1.0 <= ended.silence < 1.1


def test_a_pause_inside_a_sentence_does_not_end_the_turn():
    said = flite_line("I wanted to say"), silence(0.4), flite_line("that I am tired.")
    events = hear(silence(0.5), *said, silence(1.5))
    assert names(events) == ["Started", "Paused", "Resumed", "Paused", "Ended"]


def test_a_slow_speaker_is_not_cut_off_when_the_silence_is_longer():
    sounds = [silence(0.5), flite_line("I wanted to say"), silence(1.5), flite_line("that I am tired."), silence(2.5)]
    assert names(hear(*sounds)).count("Ended") == 2
    assert names(hear(*sounds, silence=2.0)).count("Ended") == 1


def test_silence_and_noise_open_no_turn():
    noise = np.random.default_rng(0).normal(0, 1000, 10 * RATE).astype(np.int16)
    assert hear(silence(2), noise, silence(2)) == []


def test_less_than_the_minimum_speech_opens_no_turn():
    assert judged(Endpointer(), (0.5, 0.0), (0.064, 0.9), (1.0, 0.0)) == []
    assert names(judged(Endpointer(), (0.5, 0.0), (0.16, 0.9), (1.5, 0.0))) == ["Started", "Paused", "Ended"]


def test_speech_that_has_begun_goes_on_at_a_lower_probability():
    assert names(judged(Endpointer(), (0.3, 0.9), (2.0, 0.4))) == ["Started"]
    assert judged(Endpointer(), (2.0, 0.4)) == []


def test_sound_from_before_the_speech_is_kept_and_no_more_than_that():
    *_, ended = judged(Endpointer(EndpointerParameters(pre_roll=0.32)), (2.0, 0.0), (0.5, 0.9), (1.5, 0.0))
    first_of_speech = round(2.0 / WINDOW_S)
    assert ended.pcm[0] == first_of_speech - 10


def test_a_second_utterance_keeps_nothing_of_the_first():
    events = judged(Endpointer(EndpointerParameters(shortest_silence=0.3, silence=0.3, pre_roll=1.0)),
                    (0.5, 0.0), (0.5, 0.9), (0.32, 0.0), (0.5, 0.9), (0.32, 0.0))
    _, second = (event.pcm[::WINDOW] for event in events if isinstance(event, Ended))
    assert second[0] == round(1.0 / WINDOW_S) + 1 and np.all(np.diff(second) == 1)


def test_speech_without_end_is_ended_at_the_maximum_and_the_rest_is_heard_too():
    events = judged(Endpointer(EndpointerParameters(maximum_utterance=5.0)), (12.0, 0.9), (1.5, 0.0))
    ended = [event for event in events if isinstance(event, Ended)]
    assert len(ended) == 3 and ended[0].silence == 0
    samples = np.concatenate([event.pcm[::WINDOW] for event in ended])
    assert np.array_equal(samples, np.arange(len(samples))) and len(samples) * WINDOW_S >= 12.0 + PAUSE_S


def test_the_silence_that_ends_a_turn_may_be_set_anew_at_any_time():
    endpointer = Endpointer()
    judged(endpointer, (0.5, 0.9), (0.5, 0.0))
    endpointer.silence = 2.0
    assert judged(endpointer, (1.4, 0.0)) == []
    endpointer.silence = 0.5
    assert names(judged(endpointer, (0.04, 0.0))) == ["Ended"]


def test_pauses_are_not_counted_as_speech():
    endpointer = Endpointer()
    resumed = judged(endpointer, (0.5, 0.9), (0.5, 0.0), (0.5, 0.9))[-1]
    assert resumed.silence == pytest.approx(0.5, abs=WINDOW_S)
    assert endpointer.voiced == pytest.approx(1.0, abs=2 * WINDOW_S) and endpointer.quiet == 0 and endpointer.talking


def test_silences_out_of_order_are_refused():
    with pytest.raises(Problem, match="must lie between"):
        EndpointerParameters(silence=0.4, shortest_silence=0.5)


@pytest.mark.parametrize(("name", "value"), [("silence", 0.1), ("threshold", 1.5), ("maximum_utterance", 1e9),
                                             ("pre_roll", -1.0), ("minimum_speech", float("nan"))])
def test_a_value_out_of_bounds_is_named_with_its_bounds(name, value):
    with pytest.raises(Problem, match=rf"{name} '{value}': out of range; give \d"):
        EndpointerParameters(**{name: value})
