"""From a gesture to joint trajectories: quintic segments from wherever the robot is, however fast, inside its limits.

Between two keyframes each joint follows the quintic polynomial that meets position, velocity and acceleration at both
ends (Biagiotti & Melchiorri, Trajectory Planning for Automatic Machines and Robots, 2008, section 2.1.7), which is also
what a JointTrajectoryController plays when the points carry all three.
"""

from dataclasses import dataclass, field

import numpy as np

from esc_robot.body.gestures import Gesture
from esc_robot.body.profile import MARGIN, STOP_SECONDS, RobotProfile

_SHARE = 0.92              # of a limit a plan uses: the rest is for what passes between planning and playing
_SIZES = (1.0, 0.85, 0.7, 0.55, 0.45)   # below that a gesture would no longer be seen: rather late than smaller
_STILL = 0.02              # rad/s below which a joint counts as standing
_STAND_SECONDS = 0.5       # after a soft stop's start the way to rest begins: a stop is seen as one
_GRID = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True)
class Point:
    """time: seconds after the trajectory's start; positions in rad, velocities in rad/s, accelerations in rad/s^2."""

    time: float
    positions: tuple[float, ...]
    velocities: tuple[float, ...]
    accelerations: tuple[float, ...]


@dataclass(frozen=True)
class Trajectory:
    """What one controller plays: it begins where the robot is as it comes; the points are all in the future.

    start: when the points' times count from, s on the player's clock; None: from when it comes. With it a stroke
    arrives at its time however long the way to the controller was.
    """

    joints: tuple[str, ...]
    points: tuple[Point, ...]
    start: float | None = None


@dataclass(frozen=True)
class State:
    """Where the joints are (rad) and how fast they move (rad/s), by name; a joint left out stands at rest."""

    positions: dict[str, float] = field(default_factory=dict)
    velocities: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """trajectories: controller to Trajectory, only the controllers the gesture moves. stroke, retraction, seconds: when
    the stroke has arrived, when the way back begins, and when all is back at rest, in seconds after the start.
    amplitude: 0 to 1, how large it came out."""

    name: str
    trajectories: dict[str, Trajectory]
    stroke: float
    retraction: float
    seconds: float
    amplitude: float


def plan(gesture: Gesture, profile: RobotProfile, state: State, stroke_in: float | None = None,
         amplitude: float = 1.0) -> Plan:
    """The gesture from the present state, its stroke arriving ``stroke_in`` seconds after the start where that can be.

    None means at its own pace. Too little time makes the gesture smaller (where it is scalable), then late; more time
    than it needs is waited for first. Velocity is continuous from the present one; limits hold throughout.
    """
    joints = _joints(gesture, profile)
    back = [keyframe.phase for keyframe in gesture.keyframes].index("retraction")

    def sized(share: float) -> tuple:
        return amplitude * share, *_timed(gesture, profile, joints, state, amplitude * share, stroke_in)

    def in_time(attempt: tuple) -> bool:
        return stroke_in is None or attempt[1][gesture.stroke_index] <= stroke_in + 0.02

    found = sized(_SIZES[0])
    if gesture.scalable and not in_time(found):
        found = sized(_SIZES[-1])
        if in_time(found):
            found = next((larger for share in _SIZES[1:-1] if in_time(larger := sized(share))), found)
    size, times, points = found
    return Plan(gesture.name, _split(profile, joints, points), times[gesture.stroke_index], times[back - 1], times[-1],
                size)


def soft_stop(profile: RobotProfile, state: State) -> Plan:
    """Every joint comes to a stand within STOP_SECONDS (below 0.2 s), then the body goes to rest."""
    joints = tuple(profile.joints)
    limits = _Limits.of(profile, joints)
    stand, zero = limits.stand(*_present(profile, joints, state)), np.zeros(len(joints))
    rest = _vector(profile.rest, joints)
    seconds = _pace(limits, stand, zero, [rest], [1.2])[0][0]
    points = [_point(STOP_SECONDS, stand, zero), _point(_STAND_SECONDS, stand, zero),
              _point(_STAND_SECONDS + seconds, rest, zero)]
    return Plan("soft_stop", _split(profile, joints, points), STOP_SECONDS, _STAND_SECONDS,
                points[-1].time, 1.0)


def quintic(start: tuple, end: tuple, seconds: float) -> np.ndarray:
    """Coefficients [6, n], lowest power first; start and end are (position, velocity, acceleration), each [n]."""
    p0, v0, a0 = (np.asarray(value, dtype=float) for value in start)
    p1, v1, a1 = (np.asarray(value, dtype=float) for value in end)
    t = seconds
    way = p1 - p0
    return np.array([
        p0, v0, a0 / 2,
        (20 * way - (8 * v1 + 12 * v0) * t - (3 * a0 - a1) * t**2) / (2 * t**3),
        (-30 * way + (14 * v1 + 16 * v0) * t + (3 * a0 - 2 * a1) * t**2) / (2 * t**4),
        (12 * way - 6 * (v1 + v0) * t - (a0 - a1) * t**2) / (2 * t**5),
    ])


def evaluate(coefficients: np.ndarray, times) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, velocities and accelerations [len(times), n] of a polynomial's coefficients [k, n]."""
    first = coefficients[1:] * np.arange(1, len(coefficients))[:, None]
    second = first[1:] * np.arange(1, len(first))[:, None]
    powers = np.vander(np.asarray(times, dtype=float), len(coefficients), increasing=True)
    return tuple(powers[:, :len(part)] @ part for part in (coefficients, first, second))


@dataclass(frozen=True)
class _Limits:
    """Of the joints of one plan, each [n]: positions in rad, velocities in rad/s, accelerations in rad/s^2."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray

    @classmethod
    def of(cls, profile: RobotProfile, joints: tuple[str, ...]) -> "_Limits":
        rows = [(joint.lower + MARGIN / 8, joint.upper - MARGIN / 8, _SHARE * joint.velocity,
                 _SHARE * joint.acceleration) for joint in (profile.joints[name] for name in joints)]
        return cls(*np.array(rows).reshape(-1, 4).T)

    def stand(self, position: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Where a soft stop ends: its velocity falls as a smoothstep, so half the present speed times the time away."""
        return np.clip(position + velocity * STOP_SECONDS / 2, self.lower, self.upper)

    def excess(self, start: tuple, end: tuple, seconds: float) -> tuple[float, bool]:
        """By which factor of time a segment is too quick (at most 1: it is not), and whether it stays in range."""
        zero = np.zeros_like(self.lower)
        position, velocity, acceleration = evaluate(quintic((*start, zero), (*end, zero), seconds), _GRID * seconds)
        quick = (np.abs(velocity) / np.maximum(self.velocity, np.abs(start[1]) + 1e-6)).max()
        hard = np.sqrt((np.abs(acceleration) / self.acceleration).max())
        low, high = np.minimum(self.lower, start[0]) - 1e-6, np.maximum(self.upper, start[0]) + 1e-6
        return max(quick, hard), bool(((position >= low) & (position <= high)).all())


def _joints(gesture: Gesture, profile: RobotProfile) -> tuple[str, ...]:
    """All joints of the controllers that the gesture's channels reach; a gesture without channels moves everything."""
    if not gesture.channels:
        return tuple(profile.joints)
    moved = {profile.joints[joint].controller for channel in gesture.channels for joint in profile.joints_of(channel)}
    return tuple(joint for controller, names in profile.controllers.items() if controller in moved for joint in names)


def _timed(gesture, profile, joints, state, amplitude, stroke_in) -> tuple[list[float], list[Point]]:
    """Arrival time of each keyframe, and the points. The way to the stroke is hurried, or waited for."""
    wanted = np.array([keyframe.seconds for keyframe in gesture.keyframes])
    if not joints:
        return np.cumsum(wanted).tolist(), []
    rest = _vector(profile.rest, joints)
    waypoints = [rest + amplitude * (_vector(profile.posture(keyframe.pose), joints) - rest)
                 for keyframe in gesture.keyframes]
    limits, before = _Limits.of(profile, joints), gesture.stroke_index + 1
    position, velocity = _present(profile, joints, state)
    lasting, knots, inside = _pace(limits, position, velocity, waypoints, wanted)
    wait = 0.0 if stroke_in is None else stroke_in - lasting[:before].sum()
    moving = np.abs(velocity).max() > _STILL
    if not inside or (wait > STOP_SECONDS and moving):
        wait = max(wait, STOP_SECONDS)
        position, velocity = limits.stand(position, velocity), np.zeros(len(joints))
    if wait < 0 or not inside:
        hurry = min((stroke_in - STOP_SECONDS * (not inside)) / wanted[:before].sum(), 1.0) if stroke_in else 1.0
        wanted[:before] *= max(hurry, 0.1)
        lasting, knots, _ = _pace(limits, position, velocity, waypoints, wanted)
    elif wait > STOP_SECONDS:
        lasting, knots, _ = _pace(limits, position, velocity, waypoints, wanted)
    elif wait > 0 and moving:
        # Too short to stand and wait in: the way itself takes longer, where that leads nobody out of range.
        longer = lasting * np.where(np.arange(len(lasting)) < before, stroke_in / lasting[:before].sum(), 1.0)
        slow, slow_knots, slow_inside = _pace(limits, position, velocity, waypoints, longer)
        lasting, knots = (slow, slow_knots) if slow_inside else (lasting, knots)
        wait = 0.0
    clock, points = 0.0, []
    if wait > 0.01:
        clock, points = wait, [_point(wait, position, np.zeros(len(joints)))]
    times = (clock + np.cumsum(lasting)).tolist()
    return times, [*points, *(_point(*arrival) for arrival in zip(times, waypoints, knots, strict=True))]


def _pace(limits, position, velocity, waypoints, wanted) -> tuple[np.ndarray, list[np.ndarray], bool]:
    """Seconds of each segment, at least the wanted, velocities at its end, and whether every joint stays in range."""
    lasting = np.array(wanted, dtype=float)
    stations = [position, *waypoints]
    for _ in range(60):
        knots = _slopes(stations, lasting)
        starts = zip(stations, [velocity, *knots], strict=True)
        ends = zip(waypoints, knots, strict=True)
        excesses = [limits.excess(*segment) for segment in zip(starts, ends, lasting, strict=False)]
        slower = np.array([factor for factor, _ in excesses])
        if (slower <= 1.001).all():
            break
        lasting *= np.where(slower > 1.001, slower + 0.005, 1.0)
    return lasting, knots, all(inside for _, inside in excesses)


def _slopes(stations: list[np.ndarray], lasting: np.ndarray) -> list[np.ndarray]:
    """Velocities at the ends of segments: the harmonic mean of both sides where a joint passes through, else zero."""
    slopes = np.diff(stations, axis=0) / lasting[:, None]
    before, after = slopes[:-1], slopes[1:]
    same_way = before * after > 0
    sums = np.where(same_way, before + after, 1.0)
    return [*np.where(same_way, 2 * before * after / sums, 0.0), np.zeros_like(stations[0])]


def _present(profile: RobotProfile, joints: tuple[str, ...], state: State) -> tuple[np.ndarray, np.ndarray]:
    velocities = np.array([state.velocities.get(joint, 0.0) for joint in joints], dtype=float)
    return _vector({**profile.rest, **state.positions}, joints), velocities


def _vector(positions: dict[str, float], joints: tuple[str, ...]) -> np.ndarray:
    return np.array([positions[joint] for joint in joints], dtype=float)


def _point(time: float, position: np.ndarray, velocity: np.ndarray) -> Point:
    return Point(float(time), tuple(position.tolist()), tuple(velocity.tolist()), (0.0,) * len(position))


def _split(profile: RobotProfile, joints: tuple[str, ...], points: list[Point]) -> dict[str, Trajectory]:
    """One trajectory a controller, all with the same times."""
    where = {joint: index for index, joint in enumerate(joints)}
    trajectories = {}
    for controller, names in profile.controllers.items():
        if names[0] in where:
            columns = [where[name] for name in names]
            trajectories[controller] = Trajectory(names, tuple(
                Point(point.time, *(tuple(values[column] for column in columns)
                                    for values in (point.positions, point.velocities, point.accelerations)))
                for point in points))
    return trajectories
