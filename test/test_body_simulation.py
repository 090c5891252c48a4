import math
from dataclasses import replace

import pytest

from esc_robot.body.gestures import library
from esc_robot.body.motion import Point, State, Trajectory, plan
from esc_robot.body.profile import load_profile
from esc_robot.body.simulation import SimulatedRobot
from esc_robot.errors import Problem

TALOS = load_profile("talos")
HEAD = ("head_1_joint", "head_2_joint")


def to(*points):
    return Trajectory(HEAD, tuple(Point(time, positions, (0.0, 0.0), (0.0, 0.0)) for time, positions in points))


@pytest.mark.parametrize("controller, trajectory, words", [
    ("tail_controller", to((1.0, (0.1, 0.0))), "tail_controller"),
    ("head_controller", Trajectory(("head_1_joint", "tail_joint"), to((1.0, (0.1, 0.0))).points), "tail_joint"),
    ("head_controller", Trajectory(("head_1_joint",), (Point(1.0, (0.1,), (), ()),)), "each joint"),
    ("head_controller", to(), "no points"),
    ("head_controller", to((1.0, (0.1, 0.0)), (1.0, (0.2, 0.0))), "time_from_start"),
    ("head_controller", to((0.0, (0.1, 0.0))), "time_from_start"),
    ("head_controller", to((math.nan, (0.1, 0.0))), "time_from_start"),
    ("head_controller", to((1.0, (math.nan, 0.0))), "finite"),
    ("head_controller", to((1.0, (0.1, math.inf))), "finite"),
    ("head_controller", to((1.0, (0.1,))), "one a joint"),
    ("head_controller", to((1.0, (0.9, 0.0))), "head_1_joint.*limits"),
])
def test_a_bad_trajectory_is_refused_with_a_reason_and_the_old_one_goes_on(controller, trajectory, words):
    robot = SimulatedRobot(TALOS)
    robot.accept("head_controller", to((1.0, (0.2, 0.0))), 0.0)
    with pytest.raises(Problem, match=words):
        robot.accept(controller, trajectory, 0.4)
    assert robot.refused == 1
    robot.step(1.1)
    assert robot.positions["head_1_joint"] == pytest.approx(0.2)


def test_a_trajectory_is_met_at_its_points():
    robot = SimulatedRobot(TALOS)
    robot.accept("head_controller", to((1.0, (0.2, 0.1)), (3.0, (0.0, -0.1))), 0.0)
    robot.step(1.0)
    assert [robot.positions[name] for name in HEAD] == pytest.approx([0.2, 0.1])
    robot.step(3.0)
    assert [robot.positions[name] for name in HEAD] == pytest.approx([0.0, -0.1])
    assert not robot.moving


@pytest.mark.parametrize("came", [-0.2, 0.0, 0.5])
def test_the_points_of_a_trajectory_with_a_start_are_met_at_their_times_whenever_it_comes(came):
    robot = SimulatedRobot(TALOS, 10.0)
    robot.accept("head_controller", replace(to((1.0, (0.2, 0.1)), (3.0, (0.0, -0.1))), start=11.0), 11.0 + came)
    robot.step(11.4 + came)
    assert robot.positions["head_1_joint"] > 0.001      # it has begun at once
    for time, positions in ((12.0, [0.2, 0.1]), (14.0, [0.0, -0.1])):
        robot.step(time)
        assert [robot.positions[name] for name in HEAD] == pytest.approx(positions)


def test_points_that_are_past_are_left_out_and_a_trajectory_that_is_over_is_refused():
    robot = SimulatedRobot(TALOS, 10.0)
    timed = replace(to((1.0, (0.5, 0.1)), (3.0, (0.0, -0.1))), start=10.0)
    robot.accept("head_controller", timed, 12.0)
    robot.step(13.0)
    assert [robot.positions[name] for name in HEAD] == pytest.approx([0.0, -0.1])
    with pytest.raises(Problem, match="header.stamp of a trajectory '10.0'"):
        robot.accept("head_controller", timed, 13.5)
    assert robot.refused == 1


def test_joints_may_come_in_any_order():
    robot = SimulatedRobot(TALOS)
    swapped = Trajectory(HEAD[::-1], to((1.0, (0.1, 0.2))).points)
    robot.accept("head_controller", swapped, 0.0)
    robot.step(1.1)
    assert [robot.positions[name] for name in HEAD] == pytest.approx([0.2, 0.1])


@pytest.mark.parametrize("velocities, halfway", [((), 0.1), ((0.0,), 0.1)])
def test_points_without_velocity_are_joined_by_lines_and_without_acceleration_by_cubics(velocities, halfway):
    robot = SimulatedRobot(TALOS)
    start = robot.positions["head_2_joint"]
    point = Point(2.0, (robot.positions["head_1_joint"], start + 0.2), velocities * 2, ())
    robot.accept("head_controller", Trajectory(HEAD, (point,)), 0.0)
    robot.step(0.5)
    share = 0.25 if not velocities else 3 * 0.25**2 - 2 * 0.25**3
    assert robot.positions["head_2_joint"] == pytest.approx(start + 0.2 * share)
    robot.step(1.0)
    assert robot.positions["head_2_joint"] == pytest.approx(start + halfway)


def test_a_movement_too_quick_for_the_robot_is_counted():
    robot = SimulatedRobot(TALOS)
    robot.accept("head_controller", to((0.2, (0.5, 0.5))), 0.0)
    robot.step(0.3)
    assert robot.violations.velocity > 0
    assert robot.violations.acceleration > 0
    assert robot.violations.position == 0


def test_a_movement_that_swings_beyond_a_limit_between_its_points_is_counted():
    robot = SimulatedRobot(TALOS)
    swinging = Point(1.0, (0.7, 0.0), (-3.0, 0.0), (0.0, 0.0))
    robot.accept("head_controller", Trajectory(HEAD, (swinging,)), 0.0)
    robot.step(1.2)
    assert robot.violations.position > 0


def test_a_new_trajectory_takes_over_from_where_the_joints_are():
    robot = SimulatedRobot(TALOS)
    robot.accept("head_controller", to((2.0, (0.3, 0.0))), 0.0)
    robot.step(1.0)
    before = robot.state
    robot.accept("head_controller", to((2.0, (0.0, 0.0))), 1.0)
    robot.step(1.02)
    moved = robot.positions["head_1_joint"] - before.positions["head_1_joint"]
    assert moved == pytest.approx(0.02 * before.velocities["head_1_joint"], rel=0.1)


def test_a_stuck_joint_stays_and_the_others_move():
    robot = SimulatedRobot(TALOS, stuck="head_1_joint")
    before = robot.positions["head_1_joint"]
    robot.accept("head_controller", to((1.0, (0.3, 0.3))), 0.0)
    robot.step(1.1)
    assert robot.positions["head_1_joint"] == before
    assert robot.positions["head_2_joint"] == pytest.approx(0.3)


def test_a_late_start_shifts_the_whole_movement():
    robot = SimulatedRobot(TALOS, late=0.5)
    robot.accept("head_controller", to((1.0, (0.3, 0.3))), 0.0)
    robot.step(0.5)
    assert robot.positions["head_2_joint"] == pytest.approx(0.0)
    robot.step(1.5)
    assert robot.positions["head_2_joint"] == pytest.approx(0.3)


def test_an_unknown_stuck_joint_is_refused():
    with pytest.raises(Problem, match="tail_joint"):
        SimulatedRobot(TALOS, stuck="tail_joint")


def test_a_plan_made_quicker_by_a_third_would_be_caught():
    made = plan(library()["open_hands"], TALOS, State())
    robot = SimulatedRobot(TALOS)
    for controller, trajectory in made.trajectories.items():
        points = tuple(replace(point, time=point.time / 1.5, velocities=tuple(1.5 * v for v in point.velocities))
                       for point in trajectory.points)
        robot.accept(controller, Trajectory(trajectory.joints, points), 0.0)
    robot.step(made.seconds)
    assert robot.violations.velocity > 0
