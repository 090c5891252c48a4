"""Labelled turns of a user, and how well a classifier of acts does on the held-out ones."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from esc_robot.dialogue.acts import act_chances
from training.datasets import CORPUS, words

HELD_OUT = 0.15


@dataclass(frozen=True)
class LabelledTurn:
    """A user's turn, its act, and a second act that is as right ("" where there is none)."""

    text: str
    act: str
    also: str = ""


def labelled_turns() -> tuple[list[LabelledTurn], list[LabelledTurn]]:
    """Turns for training, and the held-out 15%: by a hash of the words, so that the same turn is always on one side."""
    parts = [], []
    for line in (CORPUS / "acts.jsonl").read_text().splitlines():
        turn = LabelledTurn(**json.loads(line))
        share = int(hashlib.sha256(" ".join(words(turn.text)).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        parts[share < HELD_OUT].append(turn)
    return parts


def score(turns: Sequence[LabelledTurn], predicted: Sequence[str], confidence: Sequence[float]) -> dict:
    """Macro F1, top-1, and what is right among the confident: ``[{confidence, share, right}]``.

    A prediction of the second act counts as right; for F1 it counts as that act.
    """
    truth = [turn.also if turn.also == act else turn.act for turn, act in zip(turns, predicted, strict=True)]
    right = [a == b for a, b in zip(truth, predicted, strict=True)]
    levels = []
    for level in (0.5, 0.7, 0.9):
        sure = [ok for ok, sureness in zip(right, confidence, strict=True) if sureness >= level]
        levels.append({"confidence": level, "share": round(len(sure) / len(right), 3),
                       "right": round(sum(sure) / max(1, len(sure)), 3)})
    return {"turns": len(turns), "macro_f1": round(f1_score(truth, predicted, average="macro"), 3),
            "top_1": round(sum(right) / len(right), 3), "confident": levels}


def fit_head(vectors: np.ndarray, names: list[str], turns: Sequence[LabelledTurn]) -> tuple[np.ndarray, np.ndarray]:
    """Weights [acts, 384] and biases [acts] of a logistic regression from the encoder's vectors to the acts. A turn of
    two acts counts half for each."""
    rows = [(row, act, 0.5 if turn.also else 1.0) for row, turn in enumerate(turns)
            for act in (turn.act, turn.also) if act]
    at, wanted, weights = zip(*rows, strict=True)
    head = LogisticRegression(C=10, max_iter=300).fit(vectors[list(at)], [names.index(act) for act in wanted],
                                                      sample_weight=weights)
    return head.coef_, head.intercept_


def fit_confidence(logits: np.ndarray, names: list[str], turns: Sequence[LabelledTurn]) -> dict[str, float]:
    """Temperature, and the logits that a question is worth, of the highest likelihood of the acts of held-out turns."""
    acts = [[names.index(act) for act in (turn.act, turn.also) if act] for turn in turns]

    def likelihood(temperature: float, question: float) -> float:
        rows = zip(logits, turns, acts, strict=True)
        return sum(np.log(act_chances(row, names, temperature, turn.text, question)[right].sum())
                   for row, turn, right in rows)
    temperature, question = max(itertools.product((0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2), (0.0, 0.5, 1.0, 1.5)),
                                key=lambda pair: likelihood(*pair))
    return {"temperature": temperature, "question": question}
