"""Prints the conversation live, writes the run folder, and ends when the script ends."""

import json
import sys
from pathlib import Path

from esc_robot.body.profile import load_profile
from esc_robot.body.render import render
from esc_robot.nodes.base import Node, decode_event, decode_pair, finite, run, seconds
from esc_robot.record import Record, latency_line

#: A pose is taken for the picture when its joint states were stamped this near to a stroke, s.
NEAR_STROKE_S = 0.03


class Observer(Node):
    """Ends with exit code 0 when every turn of the script was heard, answered and gestured, else 1."""

    def __init__(self):
        super().__init__("observer")
        self.profile = load_profile(self.parameter("robot", "talos", "robot profile: a name under config/robots"))
        out = self.parameter("out", "", "folder for transcript.md, summary.json and robot.png; empty: none is written")
        self.out = Path(out) if out else None
        self._rest = self.profile.rest
        self.record = Record()
        self.violations = 0
        self._strokes: list[float] = []
        self._pose_at_stroke: dict[str, float] = {}
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/speech/text", self._on_text, decode_pair)
        self.listen("/dialogue/strategy", self._on_strategy, decode_pair)
        self.listen("/dialogue/reply", self._on_reply, decode_pair)
        self.listen("/joint_states", self._on_joint_states)
        self.listen("/diagnostics", self._on_diagnostics)
        self._say("waiting for the robot to wake up")
        self.ready()

    def _on_event(self, event) -> None:
        first_sound = event.name == "speech_started" and not self.record.turns
        self.record.event(event.name, event.turn, event.stamp, event.values)
        if event.name == "user_speaks" and event.values.get("said"):
            self._say(f"\n  user says   {event.values['said']}")
        elif first_sound:
            self._say("\n  the user is heard")
        elif event.name == "gesture":
            self._strokes.append(float(event.values["stroke_at"]))
        elif event.name == "turn_finished":
            turn = self.record.turn(event.turn)
            self._say(f"              [{turn.strategy}; {turn.gesture or 'no gesture'}; {latency_line(turn)}]")
        elif event.name == "turn_interrupted":
            self._say("              [interrupted]")
        elif event.name == "script_finished":
            self._finish(event.values.get("recording", ""))

    def _on_text(self, pair) -> None:
        self.record.turn(pair[0]).heard.append(pair[1])
        self._say(f"  robot hears {pair[1]}")

    def _on_strategy(self, pair) -> None:
        self.record.turn(pair[0]).strategy = pair[1]

    def _on_reply(self, pair) -> None:
        self.record.turn(pair[0]).reply.append(pair[1])
        self._say(f"  robot says  {pair[1]}")

    def _on_joint_states(self, message) -> None:
        """Keep the pose furthest from rest of those at a gesture's stroke."""
        now = seconds(message.header.stamp)
        self._strokes = [stroke for stroke in self._strokes if stroke > now - NEAR_STROKE_S]
        if any(abs(stroke - now) <= NEAR_STROKE_S for stroke in self._strokes) and finite(message.position):
            pose = dict(zip(message.name, message.position, strict=True))
            if self._movement(pose) > self._movement(self._pose_at_stroke):
                self._pose_at_stroke = pose

    def _movement(self, pose: dict[str, float]) -> float:
        return sum(abs(position - self._rest.get(joint, 0.0)) for joint, position in pose.items())

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            if status.name == "mock_robot":
                self.violations = int(next((v.value for v in status.values if v.key == "joint_limit_violations"), 0))

    def _finish(self, recording: str) -> None:
        complete = self.record.complete()
        if self.out:
            self.out.mkdir(parents=True, exist_ok=True)
            summary = self.record.summary(self.violations)
            (self.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
            (self.out / "transcript.md").write_text(self.record.transcript())
            if self._pose_at_stroke:
                (self.out / "robot.png").write_bytes(render(self.profile, self._pose_at_stroke))
            wer = "" if summary["wer"] is None else f", word error rate {summary['wer']:.1%}"
            self._say(f"\n{len(self.record.turns)} turns{wer}, {self.violations} joint limit violations; "
                      f"recording {recording}, the rest in {self.out}")
        if not complete:
            print("error: not every turn was heard, answered and gestured; see the transcript", file=sys.stderr)
        raise SystemExit(0 if complete else 1)

    @staticmethod
    def _say(line: str) -> None:
        print(line, flush=True)


def main() -> int:
    return run(Observer)


if __name__ == "__main__":
    sys.exit(main())
