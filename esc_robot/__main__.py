"""Start the robot where there is no ``ros2 launch``: the same table, one process a node.

    python -m esc_robot robot|sim|demo [argument:=value ...]
    python -m esc_robot devices             the sound devices there are, for microphone:= and speaker:=
    python -m esc_robot --help

A node that dies is started again; one that says it cannot run (exit code 2) ends everything; one Ctrl-C ends all.
"""

import sys

from esc_robot import assets, graph
from esc_robot.audio.devices import list_devices
from esc_robot.errors import Problem
from esc_robot.supervisor import Supervisor


def usage() -> str:
    arguments = [f"  {name + ':=' + (argument.default or '...'):<24}{argument.help}"
                 for name, argument in graph.ARGUMENTS.items()]
    return "\n".join([__doc__.strip(), "", "arguments:", *arguments])


def parse(words: list[str]) -> tuple[str, dict[str, str]]:
    """(setup, argument values) of a command line. Raises Problem for a word that is no ``name:=value``."""
    given = {}
    for word in words[1:]:
        name, assigned, value = word.partition(":=")
        if not assigned:
            raise Problem("argument", word, "must be written name:=value, as for ros2 launch")
        given[name] = value
    return words[0], graph.settings(words[0], given)


def command(node: str, values: dict[str, str], setup: str) -> list[str]:
    """The command line of one node's process."""
    words = [sys.executable, "-m", f"esc_robot.nodes.{node}", "--ros-args",
             "--params-file", str(assets.config(graph.PARAMETERS))]
    for name, value in graph.parameters(node, values).items():
        # A parameter's value is YAML: quoted, a device called "3" or "no" stays a text.
        words += ["-p", f"{name}:={value}" if isinstance(value, bool) else f"{name}:='{value}'"]
    if setup == "demo":
        words += ["--log-level", "warn"]
    return words


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    try:
        if words == ["devices"]:
            print("\n".join(list_devices()) or "there is no sound device")
            return 0
        setup, values = parse(words)
        nodes = {node: command(node, values, setup) for node in graph.NODES if graph.switched_on(node, values)}
        if setup != "demo":
            print(f"starting {', '.join(nodes)}; Ctrl-C ends all", file=sys.stderr)
        return Supervisor(nodes, ends_with="observer").run()
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
