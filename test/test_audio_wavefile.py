import wave

import numpy as np
import pytest

from esc_robot.audio.resample import StreamResampler, resample
from esc_robot.audio.wavefile import read_wav, write_wav
from esc_robot.errors import Problem

RATE = 16_000


def sine(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def test_what_is_written_is_read_again(tmp_path):
    write_wav(tmp_path / "a.wav", sine(440, RATE), RATE)
    assert np.array_equal(read_wav(tmp_path / "a.wav"), sine(440, RATE))


def test_two_channels_are_written_side_by_side(tmp_path):
    sides = np.stack([sine(440, RATE), sine(220, RATE)], axis=1)
    write_wav(tmp_path / "a.wav", sides, RATE)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getnchannels() == 2
        assert np.array_equal(np.frombuffer(file.readframes(RATE), np.int16).reshape(-1, 2), sides)


@pytest.mark.parametrize(("pcm", "rate", "words"), [
    (sine(440, 44_100), 44_100, ["44100 Hz", "sox"]),
    (np.stack([sine(440, RATE)] * 2, axis=1), RATE, ["2 channels", "sox"]),
    (np.zeros(0, np.int16), RATE, ["no sound"]),
])
def test_a_wave_file_of_the_wrong_kind_is_named_with_its_remedy(tmp_path, pcm, rate, words):
    write_wav(tmp_path / "a.wav", pcm, rate)
    with pytest.raises(Problem) as problem:
        read_wav(tmp_path / "a.wav")
    assert all(word in str(problem.value) for word in [*words, "a.wav"]) and "\n" not in str(problem.value)


def test_a_missing_wave_file_is_named(tmp_path):
    with pytest.raises(Problem, match="none.wav.*No such file"):
        read_wav(tmp_path / "none.wav")


@pytest.mark.parametrize("data", [b"", b"MThd no wave at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_a_file_that_is_no_wave_file_is_named(tmp_path, data):
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(Problem, match="a.wav"):
        read_wav(tmp_path / "a.wav")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(Problem, match="place you can write"):
        write_wav(tmp_path / "no" / "a.wav", sine(440, RATE), RATE)


def test_resampling_keeps_the_tone():
    sound = resample(sine(440, 44_100), 44_100, RATE)
    assert abs(len(sound) - RATE) <= 1
    assert np.abs(sound[1000:15_000].astype(int) - sine(440, RATE)[1000:15_000]).max() < 100


def test_resampling_in_pieces_leaves_no_seam():
    stream = StreamResampler(48_000, RATE)
    sound = sine(440, 48_000)
    pieces = np.concatenate([stream.feed(sound[start:start + 777]) for start in range(0, len(sound), 777)])
    whole = resample(sound, 48_000, RATE)
    assert len(pieces) > 0.95 * RATE
    assert np.abs(pieces[1000:15_000].astype(int) - whole[1000:15_000]).max() <= 2
