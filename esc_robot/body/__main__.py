"""Checks a robot profile, and shows what the robot would do.

    python -m esc_robot.body PROFILE                      every gesture: times, limits, reach, self-collision
    python -m esc_robot.body PROFILE GESTURE [OUT.png]    one gesture's stroke, joint by joint, and a picture of it

PROFILE is a name under config/robots, or the path of a file that ends in .yaml.
"""

import sys
from pathlib import Path

import numpy as np

from esc_robot.body.gestures import CHANNELS, Gesture, library
from esc_robot.body.motion import State, plan
from esc_robot.body.profile import RobotProfile, load_profile
from esc_robot.body.simulation import SimulatedRobot
from esc_robot.errors import Problem


def reach(profile: RobotProfile, gesture: Gesture) -> dict[str, float]:
    """How far the arms are from what the stroke asks for: channel to degrees, or to cm where a place is touched."""
    pose = {**profile.rest_pose, **gesture.keyframes[gesture.stroke_index].pose}
    posture, off = profile.posture(pose), {}
    for side, arm in profile.arms.items():
        found = arm.directions(np.array([[posture[joint] for joint in arm.joints]]))
        for part in ("shoulder", "elbow", "wrist"):
            if f"{side}_{part}" in gesture.channels and pose[f"{side}_{part}"] is not None:
                forward, outward, up = pose[f"{side}_{part}"]
                wanted = np.array([forward, outward if side == "left" else -outward, up], dtype=float)
                off[f"{side}_{part}"] = np.degrees(np.arccos(np.clip(
                    found[part][0] @ wanted / np.linalg.norm(wanted), -1, 1)))
        place = profile.places.get(pose.get(f"{side}_touch"))
        if place is not None:
            off[f"{side}_touch"] = 100 * np.linalg.norm(found["touch"][0] - place)
    return off


def check(profile: RobotProfile, gesture: Gesture, model) -> tuple[str, bool]:
    """A line about one gesture played from rest, and whether it is sound: no limit passed, no links that touch."""
    made, robot = plan(gesture, profile, State()), SimulatedRobot(profile)
    for controller, trajectory in made.trajectories.items():
        robot.accept(controller, trajectory, 0.0)
    touching = set()
    for now in np.arange(0.0, made.seconds + 0.1, 0.1):
        robot.step(now)
        touching |= set(model.touching(robot.positions)) if model else set()
    off = reach(profile, gesture)
    worst = max(off, key=off.get, default="")
    line = (f"{gesture.name:<16} stroke {made.stroke:4.1f} s, all {made.seconds:4.1f} s"
            + (f", {worst} off by {off[worst]:.0f} {'cm' if worst.endswith('touch') else 'degrees'}" if worst else ""))
    if robot.violations.total:
        line += f"; LIMITS PASSED: {robot.violations}"
    if touching:
        line += f"; TOUCHING: {', '.join(' and '.join(pair) for pair in sorted(touching))}"
    return line, not (robot.violations.total or touching)


def show(profile: RobotProfile, gesture: Gesture, out: str) -> None:
    posture = profile.posture(gesture.keyframes[gesture.stroke_index].pose)
    for name, at in posture.items():
        joint = profile.joints[name]
        print(f"{name:<32} {at:7.3f} rad, of {joint.lower:.3f} to {joint.upper:.3f}, up to {joint.velocity:.2f} rad/s")
    for channel, distance in reach(profile, gesture).items():
        print(f"{channel:<32} off by {distance:.0f} {'cm' if channel.endswith('touch') else 'degrees'}")
    if out:
        from esc_robot.body.render import render, robot_model
        Path(out).write_bytes(render(profile, posture))
        model = robot_model(str(profile.path))
        for side in (side for side in profile.arms if f"{side}_touch" in gesture.channels):
            print(f"{side} hand: {100 * model.gap(side, model.chest(side)):.0f} cm from {model.chest(side)}")
        print(f"picture of the stroke: {out}")


def main(words: list[str]) -> int:
    if not 1 <= len(words) <= 3 or words[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    try:
        profile = load_profile(words[0])
        if len(words) > 1:
            show(profile, library()[words[1]], words[2] if len(words) > 2 else "")
            return 0
        print(f"{profile.name}: {profile.description}; {len(profile.joints)} joints, {len(profile.controllers)} "
              f"controllers; it cannot follow: {', '.join(c for c in CHANNELS if not profile.has(c)) or 'nothing'}")
        model = None
        if profile.urdf:
            from esc_robot.body.render import robot_model
            try:
                model = robot_model(words[0])
            except Problem as problem:
                print(f"self-collision is not checked: {problem}")
        sound = True
        for gesture in library().gestures.values():
            line, fine = check(profile, gesture, model)
            print(line)
            sound &= fine
        return 0 if sound else 1
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
