"""A causal language model that answers messages as a stream of text, and can be stopped at any token.

The key-value cache stays between calls: of a prompt that begins like the last one, only what is new is computed.
"""

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import perf_counter

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.generation import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from transformers.utils import logging

from esc_robot.errors import Problem

# Tokens of a prompt computed at a time: a cancel during a long prompt is heard between two chunks.
PREFILL_CHUNK = 128


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn; the defaults are Table 6.1 of the thesis. Temperature 0 takes the likeliest."""

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 50
    max_new_tokens: int = 128


@dataclass
class Generation:
    """What one ``generate`` did. Seconds count from its first step."""

    prompt_tokens: int = 0
    computed_tokens: int = 0
    new_tokens: int = 0
    first_token_seconds: float = 0.0
    seconds: float = 0.0
    finished: bool = False


class TransformersEngine:
    """A Hugging Face causal model on the CPU in fp32, with a PEFT adapter merged into it when one is given.

    ``folder``: config.json, safetensors, tokenizer with a chat template. ``adapter``: a PEFT LoRA folder for that base.
    ``threads``: torch's threads, in the whole process. Not for several threads at a time: finish or close one
    ``generate`` before the next. Raises Problem when a folder is missing, corrupt or the adapter is for another base.
    """

    def __init__(self, folder: Path | str, adapter: Path | str | None = None, threads: int = 2,
                 sampling: Sampling | None = None):
        torch.set_num_threads(threads)
        self.sampling = sampling or Sampling()
        self.tokenizer, self.model = _load(Path(folder))
        if adapter:
            self.model = _merge(self.model, Path(adapter))
        self.model.eval()
        self.context_length = self.model.config.max_position_embeddings
        stops = self.model.generation_config.eos_token_id
        self.stop_tokens = {self.tokenizer.eos_token_id, *(stops if isinstance(stops, list) else [stops])}
        self.last = Generation()
        self._forget()

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, without the template's own."""
        return len(self.tokenizer.encode(text, add_special_tokens=False))

    def encode(self, messages: list[dict]) -> list[int]:
        """Token ids of the chat template filled with ``messages``, up to where the assistant begins to speak."""
        return self.tokenizer.apply_chat_template(
            [message | {"content": self._plain(message["content"])} for message in messages],
            add_generation_prompt=True, return_dict=False)

    def generate(self, messages: list[dict], seed: int | None = None, cancel: Event | None = None) -> Iterator[str]:
        """Text of the reply to ``messages`` (``role``, ``content``), a piece for about each token.

        The same ``seed`` gives the same reply; None draws afresh. Once ``cancel`` is set no further token is computed.
        Raises Problem when the messages and the reply do not fit into the model's context.
        """
        ids = self.encode(messages)
        if len(ids) + self.sampling.max_new_tokens > self.context_length:
            raise Problem("prompt tokens", len(ids), f"more than a context of {self.context_length} can hold beside "
                          f"{self.sampling.max_new_tokens} new ones; lower the token budget of the history")
        cancel = cancel or Event()
        source = torch.Generator()
        source.manual_seed(seed) if seed is not None else source.seed()
        start = perf_counter()
        self.last = run = Generation(prompt_tokens=len(ids), computed_tokens=len(ids) - self._keep_prefix(ids))
        logits, reply, sent = self._prefill(ids, cancel), [], 0
        while not cancel.is_set():
            token = self._draw(logits, source)
            run.seconds = perf_counter() - start
            run.first_token_seconds = run.first_token_seconds or run.seconds
            if token in self.stop_tokens:
                run.finished = True
                return
            reply.append(token)
            run.new_tokens = len(reply)
            text = self.tokenizer.decode(reply, skip_special_tokens=True)
            if len(text) > sent and not text.endswith("\ufffd"):
                yield text[sent:]
                sent = len(text)
            if len(reply) == self.sampling.max_new_tokens or cancel.is_set():
                return
            logits = self._forward([token])

    def logits(self, messages: list[dict]) -> torch.Tensor:
        """The next token's logits [vocabulary] after ``messages``, computed with the cache as it is."""
        ids = self.encode(messages)
        self._keep_prefix(ids)
        return self._prefill(ids, Event())

    def _plain(self, text: str) -> str:
        """A user cannot open a turn of their own: the template's markers are taken out of what was said."""
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return text

    def _forget(self) -> None:
        self._cached: list[int] = []
        self._cache = DynamicCache(config=self.model.config)
        self._cache.activate_past_recording()

    def _keep_prefix(self, ids: list[int]) -> int:
        """Cuts the cache back to what it shares with ``ids``, less the last token, whose logits are needed."""
        shared = 0
        for old, new in zip(self._cached, ids[:-1], strict=False):
            if old != new:
                break
            shared += 1
        if shared < len(self._cached):
            self._cache.crop(shared - len(self._cached))
            del self._cached[shared:]
        return shared

    def _prefill(self, ids: list[int], cancel: Event) -> torch.Tensor | None:
        logits = None
        for start in range(len(self._cached), len(ids), PREFILL_CHUNK):
            if cancel.is_set():
                return None
            logits = self._forward(ids[start:start + PREFILL_CHUNK])
        return logits

    @torch.inference_mode()
    def _forward(self, ids: list[int]) -> torch.Tensor:
        try:
            output = self.model(torch.tensor([ids]), past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        except BaseException:
            # Stopped between two layers, the cache holds the tokens in some of them only.
            self._forget()
            raise
        self._cached.extend(ids)
        return output.logits[0, -1]

    @torch.inference_mode()
    def _draw(self, logits: torch.Tensor, source: torch.Generator) -> int:
        if not self.sampling.temperature:
            return int(logits.argmax())
        scores = self._warpers(None, logits[None].float())
        return int(torch.multinomial(scores.softmax(-1)[0], 1, generator=source))

    @property
    def _warpers(self) -> LogitsProcessorList:
        return LogitsProcessorList([TemperatureLogitsWarper(self.sampling.temperature),
                                    TopKLogitsWarper(self.sampling.top_k), TopPLogitsWarper(self.sampling.top_p)])


def _load(folder: Path):
    if not (folder / "config.json").is_file():
        raise Problem("model folder", folder, "has no config.json; give a Hugging Face model folder")
    logging.disable_progress_bar()
    try:
        return (AutoTokenizer.from_pretrained(folder),
                AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise Problem("model folder", folder, f"cannot be read ({_line(error)}); fetch it again") from None
    finally:
        logging.enable_progress_bar()


def _merge(model, folder: Path):
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise Problem("adapter", folder, f"has no {name}; give a PEFT adapter folder")
    try:
        with safe_open(folder / "adapter_model.safetensors", "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        json.loads((folder / "adapter_config.json").read_text())
    except (SafetensorError, ValueError, OSError) as error:
        raise Problem("adapter", folder, f"is corrupt ({_line(error)}); copy it again") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted = PeftModel.from_pretrained(model, folder)
        state = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        wanted = {name: tuple(tensor.shape) for name, tensor in state.items()}
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise Problem("adapter", folder, f"does not fit this model ({_line(error)}); "
                      "use one trained on the same base") from None
    if any(found.get(name) != shape for name, shape in wanted.items()):
        raise Problem("adapter", folder, "is of another base or not complete; use one trained on this base")
    return adapted.merge_and_unload()


def _line(error: Exception) -> str:
    """The first line of a library's message, short enough for one line of ours."""
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__
