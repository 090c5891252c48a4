"""Supervised fine-tuning of a LoRA adapter.

    python -m training.sft training/config/default.yaml                 trains, or goes on where a killed run stood
    python -m training.sft training/config/default.yaml --fresh         forgets the run folder and begins anew
    python -m training.sft training/config/default.yaml run=mine r=8    changes keys of the configuration
    accelerate launch --num_processes 2 -m training.sft CONFIG          several processes or hosts, the same result

The run folder runs/sft/<run> holds config.yaml, the dialogues it was given (data.jsonl, split into parts), versions
and hashes (provenance.json), curve.csv and curve.png, checkpoints, and in the end result.json and adapter/.
"""

import argparse
import csv
import json
import os
import platform
import random
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
import transformers
from accelerate import PartialState
from transformers import AutoTokenizer, EarlyStoppingCallback, ProgressCallback, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from esc_robot.dialogue.prompt import SYSTEM_PROMPT
from esc_robot.errors import Problem
from training.datasets import REGISTERS, Dialogue, Turn, corpus, corpus_files, read_dialogues, sha256, split
from training.sft_config import SftConfig, dump, load, precision
from training.sft_data import examples, pack, with_strategies
from training.sft_model import Anchor, SftTrainer, adapter_file, load_model, pretrained, save_adapter

RUNS = Path("runs/sft")


def train(config: SftConfig, fresh: bool = False, root: Path = RUNS) -> dict:
    """One run from its configuration to its adapter; returns what result.json holds.

    A run folder that is there is resumed from its last whole checkpoint, with the data it began with, and gives the
    same losses as one that was never stopped. Raises Problem when the folder holds another run or a finished one.
    """
    state = PartialState(cpu=not torch.cuda.is_available())
    torch.set_num_threads(config.threads)
    folder = root / config.run
    with state.main_process_first():
        if state.is_main_process:
            prepare(folder, config, fresh)
    parts = read_parts(folder)
    if config.strategies:
        parts = {part: [with_strategies(dialogue) for dialogue in dialogues] for part, dialogues in parts.items()}
    tokenizer = pretrained(AutoTokenizer, config.model)
    rows = {part: pack(examples(dialogues, tokenizer, config.views if part == "train" else {"raw": 1.0},
                                config.row_tokens, config.seed), config.row_tokens, config.seed)
            for part, dialogues in parts.items()}
    model = load_model(config)
    if state.is_main_process:
        describe(model, rows)
    checkpoint = last_checkpoint(folder)
    trainer = SftTrainer(
        model=model, args=arguments(config, folder, state.num_processes, not checkpoint), train_dataset=rows["train"],
        eval_dataset=rows["valid"], anchor=Anchor(config.anchor, tokenizer) if config.anchor else None,
        callbacks=[EarlyStoppingCallback(config.patience), Curve(folder)])
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress())
    trainer.train(resume_from_checkpoint=checkpoint)
    result = {"steps": trainer.state.global_step, "best_step": trainer.state.best_global_step,
              "epochs": round(trainer.state.epoch, 3)}
    result["loss"] = {part: round(trainer.mean_loss(rows[part]), 5) for part in rows if part != "train" and rows[part]}
    if state.is_main_process:
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), config.model, folder / "adapter")
        (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps(result))
        print(f"adapter: {folder / 'adapter'}")
    state.wait_for_everyone()
    return result


def prepare(folder: Path, config: SftConfig, fresh: bool) -> None:
    """The run folder with its configuration, data and provenance; an unfinished run of the same kind is left alone."""
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    settings = folder / "config.yaml"
    if settings.is_file():
        if settings.read_text() != dump(config):
            raise Problem("run folder", folder, "holds a run with another configuration; choose run=NAME, or --fresh")
        if (folder / "result.json").is_file():
            raise Problem("run folder", folder, "holds a finished run; choose run=NAME, or --fresh")
        return
    dialogues, sources = gather(config.data)
    if config.start:
        sources["start"] = sha256(adapter_file(config.start))
    parts = split(dialogues)
    if config.dialogues:
        parts = {part: drawn(kept, config.dialogues if part == "train" else config.dialogues // 4 + 1, config.seed)
                 for part, kept in parts.items()}
    if not parts["train"] or not parts["valid"]:
        raise Problem("training data", config.data, "leaves no dialogue to train or to evaluate on; give more")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "data.jsonl", "w", encoding="utf-8") as handle:
        for part, kept in parts.items():
            for dialogue in kept:
                handle.write(json.dumps({"part": part} | asdict(dialogue), ensure_ascii=False) + "\n")
    (folder / "provenance.json").write_text(json.dumps(provenance(config, sources, parts), indent=1) + "\n")
    settings.write_text(dump(config))


def drawn(dialogues: list[Dialogue], most: int, seed: int) -> list[Dialogue]:
    """At most so many, drawn from all of them: the corpus's files differ in kind, so its beginning is no sample."""
    return random.Random(seed).sample(dialogues, min(most, len(dialogues)))


def gather(data: list[str]) -> tuple[list[Dialogue], dict[str, str]]:
    """Dialogues of the named registers and files, and each file's SHA-256."""
    dialogues = []
    for name in data:
        dialogues += corpus(name) if name in REGISTERS else read_dialogues(name)
    paths = [path for name in data for path in (corpus_files(name) if name in REGISTERS else [Path(name)])]
    return dialogues, {path.name: sha256(path) for path in paths}


def read_parts(folder: Path) -> dict[str, list[Dialogue]]:
    parts = {"train": [], "valid": [], "test": [], "scenes": []}
    with open(folder / "data.jsonl", encoding="utf-8") as handle:
        for line in handle:
            record = json.loads(line)
            turns = tuple(Turn(**turn) for turn in record.pop("turns"))
            parts[record.pop("part")].append(Dialogue(turns=turns, **record))
    return parts


def provenance(config: SftConfig, sources: dict[str, str], parts: dict) -> dict:
    packages = ("torch", "transformers", "peft", "accelerate", "tokenizers", "numpy")
    commit = subprocess.run(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
                            capture_output=True, text=True).stdout.strip()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return {"versions": {name: version(name) for name in packages} | {"python": platform.python_version()},
            "commit": commit, "device": device, "precision": precision(config), "sha256": sources,
            "dialogues": {part: len(kept) for part, kept in parts.items()}, "system_prompt": SYSTEM_PROMPT}


def arguments(config: SftConfig, folder: Path, processes: int, begins: bool) -> TrainingArguments:
    at_once = config.micro_rows * processes
    if config.batch_rows % at_once:
        raise Problem("training key batch_rows", config.batch_rows,
                      f"must be a multiple of micro_rows times the processes, {at_once}")
    return TrainingArguments(
        output_dir=str(folder / "checkpoints"), seed=config.seed, data_seed=config.seed,
        per_device_train_batch_size=config.micro_rows, gradient_accumulation_steps=config.batch_rows // at_once,
        num_train_epochs=config.epochs, learning_rate=config.learning_rate, lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup, weight_decay=config.weight_decay, max_grad_norm=1.0,
        bf16=precision(config) == "bf16", fp16=precision(config) == "fp16", use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=config.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        eval_on_start=begins, eval_strategy="steps", eval_steps=config.evaluate_every, save_strategy="steps",
        save_steps=config.evaluate_every, save_total_limit=2, logging_steps=1,
        load_best_model_at_end=True, metric_for_best_model="eval_loss", greater_is_better=False,
        remove_unused_columns=False, dataloader_pin_memory=False, ddp_find_unused_parameters=False, report_to="none",
        disable_tqdm=True)


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: trainer_state.json comes last and must be whole."""
    found = sorted((folder / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in reversed(found):
        try:
            json.loads((path / "trainer_state.json").read_text())
            return str(path)
        except (OSError, ValueError):
            continue
    return None


def describe(model, rows: dict[str, list]) -> None:
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    held = [example for row in rows["train"] for example in row]
    print(f"LoRA parameters {trained:,}; rows {', '.join(f'{part} {len(kept)}' for part, kept in rows.items())}; "
          f"train tokens {sum(len(one.ids) for one in held):,} in {len(held):,} examples", flush=True)


class Progress(ProgressCallback):
    """The Trainer's bar with the last losses behind it, instead of a printed line for every step."""

    def __init__(self):
        super().__init__()
        self.losses = {}

    def on_log(self, args, state, control, logs=None, **ignored):
        self.losses |= {key: f"{value:.3f}" for key, value in logs.items() if key in ("loss", "eval_loss")}
        if self.training_bar is not None:
            self.training_bar.set_postfix(self.losses, refresh=False)


class Curve(TrainerCallback):
    """Keeps curve.csv and curve.png up to date with the Trainer's log, which a checkpoint carries over a kill."""

    def __init__(self, folder: Path):
        self.folder = folder

    def on_evaluate(self, args, state, control, **ignored):
        if state.is_world_process_zero:
            write_curve(self.folder, state.log_history)

    on_train_end = on_evaluate


def write_curve(folder: Path, history: list[dict]) -> None:
    rows = {}
    for entry in history:
        row = rows.setdefault(entry["step"], {})
        row.update({key: entry[key] for key in ("loss", "eval_loss", "learning_rate", "epoch") if key in entry})
    with open(folder / "curve.csv", "w", newline="") as handle:
        table = csv.DictWriter(handle, ["step", "epoch", "loss", "eval_loss", "learning_rate"], restval="")
        table.writeheader()
        table.writerows({"step": step} | row for step, row in sorted(rows.items()))
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for key, style in (("loss", "-"), ("eval_loss", "o-")):
        points = [(step, row[key]) for step, row in sorted(rows.items()) if key in row]
        if points:
            axes.plot(*zip(*points, strict=True), style, label={"loss": "training", "eval_loss": "evaluation"}[key])
    axes.set(xlabel="optimiser step", ylabel="loss (nats a token)", title=folder.name)
    axes.legend()
    figure.savefig(folder / "curve.png", dpi=120)
    pyplot.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("changes", nargs="*", metavar="key=value")
    parser.add_argument("--fresh", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.logging.set_verbosity_error()
    try:
        train(load(given.config, given.changes), given.fresh)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
