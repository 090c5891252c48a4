"""Where an arm points, and the joint angles that make it point there.

A gesture says in the torso's frame (x forward, y left, z up) where the upper arm and the forearm point and where the
palm faces; the same words fit every robot. Damped least squares with joint limits (Wampler, IEEE Trans. SMC 16(1),
1986) turns them into angles of whatever chain of joints the arm has.
"""

from dataclasses import dataclass

import numpy as np

_DAMPING = 0.02        # of the step: keeps it short near singularities
_COMFORT = 0.05        # weight of a radian away from where the arm comes from: slow joints (see `pace`) move less
_ITERATIONS = 40
_WEIGHTS = {"shoulder": 0.6, "elbow": 1.0, "wrist": 0.7, "fingers": 0.4, "touch": 30.0}   # the last one per metre


@dataclass(frozen=True)
class Arm:
    """One arm as a chain of revolute joints that starts in the torso's frame.

    frames: [n, 4, 4], each joint's frame in the frame of the joint before it at angle zero (the first in the torso's).
    axes: [n, 3] unit vectors in the joints' own frames. lower, upper: [n] rad. pace: [n], how much slower than the
    arm's quickest joint each one is (1 = as quick).
    shoulder, elbow, wrist: indices of the joints that end the upper arm and the forearm; centre: the middle of the
    limb in the frames of these three, metres.
    palm: unit vector, hand: point in metres, both in the frame of the last joint.
    """

    joints: tuple[str, ...]
    frames: np.ndarray
    axes: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    pace: np.ndarray
    shoulder: int
    elbow: int
    wrist: int
    centre: np.ndarray
    palm: np.ndarray
    hand: np.ndarray

    def directions(self, angles: np.ndarray) -> dict[str, np.ndarray]:
        """Of angles [b, n] in rad: the directions ``shoulder``, ``elbow``, ``wrist`` (the palm's) and ``fingers``, and
        the point ``touch`` in metres, each [b, 3]."""
        pose = np.broadcast_to(np.eye(4), (len(angles), 4, 4))
        origins = []
        for index in range(len(self.joints)):
            pose = pose @ self.frames[index] @ _rotations(self.axes[index], angles[:, index])
            origins.append(pose[:, :3, 3] + pose[:, :3, :3] @ self.centre)
        upper_arm = origins[self.elbow] - origins[self.shoulder]
        forearm = origins[self.wrist] - origins[self.elbow]
        return {
            "shoulder": upper_arm / np.linalg.norm(upper_arm, axis=1, keepdims=True),
            "elbow": forearm / np.linalg.norm(forearm, axis=1, keepdims=True),
            "wrist": pose[:, :3, :3] @ self.palm,
            "fingers": pose[:, :3, :3] @ (self.hand / np.linalg.norm(self.hand)),
            "touch": pose[:, :3, :3] @ self.hand + pose[:, :3, 3],
        }

    def solve(self, targets: dict[str, np.ndarray], near: np.ndarray) -> np.ndarray:
        """Angles [n] in rad, inside the limits, that come nearest to the targets (unit vectors, a point in metres).

        Among equals, the ones soonest reached from the angles ``near`` [n].
        """
        n = len(self.joints)
        quarter = (self.upper - self.lower) / 4
        starts = [near, near + quarter, near - quarter, (self.lower + self.upper) / 2]
        angles = np.clip(np.array(starts), self.lower, self.upper)
        nudges = np.vstack([np.zeros(n), 1e-5 * np.eye(n)])
        best, best_cost = angles[0], np.inf
        for _ in range(_ITERATIONS):
            around = (angles[:, None] + nudges).reshape(-1, n)
            residuals = self._residuals(around, targets, near).reshape(len(angles), n + 1, -1)
            costs = (residuals[:, 0] ** 2).sum(axis=1)
            if costs.min() < best_cost:
                best, best_cost = angles[costs.argmin()], costs.min()
            jacobian = ((residuals[:, 1:] - residuals[:, :1]) / 1e-5).transpose(0, 2, 1)
            normal = jacobian.transpose(0, 2, 1) @ jacobian + _DAMPING * np.eye(n)
            gradient = jacobian.transpose(0, 2, 1) @ residuals[:, 0, :, None]
            step = np.linalg.solve(normal, gradient)[..., 0]
            angles = np.clip(angles - np.clip(step, -0.5, 0.5), self.lower, self.upper)
        return best

    def _residuals(self, angles: np.ndarray, targets: dict[str, np.ndarray], near: np.ndarray) -> np.ndarray:
        found = self.directions(angles)
        parts = [_WEIGHTS[name] * (found[name] - target) for name, target in targets.items()]
        return np.concatenate([*parts, _COMFORT * self.pace * (angles - near)], axis=1)


def transform(xyz, rpy) -> np.ndarray:
    """The 4x4 matrix of a URDF ``origin`` (metres; roll, pitch, yaw in rad about the fixed axes)."""
    matrix = np.eye(4)
    for axis, angle in zip(np.eye(3), rpy, strict=True):
        matrix = _rotations(axis, np.array([angle]))[0] @ matrix
    matrix[:3, 3] = xyz
    return matrix


def _rotations(axis: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: [b, 4, 4] of the angles [b] about one unit axis."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrices = np.broadcast_to(np.eye(4), (len(angles), 4, 4)).copy()
    matrices[:, :3, :3] += np.sin(angles)[:, None, None] * cross
    matrices[:, :3, :3] += (1 - np.cos(angles))[:, None, None] * (cross @ cross)
    return matrices
