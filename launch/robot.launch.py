"""Everything on the robot: ``ros2 launch esc_robot robot.launch.py [argument:=value ...]``."""

from esc_robot.launching import description


def generate_launch_description():
    return description("robot")
