import numpy as np
import pytest

from esc_robot.body.gestures import library
from esc_robot.body.motion import State, plan, soft_stop
from esc_robot.body.profile import load_profile
from esc_robot.body.simulation import RATE_HZ, SimulatedRobot

ROBOTS = ("talos",)
GESTURES = sorted(library().gestures)


def play(robot, made, now, until):
    """Positions and velocities [steps, joints] while the simulated robot plays a plan from now on."""
    for controller, trajectory in made.trajectories.items():
        robot.accept(controller, trajectory, now)
    positions, velocities = [], []
    for step in range(int((until - now) * RATE_HZ)):
        robot.step(now + (step + 1) / RATE_HZ)
        positions.append(list(robot.positions.values()))
        velocities.append(list(robot.velocities.values()))
    return np.array(positions), np.array(velocities)


def biggest_jump(robot, velocities):
    """The largest change of velocity from step to step, as a share of what the acceleration limit allows."""
    allowed = np.array([joint.stop_acceleration for joint in robot.profile.joints.values()]) / RATE_HZ
    return (np.abs(np.diff(velocities, axis=0)) / allowed).max()


@pytest.mark.parametrize("robot_name", ROBOTS)
@pytest.mark.parametrize("name", GESTURES)
def test_a_gesture_stays_inside_every_limit_moves_smoothly_and_ends_at_rest(name, robot_name):
    profile = load_profile(robot_name)
    robot = SimulatedRobot(profile)
    made = plan(library()[name], profile, State())
    positions, velocities = play(robot, made, 0.0, made.seconds + 0.1)
    assert robot.violations.total == 0
    assert biggest_jump(robot, velocities) < 1.0
    assert not robot.moving
    assert np.allclose(positions[-1], list(profile.rest.values()), atol=1e-6)
    if name != "rest":
        assert np.abs(velocities).max() > 0.05, "nothing moved"


@pytest.mark.parametrize("robot_name", ROBOTS)
@pytest.mark.parametrize("name", GESTURES)
def test_a_soft_stop_in_mid_gesture_stands_within_200_ms_and_then_rests(name, robot_name):
    profile = load_profile(robot_name)
    made = plan(library()[name], profile, State())
    for share in (0.2, 0.5, 0.8):
        robot, at = SimulatedRobot(profile), round(share * made.seconds * RATE_HZ) / RATE_HZ
        _, before = play(robot, made, 0.0, at)
        stop = soft_stop(profile, robot.state)
        positions, after = play(robot, stop, at, at + stop.seconds + 0.1)
        assert np.abs(after[int(0.2 * RATE_HZ) - 1]).max() < 1e-3
        assert biggest_jump(robot, np.vstack([before, after])) < 1.0
        assert robot.violations.total == 0
        assert np.allclose(positions[-1], list(profile.rest.values()), atol=1e-6)
