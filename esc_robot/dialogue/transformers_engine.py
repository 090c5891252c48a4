"""The engine of transformers and PEFT, on a GPU or on the CPU.

The key-value cache stays between calls: of a prompt that begins like the last one, only what is new is computed.
"""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from time import perf_counter

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, DynamicCache
from transformers.generation import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper
from transformers.utils import logging

from esc_robot.dialogue.adapter import LoraAdapter
from esc_robot.dialogue.chat_tokenizer import ChatTokenizer
from esc_robot.dialogue.engine import Generation, Sampling, check_fits, first_line
from esc_robot.errors import Problem

# Tokens of a prompt computed at a time: a cancel during a long prompt is heard between two chunks.
PREFILL_CHUNK = 128
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TransformersEngine:
    """A Hugging Face causal model with a PEFT LoRA adapter merged into it when one is given.

    ``folder``: config.json, safetensors, tokenizer with a chat template. ``adapter``: a PEFT LoRA folder for that base.
    ``threads``: torch's threads, in the whole process. ``dtype``: one of DTYPES. ``quantization``: "", "4bit" or
    "8bit", with bitsandbytes on a GPU; the adapter is then not merged, which would round it away.
    Not for several threads at a time: finish or close one ``generate`` before the next.
    Raises Problem when a folder is missing, corrupt or the adapter is for another base.
    """

    def __init__(self, folder: Path | str, adapter: Path | str | None = None, threads: int = 2,
                 sampling: Sampling | None = None, dtype: str = "float32", quantization: str = "",
                 context_length: int | None = None):
        torch.set_num_threads(threads)
        self.sampling = sampling or Sampling()
        self.chat = ChatTokenizer(Path(folder))
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = _load(Path(folder), dtype, quantization, self.device).eval()
        self._quantized = bool(quantization)
        window = self.model.config.max_position_embeddings
        self.context_length = min(window, context_length or window)
        self._base: dict[torch.nn.Module, torch.Tensor] = {}
        self.last = Generation()
        self._forget()
        if adapter:
            self.set_adapter(adapter)

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, without the template's own."""
        return len(self.chat.encode_text(text))

    def set_adapter(self, adapter: Path | str | None) -> None:
        """Another adapter, or none, on the same base; when it is not fit, Problem, and the base stays without."""
        self._forget()
        if isinstance(self.model, PeftModel):
            self.model = self.model.unload()
        for module, weight in self._base.items():
            module.weight.data.copy_(weight)
        self._base = {}
        if adapter:
            adapted = _adapted(self.model, Path(adapter))
            if self._quantized:
                self.model = adapted.eval()
            else:
                self._base = {module.base_layer: module.base_layer.weight.data.to("cpu", copy=True)
                              for module in adapted.modules() if isinstance(module, LoraLayer)}
                self.model = adapted.merge_and_unload().eval()

    def generate(self, messages: list[dict], seed: int | None = None, cancel: Event | None = None,
                 begun: str = "") -> Iterator[str]:
        """Text of the reply to ``messages`` (``role``, ``content``), or of what follows after ``begun`` in it, a piece
        for about each token.

        The same ``seed`` gives the same reply; None draws afresh. Once ``cancel`` is set no further token is computed.
        Raises Problem when the messages and the reply do not fit into the model's context.
        """
        ids = self.chat.encode(messages) + self.chat.encode_text(begun)
        check_fits(len(ids), self.sampling, self.context_length)
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
            if token in self.chat.stop_tokens:
                run.finished = True
                return
            reply.append(token)
            run.new_tokens = len(reply)
            text = self.chat.decode(reply)
            if len(text) > sent and not text.endswith("\ufffd"):
                yield text[sent:]
                sent = len(text)
            if len(reply) == self.sampling.max_new_tokens or cancel.is_set():
                return
            logits = self._forward([token])[-1]

    def logits(self, messages: list[dict]) -> torch.Tensor:
        """The next token's logits [vocabulary] after ``messages``, computed with the cache as it is."""
        ids = self.chat.encode(messages)
        self._keep_prefix(ids)
        return self._prefill(ids, Event())

    def logprobs(self, messages: list[dict], reply: str) -> list[float]:
        """Natural logarithm of the probability of each token of ``reply``, its end not counted."""
        tokens = self.chat.encode_text(reply)
        ids = self.chat.encode(messages)
        if len(ids) + len(tokens) > self.context_length:
            raise Problem("tokens of prompt and reply", len(ids) + len(tokens),
                          f"more than a context of {self.context_length}; lower the token budget of the history")
        self._keep_prefix(ids)
        rows = [self._prefill(ids, Event())[None]]
        for start in range(0, len(tokens), PREFILL_CHUNK):
            rows.append(self._forward(tokens[start:start + PREFILL_CHUNK]))
        probabilities = torch.cat(rows)[:len(tokens)].float().log_softmax(-1)
        return probabilities.gather(1, torch.tensor(tokens, dtype=torch.long)[:, None])[:, 0].tolist()

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
            logits = self._forward(ids[start:start + PREFILL_CHUNK], keep=1)
        return logits[-1]

    @torch.inference_mode()
    def _forward(self, ids: list[int], keep: int = 0) -> torch.Tensor:
        """Logits [tokens, vocabulary] on the CPU, of the last ``keep`` tokens; 0: of all."""
        try:
            output = self.model(torch.tensor([ids], device=self.device), past_key_values=self._cache, use_cache=True,
                                logits_to_keep=keep)
        except BaseException:
            # Stopped between two layers, the cache holds the tokens in some of them only.
            self._forget()
            raise
        self._cached.extend(ids)
        return output.logits[0].cpu()

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


def _load(folder: Path, dtype: str, quantization: str, device: str):
    if dtype not in DTYPES:
        raise Problem("dtype", dtype, f"unknown; choose one of {', '.join(DTYPES)}")
    logging.disable_progress_bar()
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=DTYPES[dtype], device_map=device,
            quantization_config=_quantization(quantization, DTYPES[dtype], device))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise Problem("model folder", folder, f"cannot be read ({first_line(error)}); fetch it again") from None
    finally:
        logging.enable_progress_bar()


def _quantization(bits: str, dtype: torch.dtype, device: str) -> BitsAndBytesConfig | None:
    if not bits:
        return None
    if bits not in ("4bit", "8bit"):
        raise Problem("quantization", bits, "unknown; choose 4bit, 8bit or none")
    if device == "cpu":
        raise Problem("quantization", bits, "needs a GPU; on the CPU take engine llama, which is quantised already")
    if find_spec("bitsandbytes") is None:
        raise Problem("quantization", bits, "needs bitsandbytes; pip install bitsandbytes")
    return BitsAndBytesConfig(load_in_4bit=bits == "4bit", load_in_8bit=bits == "8bit", bnb_4bit_quant_type="nf4",
                              bnb_4bit_compute_dtype=dtype)


def _adapted(model, folder: Path) -> PeftModel:
    adapter = LoraAdapter(folder)
    adapter.check_fits({name: (module.out_features, module.in_features) for name, module in model.named_modules()
                        if isinstance(module, torch.nn.Linear)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(model, folder)
