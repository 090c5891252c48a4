"""The memory of a person over the dialogue node's services and topics; the node is started twice, as on two days."""

import json
import subprocess

import pytest
from conftest import ROOT, node_command
from diagnostic_msgs.msg import KeyValue
from std_msgs.msg import Int64
from std_srvs.srv import SetBool, Trigger


def call(probe, service: str, request=None):
    request = request or Trigger.Request()
    client = probe.node.client(service)
    assert probe.wait(client.service_is_ready, 30), service
    future = client.call_async(request)
    assert probe.wait(future.done, 30), service
    return future.result()


def memory(probe) -> dict:
    return json.loads(call(probe, "/memory/list").message)


def say(probe, turn: str, text: str) -> str:
    probe.say("/speech/text", KeyValue(key=turn, value=text))

    def said() -> list[str]:
        return [reply.value for reply in probe.heard["/dialogue/reply"] if reply.key == turn]
    assert probe.wait(lambda: any(end.key == turn and int(end.value) == len(said())
                                  for end in probe.heard["/dialogue/end"]))
    return " ".join(said())


@pytest.fixture
def wake(start_node, probe, tmp_path):
    """wake() -> the dialogue node, on the same memory each time."""
    probe.listen("/dialogue/reply", "/dialogue/end", "/memory/state", "/conversation/forget")

    def start():
        node = start_node("dialogue", memory=str(tmp_path / "memory"), replies="chosen")
        assert probe.awake("dialogue")
        return node
    return start


def test_a_person_is_remembered_on_the_next_day_and_forgotten_on_request(wake, probe):
    node = wake()
    assert memory(probe) == {"state": "off", "facts": []}
    assert call(probe, "/memory/consent", SetBool.Request(data=True)).success
    say(probe, "t1", "My sister Ottilie lives in Bristol.")
    say(probe, "t2", "I lost my job in May.")
    say(probe, "t3", "I have a dog.")
    found = memory(probe)
    assert found["state"] == "on" and found["facts"][0]["source"] == "My sister Ottilie lives in Bristol."
    assert found["facts"][1]["triples"][0] == "user lost job"
    node.terminate()
    node.wait(timeout=20)
    probe.heard["/diagnostics"].clear()

    wake()
    assert "your sister Ottilie lives in Bristol" in say(probe, "u1", "What do you remember of me?")
    probe.say("/memory/forget", Int64(data=found["facts"][0]["number"]))
    assert probe.wait(lambda: len(memory(probe)["facts"]) == 2, 10)
    assert call(probe, "/memory/forget_last").success
    assert [fact["source"] for fact in memory(probe)["facts"]] == ["I lost my job in May."]
    say(probe, "u2", "Forget my job.")
    assert memory(probe) == {"state": "on", "facts": []}
    assert call(probe, "/memory/forget_everything").success and memory(probe)["state"] == "off"
    assert probe.wait(lambda: probe.heard["/memory/state"][-1].key == "off", 5)
    assert probe.heard["/conversation/forget"][-1].key == ""


def test_forget_everything_by_voice_takes_the_conversation_but_the_request(wake, probe):
    wake()
    say(probe, "t1", "I have a dog.")
    assert "let go of what we said" in say(probe, "t2", "Forget everything.")
    assert probe.wait(lambda: probe.heard["/conversation/forget"], 5)
    assert [(gone.key, gone.value) for gone in probe.heard["/conversation/forget"]] == [("", "t2")]


def test_without_a_folder_nothing_can_be_agreed_to(start_node, probe):
    start_node("dialogue", memory="''")
    assert probe.awake("dialogue")
    assert memory(probe)["state"] == "none"
    answer = call(probe, "/memory/consent", SetBool.Request(data=True))
    assert not answer.success and "dialogue.memory" in answer.message


def test_a_damaged_file_is_one_line_and_the_robot_answers(tmp_path, probe):
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.db").write_bytes(b"half a file")
    with open(tmp_path / "log", "w") as log:
        node = subprocess.Popen(node_command("dialogue", memory=str(folder)), cwd=ROOT, stdout=log, stderr=log)
    try:
        probe.listen("/dialogue/end", "/dialogue/reply")
        assert probe.awake("dialogue") and say(probe, "t1", "I lost my job.")
        assert memory(probe)["state"] == "off"
    finally:
        node.terminate()
        node.wait(timeout=20)
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if "memory" in line]
    assert len(lines) == 1 and "set aside as memory.db.unreadable-" in lines[0] and "Traceback" not in lines[0]
