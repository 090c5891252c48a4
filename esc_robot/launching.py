"""The table as launch actions; needs ``launch`` and ``launch_ros``, which come with ROS 2."""

from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction
from launch.events import Shutdown
from launch_ros.actions import Node

from esc_robot import assets, graph
from esc_robot.supervisor import environment
from launch import LaunchDescription


def description(setup: str) -> LaunchDescription:
    """Launch description of one of graph.SETUPS: its arguments, and the nodes that they switch on."""
    defaults = graph.settings(setup, {})
    declared = [DeclareLaunchArgument(name, default_value=defaults[name], description=argument.help,
                                      choices=list(argument.choices) or None)
                for name, argument in graph.ARGUMENTS.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])


def _nodes(context) -> list[Node]:
    values = {name: context.launch_configurations[name] for name in graph.ARGUMENTS}
    return [_node(name, values) for name in graph.NODES if graph.switched_on(name, values)]


def _node(name: str, values: dict[str, str]) -> Node:
    ends_all = EmitEvent(event=Shutdown(reason="the script has ended")) if name == "observer" else None
    return Node(package="esc_robot", executable=name, name=name, output="screen", respawn=name != "observer",
                respawn_delay=1.0, on_exit=ends_all, additional_env=environment(),
                parameters=[str(assets.config(graph.PARAMETERS)), graph.parameters(name, values)])
