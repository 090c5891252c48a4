"""What could be said in answer to a turn, from three sources: replies for its act, fetched ones, and its own words."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from esc_robot.assets import built
from esc_robot.dialogue.acts import act_chances, act_replies
from esc_robot.dialogue.encoder import DATA, Encoder, entry
from esc_robot.errors import Problem

FETCHED = 4     # replies fetched a turn


@dataclass(frozen=True)
class Candidate:
    """A reply that could be said. ``source``: one of ``selector.SOURCES``. ``near``: cosine of
    the turn and the reply, for a fetched one the mean with the cosine of the turn that it answered.
    ``score``: the last check's."""

    reply: str
    strategy: str
    source: str
    near: float
    score: float = 0.0


@dataclass(frozen=True)
class Reading:
    """What the encoder makes of a turn: chances of the acts, likeliest first, and its vector [384]."""

    acts: list[tuple[str, float]]
    vector: np.ndarray


class Reader:
    """Reads turns with the dual encoder. Raises Problem where the encoder is missing or broken."""

    def __init__(self, threads: int = 1):
        self.encoder = Encoder("dual", threads)
        known = entry("dual")
        self._names, self._temperature, self._question = known["acts"], known["temperature"], known["question"]
        if missing := set(self._names) - set(act_replies()):
            raise Problem("acts.yaml", ", ".join(sorted(missing)), "acts the encoder knows are missing; restore them")

    def read(self, text: str) -> Reading:
        vectors, logits = self.encoder([text])
        chances = act_chances(logits[0], self._names, self._temperature, text, self._question)
        order = np.argsort(-chances)
        return Reading([(self._names[k], float(chances[k])) for k in order], vectors[0])


class Fetcher:
    """Portable replies, with the turns that they answered, by nearness."""

    def __init__(self, encoder: Encoder):
        self._pairs = [json.loads(line) for line in (DATA / "replies.jsonl").read_text().splitlines()]
        self._turns = indexed("turns", [pair["turn"] for pair in self._pairs], encoder)
        self._replies = indexed("replies", [pair["reply"] for pair in self._pairs], encoder)

    def fetch(self, vector: np.ndarray, most: int = FETCHED) -> list[Candidate]:
        """The replies that lie nearest, each once: half by what they answered, half by what they say."""
        near = (self._turns @ vector + self._replies @ vector) / 2
        found = {}
        for k in np.argsort(-near)[:3 * most]:
            pair = self._pairs[k]
            found.setdefault(pair["reply"], Candidate(pair["reply"], pair["strategy"], "fetched", float(near[k])))
        return list(found.values())[:most]


class ActReplies:
    """The replies for each act, those first that lie nearest to the turn."""

    def __init__(self, encoder: Encoder):
        self._replies = act_replies()
        vectors = indexed("acts", [reply.text for replies in self._replies.values() for reply in replies], encoder)
        ends = np.cumsum([len(replies) for replies in self._replies.values()])[:-1]
        self._vectors = dict(zip(self._replies, np.split(vectors, ends), strict=True))

    def of(self, act: str, vector: np.ndarray) -> list[Candidate]:
        near = self._vectors[act] @ vector
        replies = self._replies[act]
        return [Candidate(replies[k].text, replies[k].strategy, "act", float(near[k])) for k in np.argsort(-near)]


def indexed(name: str, texts: list[str], encoder: Encoder) -> np.ndarray:
    """Vectors of texts, float32 [texts, 384], kept in the cache and made again when the texts or the encoder change."""
    key = hashlib.sha256("\n".join([entry("dual")["sha256"], *texts]).encode()).hexdigest()[:16]

    def build(folder: Path) -> None:
        print(f"indexing {len(texts)} {name}, once", file=sys.stderr, flush=True)
        order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
        rows = np.empty((len(texts), 384), np.float16)
        for at in range(0, len(order), 32):
            part = order[at:at + 32]
            rows[part] = encoder([texts[k] for k in part])[0]
        np.save(folder / "vectors.npy", rows)

    path = built(f"{name}-{key}", build) / "vectors.npy"
    try:
        return np.load(path).astype(np.float32)
    except (OSError, ValueError):
        raise Problem("index", path, "cannot be read; delete its folder, it is built again") from None
