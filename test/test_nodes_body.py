"""Gesture and mock robot as processes: words go in, joints move."""

import math
import time

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from esc_robot.nodes.base import stamped

HEAD = "/head_controller/joint_trajectory"


def head(*positions: float, seconds: float = 1.0, names=("head_1_joint", "head_2_joint")) -> JointTrajectory:
    point = JointTrajectoryPoint(positions=list(positions), time_from_start=Duration(sec=int(seconds)))
    return JointTrajectory(joint_names=list(names), points=[point])


def words(turn: str, sentence: int, *spoken: str):
    status = DiagnosticStatus(name="words", hardware_id=turn, message=str(sentence))
    status.values = [KeyValue(key=word, value=f"{0.3 * n:.2f} {0.3 * n + 0.25:.2f}") for n, word in enumerate(spoken)]
    return stamped(time.time(), status)


def joint(probe, name: str) -> float:
    message = probe.heard["/joint_states"][-1]
    return message.position[message.name.index(name)]


def test_a_sentence_moves_the_body_and_its_end_brings_it_back(start_node, probe):
    start_node("mock_robot")
    start_node("gesture")
    probe.listen("/joint_states", "/conversation/event")
    assert probe.awake("mock_robot", "gesture")
    probe.say("/dialogue/strategy", KeyValue(key="t1", value="Emotional Validation"))
    probe.say("/dialogue/reply", KeyValue(key="t1", value="I am sorry that it hurts so much."))
    probe.wait(lambda: False, 0.5)
    rest = joint(probe, "arm_right_4_joint")
    probe.say("/speech/words", words("t1", 0, "I", "am", "sorry", "that", "it", "hurts", "so", "much."))
    assert probe.wait(lambda: probe.events("gesture"))
    event = probe.events("gesture")[0]
    assert event.values["name"] == "hand_on_heart" and event.values["word"] == "sorry"
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
    rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    assert 40 < rate < 60
    assert len(probe.heard["/joint_states"][-1].velocity) == len(probe.heard["/joint_states"][-1].name)

