"""Per-word perplexity of replies, with and without an adapter, below raw and compressed histories.

    python -m training.perplexity ADAPTER [--esconv VALID.jsonl] [--model default] [--out FILE]

Held-out dialogues and scenes of our corpus, and ESConv where its file is given. Every reply but a dialogue's first is
scored below its history as the view shows it; a word is what stands between spaces. Prints a table, and writes
`{model, part, view, replies, words, perplexity}` as JSON lines to --out.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from esc_robot.errors import Problem
from training.datasets import Dialogue, corpus, read_dialogues, split
from training.sft_data import collate, pack, single
from training.sft_model import pretrained, token_losses

ROW_TOKENS = 2048


@torch.no_grad()
def perplexity(model, tokenizer, dialogues: list[Dialogue], view: str) -> dict:
    """``replies``, ``words`` and per-word ``perplexity``: exp of the replies' nats (end of turn included) per word."""
    made, words = [], 0
    for dialogue in dialogues:
        for at in range(3, len(dialogue.turns), 2):
            example = single(dialogue, at, view, tokenizer, ROW_TOKENS)
            if example:
                made.append(example)
                words += len(dialogue.turns[at].text.split())
    nats = sum(token_losses(model, collate([row])).double().sum().item() for row in pack(made, ROW_TOKENS, 0))
    return {"replies": len(made), "words": words, "perplexity": round(math.exp(nats / words), 3)}


def measure(model, tokenizer, sets: dict[str, list[Dialogue]], views: list[str]) -> list[dict]:
    """One row for base and adapter, every set and every view."""
    rows = []
    for part, dialogues in sets.items():
        for view in views:
            rows.append({"model": "adapter", "part": part, "view": view}
                        | perplexity(model, tokenizer, dialogues, view))
            with model.disable_adapter():
                rows.append({"model": "base", "part": part, "view": view}
                            | perplexity(model, tokenizer, dialogues, view))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--esconv", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--views", nargs="+", default=["raw", "stopwords"])
    parser.add_argument("--dialogues", type=int, default=60, help="at most so many of each set")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    try:
        parts = split(corpus("plain"))
        sets = {"test": parts["test"], "scenes": parts["scenes"]}
        if given.esconv:
            sets["esconv"] = read_dialogues(given.esconv)
        sets = {name: dialogues[:given.dialogues] for name, dialogues in sets.items()}
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            if not (given.adapter / name).is_file():
                raise Problem("adapter", given.adapter, f"has no {name}; give a PEFT adapter folder")
        base = pretrained(AutoModelForCausalLM, given.model, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, given.adapter).eval()
        tokenizer = pretrained(AutoTokenizer, given.model)
        rows = measure(model, tokenizer, sets, given.views)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    print("| model | part | view | replies | perplexity per word |\n|---|---|---|---|---|")
    for row in rows:
        print("| {model} | {part} | {view} | {replies} | {perplexity} |".format(**row))
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
