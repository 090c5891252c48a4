"""A robot that is not there: plays trajectories within the profile's limits and tells where its joints are."""

import sys
import time

from rclpy.time import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from esc_robot.body.motion import Point, Trajectory
from esc_robot.body.profile import load_profile
from esc_robot.body.simulation import RATE_HZ, SimulatedRobot
from esc_robot.errors import Problem
from esc_robot.graph import TOPICS
from esc_robot.nodes.base import BadMessage, Node, run


class MockRobot(Node):
    """One subscription a controller; /joint_states at 50 Hz; limit violations on /diagnostics."""

    def __init__(self):
        super().__init__("mock_robot")
        profile = load_profile(self.parameter("robot", "talos", "robot profile: a name under config/robots"))
        self.robot = SimulatedRobot(profile, time.monotonic())
        self._joint_states = self.publisher("/joint_states")
        depth = TOPICS["/<controller>/joint_trajectory"].depth
        for controller in profile.controllers:
            topic = profile.topic.format(controller=controller)
            play = self.guarded(topic, lambda trajectory, controller=controller: self._play(controller, trajectory),
                                decode_trajectory)
            self.create_subscription(JointTrajectory, topic, play, depth)
        self.create_timer(1 / RATE_HZ, self._step)
        self.ready()

    def _play(self, controller: str, trajectory: Trajectory) -> None:
        try:
            self.robot.accept(controller, trajectory, time.monotonic())
        except Problem as problem:
            self.get_logger().warning(f"refused a trajectory: {problem}")

    def _step(self) -> None:
        self.robot.step(time.monotonic())
        self.figures = {"joint_limit_violations": self.robot.violations.total,
                        "trajectories_refused": self.robot.refused}
        message = JointState(name=list(self.robot.positions), position=list(self.robot.positions.values()),
                             velocity=list(self.robot.velocities.values()))
        message.header.stamp = Time(nanoseconds=time.time_ns()).to_msg()
        self._joint_states.publish(message)


def decode_trajectory(message: JointTrajectory) -> Trajectory:
    if not message.joint_names:
        raise BadMessage("it names no joints")
    return Trajectory(tuple(message.joint_names), tuple(
        Point(point.time_from_start.sec + point.time_from_start.nanosec * 1e-9, tuple(point.positions),
              tuple(point.velocities), tuple(point.accelerations)) for point in message.points))


def main() -> int:
    return run(MockRobot)


if __name__ == "__main__":
    sys.exit(main())
