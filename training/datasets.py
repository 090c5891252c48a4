"""Dialogues of emotional support from three sources in one shape: our own corpus, ESConv and ExTES.

Every reader takes the file as its makers publish it. ESConv (CC BY-NC 4.0) and ExTES (no stated licence) are not part
of this package: a user brings the file, and what is trained on it inherits its terms.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from esc_robot.dialogue.strategy import STRATEGIES
from esc_robot.errors import Problem

CORPUS = Path(__file__).resolve().parent / "corpus"

# Files of a register: names that begin so. Plain is for models below 1B parameters, rich for those above.
REGISTERS = {"plain": ("plain", "portable", "short"), "rich": ("rich",)}

# ESConv's eight strategies (Liu et al., 2021) as ExTES names them. Self-disclosure has no counterpart: a robot has no
# life to tell of.
ESCONV_STRATEGIES = {
    "Question": "Clarification",
    "Restatement or Paraphrasing": "Reflective Statements",
    "Reflection of feelings": "Empathetic Statements",
    "Self-disclosure": "Others",
    "Affirmation and Reassurance": "Affirmation",
    "Providing Suggestions": "Suggest Options",
    "Information": "Share Information",
    "Others": "Others",
}

# The three scenes that no training sees, whole: the first three by SHA-256 of their name among ExTES's scenes that
# have no near twin ("Academic Stress" has one in "Academic Stress or Pressure").
HELD_OUT_SCENES = ("Moving to a New City or Country", "Financial Worries and Uncertainty",
                   "Body Image Concerns and Eating Disorders")

_USER_KEYS = {"user", "human", "seeker", "usr", "client", "help-seeker"}
_ASSISTANT_KEYS = {"ai", "assistant", "supporter", "sys", "bot", "therapist"}
_STRATEGY_KEYS = {"ai strategy", "strategy", "ai_strategy", "aistrategy", "supporter strategy"}
_CONTENT_KEYS = ("content", "dialogue", "dialog", "conversation", "turns")


@dataclass(frozen=True)
class Turn:
    """One utterance. ``strategy`` ("" where unknown) and ``portable`` (None where unmarked) belong to replies only."""

    role: str
    text: str
    strategy: str = ""
    portable: bool | None = None


@dataclass(frozen=True)
class Dialogue:
    """Turns in strict alternation, the user first and the assistant last; ``source`` is the file's name."""

    scene: str
    description: str
    turns: tuple[Turn, ...]
    source: str = ""

    @property
    def replies(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.role == "assistant"]


def read_dialogues(path: str | Path) -> list[Dialogue]:
    """Dialogues of one file: JSON Lines or a JSON list, of our corpus, ESConv (raw or one object a line) or ExTES.

    A dialogue with no reply after a user's turn is left out. Raises Problem, with the line or record, for a file that
    cannot be read or a record of an unknown form.
    """
    path = Path(path)
    dialogues = []
    for where, record in _records(path):
        try:
            dialogue = _dialogue(record, path.stem)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Problem("dialogue", f"{path}, {where}", f"not a record of our corpus, ESConv or ExTES ({error!s})"
                          ) from None
        if dialogue.turns:
            dialogues.append(dialogue)
    if not dialogues:
        raise Problem("dialogue file", path, "holds no dialogue; give a file of our corpus, ESConv or ExTES")
    return dialogues


def corpus_files(register: str) -> list[Path]:
    """Files of our corpus in a register, ``plain`` or ``rich``."""
    if register not in REGISTERS:
        raise Problem("register", register, f"unknown; use {' or '.join(REGISTERS)}")
    return [path for path in sorted(CORPUS.glob("*.jsonl")) if path.stem.startswith(REGISTERS[register])]


def corpus(register: str = "plain") -> list[Dialogue]:
    """Our own dialogues of a register."""
    return [dialogue for path in corpus_files(register) for dialogue in read_dialogues(path)]


def part_of(dialogue: Dialogue) -> str:
    """The part a dialogue belongs to: ``scenes`` (held-out scenes), else ``test`` (4%), ``valid`` (3%) or ``train``.

    The hash is over the scene and the user's opening words, so mending a reply moves nothing, and two dialogues that
    open alike stay together.
    """
    if dialogue.scene in HELD_OUT_SCENES:
        return "scenes"
    key = f"{dialogue.scene}|{' '.join(words(dialogue.turns[0].text))}"
    share = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return "test" if share < 0.04 else "valid" if share < 0.07 else "train"


def split(dialogues: Iterable[Dialogue]) -> dict[str, list[Dialogue]]:
    """Dialogues by part: train, valid, test, scenes. A dialogue is never cut: all its turns are in one part."""
    parts = {"train": [], "valid": [], "test": [], "scenes": []}
    for dialogue in dialogues:
        parts[part_of(dialogue)].append(dialogue)
    return parts


def alternate(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Strict alternation: turns of one speaker in a row are joined, and the user opens and the assistant ends.

    What the supporter says before the user's first turn and what the user says after the last reply is dropped. Joined
    replies keep the first strategy that is not empty.
    """
    merged: list[Turn] = []
    for turn in turns:
        text = " ".join(turn.text.split())
        if not text or (not merged and turn.role == "assistant"):
            continue
        if merged and merged[-1].role == turn.role:
            last = merged[-1]
            merged[-1] = Turn(turn.role, f"{last.text} {text}", last.strategy or turn.strategy, last.portable)
        else:
            merged.append(Turn(turn.role, text, turn.strategy, turn.portable))
    if merged and merged[-1].role == "user":
        merged.pop()
    return tuple(merged)


def words(text: str) -> list[str]:
    """Words in lower case, apostrophes kept, punctuation dropped."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def sha256(path: str | Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _records(path: Path):
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem("dialogue file", path, f"cannot be read as UTF-8 text ({type(error).__name__})") from None
    try:
        whole = json.loads(text)
    except ValueError:
        yield from _lines(path, text)
        return
    for number, record in enumerate(whole if isinstance(whole, list) else [whole], 1):
        yield f"record {number}", record


def _lines(path: Path, text: str):
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except ValueError as error:
                raise Problem("dialogue", f"{path}, line {number}", f"not JSON ({error})") from None


def _dialogue(record: dict, source: str) -> Dialogue:
    fields = {key.strip().lower(): value for key, value in record.items()}
    if "history" in fields and "output" in fields:
        pairs = [*fields["history"], [fields["instruction"], fields["output"]]]
        turns = [Turn(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]
    else:
        content = next((fields[key] for key in _CONTENT_KEYS if key in fields), None)
        if not isinstance(content, list):
            raise ValueError("no list of turns")
        turns = [turn for entry in content for turn in _turns(entry)]
    scene = fields.get("scene") or fields.get("problem_type") or ""
    return Dialogue(scene, fields.get("description") or fields.get("situation") or "", alternate(turns), source)


def _turns(entry: dict) -> list[Turn]:
    fields = {key.strip().lower(): value for key, value in entry.items()}
    strategy = next((fields[key] for key in fields if key in _STRATEGY_KEYS), None)
    annotation = fields.get("annotation") or {}
    strategy = strategy_name(strategy or annotation.get("strategy") or "")
    speaker = fields.get("role") or fields.get("speaker")
    if speaker is not None:
        text = fields["text"] if "text" in fields else fields["content"]
        return [_turn(speaker, text, strategy, fields.get("portable"))]
    said = [(key, value) for key, value in fields.items() if key in _USER_KEYS | _ASSISTANT_KEYS]
    if not said:
        raise ValueError(f"keys {sorted(fields)}")
    return [_turn(key, value, strategy, None) for key, value in said]


def _turn(speaker: str, text: str, strategy: str, portable: bool | None) -> Turn:
    speaker = speaker.strip().lower()
    if speaker in _USER_KEYS:
        return Turn("user", text)
    if speaker not in _ASSISTANT_KEYS:
        raise ValueError(f"speaker {speaker!r}")
    return Turn("assistant", text, strategy, portable)


def strategy_name(label: str) -> str:
    """ExTES's name of a strategy label in any of the published spellings, "" for a label of neither set.

    >>> strategy_name("[Emotional Validation (EV)]"), strategy_name("Question"), strategy_name("")
    ('Emotional Validation', 'Clarification', '')
    """
    label = re.sub(r"\(.*?\)|[\[\]]", "", label).strip()
    known = {name.lower(): name for name in STRATEGIES} | {
        name.lower(): extes for name, extes in ESCONV_STRATEGIES.items()}
    return known.get(label.lower(), "")
