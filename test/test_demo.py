"""The whole robot: every node a process, sound in, sound out."""

import json
import os
import shutil
import subprocess
import sys
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from esc_robot.audio.wavefile import write_wav
from esc_robot.body.gestures import library
from esc_robot.body.profile import load_profile
from esc_robot.record import STAGES
from esc_robot.speaking.flite import flite_line
from esc_robot.web.help_lines import help_lines
from esc_robot.web.model import robot_drawing
from esc_robot.web.picture import BROWSERS, page_picture

ROOT = Path(__file__).parent.parent


def demo(out: Path, **arguments) -> subprocess.CompletedProcess:
    words = [f"{name}:={value}" for name, value in {**arguments, "out": out}.items()]
    return subprocess.run([sys.executable, "-m", "esc_robot", "demo", *words], cwd=ROOT, text=True, timeout=300,
                          capture_output=True, env=os.environ | {"ROS_DOMAIN_ID": "101"})


def children_left() -> list[str]:
    """Command lines of nodes that still run on this test's domain."""
    left = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (b"ROS_DOMAIN_ID=101\0" in (entry / "environ").read_bytes()
                    and b"esc_robot.nodes" in (entry / "cmdline").read_bytes()):
                left.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return left


@pytest.fixture(scope="module")
def conversation(tmp_path_factory):
    """A conversation of three lines, the last of them a crisis."""
    folder = tmp_path_factory.mktemp("demo")
    lines = folder / "lines.txt"
    lines.write_text("# three turns\nHello, I feel very lonely today.\nMy sister moved to another country.\n"
                     "Sometimes I want to kill myself.\n")
    return demo(folder, lines=lines, country="US"), folder


def test_the_conversation_is_held_and_every_turn_is_heard_answered_and_gestured(conversation):
    done, folder = conversation
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert len(summary["turns"]) == 3 and summary["joint_limit_violations"] == 0 and summary["wer"] <= 0.15
    for turn in summary["turns"]:
        assert turn["heard"] and turn["reply"] and turn["strategy"] and turn["gesture"]
        latency = [turn["latency_ms"][stage] for stage in STAGES]
        assert latency == sorted(latency) and latency[0] > 0
    assert summary["versions"]["torch"].startswith("2.13.0")


def test_the_crisis_is_answered_with_the_line_and_not_by_the_model(conversation):
    _, folder = conversation
    turns = json.loads((folder / "summary.json").read_text())["turns"]
    assert ["nine eight eight" in turn["reply"] for turn in turns] == [False, False, True]


def test_strokes_meet_their_words(conversation):
    _, folder = conversation
    summary = json.loads((folder / "summary.json").read_text())
    strokes = [gesture for turn in summary["turns"] for gesture in turn["gestures"] if gesture["word"]]
    assert strokes and summary["strokes"]["on_a_word"] == len(strokes)
    assert all(abs(stroke["planned_error_ms"]) <= 100 for stroke in strokes)
    assert any(stroke["stroke_error_ms"] is not None for stroke in strokes)


def test_both_sides_are_recorded_and_take_turns(conversation):
    _, folder = conversation
    with wave.open(str(folder / "conversation.wav")) as recording:
        assert recording.getnchannels() == 2 and recording.getframerate() == 16000
        pcm = np.frombuffer(recording.readframes(recording.getnframes()), np.int16).reshape(-1, 2)
    loud = np.abs(pcm.astype(np.int32)) > 500
    assert loud[:, 0].sum() > 16000 and loud[:, 1].sum() > 16000
    assert (loud[:, 0] & loud[:, 1]).sum() < 0.01 * loud.sum()


def test_the_picture_shows_the_robot_and_the_transcript_both_sides(conversation):
    _, folder = conversation
    picture = np.asarray(Image.open(folder / "robot.png").convert("L"), float)
    assert picture.std() > 20
    assert "I feel very lonely today" in (folder / "transcript.md").read_text()


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser; apt install chromium")
def test_the_picture_of_the_page_shows_the_robot_at_a_stroke(conversation):
    done, folder = conversation
    kept = json.loads((folder / "summary.json").read_text())["picture"]
    profile = load_profile("talos")
    assert kept["gesture"] in library().gestures
    assert max(abs(kept["joints"][joint] - at) for joint, at in profile.rest.items()) > 0.2
    about = {"robot": profile.title, "help": help_lines("US"), "own_sound": False}
    at_rest = page_picture(about, robot_drawing(profile), {"turns": [], "partial": "", "status": "ready"})
    shown, rest = (np.asarray(Image.open(picture).convert("L"), float) for picture in
                   (folder / "page.png", BytesIO(at_rest)))
    height, width = (np.array(shown.shape) * (0.62, 0.5)).astype(int)   # the robot, above the captions
    assert shown.shape == rest.shape
    assert (np.abs(shown - rest)[:height, :width] > 40).sum() > 2000, "the page shows the robot at rest"
    assert "page.png" not in done.stdout


def test_a_machine_without_a_browser_has_a_demo_without_that_picture_and_one_line_says_so(tmp_path):
    code = ("from esc_robot.web.picture import page_picture\n"
            "from esc_robot.errors import Problem\n"
            "try: page_picture({}, None, {})\n"
            "except Problem as problem: print(problem)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
                          env={"PATH": str(tmp_path)})
    assert done.stdout.startswith("browser 'chromium': is not installed, so there is no picture of the page")
    assert len(done.stdout.splitlines()) == 1


def test_the_conversation_is_printed_live_with_its_latencies_and_no_node_is_left(conversation):
    done, _ = conversation
    assert "user says   Hello, I feel very lonely today." in done.stdout and "first audio" in done.stdout
    assert children_left() == []


def test_a_persons_recording_takes_the_place_of_the_lines(tmp_path):
    pause = np.zeros(3 * 16000, np.int16)
    said = [flite_line(line, "rms") for line in ("I could not sleep last night.", "It was too hot.")]
    pcm = np.concatenate([said[0], pause, said[1]])
    write_wav(tmp_path / "person.wav", pcm, 16000)
    done = demo(tmp_path / "out", wav=tmp_path / "person.wav")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(summary["turns"]) == 2 and summary["wer"] is None
    assert "sleep" in summary["turns"][0]["heard"]
    assert summary["turns"][0]["latency_ms"]["first_audio"] > 0


def test_an_unfit_recording_ends_the_demo_with_one_line(tmp_path):
    write_wav(tmp_path / "stereo.wav", np.zeros((16000, 2), np.int16), 16000)
    done = demo(tmp_path / "out", wav=tmp_path / "stereo.wav")
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] and "Traceback" not in done.stderr
    assert children_left() == []
