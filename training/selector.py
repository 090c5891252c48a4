"""Trains what chooses the robot's words: an encoder of turns and replies with a head for acts, and a last check.

    python -m training.selector all OUT       the three steps below, one after the other
    python -m training.selector dual OUT      context and reply in one space (in-batch negatives), and the turn's act
    python -m training.selector check OUT     does this reply follow this context? trained on replies that do not
    python -m training.selector export OUT    both as int8 ONNX into esc_robot/dialogue/data

The word vectors stay frozen: they come from the wheel at run time. A step goes on from what OUT holds of it already.
An epoch of either takes some 25 minutes on one busy thread. To export, `pip install onnx==1.23.2 onnxscript==0.7.2`.
`python -m training.bench_selection` measures what was exported.
"""

import argparse
import math
import random
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from esc_robot.dialogue.encoder import NEARNESS, in_context, with_reply
from esc_robot.errors import Problem
from training.acts import fit_head, labelled_turns, score
from training.datasets import corpus, split
from training.selector_data import (
    KINDS,
    Pair,
    WrongReplies,
    act_replies,
    as_heard,
    contradicted,
    invented,
    misattributed,
    pairs,
    renamed,
    wrong_replies,
)
from training.selector_export import export
from training.selector_model import Trainee


@dataclass(frozen=True)
class Group:
    """A turn with what was said before it, and four replies of which the first is right."""

    before: tuple[str, ...]
    text: str
    replies: list[str]


def remembered(before: tuple[str, ...]) -> tuple[str, ...]:
    """Now and then nothing of what was said before, or only the robot's last line: the robot, too, may know no more."""
    return before if random.random() < 0.65 else before[-1:] if random.random() < 0.3 else ()


def recall(held: list[Pair], contexts: torch.Tensor, replies: torch.Tensor) -> float:
    """How often the right reply scores highest of 100, the others drawn from the same held-out replies."""
    first = 0
    for i, pair in enumerate(held):
        others = random.Random(i).sample([j for j, other in enumerate(held) if other.reply != pair.reply], 99)
        scores = replies[[i, *others]] @ contexts[i]
        first += bool(scores[0] > scores[1:].max())
    return first / len(held)


def train_dual(out: Path, epochs: int, rate: float = 1e-4, size: int = 96) -> None:
    """One set of layers for three tasks: replies near their contexts, wrong replies apart, acts of turns."""
    replies_of = act_replies()
    names = list(replies_of)
    turns, held_turns = labelled_turns()
    parts = split(corpus())
    train, held = pairs(parts["train"]), pairs(parts["test"])
    wrong = {(entry.text, entry.right): list(entry.wrong.values()) for entry in wrong_replies()[0]}
    model = Trainee(len(names))
    if (out / "dual.pt").is_file():
        model.load(out / "dual.pt")
    weights, biases = fit_head(model.all([turn.text for turn in turns])[0].numpy(), names, turns)
    model.layers.head.load_state_dict({"weight": torch.tensor(weights), "bias": torch.tensor(biases)})
    scale = nn.Parameter(torch.tensor(math.log(20.0)))

    def measure():
        rows = model.all([pair.reply for pair in held])[0]
        found = {name: round(recall(held, model.all(texts)[0], rows), 3) for name, texts in (
            ("r_at_1", [in_context(pair.text, pair.before) for pair in held]),
            ("r_at_1_of_the_turn_alone", [pair.text for pair in held]))}
        chances = model.all([turn.text for turn in held_turns])[1].softmax(-1).max(-1)
        return found, score(held_turns, [names[k] for k in chances.indices], chances.values.tolist())

    def loss(part: list[Pair]):
        said = random.sample(turns, 48)
        by_act = said[:16]      # these are contexts, too: their act's replies answer them
        contexts = [in_context(as_heard(p.text), remembered(p.before)) for p in part] + [t.text for t in by_act]
        answers = [pair.reply for pair in part] + [random.choice(replies_of[turn.act]) for turn in by_act]
        bad = [random.choice(wrong[key]) for pair in part if (key := (pair.text, pair.reply)) in wrong]
        of_contexts, logits = model(contexts + [as_heard(turn.text) for turn in said[16:]])
        of_contexts, logits = of_contexts[:-32], logits[len(part):]
        of_answers, _ = model(answers + bad)
        scores = of_contexts @ of_answers.T * scale.exp()
        keys = [pair.reply for pair in part] + [turn.act for turn in by_act]
        same = torch.tensor([[i != j and j < len(keys) and keys[i] == keys[j] for j in range(len(answers + bad))]
                             for i in range(len(keys))])
        scores, target = scores.masked_fill(same, -1e4), torch.arange(len(keys))
        wanted = torch.zeros_like(logits)
        for row, turn in enumerate(said):
            for act in {turn.act, turn.also or turn.act}:
                wanted[row, names.index(act)] = 1 / len({turn.act, turn.also or turn.act})
        return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T[:len(keys)], target)
                + F.cross_entropy(logits, wanted, label_smoothing=0.05))

    _run(model, [scale], loss, lambda: train, epochs, size, rate, measure, out / "dual.pt")


def train_check(out: Path, epochs: int, rate: float = 1e-4, size: int = 16) -> None:
    """Does the reply follow? One right reply a context against three: written wrong ones, near ones of other turns,
    replies for other acts, and right ones with one thing changed."""
    replies_of = act_replies()
    turns, _ = labelled_turns()
    right = pairs(split(corpus())["train"])
    wrong, held = wrong_replies()
    names = list(replies_of)
    dual = Trainee(len(names))
    dual.load(out / "dual.pt")
    near = _neighbours(dual, right)
    model = Trainee()
    if (out / "check.pt").is_file():
        model.load(out / "check.pt")
    else:
        model.layers.bert.load_state_dict(dual.layers.bert.state_dict())

    def written(entry: WrongReplies) -> Group:
        lines = [*entry.before, entry.text, entry.right, *entry.wrong.values()]
        if random.random() < 0.4:
            lines = renamed(lines) or lines
        *before, text = lines[:-4]
        return Group(tuple(before), text, lines[-4:])

    def misplaced(at: int) -> Group:
        bad = [right[random.choice(near[at])].reply, random.choice(right).reply, random.choice(right).reply]
        return Group(right[at].before, right[at].text, [right[at].reply, *bad])

    def changed(at: int) -> Group:
        reply, other = right[at].reply, right[random.choice(near[at])].reply
        bad = [contradicted(reply) or other, misattributed(reply) or other, invented(reply)]
        return Group(right[at].before, right[at].text, [reply, *bad])

    def of_other_acts(turn) -> Group:
        others = random.sample([name for name in names if name not in (turn.act, turn.also)], 3)
        return Group((), turn.text, [random.choice(replies_of[name]) for name in (turn.act, *others)])

    def batches() -> list[Group]:
        some = random.sample(range(len(right)), 7 * len(wrong) // 4)
        return ([written(entry) for entry in 2 * wrong] + [misplaced(at) for at in some[:len(wrong)]]
                + [changed(at) for at in some[len(wrong):]]
                + [of_other_acts(turn) for turn in random.sample(turns, len(wrong) // 4)])

    def loss(part):
        part = [Group(remembered(group.before), as_heard(group.text), group.replies) for group in part]
        scores = _checked(model, dual, part)
        truth = torch.zeros_like(scores)
        truth[:, 0] = 1
        return (F.cross_entropy(scores, torch.zeros(len(part), dtype=torch.long))
                + F.binary_cross_entropy_with_logits(scores, truth))

    def measure():
        model.layers.eval()
        with torch.no_grad():
            found = rejected(lambda *row: _checked(model, dual, [Group(*row)])[0].tolist(), held)
        model.layers.train()
        return found

    _run(model, [], loss, batches, epochs, size, rate, measure, out / "check.pt")


def _checked(model: Trainee, dual: Trainee, part: list[Group]) -> torch.Tensor:
    """Logits [groups, replies of each]: what ``esc_robot.dialogue.encoder.Check`` computes."""
    contexts = dual.all([in_context(group.text, group.before) for group in part])[0]
    replies = dual.all([reply for group in part for reply in group.replies])[0].view(len(part), -1, 384)
    scores = model([with_reply(group.text, group.before, reply) for group in part for reply in group.replies])
    return scores.view(len(part), -1) + NEARNESS * (replies @ contexts[..., None])[..., 0]


def rejected(scores, held: list[WrongReplies]) -> dict:
    """Of each kind of wrong reply, the share below the threshold that keeps 80% of the right ones: the threshold and
    the share that it keeps are stated, too. ``scores``: (before, text, replies) -> logits."""
    rng = random.Random(0)
    right, kinds = [], {"misplaced": [], **{kind: [] for kind in KINDS}}
    for e in held:
        others = [rng.choice([other for other in held if other is not e]).right for _ in range(4)]
        first, *rest = scores(e.before, e.text, [e.right, *e.wrong.values(), *others])
        right.append(first)
        for kind, score_of in zip([*e.wrong, *4 * ["misplaced"]], rest, strict=True):
            kinds[kind].append(score_of)
    threshold = sorted(right)[len(right) // 5]
    kept = sum(s >= threshold for s in right) / len(right)
    return {"right_kept": round(kept, 3), "threshold": round(threshold, 3)} | {
        kind: round(sum(s < threshold for s in found) / len(found), 3) for kind, found in kinds.items()}


def _neighbours(dual: Trainee, right: list[Pair], most: int = 30) -> list[list[int]]:
    """For each pair, replies that the dual encoder would fetch for its context and that are not its own."""
    contexts, replies = dual.all([pair.text for pair in right])[0], dual.all([pair.reply for pair in right])[0]
    found = []
    for at, pair in enumerate(right):
        best = (replies @ contexts[at]).topk(most + 8).indices.tolist()
        # The very best ones may fit as well as the right one.
        found.append([k for k in best[8:] if right[k].reply != pair.reply])
    return found


def _run(model: Trainee, extra: list, loss, data, epochs: int, size: int, rate: float, measure, path: Path) -> None:
    groups = [{"params": [p for p in model.layers.bert.parameters() if p.requires_grad], "lr": rate},
              {"params": [*model.layers.head.parameters(), *extra], "lr": 20 * rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    rows = data()
    steps = epochs * (len(rows) // size)
    plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, (s + 1) / 30) * max(0.03, 1 - s / steps))
    start = time.time()
    for epoch in range(epochs):
        rows = data()
        random.shuffle(rows)
        for step, k in enumerate(range(0, len(rows) - size + 1, size)):
            value = loss(rows[k:k + size])
            optimizer.zero_grad(), value.backward()
            nn.utils.clip_grad_norm_(groups[0]["params"], 1.0)
            optimizer.step(), plan.step()
            if step % 25 == 0:
                print(f"epoch {epoch} step {step} loss {value.item():.3f} {time.time() - start:.0f} s", flush=True)
        model.save(path)
        print("after epoch", epoch, measure(), flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("all", "dual", "check", "export"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    random.seed(0), torch.manual_seed(0)
    try:
        _run_steps(chosen.what, chosen.out, chosen.epochs)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


def _run_steps(what: str, out: Path, epochs: int) -> None:
    missing = [name for name in ("onnx", "onnxscript") if what in ("all", "export") and not find_spec(name)]
    if missing:     # said before hours of training, not after
        raise Problem("package", ", ".join(missing), "is missing; pip install it as training/selector.py says")
    if what == "check" and not (out / "dual.pt").is_file():
        raise Problem("encoder", out / "dual.pt", "is missing, the last check is built upon it; train dual first")
    if what == "export" and not all((out / f"{name}.pt").is_file() for name in ("dual", "check")):
        raise Problem("encoders", out, "holds no dual.pt and check.pt; train them first")
    out.mkdir(parents=True, exist_ok=True)
    if what in ("all", "dual"):
        train_dual(out, epochs)
    if what in ("all", "check"):
        train_check(out, epochs)
    if what in ("all", "export"):
        export(out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
