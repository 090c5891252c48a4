"""Simulated robot and mock audio: ``ros2 launch esc_robot simulation.launch.py [argument:=value ...]``."""

from esc_robot.launching import description


def generate_launch_description():
    return description("sim")
