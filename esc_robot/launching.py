"""The table as launch actions; needs ``launch`` and ``launch_ros``, which come with ROS 2."""

from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction
from launch.events import Shutdown
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from esc_robot import assets, graph
from esc_robot.supervisor import MOST_DEATHS, environment
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
    # Without its type, launch would take a device called "3" for a number.
    given = {key: ParameterValue(value, value_type=type(value))
             for key, value in graph.parameters(name, values).items()}
    return Node(package="esc_robot", executable=name, name=name, output="screen", respawn=name != "observer",
                respawn_delay=1.0, respawn_max_retries=MOST_DEATHS, on_exit=ends_all, additional_env=environment(),
                parameters=[str(assets.config(graph.PARAMETERS)), given])
