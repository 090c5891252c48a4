from dataclasses import replace

import numpy as np
import pytest

from esc_robot.body.gestures import library
from esc_robot.body.motion import State, plan
from esc_robot.body.profile import load_profile
from esc_robot.body.simulation import RATE_HZ, Prediction, SimulatedRobot
from esc_robot.body.strokes import stroke_delay

TALOS = load_profile("talos")


def seen(made, late, noise=0.0):
    """Joint states at 50 Hz of a robot that plays the plan from 100 s on."""
    robot, rows, random = SimulatedRobot(TALOS, 99.0, late=late), [], np.random.default_rng(1)
    for controller, trajectory in made.trajectories.items():
        robot.accept(controller, trajectory, 100.0)
    for now in np.arange(100.0, 100.0 + made.stroke + 0.4, 1 / RATE_HZ):
        robot.step(now)
        rows.append((now, State({name: at + noise * random.normal() for name, at in robot.positions.items()},
                                robot.velocities)))
    return rows


@pytest.mark.parametrize("name", ["nod", "open_hands", "hand_on_heart", "beat", "lean_in"])
@pytest.mark.parametrize("late", [0.0, 0.05, 0.25])
def test_the_delay_of_a_stroke_is_read_off_the_joint_states(name, late):
    made = plan(library()[name], TALOS, State(), stroke_in=2.0)
    assert stroke_delay(TALOS, 100.0, made.trajectories, seen(made, late)) == pytest.approx(late, abs=0.02)
    assert stroke_delay(TALOS, 100.0, made.trajectories, seen(made, late, 0.003)) == pytest.approx(late, abs=0.03)


def test_a_stroke_that_moves_nothing_or_was_not_seen_has_no_delay():
    made = plan(library()["rest"], TALOS, State())
    assert stroke_delay(TALOS, 100.0, made.trajectories, seen(made, 0.0)) is None
    assert stroke_delay(TALOS, 100.0, plan(library()["nod"], TALOS, State()).trajectories, []) is None


@pytest.mark.parametrize("name, stroke_in", [("nod", 1.4), ("open_hands", 2.5), ("hand_on_heart", 4.0), ("beat", 1.8)])
@pytest.mark.parametrize("came", [-0.1, 0.0, 0.04])
@pytest.mark.parametrize("before", ["rest", "listening", "open_palm"])
def test_a_stroke_with_a_start_comes_in_time_however_long_the_way_to_the_robot_was(name, stroke_in, came, before):
    robot, body = SimulatedRobot(TALOS, 99.0), Prediction(TALOS)
    body.measured(robot.state, 99.0)
    first = plan(library()[before], TALOS, State(), stroke_in=2.0).trajectories
    body.told(first, 99.0)
    for controller, trajectory in first.items():
        robot.accept(controller, trajectory, 99.0)
    made = plan(library()[name], TALOS, body.at(100.0), stroke_in)
    timed = {controller: replace(trajectory, start=100.0) for controller, trajectory in made.trajectories.items()}
    robot.step(100.0 + came)
    for controller, trajectory in timed.items():
        robot.accept(controller, trajectory, 100.0 + came)
    body.told(timed, 100.0 + came)
    rows = []
    for now in np.arange(100.0 + came, 100.4 + made.stroke, 1 / RATE_HZ):
        robot.step(now)
        rows.append((now, robot.state))
        assert body.at(now).positions == pytest.approx(robot.positions, abs=1e-6)
    assert stroke_delay(TALOS, 100.0 + came, timed, rows) == pytest.approx(0.0, abs=0.011)
    at_stroke = min(rows, key=lambda row: abs(row[0] - 100.0 - made.stroke))[1].positions
    for trajectory in timed.values():
        point = next(point for point in trajectory.points if point.time == pytest.approx(made.stroke))
        assert [at_stroke[joint] for joint in trajectory.joints] == pytest.approx(point.positions, abs=0.02)
    robot.step(100.1 + made.seconds)
    assert robot.violations.total == 0


def test_a_prediction_knows_where_a_moving_robot_is_though_its_joint_states_are_old():
    robot, body = SimulatedRobot(TALOS), Prediction(TALOS)
    body.measured(robot.state, 0.0)
    made = plan(library()["open_hands"], TALOS, State())
    for controller, trajectory in made.trajectories.items():
        robot.accept(controller, trajectory, 0.0)
    body.told(made.trajectories, 0.0)
    robot.step(0.5)
    body.measured(robot.state, 0.5)
    robot.step(0.6)
    assert body.at(0.6).positions == pytest.approx(robot.positions, abs=1e-6)
    assert body.at(0.6).velocities == pytest.approx(robot.velocities, abs=1e-6)


def test_a_prediction_takes_a_stuck_joint_to_be_where_it_is_seen():
    robot, body = SimulatedRobot(TALOS, stuck="arm_right_4_joint"), Prediction(TALOS)
    made = plan(library()["open_hands"], TALOS, State())
    for controller, trajectory in made.trajectories.items():
        robot.accept(controller, trajectory, 0.0)
    body.told(made.trajectories, 0.0)
    robot.step(1.5)
    body.measured(robot.state, 1.5)
    assert body.at(1.5).positions == pytest.approx(robot.positions, abs=1e-6)
