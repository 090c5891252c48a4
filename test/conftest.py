"""Real nodes as processes, on a ROS domain of this test run's own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from esc_robot.supervisor import environment

ROOT = Path(__file__).parent.parent

# Before any test imports rclpy or an engine. Domains 1 to 100 are safe on Linux's default port range.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
for _name, _value in environment().items():
    os.environ.setdefault(_name, _value)
os.environ.setdefault("MUJOCO_GL", "osmesa")
# What the robot remembers of whoever runs the tests is neither read nor erased by them.
_home = tempfile.TemporaryDirectory(prefix="esc_robot_tests_")
os.environ["XDG_DATA_HOME"], os.environ["XDG_CONFIG_HOME"] = f"{_home.name}/data", f"{_home.name}/config"


def node_command(name: str, **parameters) -> list[str]:
    words = [sys.executable, "-m", f"esc_robot.nodes.{name}", "--ros-args", "--params-file", "config/robot.yaml"]
    for key, value in parameters.items():
        words += ["-p", f"{key}:={value}"]
    return words


@pytest.fixture
def start_node():
    """start_node("dialogue", country="us") -> Popen; every node is ended with the test."""
    started = []

    def start(name: str, **parameters) -> subprocess.Popen:
        started.append(subprocess.Popen(node_command(name, **parameters), cwd=ROOT))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in started:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Probe:
    """A node of the test's own: everything that was said on the topics it listens to, and a way to speak."""

    def __init__(self):
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        from esc_robot.nodes import base
        rclpy.init()
        self.node = base.Node("probe")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.heard: dict[str, list] = {}
        self._publishers = {}

    def listen(self, *topics: str) -> None:
        for topic in topics:
            self.heard[topic] = []
            self.node.listen(topic, self.heard[topic].append)

    def say(self, topic: str, message, type_=None) -> None:
        if topic not in self._publishers:
            make = self.node.publisher if type_ is None else lambda name: self.node.create_publisher(type_, name, 10)
            self._publishers[topic] = make(topic)
            assert self.wait(lambda: self._publishers[topic].get_subscription_count() > 0), f"nobody listens to {topic}"
        self._publishers[topic].publish(message)

    def wait(self, condition, seconds: float = 60.0) -> bool:
        """Spin until the condition holds, or the seconds are over: then False."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return True
            self.executor.spin_once(timeout_sec=0.05)
        return False

    def awake(self, *names: str, seconds: float = 120.0) -> bool:
        """Wait until these nodes say on /diagnostics that they run."""
        if "/diagnostics" not in self.heard:
            self.listen("/diagnostics")

        def all_run():
            return {status.name for message in self.heard["/diagnostics"] for status in message.status
                    if status.level == b"\x00"} >= set(names)
        return self.wait(all_run, seconds)

    def events(self, name: str) -> list:
        from esc_robot.nodes.base import decode_event
        return [event for event in map(decode_event, self.heard["/conversation/event"]) if event.name == name]

    def close(self) -> None:
        import rclpy
        self.node.destroy_node()
        rclpy.shutdown()


@pytest.fixture
def probe():
    made = Probe()
    yield made
    made.close()
