"""What a turn of the user does: one of the acts of config/care/acts.yaml, with a calibrated confidence."""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import yaml

from esc_robot.assets import config

#: Acts that want an answer to a question or a request.
ASKING = ("asks_advice", "asks_fact", "asks_hard_question", "robot_nature", "robot_ability", "robot_privacy",
          "robot_memory", "asks_repeat", "greets")
_ASKS = re.compile(
    r"^(?:(?:so|and|but|well|ok|okay|hey|sir|please|robot|then|or|hi|hello|no|yes)\b[ ,]*)*"
    r"(?:what|why|how|who|whose|which|where|when|(?:is|are|am|was|were|do|does|did|can|could|will|would|should|shall|"
    r"may|have|has|had)n?'?t? (?:i|you|it|he|she|they|we|there|this|that|my|your|the|a|u)\b)|\?\s*$", re.I)


@dataclass(frozen=True)
class Reply:
    """Words to be said as they stand, and the strategy they follow."""

    text: str
    strategy: str


@cache
def act_replies() -> dict[str, list[Reply]]:
    """The replies of every act, in the order of the file."""
    acts = yaml.safe_load(config("care/acts.yaml").read_text())["acts"]
    return {act["name"]: [Reply(reply["text"], reply["strategy"]) for reply in act["replies"]] for act in acts}


def asks(text: str) -> bool:
    """Whether the last sentence of an utterance is a question, by its mark or its first words."""
    sentences = [part for part in re.findall(r"[^.?!\n]+[.?!]*", text.replace("\u2019", "'")) if part.strip()]
    return bool(sentences and _ASKS.search(sentences[-1].strip()))


def act_chances(logits: np.ndarray, names: list[str], temperature: float, text: str, question: float) -> np.ndarray:
    """Chance of each act [acts]: the head's logits, with ``question`` added to asking acts when the turn asks and taken
    from them when it does not; divided by the temperature that was fitted on held-out turns (Guo et al. 2017)."""
    asking = np.array([name in ASKING for name in names])
    shifted = (logits + np.where(asking, question if asks(text) else -question, 0.0)) / temperature
    chances = np.exp(shifted - shifted.max())
    return chances / chances.sum()
