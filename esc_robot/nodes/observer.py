"""Prints the conversation live, writes the run folder, and ends when the script ends."""

import json
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from trajectory_msgs.msg import JointTrajectory

from esc_robot.body.motion import State, Trajectory
from esc_robot.body.profile import load_profile
from esc_robot.body.render import render
from esc_robot.body.strokes import stroke_delay
from esc_robot.errors import Problem
from esc_robot.graph import TOPICS
from esc_robot.nodes.base import Node, decode_event, decode_joint_states, decode_pair, decode_trajectory, run
from esc_robot.record import Picture, Record, Stroke, latency_line
from esc_robot.web.help_lines import help_lines
from esc_robot.web.model import robot_drawing
from esc_robot.web.picture import page_picture
from esc_robot.web.state import PageState

#: A pose is taken for the picture when its joint states were stamped this near to a stroke, s.
NEAR_STROKE_S = 0.03
#: A stroke is measured on the joint states up to so long after it, s.
AFTER_STROKE_S = 0.4


class Observer(Node):
    """Ends with exit code 0 when every turn of the script was heard, answered and gestured, else 1."""

    def __init__(self):
        super().__init__("observer")
        self.profile = load_profile(self.parameter("robot", "talos", "robot profile: a name or a path"))
        out = self.parameter("out", "", "folder for transcript.md, summary.json and pictures; empty: none is written")
        self._help = help_lines(self.parameter("country", "default", "whose crisis lines stand on the page's picture"))
        self.out = Path(out) if out else None
        self._rest = self.profile.rest
        self.record = Record()
        self.violations = 0
        self._page, self._page_at_stroke = PageState(), {}
        self._arms = {joint for arm in self.profile.arms.values() for joint in arm.joints} or set(self._rest)
        self._strokes: list[tuple[float, Stroke]] = []     # when each movement began, those still to be measured
        self._joints: deque[tuple[float, State]] = deque(maxlen=1000)
        self._told: deque[tuple[float, str, Trajectory]] = deque(maxlen=200)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/speech/text", self._on_text, decode_pair)
        self.listen("/dialogue/strategy", self._on_strategy, decode_pair)
        self.listen("/dialogue/reply", self._on_reply, decode_pair)
        self.listen("/joint_states", self._on_joint_states, decode_joint_states)
        if self.profile.interface == "joint_trajectory":
            for controller in self.profile.controllers:
                topic = self.profile.topic.format(controller=controller)
                self.create_subscription(
                    JointTrajectory, topic, self.guarded(topic, partial(self._on_trajectory, controller),
                                                         decode_trajectory),
                    TOPICS["/<controller>/joint_trajectory"].depth)
        self.listen("/diagnostics", self._on_diagnostics)
        self._say("waiting for the robot to wake up")
        self.ready()

    def _on_event(self, event) -> None:
        first_sound = event.name == "speech_started" and not self.record.turns
        self.record.event(event.name, event.turn, event.stamp, event.values)
        self._page.event(event.name, event.turn, event.stamp, event.values)
        if event.name == "user_speaks" and event.values.get("said"):
            self._say(f"\n  user says   {event.values['said']}")
        elif first_sound:
            self._say("\n  the user is heard")
        elif event.name == "gesture":
            self._strokes.append((event.stamp, self.record.turn(event.turn).strokes[-1]))
        elif event.name == "turn_finished":
            turn = self.record.turn(event.turn)
            self._say(f"              [{turn.strategy}; {turn.gesture or 'no gesture'}; {latency_line(turn)}]")
        elif event.name == "turn_interrupted":
            self._say("              [interrupted]")
        elif event.name == "script_finished":
            self._finish(event.values.get("recording", ""))

    def _on_text(self, pair) -> None:
        self.record.turn(pair[0]).heard.append(pair[1])
        self._page.heard(*pair)
        self._say(f"  robot hears {pair[1]}")

    def _on_strategy(self, pair) -> None:
        self.record.turn(pair[0]).strategy = pair[1]
        self._page.strategy(*pair)

    def _on_reply(self, pair) -> None:
        self.record.turn(pair[0]).reply.append(pair[1])
        self._page.reply(*pair)
        self._say(f"  robot says  {pair[1]}")

    def _on_trajectory(self, controller: str, trajectory: Trajectory) -> None:
        self._told.append((time.time(), controller, trajectory))

    def _on_joint_states(self, measured: tuple[float, State]) -> None:
        """Keep the moment of those at a gesture's stroke whose arms are furthest from rest; measure what is over."""
        now, state = measured
        self._joints.append(measured)
        at_stroke = [stroke for _, stroke in self._strokes if abs(stroke.planned_at - now) <= NEAR_STROKE_S]
        kept = self.record.picture
        if at_stroke and (kept is None or self._movement(state.positions) > self._movement(kept.joints)):
            self.record.picture = Picture(at_stroke[0].gesture, state.positions)
            self._page_at_stroke = self._page.snapshot()
        for began, stroke in [row for row in self._strokes if row[1].planned_at + AFTER_STROKE_S < now]:
            self._strokes.remove((began, stroke))
            delay = self._delay(began, stroke.planned_at)
            stroke.came_at = None if delay is None else stroke.planned_at + delay

    def _delay(self, began: float, planned_at: float) -> float | None:
        """How much later than planned a stroke came; None where it was broken off, or cannot be told."""
        told = {}
        for heard_at, controller, trajectory in self._told:
            if not began - 0.1 < heard_at < planned_at:
                continue
            told.pop(controller, None)
            start = began if trajectory.start is None else trajectory.start
            if any(abs(start + point.time - planned_at) < 0.002 for point in trajectory.points):
                told[controller] = trajectory
        seen = [(at, state) for at, state in self._joints if at <= planned_at + AFTER_STROKE_S]
        return stroke_delay(self.profile, began, told, seen) if told else None

    def _movement(self, pose: dict[str, float]) -> float:
        return sum(abs(position - self._rest[joint]) for joint, position in pose.items() if joint in self._arms)

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            self._page.alive(status.name, status.level == DiagnosticStatus.OK, time.time())
            if status.name == "mock_robot":
                self.violations = int(next((v.value for v in status.values if v.key == "joint_limit_violations"), 0))

    def _finish(self, recording: str) -> None:
        complete = self.record.complete()
        if self.out:
            self.out.mkdir(parents=True, exist_ok=True)
            summary = self.record.summary(self.violations)
            (self.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
            (self.out / "transcript.md").write_text(self.record.transcript())
            if self.record.picture:
                self._draw(self.record.picture.joints)
            wer = "" if summary["wer"] is None else f", word error rate {summary['wer']:.1%}"
            self._say(f"\n{len(self.record.turns)} turns{wer}{_strokes(summary)}, {self.violations} joint limit "
                      f"violations; recording {recording}, the rest in {self.out}")
        if not complete:
            print("error: not every turn was heard, answered and gestured; see the transcript", file=sys.stderr)
        raise SystemExit(0 if complete else 1)

    def _draw(self, pose: dict[str, float]) -> None:
        """Now that nobody speaks: drawing takes both cores for seconds."""
        about = {"robot": self.profile.title, "help": self._help, "own_sound": False}
        for name, draw in (("robot.png", lambda: render(self.profile, pose)),
                           ("page.png", lambda: page_picture(about, robot_drawing(self.profile, pose),
                                                             self._page_at_stroke))):
            try:
                (self.out / name).write_bytes(draw())
            except Problem as problem:
                self._say(f"no {name}: {problem}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, flush=True)


def _strokes(summary: dict) -> str:
    strokes = summary["strokes"]
    return f", strokes within {strokes['error_ms']} ms of their words" if strokes["measured"] else ""


def main() -> int:
    return run(Observer)


if __name__ == "__main__":
    sys.exit(main())
