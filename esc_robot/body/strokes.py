"""When a stroke really came: the joint states of a movement against its plan."""

import numpy as np

from esc_robot.body.motion import State, Trajectory
from esc_robot.body.profile import RobotProfile
from esc_robot.body.simulation import SimulatedRobot

_STEP = 0.01        # s between the points of the expected movement
_FURTHEST = 0.6     # s of delay that is looked for, either way
_SEEN = 0.02        # rad that some joint must move, or nothing can be said


def stroke_delay(profile: RobotProfile, start: float, trajectories: dict[str, Trajectory],
                 seen: list[tuple[float, State]]) -> float | None:
    """Seconds by which a robot moved later than planned (negative: earlier); None where too little moved to tell.

    trajectories: what it was told to play from ``start`` on. seen: its joint states with their times, from the start to
    a little after the stroke. A stroke ends slowly, so the instant of its arrival cannot be read off a curve; the whole
    movement can be laid over the expected one: the delay is the shift with the least squared distance.
    """
    seen = [(at, state) for at, state in seen if at >= start]
    if len(seen) < 3:
        return None
    robot = SimulatedRobot(profile, start, seen[0][1])
    for controller, trajectory in trajectories.items():
        robot.accept(controller, trajectory, start)
    joints = [name for trajectory in trajectories.values() for name in trajectory.joints]
    grid = np.arange(start, seen[-1][0] + _FURTHEST, _STEP)
    expected = []
    for now in grid:
        robot.step(now)
        expected.append([robot.positions[name] for name in joints])
    expected = np.array(expected)
    times = np.array([at for at, _ in seen])
    found = np.array([[state.positions.get(name, np.nan) for name in joints] for _, state in seen])
    moving = np.isfinite(found).all(axis=0) & (np.ptp(expected[grid <= times[-1]], axis=0) > _SEEN)
    if not moving.any():
        return None
    shifts = np.arange(-_FURTHEST, _FURTHEST + _STEP / 2, _STEP)
    distances = [sum(((np.interp(times - shift, grid, expected[:, joint]) - found[:, joint]) ** 2).sum()
                     for joint in np.flatnonzero(moving)) for shift in shifts]
    return float(shifts[int(np.argmin(distances))])
