"""How well the shipped encoders choose, on dialogues, labelled turns and wrong replies that no training saw.

    python -m training.bench_selection        writes runs/bench/selection.json
"""

import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from esc_robot.dialogue.acts import act_chances
from esc_robot.dialogue.candidates import Candidate, Fetcher
from esc_robot.dialogue.encoder import DATA, Check, Encoder, entry, in_context
from training.acts import labelled_turns, score
from training.datasets import corpus, split
from training.selector import recall, rejected
from training.selector_data import Pair, pairs, wrong_replies

CANDIDATES = 12


def bench_selection(out: Path = Path("runs/bench/selection.json"), turns: int = 100) -> dict:
    """``r_at_1_of_100`` over all replies of the test part, also of the turn alone, without what was said before it;
    ``acts``; ``right_kept`` and ``wrong_rejected`` by kind, at the logit ``threshold`` that keeps 80% of the right
    replies; ``ms_p50`` of fetching twelve candidates and scoring them, each encoder on one thread."""
    dual = Encoder("dual")
    check = Check(dual) if (DATA / "check.onnx").is_file() else None
    held = pairs(split(corpus())["test"])
    replies = _vectors(dual, [pair.reply for pair in held])
    contexts = [in_context(pair.text, pair.before) for pair in held]
    result = {"replies": len(held), "r_at_1_of_100": round(recall(held, _vectors(dual, contexts), replies), 3),
              "r_at_1_of_the_turn_alone": round(recall(held, _vectors(dual, [p.text for p in held]), replies), 3),
              "acts": _acts(dual)}
    if check:
        kinds = rejected(lambda before, text, replies: check(text, before, replies).tolist(), wrong_replies()[1])
        result |= {"right_kept": kinds.pop("right_kept"), "threshold": kinds.pop("threshold"), "wrong_rejected": kinds}
    fetcher, spent = Fetcher(dual), []
    for pair in held[:turns]:
        start = time.perf_counter()
        _chosen(pair, dual, fetcher, check)
        spent.append(1000 * (time.perf_counter() - start))
    result["ms_p50"] = round(statistics.median(spent), 1)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _vectors(dual: Encoder, texts: list) -> torch.Tensor:
    return torch.tensor(np.concatenate([dual([text])[0] for text in texts]))


def _chosen(pair: Pair, dual: Encoder, fetcher: Fetcher, check: Check | None) -> list[Candidate]:
    """Twelve candidates for the turn, the likeliest to follow first."""
    found = fetcher.fetch(dual([in_context(pair.text, pair.before)])[0][0], CANDIDATES)
    if not check:
        return found
    scores = check(pair.text, pair.before, [candidate.reply for candidate in found])
    return [found[k] for k in np.argsort(-scores)]


def _acts(dual: Encoder) -> dict:
    turns, known = labelled_turns()[1], entry("dual")
    chances = [act_chances(dual([turn.text])[1][0], known["acts"], known["temperature"], turn.text, known["question"])
               for turn in turns]
    return score(turns, [known["acts"][row.argmax()] for row in chances], [float(row.max()) for row in chances])


if __name__ == "__main__":
    print(bench_selection())
