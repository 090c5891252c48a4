"""The whole robot measured in conversation, every node a process: how soon it answers, how soon it falls silent."""

import json
import os
import tempfile
import wave
from pathlib import Path

import numpy as np

from esc_robot import graph
from esc_robot.__main__ import command
from esc_robot.errors import Problem
from esc_robot.record import STAGES
from esc_robot.supervisor import Supervisor

OUT = Path("runs/bench/latency.json")
DOMAIN = "100"          # a ROS domain of the bench's own
LOUD = 300              # |sample| of a voice, int16
FRAME_S = 0.01
WITHIN_A_LINE_S = 0.6   # of silence; between two lines there is more
LINES = (
    "Hello. I am not sure what to say to you.", "I have been feeling very tired this week.",
    "My best friend moved to another city.", "Now I spend my evenings alone.", "I do not want to call her.",
    "She is busy with her new job.", "I could write her a letter.", "I am afraid that she will not answer.",
    "Maybe I will write a short one on Sunday.", "My mother says that I worry too much.",
    "She does not understand me.", "We had a fight about money.", "I have not slept well since then.",
    "At work I make many mistakes.", "My boss was angry with me yesterday.", "I was so ashamed.",
    "I went home and cried.", "My cat sat with me all night.", "She is old and a little bit ill.",
    "I do not know what I will do without her.", "The doctor gave her some pills.", "They cost a lot of money.",
    "I used to play the guitar.", "I stopped when my father died.", "He taught me how to play.",
    "I miss him every day.", "It would have been his birthday tomorrow.", "I will visit his grave.",
    "Perhaps my brother will come with me.", "Thank you for listening to me. Goodbye.",
)
INTERRUPTIONS = ("Wait, I want to tell you something else.", "No, that is not what I mean.", "Can I say something?",
                 "But my brother never called me.", "Sorry, could you repeat that?", "Stop, I need a moment.")
INTERRUPTED_AFTER_S = (0.7, 1.1, 1.6, 2.1)
ECHO_GAIN = 0.2


def bench_latency() -> None:
    """Writes runs/bench/latency.json: ms from the end of the user's speech to each stage, over 30 turns."""
    turns = json.loads((converse(LINES) / "summary.json").read_text())["turns"]
    stages = {stage: [turn["latency_ms"][stage] / 1000 for turn in turns if turn["latency_ms"][stage] is not None]
              for stage in STAGES}
    figures = {f"{stage}_ms": percentiles(found) for stage, found in stages.items() if found}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def talk_over() -> dict:
    """ms from the user's first sound over the robot's words to the robot's silence, with its echo in the microphone."""
    lines = [f"+{INTERRUPTED_AFTER_S[i % len(INTERRUPTED_AFTER_S)]} {line}" for i, line in enumerate(INTERRUPTIONS * 4)]
    folder = converse([LINES[1], *lines], echo_gain=ECHO_GAIN)
    with wave.open(str(folder / "conversation.wav")) as recording:
        pcm = np.frombuffer(recording.readframes(recording.getnframes()), np.int16).reshape(-1, 2)
    samples = int(FRAME_S * recording.getframerate())
    user, robot = (np.abs(pcm[:len(pcm) // samples * samples].astype(np.int32)).reshape(-1, samples, 2)
                   .max(axis=1) > LOUD).T
    return percentiles(silenced_after(user, robot))


def silenced_after(user: np.ndarray, robot: np.ndarray) -> list[float]:
    """user, robot: whether each sounds, bool [frames]. Seconds for each time the user began over the robot."""
    sounding, found = np.flatnonzero(user), []
    for line in np.split(sounding, np.flatnonzero(np.diff(sounding) > WITHIN_A_LINE_S / FRAME_S) + 1):
        began, over = line[0], line[-1]
        if robot[max(began - 10, 0):began + 5].any():
            last = np.flatnonzero(robot[began:over])
            found.append((last[-1] + 1) * FRAME_S if len(last) else 0.0)
    return found


def converse(lines, **mock_audio) -> Path:
    """A scripted conversation with the whole simulated robot; the folder with its record."""
    folder = Path(tempfile.mkdtemp(prefix="esc_robot_bench_"))
    (folder / "lines.txt").write_text("\n".join(lines))
    values = graph.settings("demo", {"lines": str(folder / "lines.txt"), "out": str(folder)})
    nodes = {node: command(node, values, "demo") for node in graph.NODES if graph.switched_on(node, values)}
    for name, value in mock_audio.items():
        nodes["mock_audio"] += ["-p", f"{name}:={value}"]
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    Supervisor(nodes, ends_with="observer").run()
    if not (folder / "summary.json").is_file():
        raise Problem("bench conversation", folder, "ended too soon; `python -m esc_robot demo` says why")
    return folder


def percentiles(seconds: list[float]) -> dict:
    """p50 and p95 in ms."""
    return {name: round(float(np.percentile(seconds, share)) * 1000) for name, share in (("p50", 50), ("p95", 95))}
