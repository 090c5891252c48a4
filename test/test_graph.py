"""The table, and what is made from it."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from esc_robot import assets, graph
from esc_robot.__main__ import command, parse
from esc_robot.errors import Problem

ROOT = Path(__file__).parent.parent


def test_every_node_of_the_table_is_a_module_with_a_main():
    for node in graph.NODES:
        assert callable(importlib.import_module(f"esc_robot.nodes.{node}").main)


def test_every_topic_a_node_names_stands_in_the_table():
    for node in graph.NODES.values():
        assert set(node.publishes) | set(node.subscribes) <= set(graph.TOPICS)


def test_every_node_listens_and_publishes_as_the_table_says():
    for name, node in graph.NODES.items():
        source = (ROOT / "esc_robot" / "nodes" / f"{name}.py").read_text()
        for topic in node.subscribes + node.publishes:
            if "<controller>" not in topic:
                assert f'"{topic}"' in source, f"{name} does not use {topic}"


def test_the_parameters_file_names_every_node_and_only_declared_parameters():
    given = yaml.safe_load(assets.config(graph.PARAMETERS).read_text())
    assert set(given) == set(graph.NODES)
    for node, entry in given.items():
        source = (ROOT / "esc_robot" / "nodes" / f"{node}.py").read_text()
        for name in entry["ros__parameters"]:
            assert f'parameter("{name}"' in source or node == "speech_to_text", f"{node} declares no {name}"


def test_every_argument_sets_parameters_that_exist():
    given = yaml.safe_load(assets.config(graph.PARAMETERS).read_text())
    for argument in graph.ARGUMENTS.values():
        for target in argument.sets:
            node, parameter = target.split(".")
            assert parameter in given[node]["ros__parameters"]


def test_mock_audio_replaces_the_sound_devices():
    robot, sim = graph.settings("robot", {}), graph.settings("sim", {})
    assert graph.switched_on("microphone", robot) and not graph.switched_on("microphone", sim)
    assert graph.switched_on("mock_audio", sim) and not graph.switched_on("mock_audio", robot)


@pytest.mark.parametrize(("words", "named"), [
    (["fly"], "fly"), (["sim", "adaptor:=x"], "adaptor"), (["sim", "mock_robot:=perhaps"], "perhaps"),
    (["sim", "x"], "x")])
def test_a_wrong_command_line_names_the_word_and_the_remedy(words, named):
    with pytest.raises(Problem, match=f"'{named}'"):
        parse(words)


def test_a_value_that_looks_like_a_number_stays_a_text():
    setup, values = parse(["robot", "microphone:=3"])
    assert "device:='3'" in command("microphone", values, setup)


def test_the_starter_ends_with_one_line_and_code_2_on_a_wrong_argument():
    words = [sys.executable, "-m", "esc_robot", "demo", "colour:=red"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: argument 'colour': unknown") and done.stderr.count("\n") == 1


def test_the_readme_carries_the_tables_as_they_are():
    assert graph.markdown() in (ROOT / "README.md").read_text()


def test_every_service_of_the_table_is_served_by_its_node():
    for name, service in graph.SERVICES.items():
        assert f'"{name}"' in (ROOT / "esc_robot" / "nodes" / f"{service.node}.py").read_text()
