"""A plain robot that plays trajectories as a JointTrajectoryController does, and counts what went over a limit."""

import math
from copy import copy
from dataclasses import dataclass

import numpy as np

from esc_robot.body.motion import State, Trajectory, evaluate, quintic
from esc_robot.body.profile import RobotProfile
from esc_robot.errors import Problem

RATE_HZ = 50
_SLACK = 1.001      # of a limit: rounding is no violation
_FURTHEST_AHEAD = 0.2   # s that a prediction looks ahead at most


@dataclass(frozen=True)
class Violations:
    """Steps in which a joint was beyond its limit of position, velocity or acceleration."""

    position: int = 0
    velocity: int = 0
    acceleration: int = 0

    @property
    def total(self) -> int:
        return self.position + self.velocity + self.acceleration


class SimulatedRobot:
    """One robot, stepped with a clock given from outside (seconds, never backwards).

    state: where it begins, at rest where left out. Two faults to be tested against: stuck, a joint that stays where it
    is whatever is asked; late, seconds a controller waits before it plays.
    """

    def __init__(self, profile: RobotProfile, now: float = 0.0, state: State | None = None, stuck: str = "",
                 late: float = 0.0):
        if stuck and stuck not in profile.joints:
            raise Problem("stuck joint", stuck, f"is not a joint of {profile.name}; name one of its joints")
        self.profile = profile
        self.names = tuple(profile.joints)
        self.violations = Violations()
        self.refused = 0
        state = state or State()
        self._position = np.array([{**profile.rest, **state.positions}[name] for name in self.names])
        self._velocity = np.array([state.velocities.get(name, 0.0) for name in self.names])
        self._acceleration = np.zeros(len(self.names))
        limits = np.array([(joint.lower - 1e-6, joint.upper + 1e-6, joint.velocity * _SLACK,
                            joint.stop_acceleration * _SLACK) for joint in profile.joints.values()])
        self._lower, self._upper, self._fastest, self._hardest = limits.T
        self._columns = {controller: np.array([self.names.index(name) for name in names])
                         for controller, names in profile.controllers.items()}
        self._free = np.array([name != stuck for name in self.names])
        self._now, self._late = now, late
        self._playing: dict[str, list[tuple[float, float, np.ndarray]]] = {}

    @property
    def positions(self) -> dict[str, float]:
        """rad, by joint name."""
        return dict(zip(self.names, self._position.tolist(), strict=True))

    @property
    def velocities(self) -> dict[str, float]:
        """rad/s, by joint name."""
        return dict(zip(self.names, self._velocity.tolist(), strict=True))

    @property
    def state(self) -> State:
        return State(self.positions, self.velocities)

    @property
    def moving(self) -> bool:
        return bool(self._playing)

    def plays(self, controller: str) -> bool:
        return controller in self._playing

    def copy(self) -> "SimulatedRobot":
        """One that goes on from here by itself."""
        other = copy(self)
        other._position, other._velocity = self._position.copy(), self._velocity.copy()
        other._acceleration, other._playing = self._acceleration.copy(), dict(self._playing)
        return other

    def accept(self, controller: str, trajectory: Trajectory, now: float) -> None:
        """Plays the trajectory from the present state on, in place of what the controller played before; as a
        JointTrajectoryController does, at once, and so that each point is met at its time.

        Raises Problem as ``check`` does, and for one that is over already; what was played before then goes on.
        """
        self.check(controller, trajectory)
        start = (now if trajectory.start is None else trajectory.start) + self._late
        due = [point for point in trajectory.points if start + point.time > now + self._late]
        if not due:
            self.refused += 1
            raise Problem("header.stamp of a trajectory", round(trajectory.start, 3), "is so old that its last point "
                          "is past; send it earlier, or leave the stamp 0")
        self.step(now)
        names = self.profile.controllers[controller]
        columns = [trajectory.joints.index(name) for name in names]
        mine = self._columns[controller]
        here = [self._position[mine], self._velocity[mine], np.zeros(len(names))]
        segments, clock = [], now + self._late
        for point in due:
            end = [np.array(values, dtype=float)[columns] for values in
                   (point.positions, point.velocities, point.accelerations) if len(values)]
            segments.append((clock, start + point.time, _segment(here, end, start + point.time - clock)))
            here, clock = [*end, *(np.zeros(len(names)) for _ in range(3 - len(end)))], start + point.time
        self._playing[controller] = segments

    def step(self, now: float) -> None:
        """Moves on to the time ``now``, in steps of 1/50 s, counting violations in each."""
        while self._now < now - 1e-9:
            self._now = min(self._now + 1 / RATE_HZ, now) if self._playing else now
            for controller in list(self._playing):
                self._move(controller)
            self._count()

    def _move(self, controller: str) -> None:
        segments, columns = self._playing[controller], self._columns[controller]
        began, ends, coefficients = next((part for part in segments if self._now < part[1]), segments[-1])
        at = min(max(self._now - began, 0.0), ends - began)
        position, velocity, acceleration = (rows[0] for rows in evaluate(coefficients, [at]))
        if self._now >= segments[-1][1]:
            del self._playing[controller]
            velocity, acceleration = np.zeros_like(velocity), np.zeros_like(acceleration)
        free = self._free[columns]
        self._position[columns[free]] = position[free]
        self._velocity[columns[free]] = velocity[free]
        self._acceleration[columns[free]] = acceleration[free]

    def _count(self) -> None:
        out = (self._position < self._lower) | (self._position > self._upper)
        fast = np.abs(self._velocity) > self._fastest
        hard = np.abs(self._acceleration) > self._hardest
        old = self.violations
        self.violations = Violations(old.position + int(out.sum()), old.velocity + int(fast.sum()),
                                     old.acceleration + int(hard.sum()))

    def check(self, controller: str, trajectory: Trajectory) -> None:
        """Raises Problem (and counts it in ``refused``) for an unknown controller or joint, a missing joint, times that
        do not increase, a number that is none, wrong lengths, or a position beyond its limit."""
        try:
            self._check(controller, trajectory)
        except Problem:
            self.refused += 1
            raise

    def _check(self, controller: str, trajectory: Trajectory) -> None:
        if controller not in self.profile.controllers:
            known = ", ".join(self.profile.controllers)
            raise Problem("controller", controller, f"{self.profile.name} has none of that name; it has {known}")
        names = self.profile.controllers[controller]
        for name in trajectory.joints:
            if name not in names:
                raise Problem("joint", name, f"is not one of {controller}'s: {', '.join(names)}")
        if sorted(trajectory.joints) != sorted(names):
            raise Problem("joints of a trajectory", ", ".join(trajectory.joints),
                          f"must be each joint of {controller} once: {', '.join(names)}")
        if not trajectory.points:
            raise Problem("trajectory", controller, "has no points; send at least one")
        before = 0.0
        for point in trajectory.points:
            self._check_point(trajectory.joints, point)
            if not before < point.time:
                raise Problem("time_from_start", point.time, "must be above 0 and increase from point to point")
            before = point.time

    def _check_point(self, names: tuple[str, ...], point) -> None:
        for kind, values in (("positions", point.positions), ("velocities", point.velocities),
                             ("accelerations", point.accelerations)):
            if len(values) != len(names) and (kind == "positions" or len(values)):
                raise Problem(kind, list(values), f"must be {len(names)} numbers, one a joint")
            if not all(map(math.isfinite, values)):
                raise Problem(kind, list(values), "must be finite numbers")
        if not math.isfinite(point.time):
            raise Problem("time_from_start", point.time, "must be a finite number of seconds")
        for name, at in zip(names, point.positions, strict=True):
            joint = self.profile.joints[name]
            if not joint.lower - 1e-6 <= at <= joint.upper + 1e-6:
                raise Problem(f"position of {name}", round(at, 4),
                              f"is beyond its limits of {joint.lower:.4f} to {joint.upper:.4f} rad")


def _segment(start: list[np.ndarray], end: list[np.ndarray], seconds: float) -> np.ndarray:
    """Coefficients: quintic where the point has accelerations, cubic where velocities, else linear, as ros2_control."""
    position, velocity, _ = start
    if len(end) == 3:
        return quintic(tuple(start), tuple(end), seconds)
    way = end[0] - position
    if len(end) == 2:
        rise, fall = 3 * way / seconds**2, 2 * way / seconds**3
        return np.array([position, velocity, rise - (2 * velocity + end[1]) / seconds,
                         (velocity + end[1]) / seconds**2 - fall])
    return np.array([position, way / seconds, np.zeros_like(way)])


class Prediction:
    """Where a robot will be in a moment: its last joint state, moved on by what it has been told to do since.

    A plan made from a joint state alone would start where the robot has been. open_loop: only the first joint state
    counts, and from then on what it was told: for a robot that is led from position to position, which would
    otherwise be told its own lag.
    """

    def __init__(self, profile: RobotProfile, open_loop: bool = False):
        self.profile, self._open_loop = profile, open_loop
        self._robot: SimulatedRobot | None = None
        self._clock = float("-inf")
        self._off = State()

    def measured(self, state: State, time: float) -> None:
        """A joint state (rad, rad/s) as it was at a time, s on the caller's clock."""
        if self._robot is None:
            within = {name: min(max(state.positions.get(name, rest), self.profile.joints[name].lower),
                                self.profile.joints[name].upper) for name, rest in self.profile.rest.items()}
            self._robot = SimulatedRobot(self.profile, time, State(within))
        if time < self._clock:
            return
        self._step(time)
        if self._open_loop:
            return
        told = self._robot.state
        self._off = State(*({name: value - expected[name] for name, value in seen.items() if name in expected}
                            for seen, expected in ((state.positions, told.positions),
                                                   (state.velocities, told.velocities))))

    def told(self, trajectories: dict[str, Trajectory], time: float) -> None:
        """The robot gets these (controller to Trajectory) at a time."""
        if self._robot is None:
            self.measured(State(), time)
        self._step(time)
        for controller, trajectory in trajectories.items():
            self._robot.accept(controller, trajectory, time)

    def at(self, time: float) -> State:
        """Where it will be at a time, unless it is told something else before."""
        if self._robot is None:
            return State()
        self._step(time - _FURTHEST_AHEAD)
        ahead = self._robot.copy()
        ahead.step(time)
        told = ahead.state
        return State(*({name: value + off.get(name, 0.0) for name, value in values.items()}
                       for values, off in ((told.positions, self._off.positions),
                                           (told.velocities, self._off.velocities))))

    def _step(self, time: float) -> None:
        self._clock = max(self._clock, time)
        self._robot.step(self._clock)
