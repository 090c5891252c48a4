import functools

import numpy as np
import pytest

from esc_robot.audio.echo import RATE, EchoCanceller, EchoPath
from esc_robot.audio.resample import resample
from esc_robot.listening.vad import SileroVad
from esc_robot.speaking.flite import flite_line
from esc_robot.speaking.voice import make_voice


@functools.cache
def robot() -> np.ndarray:
    voice = make_voice("hibari")
    said = [voice.speak(line) for line in ("I am here with you, and we can take all the time you need.",
                                           "It makes sense that you feel tired after such a week.")]
    return np.concatenate([np.zeros(RATE, np.int16), *(resample(speech.pcm, speech.rate, RATE) for speech in said)])


def share_of_speech(pcm: np.ndarray) -> float:
    return float(np.mean([probability > 0.5 for _, probability in SileroVad().feed(pcm)]))


def cleaned(near: np.ndarray, far: np.ndarray, late: int = 0, frame: int = 320) -> np.ndarray:
    """late: frames by which the player's sound comes after the microphone's of the same time."""
    echo, out = EchoCanceller(), []
    for start in range(0, len(near), frame):
        if start >= late * frame:
            echo.played(far[start - late * frame:start - late * frame + frame])
        out.append(echo.clean(near[start:start + frame]))
    return np.concatenate(out)


@pytest.mark.parametrize(("gain", "delay"), [(0.1, 0.04), (0.3, 0.08), (0.5, 0.12), (0.3, 0.25)])
def test_the_robots_own_voice_is_not_taken_for_speech(gain, delay):
    near = EchoPath(gain, delay).through(robot())
    assert share_of_speech(near) > 0.5
    assert share_of_speech(cleaned(near, robot())) == 0


@pytest.mark.parametrize("frame", [160, 320, 512, 1600])
def test_a_user_who_speaks_into_the_robots_words_is_heard(frame):
    said = flite_line("Wait, I want to tell you something else.")
    near = EchoPath(0.3, 0.08).through(robot())
    near[3 * RATE:3 * RATE + len(said)] += said
    out = cleaned(near, robot(), frame=frame)
    assert share_of_speech(out[3 * RATE:3 * RATE + len(said)]) > 0.1
    assert share_of_speech(out[:3 * RATE]) == 0


def test_what_was_played_may_come_late_by_some_frames():
    near = EchoPath(0.3, 0.15).through(robot())
    assert share_of_speech(cleaned(near, robot(), late=4)) == 0


def test_a_player_that_stumbles_does_not_shift_the_two_sounds():
    far, echo, out = robot(), EchoCanceller(), []
    near = EchoPath(0.3, 0.08).through(far)
    waiting = []
    for number, start in enumerate(range(0, len(near), 320)):
        waiting.append(far[start:start + 320])
        if not 100 <= number < 115:     # 0.3 s of what is played comes all at once
            for part in waiting:
                echo.played(part)
            waiting = []
        out.append(echo.clean(near[start:start + 320]))
    assert share_of_speech(np.concatenate(out)[int(2.8 * RATE):]) == 0


def test_without_a_player_the_microphone_is_heard_as_it_is_and_at_once():
    said, echo = flite_line("Yes."), EchoCanceller()
    parts = np.array_split(said, 40)
    assert all(np.array_equal(echo.clean(part), part) for part in parts)


def test_a_player_that_ends_holds_nothing_up_for_long():
    echo = EchoCanceller()
    echo.played(np.zeros(320, np.int16))
    heard = sum(len(echo.clean(np.ones(320, np.int16))) for _ in range(100))
    assert heard == 100 * 320


@pytest.mark.parametrize(("gain", "delay"), [(0.1, 0.04), (0.2, 0.12), (0.2, 0.25)])
def test_an_s_of_the_user_is_a_hiss_and_the_robots_own_is_none(gain, delay):
    said, far, echo, hisses = flite_line("Sorry, could you repeat that?"), robot(), EchoCanceller(), []
    near = EchoPath(gain, delay).through(far)
    near[4 * RATE:4 * RATE + len(said)] += said
    for start in range(0, len(near), 320):
        echo.played(far[start:start + 320])
        echo.clean(near[start:start + 320])
        hisses.append(echo.hiss)
    began = 4 * RATE + int(np.flatnonzero(np.abs(said) > 300)[0])
    assert not any(hisses[:began // 320]) and any(hisses[began // 320:(began + RATE // 8) // 320])


def test_a_click_is_no_hiss():
    far, echo, hisses = robot(), EchoCanceller(), []
    near = EchoPath(0.3, 0.08).through(far)
    near[3 * RATE:3 * RATE + 400] += np.random.default_rng(0).normal(0, 3000, 400).astype(np.int16)
    for start in range(0, len(near), 320):
        echo.played(far[start:start + 320])
        echo.clean(near[start:start + 320])
        hisses.append(echo.hiss)
    assert not any(hisses)
