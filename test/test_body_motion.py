import numpy as np
import pytest

from esc_robot.body.gestures import library
from esc_robot.body.motion import State, plan, soft_stop
from esc_robot.body.profile import STOP_SECONDS, load_profile, profile_names
from esc_robot.body.simulation import RATE_HZ, SimulatedRobot

ROBOTS = tuple(profile_names())
GESTURES = sorted(library().gestures)


def play(robot, made, now, until):
    """Positions and velocities [steps, joints] while the simulated robot plays a plan from now on."""
    for controller, trajectory in made.trajectories.items():
        robot.accept(controller, trajectory, now)
    positions, velocities = [], []
    for step in range(round((until - now) * RATE_HZ)):
        robot.step(now + (step + 1) / RATE_HZ)
        state = robot.state
        positions.append([state.positions[name] for name in robot.names])
        velocities.append([state.velocities[name] for name in robot.names])
    return np.array(positions), np.array(velocities)


def biggest_jump(robot, velocities):
    """The largest change of velocity from step to step, as a share of what a soft stop from full speed needs."""
    allowed = 1.6 / STOP_SECONDS / RATE_HZ * np.array([
        max(joint.velocity, joint.acceleration * STOP_SECONDS / 1.6) for joint in robot.profile.joints.values()])
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
    if name != "rest" and any(profile.has(channel) for channel in library()[name].channels):
        assert np.abs(velocities).max() > 0.01, "nothing moved"


@pytest.mark.parametrize("robot_name", ROBOTS)
@pytest.mark.parametrize("name", GESTURES)
def test_a_soft_stop_in_mid_gesture_stands_within_200_ms_and_then_rests(name, robot_name):
    profile = load_profile(robot_name)
    made = plan(library()[name], profile, State())
    for share in (0.3, 0.75):
        robot, at = SimulatedRobot(profile), round(share * made.seconds * RATE_HZ) / RATE_HZ
        _, before = play(robot, made, 0.0, at)
        stop = soft_stop(profile, robot.state)
        _, after = play(robot, stop, at, at + 0.4)
        assert np.abs(after[int(0.2 * RATE_HZ) - 1:]).max() < 1e-3
        assert biggest_jump(robot, np.vstack([before, after])) < 1.0
        robot.step(at + stop.seconds + 0.1)
        assert robot.violations.total == 0
        assert robot.positions == pytest.approx(profile.rest, abs=1e-6)


@pytest.mark.parametrize("robot_name", ROBOTS)
@pytest.mark.parametrize("first, second", [("open_hands", "hand_on_heart"), ("greeting", "nod"), ("weigh", "rest"),
                                           ("hand_on_heart", "bow"), ("shake", "look_away")])
def test_a_gesture_that_interrupts_another_keeps_velocity_continuous_and_limits(first, second, robot_name):
    profile = load_profile(robot_name)
    for share in (0.15, 0.4, 0.8):
        robot = SimulatedRobot(profile)
        made = plan(library()[first], profile, State())
        at = round(share * made.seconds * RATE_HZ) / RATE_HZ
        _, before = play(robot, made, 0.0, at)
        other = plan(library()[second], profile, robot.state)
        end = at + max(other.seconds, made.seconds) + 0.1
        positions, after = play(robot, other, at, end)
        assert biggest_jump(robot, np.vstack([before, after])) < 1.0
        assert robot.violations.total == 0
        assert np.allclose(positions[-1], list(profile.rest.values()), atol=1e-6)


@pytest.mark.parametrize("robot_name", ROBOTS)
@pytest.mark.parametrize("first, second", [("look_away", "lean_in"), ("listening", "nod"), ("greeting", "open_hands")])
def test_a_stroke_wanted_at_any_time_out_of_a_movement_keeps_the_limits(first, second, robot_name):
    profile = load_profile(robot_name)
    for wanted in np.arange(0.2, 3.0, 0.13):
        robot = SimulatedRobot(profile)
        _, before = play(robot, plan(library()[first], profile, State()), 0.0, 0.6)
        made = plan(library()[second], profile, robot.state, stroke_in=wanted)
        _, after = play(robot, made, 0.6, 0.6 + made.seconds + 0.1)
        assert robot.violations.total == 0, f"stroke in {wanted:.2f} s"
        assert biggest_jump(robot, np.vstack([before, after])) < 1.0


@pytest.mark.parametrize("robot_name", ROBOTS)
@pytest.mark.parametrize("name", ["nod", "open_palm", "beat", "lean_in"])
def test_the_stroke_arrives_when_it_is_wanted_where_there_is_time(name, robot_name):
    profile = load_profile(robot_name)
    for wanted in (2.9, 4.0):
        made = plan(library()[name], profile, State(), stroke_in=wanted)
        assert made.stroke == pytest.approx(wanted, abs=0.05)
        assert made.amplitude == 1.0
        robot = SimulatedRobot(profile)
        play(robot, made, 0.0, made.stroke)
        stroke = library()[name].keyframes[library()[name].stroke_index]
        for joint, position in profile.posture(stroke.pose).items():
            if profile.joints[joint].controller in made.trajectories:
                assert robot.positions[joint] == pytest.approx(position, abs=0.01)


def test_too_little_time_makes_a_gesture_smaller_and_never_quicker_than_the_limits():
    profile = load_profile("talos")
    at_ease, hurried = (plan(library()["open_palm"], profile, State(), stroke_in=wanted) for wanted in (3.0, 1.1))
    assert hurried.amplitude < at_ease.amplitude == 1.0
    assert hurried.stroke == pytest.approx(1.1, abs=0.05)
    robot = SimulatedRobot(profile)
    play(robot, hurried, 0.0, hurried.seconds)
    assert robot.violations.total == 0


def test_a_hand_laid_on_the_heart_comes_late_rather_than_short_of_it():
    made = plan(library()["hand_on_heart"], load_profile("talos"), State(), stroke_in=0.5)
    assert made.amplitude == 1.0
    assert made.stroke > 0.5


def test_a_nod_leaves_the_arms_to_the_gesture_they_are_in():
    assert set(plan(library()["nod"], load_profile("talos"), State()).trajectories) == {"head_controller"}


@pytest.mark.parametrize("robot_name", ROBOTS)
def test_a_plan_from_full_speed_near_a_limit_stays_in_range(robot_name):
    profile = load_profile(robot_name)
    joint = next(iter(profile.joints.values()))
    reach = joint.velocity ** 2 / 2 / joint.acceleration
    state = State({joint.name: joint.upper - 0.02 - reach}, {joint.name: 0.9 * joint.velocity})
    for made in (plan(library()["nod"], profile, state), soft_stop(profile, state)):
        robot = SimulatedRobot(profile, state=state)
        play(robot, made, 0.0, made.seconds + 0.1)
        assert robot.violations.position == 0
        assert robot.violations.velocity == 0
