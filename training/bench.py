"""How fast fine-tuning runs on this machine.

    python -m training.bench [CONFIG] [key=value ...] [--shape mistral-7b] [--steps 5]

Trains a few steps on packed rows of the corpus and prints real tokens a second (nothing is padded), the share of the
machine's peak and the peak memory; the last line is the same as JSON. ``--shape`` takes a 7B Mistral with random
weights instead of the configuration's model. Peak is what a large matrix product reaches in the same precision; a
token's work is counted as four operations a parameter it passes (forward, and backward to the activations: the frozen
base needs no gradient of its weights), attention itself apart.
"""

import argparse
import json
import resource
import sys
import time

import torch
from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

from esc_robot.errors import Problem
from training.datasets import corpus
from training.sft_config import load, precision
from training.sft_data import IGNORED, collate, examples, pack
from training.sft_model import DTYPES, add_lora, load_model, pretrained, token_losses


def peak_flops(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a square matrix product."""
    size = 8192 if device == "cuda" else 2048
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(5):
        start = _now(device)
        one @ other
        best = max(best, 2 * size ** 3 / (_now(device) - start))
    return best


def steps(model, batches: list[dict], device: str, dtype: torch.dtype) -> float:
    """Seconds that optimiser steps on ``batches`` take, the first one, which warms up, apart."""
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=1e-4)
    model.train()
    for number, batch in enumerate(batches):
        if number == 1:
            start = _now(device)
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            loss = token_losses(model, {key: value.to(device) for key, value in batch.items()}).mean()
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return _now(device) - start


def bench(config, shape: str, count: int) -> dict:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = DTYPES[precision(config)]
    torch.set_num_threads(config.threads)
    tokenizer = pretrained(AutoTokenizer, config.model if not shape else "default")
    if shape:
        with torch.device(device):
            model = add_lora(MistralForCausalLM(MistralConfig(vocab_size=49152)).to(dtype), config)
    else:
        model = load_model(config).to(device)
    made = examples(corpus("plain"), tokenizer, {"raw": 1.0}, config.row_tokens, config.seed)
    rows = pack(made, config.row_tokens, config.seed)[:(count + 1) * config.micro_rows]
    batches = [collate(rows[at:at + config.micro_rows]) for at in range(0, len(rows), config.micro_rows)]
    seconds = steps(model, batches, device, dtype)
    tokens = sum(batch["input_ids"].numel() for batch in batches[1:])
    labelled = sum((batch["labels"] != IGNORED).sum().item() for batch in batches[1:]) / tokens
    head = model.get_output_embeddings().weight.numel()
    embeddings = model.get_input_embeddings().weight.numel()
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    body = sum(one.numel() for one in model.parameters()) - embeddings - (0 if tied else head)
    rate = tokens / seconds
    memory = (torch.cuda.max_memory_allocated() if device == "cuda"
              else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return {"device": torch.cuda.get_device_name() if device == "cuda" else f"cpu, {config.threads} threads",
            "model": shape or config.model, "precision": precision(config), "attention": config.attention,
            "micro_rows": config.micro_rows, "row_tokens": config.row_tokens, "tokens_per_second": round(rate, 1),
            "share_of_peak": round(4 * (body + labelled * head) * rate / peak_flops(device, dtype), 3),
            "peak_memory_gb": round(memory / 1e9, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="training/config/default.yaml")
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--shape", choices=["mistral-7b"], default="")
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    try:
        found = bench(load(given.config, given.changes), given.shape, max(1, given.steps))
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    for key, value in found.items():
        print(f"{key:18} {value}")
    print(json.dumps(found))
    return 0


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    sys.exit(main())
