"""Gesture and mock robot as processes: words go in, joints move."""

import math
import time

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from esc_robot.nodes.base import seconds, stamped

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
    rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    assert 40 < rate < 60
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
