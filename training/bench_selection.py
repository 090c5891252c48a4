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
from esc_robot.dialogue.encoder import DATA, Encoder, entry
from esc_robot.dialogue.selector import Chooser
from training.acts import labelled_turns, score
from training.datasets import corpus, split
from training.selector import context, pairs, recall, rejected, wrong_replies


def bench_selection(out: Path = Path("runs/bench/selection.json"), turns: int = 100) -> dict:
    """``r_at_1_of_100`` over all replies of the test part; ``acts``; ``ms_p50`` of a whole choice on one thread; with a
    last check ``right_kept`` and ``wrong_rejected`` by kind, at the threshold that keeps 80% of the right ones."""
    dual = Encoder("dual")
    held = pairs(split(corpus())["test"])
    vectors = [torch.tensor(np.concatenate([dual([text])[0] for text in texts]))
               for texts in ([context(pair, True) for pair in held], [pair.reply for pair in held])]
    result = {"replies": len(held), "r_at_1_of_100": round(recall(held, *vectors), 3), "acts": _acts(dual)}
    if (DATA / "check.onnx").is_file():
        check = Encoder("check")
        kinds = rejected(lambda rows: [float(check([row])[0][0]) for row in rows], wrong_replies()[1])
        result |= {"right_kept": 0.8, "threshold": kinds.pop("threshold"), "wrong_rejected": kinds}
    chooser, spent = Chooser(), []
    for pair in held[:turns]:
        start = time.perf_counter()
        chooser.choose([], pair.text)
        spent.append(1000 * (time.perf_counter() - start))
    result["ms_p50"] = round(statistics.median(spent), 1)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _acts(dual: Encoder) -> dict:
    turns, known = labelled_turns()[1], entry("dual")
    chances = [act_chances(dual([turn.text])[1][0], known["acts"], known["temperature"], turn.text, known["question"])
               for turn in turns]
    return score(turns, [known["acts"][row.argmax()] for row in chances], [float(row.max()) for row in chances])


if __name__ == "__main__":
    print(bench_selection())
