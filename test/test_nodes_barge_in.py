"""Who has the floor: scripted users who speak over the robot, with the robot's sound in its own microphone."""

import socket
import time
import wave

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from std_msgs.msg import Bool

from esc_robot.nodes.base import Sound, encode_sound, seconds, stamped

REPLY = ("I am here with you, and we can take all the time you need today.",
         "It makes sense that you feel tired after a week like the one you had.",
         "Tell me what has been the hardest part of it for you so far.")
LOUD = 300


class Scene:
    """Ears, voice and mock audio as processes; the test itself is the mind: it gives every utterance the same reply."""

    def __init__(self, start_node, probe, folder, lines: list[str], **parameters):
        (folder / "lines.txt").write_text("\n".join(lines))
        self.probe, self.folder, self.answered = probe, folder, set()
        probe.listen("/speech/text", "/conversation/event", "/conversation/hold", "/conversation/interrupt")
        start_node("speech_to_text")
        start_node("text_to_speech")
        assert probe.awake("speech_to_text", "text_to_speech")
        start_node("mock_audio", lines=folder / "lines.txt", out=folder, pause=0.5, answer_timeout=20.0, **parameters)
        assert probe.awake("mock_audio")
        for name in ("dialogue", "gesture"):
            probe.say("/diagnostics", stamped(time.time(), DiagnosticStatus(name=name, level=DiagnosticStatus.OK)))

    def play(self) -> "Scene":
        """To the script's end."""
        def over() -> bool:
            for message in self.probe.heard["/speech/text"]:
                if message.key not in self.answered:
                    self.answered.add(message.key)
                    for sentence in REPLY:
                        self.probe.say("/dialogue/reply", KeyValue(key=message.key, value=sentence))
                    self.probe.say("/dialogue/end", KeyValue(key=message.key, value=str(len(REPLY))))
            return bool(self.probe.events("script_finished"))
        assert self.probe.wait(over, 120)
        return self

    def names(self, *wanted: str) -> list[str]:
        """The wanted events, in order."""
        from esc_robot.nodes.base import decode_event
        return [event.name for event in map(decode_event, self.probe.heard["/conversation/event"])
                if event.name in wanted]

    def held(self) -> list[bool]:
        return [message.data for message in self.probe.heard["/conversation/hold"]]

    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether the user, and the robot, sound: bool [10 ms]."""
        with wave.open(str(self.folder / "conversation.wav")) as recording:
            pcm = np.frombuffer(recording.readframes(recording.getnframes()), np.int16).reshape(-1, 2)
        frames = np.abs(pcm[:len(pcm) // 160 * 160].astype(np.int32)).reshape(-1, 160, 2).max(axis=1) > LOUD
        return frames[:, 0], frames[:, 1]


def test_a_listeners_word_leaves_the_floor_to_the_robot_and_real_speech_takes_it(start_node, probe, tmp_path):
    probe.listen("/speech/words")
    scene = Scene(start_node, probe, tmp_path, ["I have had a long week.", "+2.0 Okay.", "I am so tired.",
                                                "+2.0 Wait, I want to tell you something."], echo_gain=0.2).play()
    turns = scene.names("text", "turn_finished", "turn_interrupted", "barge_in")
    assert turns == ["text", "turn_finished", "text", "barge_in", "turn_interrupted", "text", "turn_finished"]
    interrupted = probe.events("turn_interrupted")[0]
    assert [message.key for message in probe.heard["/conversation/interrupt"]] == [interrupted.turn]
    assert int(interrupted.values["spoken"]) == 0
    resumed = probe.events("sentence_resumed")[0]
    told = [seconds(message.header.stamp) for message in probe.heard["/speech/words"]
            if (message.status[0].hardware_id, message.status[0].message) == (resumed.turn, resumed.values["sentence"])]
    assert len(told) == 2 and told[1] == pytest.approx(resumed.stamp - float(resumed.values["sounded"]), abs=1e-3)
    assert told[1] > told[0] + 0.1      # by as long as it was held
    assert "tell you something" in probe.heard["/speech/text"][-1].value
    user, robot = scene.sides()
    last_word = np.flatnonzero(user)[-1]
    assert (user & robot).any() and not robot[last_word - 50:last_word + 1].any()


def test_the_robot_neither_answers_nor_holds_itself(start_node, probe, tmp_path):
    scene = Scene(start_node, probe, tmp_path, ["I have had a long week.", "I am so tired."],
                  echo_gain=0.4, echo_delay=0.2).play()
    assert scene.names("speech_started", "turn_finished") == ["speech_started", "turn_finished"] * 2
    assert scene.held() == [] and len(probe.heard["/speech/text"]) == 2


def test_after_a_long_silence_the_timeline_says_so_once(start_node, probe):
    from test_nodes_speech import say_aloud

    from esc_robot.speaking.flite import flite_line
    start_node("speech_to_text", prompt_after=2.0)
    probe.listen("/speech/text", "/conversation/event")
    assert probe.awake("speech_to_text")
    probe.wait(lambda: False, 2.5)
    assert not probe.events("long_silence")         # nobody has come yet
    say_aloud(probe, flite_line("I am so tired."))
    assert probe.wait(lambda: probe.events("long_silence"), 20)
    probe.wait(lambda: False, 3)
    assert len(probe.events("long_silence")) == 1 and probe.events("long_silence")[0].turn


def test_the_robot_says_a_gentle_word_after_a_long_silence(start_node, probe):
    start_node("dialogue")
    probe.listen("/dialogue/reply", "/conversation/event")
    assert probe.awake("dialogue")
    probe.node.event("long_silence", "silence-1", seconds=45)
    assert probe.wait(lambda: probe.heard["/dialogue/reply"], 30)
    assert probe.heard["/dialogue/reply"][0].key == "silence-1" and len(probe.heard["/dialogue/reply"][0].value) > 10


def test_a_page_that_is_the_loudspeaker_is_held_too(start_node, probe):
    start_node("web", audio=True, port=free_port())
    probe.listen("/conversation/event")
    assert probe.awake("web")
    probe.say("/audio/speaker", encode_sound(Sound(np.full(36000, 8000, np.int16), 24000, "t1", 0)))
    probe.say("/audio/speaker", encode_sound(Sound(np.zeros(0, np.int16), 24000, "t1", last=True)))
    assert probe.wait(lambda: probe.events("sentence_started"), 10)
    probe.say("/conversation/hold", Bool(data=True))
    assert not probe.wait(lambda: probe.events("turn_finished"), 2)
    probe.say("/conversation/hold", Bool(data=False))
    assert probe.wait(lambda: probe.events("turn_finished"), 10)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
