"""Gesture and mock robot as processes: words go in, joints move."""

import importlib.util
import math
import re
import subprocess
import time
from itertools import pairwise

import pytest
import yaml
from builtin_interfaces.msg import Duration
from conftest import ROOT, node_command
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from esc_robot.assets import config
from esc_robot.body.gestures import library
from esc_robot.nodes.base import seconds, stamped

HEAD = "/head_controller/joint_trajectory"


def head(*positions: float, seconds: float = 1.0, names=("head_1_joint", "head_2_joint")) -> JointTrajectory:
    point = JointTrajectoryPoint(positions=list(positions), time_from_start=Duration(sec=int(seconds)))
    return JointTrajectory(joint_names=list(names), points=[point])


def words(turn: str, sentence: int, *spoken: str):
    status = DiagnosticStatus(name="words", hardware_id=turn, message=str(sentence))
    status.values = [KeyValue(key=word, value=f"{0.3 * n:.2f} {0.3 * n + 0.25:.2f}") for n, word in enumerate(spoken)]
    return stamped(time.time(), status)


def texts_in(entry) -> list[str]:
    """Every ``text`` of a file of config/care, whatever it stands under."""
    if isinstance(entry, list):
        return [text for part in entry for text in texts_in(part)]
    if isinstance(entry, dict):
        return [text for key, part in entry.items() for text in ([part] if key == "text" else texts_in(part))]
    return []


def joint(probe, name: str) -> float:
    message = probe.heard["/joint_states"][-1]
    return message.position[message.name.index(name)]


def test_a_sentence_moves_the_body_and_its_end_brings_it_back(start_node, probe):
    start_node("mock_robot")
    start_node("gesture")
    probe.listen("/joint_states", "/conversation/event")
    assert probe.awake("mock_robot", "gesture")
    probe.say("/dialogue/strategy", KeyValue(key="t1", value="Emotional Validation"))
    sentence = "You told me all of it, and I can hear how heavy it is, and I am so sorry."
    probe.say("/dialogue/reply", KeyValue(key="t1", value=sentence))
    probe.wait(lambda: False, 0.5)
    rest = joint(probe, "arm_right_4_joint")
    spoken = words("t1", 0, *sentence.split())
    probe.say("/speech/words", spoken)
    assert probe.wait(lambda: probe.events("gesture"))
    event = probe.events("gesture")[0]
    assert event.values["name"] == "hand_on_heart" and event.values["word"].strip(".") == "sorry"
    sounds_at = seconds(spoken.header.stamp) + 0.3 * (len(sentence.split()) - 1)
    assert abs(float(event.values["stroke_at"]) - sounds_at) <= 0.1
    assert probe.wait(lambda: abs(joint(probe, "arm_right_4_joint") - rest) > 0.5, 10)
    assert probe.wait(lambda: abs(joint(probe, "arm_right_4_joint") - rest) < 0.01, 20)
    figures = {v.key: v.value for m in probe.heard["/diagnostics"] for s in m.status if s.name == "mock_robot"
               for v in s.values}
    assert figures["joint_limit_violations"] == "0"


def test_bad_trajectories_are_refused_and_the_robot_plays_the_next_good_one(start_node, probe):
    start_node("mock_robot")
    probe.listen("/joint_states")
    assert probe.awake("mock_robot")
    assert probe.wait(lambda: probe.heard["/joint_states"])
    rest = joint(probe, "head_1_joint")
    for bad in (head(0.1, 0.1, names=("head_1_joint", "tail_joint")), head(math.nan, 0.0), head(9.0, 0.0),
                head(0.1, 0.1, seconds=0.0), JointTrajectory()):
        probe.say(HEAD, bad, JointTrajectory)
    probe.wait(lambda: False, 1.0)
    assert joint(probe, "head_1_joint") == rest
    probe.say(HEAD, head(0.2, 0.1))
    assert probe.wait(lambda: abs(joint(probe, "head_1_joint") - 0.2) < 1e-3, 10)


def test_bad_words_and_unknown_turns_leave_the_gesture_node_alive(start_node, probe):
    node = start_node("gesture")
    probe.listen("/conversation/event")
    assert probe.awake("gesture")
    probe.say("/speech/words", stamped(time.time(), DiagnosticStatus(name="words", hardware_id="x", message="first")))
    probe.say("/speech/words", words("never met", 0, "Hello"))
    probe.say("/dialogue/reply", KeyValue(key="", value="Nobody's sentence."))
    probe.say("/dialogue/reply", KeyValue(key="t2", value="Hello, welcome back."))
    probe.wait(lambda: False, 0.5)
    probe.say("/speech/words", words("t2", 0, "Hello", "welcome", "back."))
    assert probe.wait(lambda: probe.events("gesture")), "the gesture node no longer answers"
    assert node.poll() is None


def test_joint_states_come_at_50_hz_with_velocities(start_node, probe):
    start_node("mock_robot")
    probe.listen("/joint_states")
    assert probe.awake("mock_robot")
    probe.wait(lambda: False, 2.0)
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in probe.heard["/joint_states"]][-60:]
    steps = sorted(later - earlier for earlier, later in pairwise(stamps))
    assert 40 < 1 / steps[len(steps) // 2] < 60
    assert len(probe.heard["/joint_states"][-1].velocity) == len(probe.heard["/joint_states"][-1].name)


def test_the_stop_service_stops_the_body_in_mid_gesture_and_drops_what_was_said(start_node, probe):
    start_node("mock_robot")
    start_node("gesture")
    probe.listen("/joint_states", "/conversation/event", "/conversation/interrupt")
    assert probe.awake("mock_robot", "gesture")
    probe.say("/dialogue/reply", KeyValue(key="t1", value="Hello, it is good to see you."))
    probe.wait(lambda: False, 0.5)
    probe.say("/speech/words", words("t1", 0, "Hello,", "it", "is", "good", "to", "see", "you."))
    assert probe.wait(lambda: max(map(abs, probe.heard["/joint_states"][-1].velocity)) > 0.1, 10)
    stop = probe.node.create_client(Trigger, "/robot/stop")
    assert stop.wait_for_service(timeout_sec=10)
    answer = stop.call_async(Trigger.Request())
    assert probe.wait(answer.done, 5) and answer.result().success
    called = time.time()
    assert probe.wait(lambda: time.time() > called + 1.0 and probe.heard["/conversation/interrupt"], 5)
    standing = [seconds(message.header.stamp) for message in probe.heard["/joint_states"]
                if seconds(message.header.stamp) > called and max(map(abs, message.velocity)) < 0.02]
    # 200 ms are the plan's and tested without ROS; here the way to the robot and back comes on top.
    assert standing and standing[0] - called < 0.5


def test_a_turn_that_is_interrupted_in_mid_gesture_stops_the_body(start_node, probe):
    start_node("mock_robot")
    start_node("gesture")
    probe.listen("/joint_states", "/conversation/event")
    assert probe.awake("mock_robot", "gesture")
    sentence = "There is help and support here, and we can share it."
    probe.say("/dialogue/reply", KeyValue(key="t1", value=sentence))
    probe.wait(lambda: False, 0.5)
    probe.say("/speech/words", words("t1", 0, *sentence.split()))
    assert probe.wait(lambda: max(map(abs, probe.heard["/joint_states"][-1].velocity)) > 0.3, 10)
    interrupted = time.time()
    probe.node.event("turn_interrupted", "t1", interrupted, spoken=0)
    probe.wait(lambda: False, 1.0)
    standing = [seconds(message.header.stamp) for message in probe.heard["/joint_states"]
                if seconds(message.header.stamp) > interrupted and max(map(abs, message.velocity)) < 0.02]
    # The plan's 150 ms are tested without ROS. On an idle machine 160 to 180 ms are measured here, on a full one more.
    assert standing and standing[0] - interrupted < 0.5


def test_a_stroke_whose_word_is_held_back_comes_with_it_when_the_sentence_goes_on(start_node, probe):
    start_node("mock_robot")
    start_node("gesture")
    probe.listen("/joint_states", "/conversation/event")
    assert probe.awake("mock_robot", "gesture")
    sentence = "We have all the time that you need today, and there is help and support here, and we can share it."
    probe.say("/dialogue/reply", KeyValue(key="t1", value=sentence))
    probe.wait(lambda: False, 0.5)
    spoken = words("t1", 0, *sentence.split())
    probe.say("/speech/words", spoken)
    assert probe.wait(lambda: probe.events("gesture"), 10)
    first = float(probe.events("gesture")[0].values["stroke_at"])
    assert first > time.time() + 0.5
    probe.say("/conversation/hold", Bool(data=True))
    probe.wait(lambda: False, 0.4)
    assert max(map(abs, probe.heard["/joint_states"][-1].velocity)) < 0.02
    probe.say("/conversation/hold", Bool(data=False))
    again = stamped(seconds(spoken.header.stamp) + 0.6, spoken.status[0])
    probe.say("/speech/words", again)
    assert probe.wait(lambda: len(probe.events("gesture")) == 2, 10)
    later = probe.events("gesture")[1].values
    number = sentence.split().index(later["word"])
    assert float(later["word_at"]) == pytest.approx(seconds(again.header.stamp) + 0.3 * number, abs=0.01)
    assert abs(float(later["stroke_at"]) - float(later["word_at"])) <= 0.1
    probe.wait(lambda: time.time() > float(later["stroke_at"]) + 0.2, 15)
    probe.say("/speech/words", again)       # told once more, after its stroke
    probe.wait(lambda: False, 0.5)
    assert len(probe.events("gesture")) == 2


def test_nothing_large_moves_after_words_of_a_crisis_whatever_is_answered(start_node, probe):
    files = [path for path in config("care").glob("*.yaml") if path.stem != "acts"]
    texts = [text for path in files for text in texts_in(yaml.safe_load(path.read_text()))]
    sentences = sorted({sentence for text in texts for sentence in re.split(r"(?<=[.?!]) ", text)})
    tempting = [sentence for sentence in sentences
                if any(gesture.size == "large" for gesture in library().fitting("Others", sentence))]
    assert tempting, "no reply would be met with a large gesture, so this proves nothing"
    for sentence in sentences:
        assert all(gesture.size != "large" for gesture in library().fitting("Others", sentence, gentle=True))
    start_node("gesture")
    probe.listen("/conversation/event")
    assert probe.awake("gesture")
    probe.say("/speech/text", KeyValue(key="t0", value="I want to kill myself."))
    for number, sentence in enumerate(tempting[:4], 1):
        turn = f"t{number}"
        probe.say("/dialogue/reply", KeyValue(key=turn, value=sentence))
        probe.wait(lambda: False, 0.3)
        probe.say("/speech/words", words(turn, 0, *sentence.split()))
        assert probe.wait(lambda turn=turn: [e for e in probe.events("gesture") if e.turn == turn], 10)
        probe.wait(lambda: False, 4.0)      # until the body is free again
    assert all(library()[event.values["name"]].size != "large" for event in probe.events("gesture"))


def test_a_robot_with_faults_is_late_and_has_a_joint_that_does_not_move(start_node, probe):
    start_node("mock_robot", stuck="head_2_joint", late=1.0)
    probe.listen("/joint_states")
    assert probe.awake("mock_robot") and probe.wait(lambda: probe.heard["/joint_states"])
    rest = joint(probe, "head_1_joint")
    probe.say(HEAD, head(0.3, 0.3), JointTrajectory)
    probe.wait(lambda: False, 0.8)
    assert joint(probe, "head_1_joint") == rest
    assert probe.wait(lambda: abs(joint(probe, "head_1_joint") - 0.3) < 1e-3, 10)
    assert joint(probe, "head_2_joint") == 0.0


@pytest.mark.skipif(importlib.util.find_spec("naoqi_bridge_msgs") is not None, reason="naoqi_bridge_msgs is installed")
@pytest.mark.parametrize("node", ["gesture", "mock_robot"])
def test_nao_without_its_message_package_ends_with_one_line_that_names_it(node):
    done = subprocess.run(node_command(node, robot="nao"), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ROS package 'naoqi_bridge_msgs': is not installed; apt ")
    assert "Traceback" not in done.stderr
