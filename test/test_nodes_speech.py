"""Ears, mind and voice as processes: sound, words and sentences over the topics."""

import subprocess
import time

import numpy as np
import pytest
from conftest import ROOT, node_command
from diagnostic_msgs.msg import KeyValue
from std_msgs.msg import Int16MultiArray, String

from esc_robot.audio.wavefile import write_wav
from esc_robot.nodes.base import Sound, decode_sound, encode_sound, seconds, stamped
from esc_robot.speaking.flite import flite_line


def say_aloud(probe, pcm: np.ndarray) -> None:
    """Into the microphone's topic in real time, with a second of silence after it."""
    sound = np.concatenate([pcm, np.zeros(16000, np.int16)])
    for part in np.array_split(sound, len(sound) // 640):
        probe.say("/audio/microphone", encode_sound(Sound(part, 16000)))
        probe.wait(lambda: False, 0.04)


def whole(probe) -> bool:
    """Wait for the end of a reply and for as many sentences as it says."""
    return probe.wait(lambda: probe.heard["/dialogue/end"]
                      and len(probe.heard["/dialogue/reply"]) == int(probe.heard["/dialogue/end"][0].value))


def test_sound_becomes_words_and_the_timeline_tells_when(start_node, probe):
    start_node("speech_to_text")
    probe.listen("/speech/text", "/speech/activity", "/conversation/event")
    assert probe.awake("speech_to_text")
    say_aloud(probe, flite_line("I had a long day at work."))
    assert probe.wait(lambda: probe.heard["/speech/text"], 20)
    assert "long day at work" in probe.heard["/speech/text"][0].value
    assert [message.data for message in probe.heard["/speech/activity"]] == [True, False]
    names = [probe.events(name)[0] for name in ("speech_started", "speech_ended", "text")]
    assert [event.stamp for event in names] == sorted(event.stamp for event in names)


def test_sound_at_another_rate_is_dropped_and_the_ears_live(start_node, probe):
    node = start_node("speech_to_text")
    probe.listen("/speech/text")
    assert probe.awake("speech_to_text")
    probe.say("/audio/microphone", encode_sound(Sound(np.zeros(4410, np.int16), 44100)))
    probe.say("/audio/microphone", Int16MultiArray(data=[1, 2, 3]))
    say_aloud(probe, flite_line("Can you hear me now?"))
    assert probe.wait(lambda: probe.heard["/speech/text"], 20)
    assert node.poll() is None


def test_a_crisis_is_answered_with_the_configured_line(start_node, probe):
    start_node("dialogue", country="US")
    probe.listen("/dialogue/reply", "/dialogue/end")
    assert probe.awake("dialogue")
    probe.say("/speech/text", KeyValue(key="t1", value="I do not want to live any more."))
    assert whole(probe)
    assert "nine eight eight" in " ".join(message.value for message in probe.heard["/dialogue/reply"])


def test_a_typed_line_is_answered_and_an_empty_one_dropped(start_node, probe):
    node = start_node("dialogue")
    probe.listen("/dialogue/reply", "/dialogue/strategy", "/dialogue/end", "/conversation/event")
    assert probe.awake("dialogue")
    probe.say("/chat/text", String(data="   "))
    probe.say("/chat/text", String(data="I am sad because my cat ran away."))
    assert whole(probe)
    turns = {message.key for message in probe.heard["/dialogue/reply"]}
    assert len(turns) == 1 and 1 <= len(probe.heard["/dialogue/reply"]) <= 3
    assert probe.heard["/dialogue/strategy"][0].key in turns and probe.wait(lambda: probe.events("first_token"))
    assert node.poll() is None


def test_how_a_reply_was_found_is_told_when_asked_for(start_node, probe):
    start_node("dialogue", explain=True)
    probe.listen("/dialogue/why", "/dialogue/reply", "/dialogue/strategy", "/dialogue/end")
    assert probe.awake("dialogue")
    probe.say("/chat/text", String(data="I am sad because my cat ran away."))
    assert whole(probe) and probe.wait(lambda: probe.heard["/dialogue/why"])
    status = probe.heard["/dialogue/why"][0].status[0]
    why = {value.key: value.value for value in status.values}
    assert status.hardware_id == probe.heard["/dialogue/strategy"][0].key
    assert why["strategy"] == probe.heard["/dialogue/strategy"][0].value and "candidate 1" in why and why["act"]


def test_a_turn_that_is_interrupted_is_neither_written_nor_sounded_further(start_node, probe):
    start_node("text_to_speech")
    probe.listen("/audio/speaker")
    assert probe.awake("text_to_speech")
    probe.say("/dialogue/reply", KeyValue(key="t1", value="This is the first sentence."))
    assert probe.wait(lambda: probe.heard["/audio/speaker"])
    probe.say("/conversation/interrupt", KeyValue(key="t1", value="test"))
    probe.wait(lambda: False, 0.5)
    probe.say("/dialogue/reply", KeyValue(key="t1", value="This one comes too late."))
    probe.say("/dialogue/reply", KeyValue(key="t2", value="Another turn begins."))
    assert probe.wait(lambda: any(decode_sound(m).turn == "t2" for m in probe.heard["/audio/speaker"]))
    assert sum(decode_sound(m).turn == "t1" for m in probe.heard["/audio/speaker"]) == 1


def test_word_times_are_told_when_the_sentence_begins_to_sound(start_node, probe):
    start_node("text_to_speech")
    probe.listen("/audio/speaker", "/speech/words")
    assert probe.awake("text_to_speech")
    probe.say("/dialogue/reply", KeyValue(key="t1", value="Tell me more about it."))
    probe.say("/dialogue/end", KeyValue(key="t1", value="1"))
    assert probe.wait(lambda: len(probe.heard["/audio/speaker"]) == 2)
    assert decode_sound(probe.heard["/audio/speaker"][1]).last
    assert not probe.heard["/speech/words"]
    now = time.time()
    probe.node.event("sentence_started", "t1", now, sentence=0)
    assert probe.wait(lambda: probe.heard["/speech/words"])
    status = probe.heard["/speech/words"][0].status[0]
    assert [value.key for value in status.values] == ["Tell", "me", "more", "about", "it"]
    starts = [float(value.value.split()[0]) for value in status.values]
    assert starts == sorted(starts) and starts[-1] < 3.0
    assert probe.heard["/speech/words"][0].header.stamp == stamped(now, status).header.stamp


def test_the_words_of_the_next_sentence_are_told_ahead_and_later_after_a_hold(start_node, probe):
    start_node("text_to_speech")
    probe.listen("/audio/speaker", "/speech/words", "/speech/words_ahead")
    assert probe.awake("text_to_speech")
    for sentence in ("Hello.", "Tell me more about it.", "Please."):
        probe.say("/dialogue/reply", KeyValue(key="t1", value=sentence))
    assert probe.wait(lambda: len(probe.heard["/audio/speaker"]) == 3)
    first = decode_sound(probe.heard["/audio/speaker"][0])
    now = time.time()
    probe.node.event("sentence_started", "t1", now, sentence=0)
    assert probe.wait(lambda: probe.heard["/speech/words_ahead"])
    probe.node.event("sentence_resumed", "t1", now + 2.0, sentence=0, sounded=0.5)
    assert probe.wait(lambda: len(probe.heard["/speech/words_ahead"]) == 2)
    begins = [seconds(message.header.stamp) - now for message in probe.heard["/speech/words_ahead"]]
    lasts = len(first.pcm) / first.rate
    assert begins == pytest.approx([lasts, lasts + 1.5], abs=1e-3)
    assert [seconds(message.header.stamp) - now for message in probe.heard["/speech/words"]] == pytest.approx(
        [0.0, 1.5], abs=1e-3)
    status = probe.heard["/speech/words_ahead"][0].status[0]
    assert (status.message, [value.key for value in status.values]) == ("1", ["Tell", "me", "more", "about", "it"])


WRONG = [
    ("dialogue", {"adapter": "/no/such/folder"}, "/no/such/folder"),
    ("dialogue", {"country": "atlantis"}, "atlantis"),
    ("dialogue", {"temperature": 9.5}, "9.5"),
    ("speech_to_text", {"silence": "soon"}, "soon"),
    ("speech_to_text", {"recogniser": "parrot"}, "parrot"),
    ("speech_to_text", {"recogniser": "vosk", "vosk_model": "/no/such/model"}, "/no/such/model"),
    ("text_to_speech", {"voice": "opera"}, "opera"),
    ("gesture", {"robot": "teapot"}, "teapot"),
    ("mock_robot", {"robot": "teapot"}, "teapot"),
    ("mock_audio", {"lines": "/no/such/lines.txt"}, "/no/such/lines.txt"),
    ("mock_audio", {"voice": "bass"}, "bass"),
    ("microphone", {"device": "no such device"}, "no such device"),
    ("speaker", {"device": "no such device"}, "no such device"),
]


@pytest.mark.parametrize(("node", "parameters", "value"), WRONG, ids=[f"{n}-{v}" for n, _, v in WRONG])
def test_a_wrong_parameter_is_one_line_with_the_value_and_exit_code_2(node, parameters, value):
    done = subprocess.run(node_command(node, **parameters), cwd=ROOT, capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 2
    assert len(lines) == 1 and lines[0].startswith("error: ") and f"'{value}'" in lines[0], done.stderr


@pytest.mark.parametrize(("name", "pcm", "rate"), [
    ("stereo", np.zeros((16000, 2), np.int16), 16000), ("empty", np.zeros(0, np.int16), 16000),
    ("silent", np.zeros(32000, np.int16), 16000), ("other rate", np.ones(8000, np.int16), 44100)])
def test_an_unfit_recording_is_one_line_and_exit_code_2(tmp_path, name, pcm, rate):
    path = tmp_path / "user.wav"
    write_wav(path, pcm, rate)
    done = subprocess.run(node_command("mock_audio", wav=path), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "user.wav" in done.stderr and done.stderr.count("\n") == 1, done.stderr
