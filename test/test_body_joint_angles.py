"""NAO and Pepper. naoqi_bridge_msgs is on no package registry, so a stand-in takes the place of its message type."""

from dataclasses import dataclass, field

import pytest

from esc_robot.body.gestures import library
from esc_robot.body.joint_angles import STREAM_HZ, AngleStream, JointAngles, lead
from esc_robot.body.motion import State, plan, soft_stop
from esc_robot.body.profile import load_profile
from esc_robot.body.simulation import Prediction, SimulatedRobot
from esc_robot.errors import Problem
from esc_robot.nodes.gesture import encode_angles
from esc_robot.nodes.mock_robot import decode_angles


@dataclass
class JointAnglesWithSpeed:
    """The fields of naoqi_bridge_msgs/JointAnglesWithSpeed that are used."""

    joint_names: list = field(default_factory=list)
    joint_angles: list = field(default_factory=list)
    speed: float = 0.0
    relative: int = 0


@pytest.mark.parametrize("robot_name", ["nao", "pepper"])
@pytest.mark.parametrize("name", ["nod", "open_hands", "greeting", "hand_on_heart"])
def test_a_gesture_led_from_position_to_position_is_followed_within_the_limits(robot_name, name):
    profile = load_profile(robot_name)
    robot, body = SimulatedRobot(profile), Prediction(profile, open_loop=True)
    stream, made, sent = AngleStream(profile, body), plan(library()[name], profile, State()), 0
    body.measured(robot.state, 0.0)
    body.told(made.trajectories, 0.0)
    for step in range(int((made.seconds + 0.2) * STREAM_HZ)):
        now = step / STREAM_HZ
        target = stream.next(now)
        if target:
            sent += 1
            assert 0 < target.speed <= profile.speed_scale
            lead(robot, decode_angles(encode_angles(target, JointAnglesWithSpeed), robot.positions), now)
        robot.step(now + 1 / STREAM_HZ)
        assert robot.positions == pytest.approx(body.at(now + 1 / STREAM_HZ).positions, abs=0.02)
    assert robot.violations.total == 0
    assert made.seconds * STREAM_HZ * 0.7 < sent <= (made.seconds + 0.2) * STREAM_HZ
    assert robot.positions == pytest.approx(profile.rest, abs=0.01)


def test_a_stop_leads_such_a_robot_to_a_stand_within_200_ms():
    profile = load_profile("nao")
    body = Prediction(profile, open_loop=True)
    stream = AngleStream(profile, body)
    body.told(plan(library()["greeting"], profile, State()).trajectories, 0.0)
    state = body.at(0.8)
    assert max(map(abs, state.velocities.values())) > 0.3
    body.told(soft_stop(profile, state).trajectories, 0.8)
    stands = [stream.next(0.8 + step / STREAM_HZ) for step in range(10)]
    assert all(target is None for target in stands[6:])


def test_angles_relative_to_the_present_are_added_to_it():
    robot = SimulatedRobot(load_profile("nao"))
    here = robot.positions["HeadYaw"]
    lead(robot, decode_angles(JointAnglesWithSpeed(["HeadYaw"], [0.2], 0.1, relative=1), robot.positions), 0.0)
    robot.step(2.0)
    assert robot.positions["HeadYaw"] == pytest.approx(here + 0.2)


@pytest.mark.parametrize("bad", [JointAngles(("HeadYaw",), (0.1, 0.2), 0.1), JointAngles(("HeadYaw",), (0.1,), 0.0),
                                 JointAngles(("Tail",), (0.1,), 0.1), JointAngles(("HeadYaw",), (9.0,), 0.1),
                                 JointAngles(("HeadYaw",), (float("nan"),), 0.1)])
def test_bad_angles_are_refused_and_counted(bad):
    robot = SimulatedRobot(load_profile("nao"))
    with pytest.raises(Problem):
        lead(robot, bad, 0.0)
    assert robot.refused == 1
