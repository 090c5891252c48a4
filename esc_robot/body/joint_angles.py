"""A robot that is led from position to position: NAO and Pepper behind naoqi_driver2.

The driver hands each message on its topic to ALMotion's setAngles: joint angles, and one fraction of the joints'
greatest speed to go there with. So a trajectory is sampled while it runs, each sample with the speed that it needs.
"""

from dataclasses import dataclass

from esc_robot.body.motion import Point, Trajectory
from esc_robot.body.profile import RobotProfile
from esc_robot.body.simulation import RATE_HZ, Prediction, SimulatedRobot
from esc_robot.errors import Problem

STREAM_HZ = 25
_SLOWEST = 0.01     # fraction of the greatest speed: at 0 a joint would never arrive


@dataclass(frozen=True)
class JointAngles:
    """angles: rad, one a joint. speed: 0 to 1, fraction of each joint's greatest speed."""

    joints: tuple[str, ...]
    angles: tuple[float, ...]
    speed: float


class AngleStream:
    """Samples of what a body is told, for as long as it moves."""

    def __init__(self, profile: RobotProfile, body: Prediction):
        self.profile, self._body = profile, body
        self._sent: dict[str, float] = {}

    def next(self, now: float) -> JointAngles | None:
        """What to send now, so that the robot is where it should be when the next one is due; None: it has arrived."""
        wanted = self._body.at(now + 1 / STREAM_HZ).positions
        before, self._sent = self._sent or wanted, wanted
        ways = {name: abs(at - before[name]) for name, at in wanted.items()}
        moved = tuple(name for name, way in ways.items() if way > 1e-6)
        if not moved:
            return None
        scale = self.profile.speed_scale
        speed = max(ways[name] * STREAM_HZ * scale / self.profile.joints[name].velocity for name in moved)
        return JointAngles(moved, tuple(wanted[name] for name in moved), min(max(speed, _SLOWEST), scale))


def lead(robot: SimulatedRobot, target: JointAngles, now: float) -> None:
    """What such a robot does with one message. Raises Problem (and counts it in ``refused``) where it is refused."""
    profile = robot.profile
    if len(target.joints) != len(target.angles) or not 0 < target.speed <= 1:
        robot.refused += 1
        raise Problem("joint angles", [len(target.joints), len(target.angles), target.speed],
                      "want one angle a joint, and a speed above 0 and up to 1")
    wanted = dict(zip(target.joints, target.angles, strict=True))
    here = robot.positions
    unknown = [name for name in wanted if name not in here]
    if unknown:
        robot.refused += 1
        raise Problem("joint", unknown[0], f"is none of {profile.name}'s: {', '.join(here)}")
    for controller, names in profile.controllers.items():
        if set(names) & set(wanted):
            fastest = {name: target.speed * profile.joints[name].velocity / profile.speed_scale for name in names}
            seconds = max(abs(wanted.get(name, here[name]) - here[name]) / fastest[name] for name in names)
            to = tuple(wanted.get(name, here[name]) for name in names)
            robot.accept(controller, Trajectory(names, (Point(max(seconds, 1 / RATE_HZ), to, (), ()),)), now)
