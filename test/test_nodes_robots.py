"""What needs messages that come with ROS 2 alone and with no wheel: NAO's, and the controllers' actions."""

import time

import pytest
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import KeyValue
from test_nodes_body import joint, words
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

NAMES = ["head_1_joint", "head_2_joint"]


def test_nao_is_led_through_a_gesture_and_back_to_rest(start_node, probe):
    pytest.importorskip("naoqi_bridge_msgs", reason="naoqi_bridge_msgs is not installed")
    from naoqi_bridge_msgs.msg import JointAnglesWithSpeed
    start_node("mock_robot", robot="nao")
    start_node("gesture", robot="nao")
    probe.listen("/joint_states", "/conversation/event")
    told = []
    probe.node.create_subscription(JointAnglesWithSpeed, "/joint_angles", told.append, 100)
    assert probe.awake("mock_robot", "gesture")
    sentence = "There is help and support here, and we can share it."
    probe.say("/dialogue/reply", KeyValue(key="t1", value=sentence))
    probe.wait(lambda: False, 0.5)
    rest = joint(probe, "RShoulderPitch")
    probe.say("/speech/words", words("t1", 0, *sentence.split()))
    assert probe.wait(lambda: abs(joint(probe, "RShoulderPitch") - rest) > 0.15, 10)
    assert probe.wait(lambda: abs(joint(probe, "RShoulderPitch") - rest) < 0.02, 20)
    assert len(told) > 50 and all(0 < message.speed <= 0.2 and not message.relative for message in told)


@pytest.fixture
def follow(probe):
    """follow(positions, seconds) -> the goal's handle, or None where it was refused."""
    pytest.importorskip("control_msgs", reason="control_msgs is not installed")
    from control_msgs.action import FollowJointTrajectory
    from rclpy.action import ActionClient
    client = ActionClient(probe.node, FollowJointTrajectory, "/head_controller/follow_joint_trajectory")

    def send(positions, seconds=1, names=NAMES):
        assert probe.wait(client.server_is_ready, 20)
        point = JointTrajectoryPoint(positions=positions, time_from_start=Duration(sec=seconds))
        sent = client.send_goal_async(FollowJointTrajectory.Goal(
            trajectory=JointTrajectory(joint_names=names, points=[point])))
        assert probe.wait(sent.done, 10)
        return sent.result() if sent.result().accepted else None
    return send


def outcome(probe, handle):
    """(status, error code) of a goal that comes to its end; 4: succeeded, 5: cancelled, 6: aborted."""
    ended = handle.get_result_async()
    assert probe.wait(ended.done, 15)
    return ended.result().status, ended.result().result.error_code


def test_a_goal_is_followed_to_its_end_or_replaced_or_cancelled_or_refused(start_node, probe, follow):
    start_node("mock_robot")
    probe.listen("/joint_states")
    assert probe.awake("mock_robot")
    assert outcome(probe, follow([0.3, 0.2])) == (4, 0)
    assert joint(probe, "head_1_joint") == pytest.approx(0.3, abs=1e-3)
    assert follow([9.0, 0.0]) is None
    assert follow([0.1, 0.0], names=["head_1_joint", "tail_joint"]) is None
    first = follow([0.0, 0.0], seconds=5)
    second = follow([0.1, 0.0], seconds=2)
    assert outcome(probe, first)[0] == 6
    assert outcome(probe, second) == (4, 0)
    third = follow([0.6, 0.5], seconds=8)
    probe.wait(lambda: False, 3.0)
    cancelled = third.cancel_goal_async()
    assert probe.wait(cancelled.done, 10)
    assert outcome(probe, third)[0] == 5
    probe.wait(lambda: False, 0.5)
    assert max(map(abs, probe.heard["/joint_states"][-1].velocity)) < 0.01
    assert joint(probe, "head_1_joint") < 0.5


def test_a_goal_that_a_stuck_joint_misses_is_aborted(start_node, probe, follow):
    start_node("mock_robot", stuck="head_2_joint")
    probe.listen("/joint_states")
    assert probe.awake("mock_robot")
    began = time.time()
    assert outcome(probe, follow([0.2, 0.3])) == (6, -5)
    assert time.time() - began > 0.9
