import os
import subprocess
import sys

import pytest
from conftest import ROOT


def terminal(lines, *arguments):
    return subprocess.run([sys.executable, "-m", "esc_robot.dialogue", *arguments], input="\n".join(lines), cwd=ROOT,
                          capture_output=True, text=True, timeout=300, env=os.environ | {"HF_HUB_OFFLINE": "1"})


def test_a_conversation_its_reasons_and_another_view():
    done = terminal(["/why", "i lost my job", "/why", "/view raw", "/view", "/view nowhere", "/dance",
                     "I want to kill myself", "/why", "/quit", "never said"], "--seed", "1", "--country", "US",
                    "--replies", "written")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert lines[0] == "reply: nothing was said yet"
    why = next(line for line in lines if line.startswith("model: view stopwords"))
    assert "from the cache" in why and "first token" in why
    assert any(line.startswith("raw (now), stopwords") for line in lines)
    assert "error: view 'nowhere': unknown; use raw" in done.stderr
    assert "error: command '/dance'" in done.stderr
    assert "nine eight eight" in done.stdout
    assert lines[-1].startswith("reply: fixed words")


def test_a_chosen_reply_is_explained_with_its_candidates():
    lines = terminal(["i lost my job yesterday", "/why"]).stdout.splitlines()
    said = " ".join(line for line in lines if ": " not in line)
    why = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert why["reply"].startswith("chosen, from ") and why["act"] == "money_work_home" and why["strategy"]
    assert said and any(told.endswith(f": {said}") for name, told in why.items() if name.startswith("candidate "))


@pytest.mark.parametrize(("arguments", "named"), [
    (["--country", "Atlantis"], "country"), (["--view", "nowhere"], "view"), (["--adapter", "/nowhere"], "adapter"),
    (["--model", "nothing-like-it"], "model"),
])
def test_what_is_wrong_is_said_in_one_line(arguments, named):
    done = terminal([], *arguments)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {named}") and done.stderr.count("\n") == 1
