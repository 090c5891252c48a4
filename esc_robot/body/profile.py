"""A robot's body as a gesture sees it: channels in human terms onto joints, controllers and limits.

A profile is a file config/robots/<name>.yaml. Where it names a URDF (of the package example-robot-data), joint limits
come from there and a profile that disagrees is refused; without one they stand in the profile.
"""

import importlib.metadata
import math
import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

from esc_robot import assets
from esc_robot.body.kinematics import Arm, transform
from esc_robot.errors import Problem

SPEED_NEAR_PEOPLE = 0.35    # of the URDF's joint speed; no profile may ask for more
MARGIN = 0.04               # rad kept free at either end of a joint's range: room for a soft stop
STOP_SECONDS = 0.15         # a soft stop takes this long from any speed; 50 ms are left for the way to the robot
INTERFACES = ("joint_trajectory", "joint_angles")
ARM_CHANNELS = ("shoulder", "elbow", "wrist", "touch")
ANGLE_CHANNELS = ("head_pitch", "head_yaw", "head_roll", "torso_pitch", "torso_yaw")


@dataclass(frozen=True)
class Joint:
    """Limits of one joint. lower, upper: rad. velocity: rad/s, already scaled down for people near.
    acceleration: rad/s^2 of ordinary movements; stop_acceleration: the most it may reach, in a soft stop."""

    name: str
    controller: str
    lower: float
    upper: float
    velocity: float
    acceleration: float

    @property
    def stop_acceleration(self) -> float:
        """A smoothstep to zero peaks at 1.5 v / T; the rest is for a joint state some 40 ms old."""
        return max(self.acceleration, 2.4 * self.velocity / STOP_SECONDS)


@dataclass(frozen=True)
class RobotProfile:
    """controllers: controller name to its joints, in order. joints: joint name to Joint. channels: channel to
    {joint: factor}. offsets: joint positions (rad) with every channel at zero. rest_pose: what the body does when
    nothing is said, as channels. interface: ``joint_trajectory`` (trajectory_msgs on ``topic`` of each controller) or
    ``joint_angles`` (naoqi_driver2: one position after the other on ``topic``). speed_scale: the part of the robot's
    own speeds that is in ``joints``. stance: positions (rad) of joints no controller moves. view: the picture's camera.
    """

    name: str
    path: Path
    description: str
    urdf: Path | None
    interface: str
    topic: str
    speed_scale: float
    controllers: dict[str, tuple[str, ...]]
    joints: dict[str, Joint]
    channels: dict[str, dict[str, float]]
    offsets: dict[str, float]
    arms: dict[str, Arm]
    middles: dict[str, np.ndarray]
    places: dict[str, np.ndarray]
    rest_pose: dict
    stance: dict[str, float]
    view: dict
    _solved: dict = field(default_factory=dict, repr=False)
    _postures: dict = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        """Its name for people: ``tiago_pro`` is TIAGO PRO."""
        return self.name.replace("_", " ").upper()

    @property
    def rest(self) -> dict[str, float]:
        return self.posture({})

    def has(self, channel: str) -> bool:
        """Whether this body can follow the channel at all."""
        side, _, part = channel.partition("_")
        return channel in self.channels or (side in self.arms and part in ARM_CHANNELS)

    def joints_of(self, channel: str) -> tuple[str, ...]:
        """The joints a channel moves; empty where the body lacks it."""
        side, _, part = channel.partition("_")
        if side in self.arms and part in ARM_CHANNELS:
            return self.arms[side].joints
        return tuple(self.channels.get(channel, ()))

    def posture(self, pose: dict) -> dict[str, float]:
        """Positions in rad of every joint for a pose (channel to value; see gestures.py for the units).

        What the pose leaves out is as at rest, what the robot lacks is dropped, and what it cannot reach is held at the
        joint's limit less a margin.
        """
        key = repr(sorted(pose.items()))
        if key not in self._postures:
            self._postures[key] = self._posture({**self.rest_pose, **pose})
        return dict(self._postures[key])

    def _posture(self, pose: dict) -> dict[str, float]:
        positions = {name: self.offsets.get(name, 0.0) for name in self.joints}
        for channel, factors in self.channels.items():
            value = pose.get(channel, 0.0)
            for joint, factor in factors.items():
                positions[joint] += factor * (math.radians(value) if channel in ANGLE_CHANNELS else value)
        for side, arm in self.arms.items():
            positions.update(zip(arm.joints, self._arm(side, pose), strict=True))
        return {name: min(max(at, self.joints[name].lower + MARGIN), self.joints[name].upper - MARGIN)
                for name, at in positions.items()}

    def _arm(self, side: str, pose: dict) -> list[float]:
        outward = 1.0 if side == "left" else -1.0
        targets = {}
        for part in ("shoulder", "elbow", "wrist"):
            if pose[f"{side}_{part}"] is None:
                continue
            forward, out, up = pose[f"{side}_{part}"]
            direction = np.array([forward, out * outward, up], dtype=float)
            targets[part] = direction / np.linalg.norm(direction)
        place = pose.get(f"{side}_touch")
        if place in self.places:
            targets["touch"] = self.places[place]
        elif "elbow" in targets:
            targets["fingers"] = targets["elbow"]
        key = (side, *(tuple(target) for target in targets.values()))
        if key not in self._solved:
            resting = all(pose.get(f"{side}_{part}") == self.rest_pose.get(f"{side}_{part}") for part in ARM_CHANNELS)
            near = self.middles[side] if resting else np.array(self._arm(side, self.rest_pose))
            self._solved[key] = self.arms[side].solve(targets, near).tolist()
        return self._solved[key]


def profile_names() -> list[str]:
    """Names of the profiles in config/robots."""
    return sorted(path.stem for path in assets.config("robots").glob("*.yaml"))


@lru_cache(maxsize=8)
def load_profile(name: str) -> RobotProfile:
    """The profile config/robots/<name>.yaml, or the file where the name is a path that ends in .yaml, checked against
    its URDF. Raises Problem naming what disagrees."""
    if name.endswith(".yaml"):
        return read_profile(Path(name).expanduser())
    if name not in profile_names():
        raise Problem("robot profile", name, f"unknown; config/robots has {', '.join(profile_names())}; "
                      "a profile elsewhere is named by its path, which ends in .yaml")
    return read_profile(assets.config(f"robots/{name}.yaml"))


def read_profile(path: Path) -> RobotProfile:
    """The profile in a file anywhere. Raises Problem naming what is missing, malformed or against the URDF."""
    try:
        given = yaml.safe_load(path.read_text())
        return _build(path, given)
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError, OSError) as error:
        reason = " ".join(str(error).split())
        raise Problem("robot profile", path, f"malformed ({type(error).__name__}: {reason}); compare it with "
                      "config/robots/talos.yaml") from None


def robot_data(name: str, beside: Path) -> Path:
    """A URDF: a file by its path (one that is relative starts at the folder ``beside``), else one of the package
    example-robot-data by its path under ``robots/``. Raises Problem when it is neither."""
    if (beside / Path(name).expanduser()).is_file():
        return (beside / Path(name).expanduser()).resolve()
    suffix = f"example-robot-data/robots/{name}"
    try:
        files = importlib.metadata.files("example-robot-data") or []
    except importlib.metadata.PackageNotFoundError:
        raise Problem("robot model", name, "needs the package example-robot-data; "
                      "pip install -r requirements.txt") from None
    for file in files:
        if str(file).endswith(suffix):
            return Path(file.locate()).resolve()
    raise Problem("robot model", name, f"is neither a file below {beside} nor in the package example-robot-data; "
                  "correct `urdf` in the profile")


def package_folder(name: str, urdf: Path) -> Path:
    """The folder of a package that a URDF names: one of its own parents, or one of a sourced ROS workspace.

    Raises Problem when there is none.
    """
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    for folder in [*(parent.parent / name for parent in urdf.parents),
                   *(Path(prefix) / "share" / name for prefix in prefixes)]:
        if folder.is_dir():
            return folder
    raise Problem("package of a mesh", name, f"is not found for {urdf.name}; source the workspace that holds it")


def _build(path: Path, given: dict) -> RobotProfile:
    name = path.stem
    scale = float(given["speed_scale"])
    if not 0 < scale <= SPEED_NEAR_PEOPLE:
        raise Problem(f"speed_scale of {name}", scale, f"must be above 0 and at most {SPEED_NEAR_PEOPLE} near people")
    if given.get("interface", "joint_trajectory") not in INTERFACES:
        raise Problem(f"interface of {name}", given["interface"], f"wants one of {', '.join(INTERFACES)}")
    urdf = robot_data(given["urdf"], path.parent) if "urdf" in given else None
    model = _read_urdf(urdf) if urdf else {}
    limits = _limits(name, given, model)
    controllers, joints = {}, {}
    for controller, entry in given["controllers"].items():
        controllers[controller] = tuple(entry["joints"])
        for joint in entry["joints"]:
            if joint not in limits:
                where = f"the URDF {urdf.name}" if urdf else "the profile's limits"
                raise Problem(f"joint of {name}", joint, f"is not in {where}; correct the profile")
            lower, upper, velocity = limits[joint]
            joints[joint] = Joint(joint, controller, lower, upper, velocity * scale, float(entry["acceleration"]))
    channels = {channel: dict(factors) for channel, factors in given.get("channels", {}).items()}
    arms = {side: _arm(name, entry, model, joints) for side, entry in given.get("arms", {}).items()}
    for joint in [*given.get("offsets", {}), *(joint for factors in channels.values() for joint in factors)]:
        if joint not in joints:
            raise Problem(f"channel joint of {name}", joint, "belongs to no controller; correct the profile")
    return RobotProfile(
        name=name, path=path, description=given["description"], urdf=urdf,
        interface=given.get("interface", "joint_trajectory"), speed_scale=scale,
        topic=given.get("topic", "/{controller}/joint_trajectory"), controllers=controllers, joints=joints,
        channels=channels, offsets=given.get("offsets", {}), arms=arms,
        middles={side: np.array(entry["middle"], dtype=float) for side, entry in given.get("arms", {}).items()},
        places={place: np.array(point, dtype=float) for place, point in given.get("places", {}).items()},
        rest_pose=both_sides(given["rest"]), stance=given.get("stance", {}), view=given.get("view", {}))


def both_sides(pose: dict) -> dict:
    """``both_<part>: value`` written out as left and right."""
    wide = {}
    for channel, value in pose.items():
        side, _, part = channel.partition("_")
        wide.update({f"left_{part}": value, f"right_{part}": value} if side == "both" else {channel: value})
    return wide


def _read_urdf(path: Path) -> dict[str, ElementTree.Element]:
    return {joint.get("name"): joint for joint in ElementTree.parse(path).getroot().findall("joint")}


def _limits(name: str, given: dict, model: dict) -> dict[str, tuple[float, float, float]]:
    """Joint to (lower, upper, velocity): the URDF's, or tighter where the profile says so."""
    limits = {}
    for joint, element in model.items():
        limit = element.find("limit")
        if element.get("type") in ("revolute", "prismatic") and limit is not None:
            limits[joint] = tuple(float(limit.get(key)) for key in ("lower", "upper", "velocity"))
    for joint, (lower, upper, velocity) in given.get("limits", {}).items():
        if model:
            if joint not in limits:
                raise Problem(f"limits of {name}", joint, "is not a joint of the URDF; correct the profile")
            bound = limits[joint]
            if lower < bound[0] - 1e-6 or upper > bound[1] + 1e-6 or velocity > bound[2] + 1e-6:
                raise Problem(f"limits of {name}, joint {joint}", [lower, upper, velocity],
                              f"reach beyond the URDF's {[round(b, 4) for b in bound]}; correct the profile")
        if not lower < upper or velocity <= 0:
            raise Problem(f"limits of {name}, joint {joint}", [lower, upper, velocity],
                          "want lower < upper and speed > 0")
        limits[joint] = (float(lower), float(upper), float(velocity))
    return limits


def _arm(name: str, entry: dict, model: dict, joints: dict[str, Joint]) -> Arm:
    names = tuple(entry["joints"])
    for joint in names:
        if joint not in joints:
            raise Problem(f"arm joint of {name}", joint, "belongs to no controller; correct the profile")
    if model:
        frames, axes = _chain(model, names)
    else:
        frames = [transform(xyz, (0, 0, 0)) for xyz in entry["origins"]]
        axes = [np.array(axis, dtype=float) for axis in entry["axes"]]
    speeds = np.array([joints[joint].velocity for joint in names])
    palm = np.array(entry["palm"], dtype=float)
    lower = np.array([joints[joint].lower + MARGIN for joint in names])
    upper = np.array([joints[joint].upper - MARGIN for joint in names])
    shoulder, elbow, wrist = (names.index(entry[part]) for part in ("shoulder", "elbow", "wrist"))
    return Arm(names, np.array(frames), np.array(axes), lower, upper, speeds.max() / speeds, shoulder, elbow, wrist,
               np.array(entry.get("centre", (0, 0, 0)), dtype=float), palm / np.linalg.norm(palm),
               np.array(entry["hand"], dtype=float))


def _chain(model: dict, names: tuple[str, ...]) -> tuple[list, list]:
    """Frames and axes of the named joints, fixed joints between folded in; the first in its parent link's frame."""
    by_child = {joint.find("child").get("link"): joint for joint in model.values()}
    frames, axes = [], []
    for index, name in enumerate(names):
        joint = model[name]
        frame = _origin(joint)
        while index and joint.find("parent").get("link") != model[names[index - 1]].find("child").get("link"):
            joint = by_child[joint.find("parent").get("link")]
            frame = _origin(joint) @ frame
        frames.append(frame)
        axes.append(np.array([float(number) for number in model[name].find("axis").get("xyz").split()]))
    return frames, axes


def _origin(joint: ElementTree.Element) -> np.ndarray:
    origin = joint.find("origin")
    if origin is None:
        return np.eye(4)
    return transform(*([float(number) for number in origin.get(key, "0 0 0").split()] for key in ("xyz", "rpy")))
