"""A robot that is not there: plays trajectories within the profile's limits and tells where its joints are."""

import sys
import time
from dataclasses import replace
from functools import partial

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future
from rclpy.time import Time
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from esc_robot.body.joint_angles import JointAngles, lead
from esc_robot.body.motion import Trajectory, soft_stop
from esc_robot.body.profile import load_profile
from esc_robot.body.simulation import RATE_HZ, SimulatedRobot
from esc_robot.errors import Problem
from esc_robot.graph import TOPICS
from esc_robot.nodes.base import BadMessage, Node, decode_trajectory, interface, run

#: How far from its last point a joint may be, rad, for an action to have succeeded.
GOAL_TOLERANCE = 0.01


class MockRobot(Node):
    """Each controller's topic, and its action where control_msgs is installed; /joint_states at 50 Hz; limit violations
    on /diagnostics."""

    def __init__(self):
        super().__init__("mock_robot")
        profile = load_profile(self.parameter("robot", "talos", "robot profile: a name or a path"))
        stuck = self.parameter("stuck", "", "fault: a joint that stays where it is whatever is asked; empty: none")
        late = self.parameter("late", 0.0, "fault: seconds that a controller waits before it plays", 0.0, 10.0)
        self.robot = SimulatedRobot(profile, time.monotonic(), stuck=stuck, late=late)
        self._goals: dict[str, Future] = {}
        self._joint_states = self.publisher("/joint_states")
        if profile.interface == "joint_angles":
            message_type = interface("naoqi_bridge_msgs", "msg", "JointAnglesWithSpeed")
            self.create_subscription(message_type, profile.topic, self._on_angles, 10)
        else:
            self._serve_controllers()
        self.create_timer(1 / RATE_HZ, self._step)
        self.ready()

    def _serve_controllers(self) -> None:
        try:
            action_type = interface("control_msgs", "action", "FollowJointTrajectory")
        except Problem as problem:
            action_type = None
            self.get_logger().info(f"topics only, no follow_joint_trajectory actions: {problem}")
        for controller in self.robot.profile.controllers:
            topic = self.robot.profile.topic.format(controller=controller)
            play = self.guarded(topic, partial(self._play, controller), decode_trajectory)
            self.create_subscription(JointTrajectory, topic, play, TOPICS["/<controller>/joint_trajectory"].depth)
            if action_type:
                ActionServer(self, action_type, f"/{controller}/follow_joint_trajectory",
                             partial(self._follow, controller, action_type),
                             goal_callback=partial(self._on_goal, controller),
                             cancel_callback=partial(self._on_cancel, controller))

    def _play(self, controller: str, trajectory: Trajectory) -> bool:
        now = time.monotonic()
        if trajectory.start is not None:
            trajectory = replace(trajectory, start=trajectory.start - time.time() + now)
        try:
            self.robot.accept(controller, trajectory, now)
        except Problem as problem:
            self.get_logger().warning(f"refused a trajectory: {problem}")
            return False
        self._end_goal(controller, "replaced by another trajectory")
        return True

    def _on_angles(self, message) -> None:
        try:
            lead(self.robot, decode_angles(message, self.robot.positions), time.monotonic())
        except Problem as problem:
            self.get_logger().warning(f"refused joint angles: {problem}")

    def _on_goal(self, controller: str, goal) -> GoalResponse:
        try:
            self.robot.check(controller, decode_trajectory(goal.trajectory))
        except (Problem, BadMessage) as error:
            self.get_logger().warning(f"refused a goal of {controller}: {error}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    async def _follow(self, controller: str, action_type, handle):
        """One goal to its end: reached, not reached (a stuck joint), replaced, or cancelled."""
        trajectory = decode_trajectory(handle.request.trajectory)
        self._play(controller, trajectory)
        self._goals[controller] = Future()
        broken_off = await self._goals[controller]
        off = max(abs(self.robot.positions[name] - at)
                  for name, at in zip(trajectory.joints, trajectory.points[-1].positions, strict=True))
        result = action_type.Result(error_code=action_type.Result.SUCCESSFUL, error_string=broken_off)
        if handle.is_cancel_requested:
            handle.canceled()
        elif broken_off:
            handle.abort()
        elif off > GOAL_TOLERANCE:
            handle.abort()
            result.error_code = action_type.Result.GOAL_TOLERANCE_VIOLATED
            result.error_string = f"a joint is {off:.3f} rad from the last point"
        else:
            handle.succeed()
        return result

    def _on_cancel(self, controller: str, _handle) -> CancelResponse:
        stop = soft_stop(self.robot.profile, self.robot.state).trajectories[controller]
        self._play(controller, replace(stop, points=stop.points[:1]))
        return CancelResponse.ACCEPT

    def _end_goal(self, controller: str, broken_off: str = "") -> None:
        if controller in self._goals:
            self._goals.pop(controller).set_result(broken_off)

    def _step(self) -> None:
        self.robot.step(time.monotonic())
        for controller in [name for name in self._goals if not self.robot.plays(name)]:
            self._end_goal(controller)
        self.figures = {"joint_limit_violations": self.robot.violations.total,
                        "trajectories_refused": self.robot.refused}
        message = JointState(name=list(self.robot.positions), position=list(self.robot.positions.values()),
                             velocity=list(self.robot.velocities.values()))
        message.header.stamp = Time(nanoseconds=time.time_ns()).to_msg()
        self._joint_states.publish(message)


def decode_angles(message, here: dict[str, float]) -> JointAngles:
    """naoqi_bridge_msgs/JointAnglesWithSpeed; here: where the joints are, in rad, for angles relative to that."""
    angles = tuple(message.joint_angles)
    if message.relative:
        angles = tuple(here.get(name, 0.0) + angle for name, angle in zip(message.joint_names, angles, strict=False))
    return JointAngles(tuple(message.joint_names), angles, message.speed)


def main() -> int:
    return run(MockRobot)


if __name__ == "__main__":
    sys.exit(main())
