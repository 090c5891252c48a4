"""The model that is trained, and the Trainer that trains it."""

from copy import copy
from pathlib import Path

import torch
from peft import (
    LoraConfig,
    get_peft_model,
    get_peft_model_state_dict,
    prepare_model_for_kbit_training,
    set_peft_model_state_dict,
)
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, Trainer

from esc_robot.dialogue.models import default_model_folder
from esc_robot.errors import Problem
from training.sft_config import SftConfig, precision
from training.sft_data import IGNORED, collate

DEFAULT_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
FIRST_PERSON = {"i", "me", "my", "mine", "myself", "we", "us", "our", "ours"}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def load_model(config: SftConfig):
    """The frozen base, in the run's precision or in four bits, with fresh LoRA matrices in fp32 on ``targets``.

    Raises Problem for a model that cannot be read and for a target name that matches no module.
    """
    options = {"dtype": DTYPES[precision(config)], "attn_implementation": config.attention}
    if config.four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=options["dtype"])
    model = pretrained(AutoModelForCausalLM, config.model, **options)
    model.config.use_cache = False
    if config.four_bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=config.gradient_checkpointing)
    return add_lora(model, config)


def add_lora(model, config: SftConfig):
    """``model`` with LoRA (Hu et al., 2021) on every module whose name ends in one of the targets, fresh or as the
    adapter in ``config.start`` has it."""
    linear = sorted({name.rsplit(".", 1)[-1] for name, module in model.named_modules()
                     if isinstance(module, torch.nn.Linear)} - {"lm_head"})
    for target in config.targets:
        if target != "all-linear" and target not in linear:
            raise Problem("LoRA target", target, f"matches no layer of {type(model).__name__}, which has "
                          f"{', '.join(linear)}; name these, or all-linear")
    targets = "all-linear" if "all-linear" in config.targets else list(config.targets)
    torch.manual_seed(config.seed)
    model = get_peft_model(model, LoraConfig(
        r=config.r, lora_alpha=config.alpha, lora_dropout=config.dropout, bias="none", target_modules=targets,
        task_type="CAUSAL_LM"))
    if config.start:
        try:
            loaded = set_peft_model_state_dict(model, load_file(adapter_file(config.start)))
        except (SafetensorError, RuntimeError) as error:
            raise _unfit(config.start, str(error).strip().splitlines()[-1].strip()) from None
        if strange := [*loaded.unexpected_keys, *(key for key in loaded.missing_keys if "lora_" in key)]:
            raise _unfit(config.start, f"{len(strange)} layers differ, as {strange[0]}")
    return model


def adapter_file(folder: str) -> Path:
    path = Path(folder) / "adapter_model.safetensors"
    if not path.is_file():
        raise _unfit(folder, f"no {path.name}")
    return path


def _unfit(start: str, why: str) -> Problem:
    return Problem("training key start", start, f"is no adapter for this model, r and targets ({why[:160]}); "
                   "give a PEFT folder that was trained with them")


def save_adapter(model, base: str, folder: Path) -> None:
    """The LoRA matrices as a PEFT folder for ``base``, in fp16: half the size of what was trained."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().half().contiguous().cpu()
               for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    # safetensors writes for its owner alone; an adapter is installed for everybody.
    (folder / "adapter_model.safetensors").chmod(0o644)
    saved = copy(model.peft_config["default"])
    saved.base_model_name_or_path = DEFAULT_BASE if base == "default" else base
    saved.inference_mode = True
    saved.save_pretrained(folder)


def token_losses(model, inputs: dict) -> torch.Tensor:
    """Cross entropy in nats of every labelled token [labels], in fp32.

    The vocabulary's logits are computed for labelled positions only: a fifth of a small model's work is its last layer,
    and two thirds of the tokens carry no label.
    """
    logits, labels = reply_logits(model, inputs)
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def reply_logits(model, inputs: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits in fp32 [labels, vocabulary] where a labelled token is to come, and those tokens [labels]."""
    labels = inputs["labels"][0, 1:]
    at = (labels != IGNORED).nonzero()[:, 0]
    logits = model(input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False,
                   logits_to_keep=at).logits[0]
    return logits.float(), labels[at]


class Anchor:
    """Holds a model near its base: what the corpus never says stays as likely as the base has it.

    This is knowledge distillation as in Learning without Forgetting (Li and Hoiem, 2016). Without it a small corpus of
    one voice makes every other voice a surprise. Except where the robot speaks of itself: the base talks as a person
    does, with a past and friends, and that is to be forgotten. So the base never votes for a word like "I", nor on how
    a sentence goes on that has one.
    """

    def __init__(self, share: float, tokenizer):
        self.share = share
        texts = [tokenizer.decode([token]) for token in range(len(tokenizer))]
        self._own = torch.tensor([text.strip().lower() in FIRST_PERSON for text in texts])
        self._end = torch.tensor([any(mark in text for mark in ".?!\n") for text in texts])
        self._end[tokenizer.eos_token_id] = True

    def losses(self, model, base, inputs: dict) -> torch.Tensor:
        """(1 - share) * cross entropy + share * KL(base || model) of every labelled token, in nats [labels], in fp32;
        cross entropy alone where the sentence speaks of the robot. ``base``: a PEFT model, read with its adapter off.
        """
        with torch.no_grad(), base.disable_adapter():
            wanted = reply_logits(base, inputs)[0]
        logits, labels = reply_logits(model, inputs)
        own = torch.zeros(wanted.shape[-1], dtype=torch.bool)
        own[:len(self._own)] = self._own
        wanted = wanted.masked_fill(own.to(wanted.device), -torch.inf).softmax(-1)
        said = logits.log_softmax(-1)
        divergence = torch.nn.functional.kl_div(said, wanted, reduction="none").sum(-1)
        share = torch.where(self.speaks_of_itself(labels), 0.0, self.share)
        return torch.lerp(torch.nn.functional.nll_loss(said, labels, reduction="none"), divergence, share)

    def speaks_of_itself(self, labels: torch.Tensor) -> torch.Tensor:
        """Whether a word like "I" stands before each token in its sentence, bool [labels]."""
        found, inside = [], False
        for token in labels.tolist():
            found.append(inside)
            inside = (inside or bool(self._own[token])) and not self._end[token]
        return torch.tensor(found, device=labels.device)


class SftTrainer(Trainer):
    """Loss by token over the whole batch, whatever the rows, the accumulation and the number of processes."""

    def __init__(self, *arguments, anchor: Anchor | None = None, **options):
        super().__init__(*arguments, data_collator=collate, **options)
        self.anchor = anchor
        self.model_accepts_loss_kwargs = True

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        losses = (self.anchor.losses(model, self.accelerator.unwrap_model(model), inputs)
                  if self.anchor else token_losses(model, inputs))
        loss = losses.sum() / num_items_in_batch
        # DistributedDataParallel takes the mean of the gradients over processes; a sum is wanted.
        return loss * self.accelerator.num_processes

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        loss = self.mean_loss(self.eval_dataset if eval_dataset is None else eval_dataset)
        metrics = {f"{metric_key_prefix}_loss": loss}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def mean_loss(self, rows: list) -> float:
        """Mean loss in nats over every labelled token of ``rows``, each process computing its share."""
        self.model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        with torch.no_grad(), self.compute_loss_context_manager():
            for row in rows[self.accelerator.process_index::self.accelerator.num_processes]:
                losses = token_losses(self.model, self._prepare_inputs(collate([row])))
                sums += torch.stack([losses.double().sum(), torch.tensor(len(losses)).to(sums)])
        total, count = self.accelerator.reduce(sums, "sum").tolist()
        return total / max(1, count)


def pretrained(kind, model: str, **options):
    """``kind.from_pretrained`` of "default", a folder or a hub's name; Problem when it cannot be loaded."""
    source = default_model_folder() if model == "default" else model
    try:
        return kind.from_pretrained(source, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise Problem("model", model, f"cannot be loaded ({why}); give \"default\" or a Hugging Face model folder"
                      ) from None
