"""The record of a conversation: who said what, with which gesture, and how long each stage took.

Fed with the conversation's timeline (graph.EVENTS); writes ``transcript.md`` and ``summary.json`` of a run folder.
"""

import importlib.metadata
import platform
from dataclasses import asdict, dataclass, field

import jiwer

#: A turn's stages in order, and the timeline's event that ends each.
STAGES = {"endpoint": "speech_ended", "text": "text", "first_token": "first_token", "first_audio": "sentence_started"}
PACKAGES = ("esc_robot", "rclpy", "torch", "transformers", "peft", "faster-whisper", "hibari-tts", "mujoco", "numpy")

_WORDS = jiwer.Compose([jiwer.ExpandCommonEnglishContractions(), jiwer.ToLowerCase(), jiwer.RemovePunctuation(),
                        jiwer.RemoveMultipleSpaces(), jiwer.Strip(), jiwer.ReduceToListOfListOfWords()])


@dataclass
class Stroke:
    """A gesture whose stroke belongs on a word; times in s of the system clock, None where they are not known.

    word: empty, and word_at None, where the sentence was too short for a stroke in time. word_at: when the word begins
    to sound. planned_at, came_at: when the stroke was to arrive, and when it did by the robot's joint states.
    """

    gesture: str
    word: str
    word_at: float | None
    planned_at: float
    came_at: float | None = None

    def error_ms(self, at: float | None) -> int | None:
        """ms after the word's beginning at which a stroke at that time falls."""
        return None if at is None or self.word_at is None else round((at - self.word_at) * 1000)

    def as_dict(self) -> dict:
        return {"name": self.gesture, "word": self.word, "word_at": self.word_at, "stroke_planned_at": self.planned_at,
                "stroke_at": self.came_at and round(self.came_at, 3),
                "planned_error_ms": self.error_ms(self.planned_at), "stroke_error_ms": self.error_ms(self.came_at)}


@dataclass(frozen=True)
class Picture:
    """The moment that the run folder's pictures show: at which gesture's stroke; joints: positions in rad."""

    gesture: str
    joints: dict[str, float]


@dataclass
class Turn:
    """What the user said and what the robot did about it. Stamps in s of the system clock."""

    said: str = ""
    ends_at: float = 0.0
    ids: set[str] = field(default_factory=set)
    heard: list[str] = field(default_factory=list)
    reply: list[str] = field(default_factory=list)
    strategy: str = ""
    strokes: list[Stroke] = field(default_factory=list)
    stamps: dict[str, float] = field(default_factory=dict)
    finished: bool = False

    @property
    def gesture(self) -> str:
        """The turn's first gesture."""
        return self.strokes[0].gesture if self.strokes else ""

    @property
    def latency_ms(self) -> dict[str, float | None]:
        """ms from the end of the user's speech in the recording to the end of each stage; None: it was not reached."""
        return {stage: round((self.stamps[event] - self.ends_at) * 1000)
                if event in self.stamps and self.ends_at else None for stage, event in STAGES.items()}

    def as_dict(self) -> dict:
        return {"said": self.said, "heard": " ".join(self.heard), "reply": " ".join(self.reply),
                "strategy": self.strategy, "gesture": self.gesture, "latency_ms": self.latency_ms,
                "gestures": [stroke.as_dict() for stroke in self.strokes]}


class Record:
    """The turns so far. A line that the ears took for two utterances is one turn here."""

    def __init__(self):
        self.turns: list[Turn] = []
        self.picture: Picture | None = None
        self._of_id: dict[str, Turn] = {}

    def turn(self, turn_id: str) -> Turn:
        """The turn that this id belongs to; an id not met before belongs to the line just spoken, or starts a turn."""
        if turn_id not in self._of_id:
            if not self.turns or self.turns[-1].finished:
                self.turns.append(Turn())
            self._of_id[turn_id] = self.turns[-1]
            self.turns[-1].ids.add(turn_id)
        return self._of_id[turn_id]

    def event(self, name: str, turn_id: str, stamp: float, values: dict[str, str]) -> None:
        if name == "user_speaks":
            self.turns.append(Turn(said=values.get("said", ""), ends_at=float(values["ends_at"])))
        elif turn_id:
            turn = self.turn(turn_id)
            if name == "gesture":
                word_at = values.get("word_at", "")
                turn.strokes.append(Stroke(values.get("name", ""), values.get("word", ""),
                                           float(word_at) if word_at else None, float(values["stroke_at"])))
            elif name == "turn_finished":
                turn.finished = True
            elif name in ("speech_ended", "text"):
                turn.stamps[name] = stamp
            else:
                turn.stamps.setdefault(name, stamp)

    def summary(self, violations: int) -> dict:
        """What summary.json holds. wer: word error rate over the lines whose words are known; None where none is."""
        known = [turn for turn in self.turns if turn.said]
        wer = jiwer.wer([turn.said for turn in known], [" ".join(turn.heard) for turn in known],
                        reference_transform=_WORDS, hypothesis_transform=_WORDS) if known else None
        return {"turns": [turn.as_dict() for turn in self.turns], "wer": wer if wer is None else round(wer, 4),
                "strokes": self._strokes(), "picture": self.picture and asdict(self.picture),
                "joint_limit_violations": violations, "versions": versions()}

    def _strokes(self) -> dict:
        """How many gestures there were, how many on a word, and the largest error of their strokes, in ms."""
        strokes = [stroke for turn in self.turns for stroke in turn.strokes]
        planned = [abs(stroke.error_ms(stroke.planned_at)) for stroke in strokes if stroke.word]
        came = [abs(stroke.error_ms(stroke.came_at)) for stroke in strokes if stroke.word and stroke.came_at]
        return {"gestures": len(strokes), "on_a_word": len(planned), "planned_error_ms": max(planned, default=None),
                "measured": len(came), "error_ms": max(came, default=None)}

    def complete(self) -> bool:
        """Whether there was a turn, and every turn was heard, answered aloud to its end, and gestured."""
        return bool(self.turns) and all(
            turn.heard and turn.reply and turn.gesture and turn.finished for turn in self.turns)

    def transcript(self) -> str:
        """The conversation as Markdown."""
        lines = ["# Conversation", ""]
        for number, turn in enumerate(self.turns, 1):
            lines += [f"## Turn {number}", ""]
            if turn.said:
                lines += [f"- **User said:** {turn.said}"]
            lines += [f"- **Robot heard:** {' '.join(turn.heard) or '(nothing)'}",
                      f"- **Robot:** {' '.join(turn.reply) or '(nothing)'}",
                      f"- {turn.strategy or 'no strategy'}; gesture: {turn.gesture or 'none'}; "
                      f"{latency_line(turn)}", ""]
        return "\n".join(lines)


def latency_line(turn: Turn) -> str:
    """For people: ``after the user's last word: endpoint 0.71 s, text 0.80 s, ...``."""
    parts = [f"{stage.replace('_', ' ')} {ms / 1000:.2f} s" for stage, ms in turn.latency_ms.items() if ms is not None]
    return f"after the user's last word: {', '.join(parts)}" if parts else "latency unknown"


def versions() -> dict[str, str]:
    """Version of Python and of each package that shapes the conversation."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            from esc_robot import __version__
            found[package] = __version__ if package == "esc_robot" else "not installed"
    return found
