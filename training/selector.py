"""Trains what chooses the robot's words: an encoder of turns and replies with a head for acts, and a last check.

    python -m training.selector dual OUT      context and reply in one space (in-batch negatives), and the turn's act
    python -m training.selector check OUT     does this reply follow this context? trained on replies that do not
    python -m training.selector export OUT    both as int8 ONNX into esc_robot/dialogue/data (needs onnx and onnxscript)

The word vectors stay frozen: they come from the wheel at run time. Ten minutes each on two threads.
"""

import argparse
import json
import math
import random
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from tokenizers import Tokenizer
from torch import nn
from transformers import BertModel

from esc_robot.assets import config, wheel_files
from esc_robot.dialogue.encoder import DATA, MAX_TOKENS, WHEEL
from training.acts import fit_confidence, fit_head, labelled_turns, score
from training.datasets import CORPUS, Dialogue, corpus, part_of, sha256, split

KINDS = ("contradicting", "wrong_person", "invented")


@dataclass(frozen=True)
class Pair:
    """A reply, the user's turn it answers, and the turn before that one ("" for none)."""

    before: str
    text: str
    reply: str


@dataclass(frozen=True)
class WrongReplies:
    """A user's turn (and the one before), its right reply, and the wrong ones by kind."""

    before: str
    text: str
    right: str
    wrong: dict[str, str]


def pairs(dialogues: Iterable[Dialogue], portable: bool = False) -> list[Pair]:
    """The replies of dialogues, or only those that answer the last turn alone."""
    found = []
    for dialogue in dialogues:
        turns = dialogue.turns
        for k in range(1, len(turns), 2):
            if turns[k].portable or not portable:
                found.append(Pair(turns[k - 3].text if k > 2 else "", turns[k - 1].text, turns[k].text))
    return found


def wrong_replies() -> tuple[list[WrongReplies], list[WrongReplies]]:
    """wrong.jsonl, for training and held out: the part follows the dialogue each was made from."""
    parts = {}
    for dialogue in corpus():
        for turn in dialogue.turns:
            parts[turn.text] = part_of(dialogue)
    found = [], []
    for line in (CORPUS / "wrong.jsonl").read_text().splitlines():
        entry = json.loads(line)
        said = [turn["text"] for turn in entry["context"] if turn["role"] == "user"]
        part = parts.get(said[-1]) or parts.get(entry["right"])
        before = said[-2] if len(said) > 1 else ""
        found[part != "train"].append(
            WrongReplies(before, said[-1], entry["right"], {kind: entry[kind] for kind in KINDS}))
    return found


def act_replies() -> dict[str, list[str]]:
    acts = yaml.safe_load(config("care/acts.yaml").read_text())["acts"]
    return {act["name"]: [reply["text"] for reply in act["replies"]] for act in acts}


class Layers(nn.Module):
    """MiniLM's layers over given word vectors. ``acts``: outputs unit vectors and act logits; 0: one score."""

    def __init__(self, acts: int):
        super().__init__()
        self.bert = BertModel.from_pretrained(wheel_files(WHEEL), attn_implementation="eager")
        self.bert.embeddings.word_embeddings.weight.requires_grad = False
        self.head = nn.Linear(384, acts or 1)
        self.acts = acts

    def forward(self, vectors, mask, segments):
        """Vectors float [n, t, 384], mask and segments int [n, t] -> ([n, 384], [n, acts]) or [n]."""
        hidden = self.bert(inputs_embeds=vectors, attention_mask=mask, token_type_ids=segments).last_hidden_state
        weight = mask[..., None].float()
        mean = (hidden * weight).sum(1) / weight.sum(1)
        vector = F.normalize(mean, dim=-1)
        return (vector, self.head(vector)) if self.acts else self.head(mean)[:, 0]


class Trainee:
    """Layers with the tokenizer, as training needs them: texts or pairs in, tensors out."""

    def __init__(self, acts: int = 0):
        self.tokenizer = Tokenizer.from_file(str(wheel_files(WHEEL) / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()
        self.layers = Layers(acts)

    def __call__(self, texts):
        """The outputs in the order of the texts; texts of like length share a batch, so that little is padding."""
        order = sorted(range(len(texts)), key=lambda k: len(texts[k]) if isinstance(texts[k], str)
                       else sum(map(len, texts[k])))
        back = torch.tensor(order).argsort()
        parts = [self._part([texts[k] for k in order[at:at + 20]]) for at in range(0, len(order), 20)]
        if torch.is_tensor(parts[0]):
            return torch.cat(parts)[back]
        return [torch.cat(part)[back] for part in zip(*parts, strict=True)]

    def _part(self, texts):
        rows = self.tokenizer.encode_batch(texts)
        ids, mask, segments = (torch.tensor([getattr(row, name) for row in rows])
                               for name in ("ids", "attention_mask", "type_ids"))
        return self.layers(self.layers.bert.embeddings.word_embeddings(ids), mask, segments)

    @torch.no_grad()
    def all(self, texts: list) -> list[torch.Tensor] | torch.Tensor:
        self.layers.eval()
        found = self(texts)
        self.layers.train()
        return found


def context(pair: Pair | WrongReplies, long: bool) -> str:
    """The turn, below the one before it if there is one and ``long``."""
    return f"{pair.before} | {pair.text}" if long and pair.before else pair.text


def as_heard(text: str) -> str:
    """Now and then a text as a recogniser writes it: lower case, no punctuation."""
    return re.sub(r"[^\w\s']+", " ", text.lower()) if random.random() < 0.3 else text


def recall(held: list[Pair], contexts: torch.Tensor, replies: torch.Tensor) -> float:
    """How often the right reply scores highest of 100, the others drawn from the same held-out replies."""
    first = 0
    for i, pair in enumerate(held):
        others = random.Random(i).sample([j for j, other in enumerate(held) if other.reply != pair.reply], 99)
        scores = replies[[i, *others]] @ contexts[i]
        first += bool(scores[0] > scores[1:].max())
    return first / len(held)


def train_dual(out: Path, epochs: int, rate: float = 1e-4, size: int = 64) -> None:
    """One set of layers for three tasks: replies near their contexts, wrong replies apart, acts of turns."""
    replies_of = act_replies()
    names = list(replies_of)
    turns, held_turns = labelled_turns()
    parts = split(corpus())
    train, held = pairs(parts["train"]), pairs(parts["test"])
    wrong = {(entry.text, entry.right): list(entry.wrong.values()) for entry in wrong_replies()[0]}
    model = Trainee(len(names))
    scale = nn.Parameter(torch.tensor(math.log(20.0)))

    def measure():
        contexts, rows = model.all([context(pair, True) for pair in held])[0], model.all([p.reply for p in held])[0]
        chances = model.all([turn.text for turn in held_turns])[1].softmax(-1).max(-1)
        return recall(held, contexts, rows), score(held_turns, [names[k] for k in chances.indices],
                                                   chances.values.tolist())

    def loss(part: list[Pair]):
        said = random.sample(turns, 40)
        by_act = said[:16]      # these are contexts, too: their act's replies answer them
        contexts = [as_heard(context(pair, random.random() < 0.4)) for pair in part] + [t.text for t in by_act]
        answers = [pair.reply for pair in part] + [random.choice(replies_of[turn.act]) for turn in by_act]
        bad = [random.choice(wrong[key]) for pair in part if (key := (pair.text, pair.reply)) in wrong]
        of_contexts, logits = model(contexts + [as_heard(turn.text) for turn in said[16:]])
        of_contexts, logits = of_contexts[:-24], logits[len(part):]
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

    _run(model, [scale], loss, train, epochs, size, rate, measure, out / "dual.pt")


def train_check(out: Path, epochs: int, rate: float = 1e-4, size: int = 16) -> None:
    """Does the reply follow? One right reply a context against wrong, misplaced and other acts' ones."""
    replies_of = act_replies()
    turns, _ = labelled_turns()
    parts = split(corpus())
    right = pairs(parts["train"])
    wrong, held = wrong_replies()
    names = list(replies_of)
    dual = Trainee(len(names))
    dual.layers.load_state_dict(torch.load(out / "dual.pt"), strict=False)
    near = _neighbours(dual, right)
    model = Trainee()
    model.layers.bert.load_state_dict(dual.layers.bert.state_dict())

    def batches() -> list[list[tuple[str, str]]]:
        """Groups of pairs whose first is right."""
        groups = []
        for entry in wrong:
            about = context(entry, random.random() < 0.5)
            groups.append([(about, entry.right), *((about, text) for text in entry.wrong.values())])
        for at in random.sample(range(len(right)), 2 * len(wrong)):
            about = context(right[at], random.random() < 0.5)
            bad = [right[random.choice(near[at])].reply, right[random.choice(near[at])].reply,
                   random.choice(right).reply]
            groups.append([(about, right[at].reply), *((about, text) for text in bad)])
        for turn in random.sample(turns, len(wrong)):
            others = [name for name in names if name not in (turn.act, turn.also)]
            bad = [random.choice(replies_of[name]) for name in random.sample(others, 3)]
            groups.append([(turn.text, random.choice(replies_of[turn.act])), *((turn.text, text) for text in bad)])
        return groups

    def loss(part):
        scores = model([(as_heard(a), b) for group in part for a, b in group]).view(len(part), 4)
        truth = torch.zeros_like(scores)
        truth[:, 0] = 1
        return (F.cross_entropy(scores, torch.zeros(len(part), dtype=torch.long))
                + F.binary_cross_entropy_with_logits(scores, truth))

    _run(model, [], loss, batches, epochs, size, rate, lambda: rejected(lambda rows: model.all(rows).tolist(), held),
         out / "check.pt")


def rejected(scores, held: list[WrongReplies]) -> dict:
    """Of each kind of wrong reply, the share below the threshold that keeps 80% of the right ones."""
    rng = random.Random(0)
    right = scores([(context(entry, True), entry.right) for entry in held])
    threshold = sorted(right)[len(right) // 5]
    kinds = {"misplaced": [(context(e, True), rng.choice([o for o in held if o is not e]).right) for e in held]}
    kinds |= {kind: [(context(entry, True), entry.wrong[kind]) for entry in held] for kind in KINDS}
    return {"threshold": round(threshold, 3)} | {
        kind: round(sum(s < threshold for s in scores(rows)) / len(rows), 3) for kind, rows in kinds.items()}


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
    rows = data() if callable(data) else list(data)
    steps = epochs * (len(rows) // size)
    plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, (s + 1) / 30) * max(0.03, 1 - s / steps))
    start = time.time()
    for epoch in range(epochs):
        rows = data() if callable(data) else rows
        random.shuffle(rows)
        for step, k in enumerate(range(0, len(rows) - size + 1, size)):
            value = loss(rows[k:k + size])
            optimizer.zero_grad(), value.backward()
            nn.utils.clip_grad_norm_(groups[0]["params"], 1.0)
            optimizer.step(), plan.step()
            if step % 25 == 0:
                print(f"epoch {epoch} step {step} loss {value.item():.3f} {time.time() - start:.0f} s", flush=True)
        save(model, path)
        print("after epoch", epoch, measure(), flush=True)


def save(model: Trainee, path: Path) -> None:
    state = model.layers.state_dict()
    torch.save({name: value for name, value in state.items() if "word_embeddings" not in name}, path)



def export(out: Path) -> None:
    """What was trained, into the package: layers as ONNX with int8 weights (a scale a column; computed in float32), and
    beside them acts, what is fitted on held-out turns, checksums, and the portable replies of training."""
    DATA.mkdir(exist_ok=True)
    exports = {"dual": export_dual, "check": export_check}
    entries = {name: write(out) for name, write in exports.items() if (out / f"{name}.pt").is_file()}
    (DATA / "encoders.yaml").write_text(yaml.safe_dump(entries, sort_keys=False, width=110))
    rows = {}
    for dialogue in split(corpus())["train"]:
        for asked, reply in zip(dialogue.turns[::2], dialogue.turns[1::2], strict=True):
            if reply.portable:
                rows[asked.text, reply.text] = {"turn": asked.text, "reply": reply.text, "strategy": reply.strategy}
    lines = [json.dumps(row, ensure_ascii=False) for row in rows.values()]
    (DATA / "replies.jsonl").write_text("\n".join(lines) + "\n")
    print(entries, f"{len(lines)} replies")


def export_dual(out: Path) -> dict:
    """Writes dual.onnx; the head is fitted again on the finished layers. What encoders.yaml holds of it."""
    names = list(act_replies())
    model = Trainee(len(names))
    model.layers.load_state_dict(torch.load(out / "dual.pt"), strict=False)
    turns, held = labelled_turns()
    weights, biases = fit_head(model.all([turn.text for turn in turns])[0].numpy(), names, turns)
    model.layers.head.load_state_dict({"weight": torch.tensor(weights), "bias": torch.tensor(biases)})
    fitted = fit_confidence(model.all([turn.text for turn in held])[1].numpy(), names, held)
    return {"sha256": _write_onnx(model.layers, "dual", ["vector", "acts"])} | fitted | {"acts": names}


def export_check(out: Path) -> dict:
    """Writes check.onnx; what encoders.yaml holds of it."""
    model = Trainee()
    model.layers.load_state_dict(torch.load(out / "check.pt"), strict=False)
    return {"sha256": _write_onnx(model.layers, "check", ["score"])}


def _write_onnx(layers: Layers, name: str, outputs: list[str]) -> str:
    import onnx  # only this step needs it and onnxscript; the robot does not
    from onnx import helper, numpy_helper
    layers.eval()
    example = torch.randn(2, 9, 384), torch.ones(2, 9, dtype=torch.long), torch.zeros(2, 9, dtype=torch.long)
    rows, tokens = torch.export.Dim("n"), torch.export.Dim("t", max=512)
    program = torch.onnx.export(layers, example, input_names=["vectors", "mask", "segments"], output_names=outputs,
                                dynamic_shapes=({0: rows, 1: tokens},) * 3, dynamo=True, verbose=False)
    proto = program.model_proto
    graph = proto.graph
    for tensor in list(graph.initializer):
        weight = numpy_helper.to_array(tensor)
        if weight.ndim != 2 or weight.size < 100_000:
            continue
        scale = (abs(weight).max(0) / 127).astype("float32")
        graph.initializer.remove(tensor)
        graph.initializer.extend([numpy_helper.from_array((weight / scale).round().astype("int8"), f"{tensor.name}_8"),
                                  numpy_helper.from_array(scale, f"{tensor.name}_scale")])
        graph.node.insert(0, helper.make_node("DequantizeLinear", [f"{tensor.name}_8", f"{tensor.name}_scale"],
                                              [tensor.name], axis=1))
    onnx.save(proto, DATA / f"{name}.onnx")
    return sha256(DATA / f"{name}.onnx")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("dual", "check", "export"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    random.seed(0), torch.manual_seed(0)
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.what == "export":
        export(chosen.out)
    else:
        {"dual": train_dual, "check": train_check}[chosen.what](chosen.out, chosen.epochs)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
