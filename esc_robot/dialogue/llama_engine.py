"""The engine of llama.cpp (wheel ``xllamacpp``): the default where there is no GPU.

It runs inside this process; prompts go to it as the token ids of the model's own chat template. The key-value cache
stays between calls: of a prompt that begins like the last one, only what is new is computed.
"""

import contextlib
import ctypes
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import perf_counter

# How often an idle thread looks for work before it sleeps. OpenMP's 300,000 times block cores that the ears and the
# voice want: measured with four busy cores 3 tokens/s and less, 12 to 22 with this; 80 to 90 on idle ones with either,
# and 22 when threads sleep at once. Read when OpenMP is loaded, with the next import.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import xllamacpp

from esc_robot.dialogue.background import background
from esc_robot.dialogue.chat_tokenizer import ChatTokenizer
from esc_robot.dialogue.engine import Generation, Sampling, check_fits
from esc_robot.dialogue.gguf_adapter import gguf_adapter
from esc_robot.errors import Problem

# Tokens of a prompt computed at a time: a cancel during a long prompt is heard between two chunks.
PREFILL_CHUNK = 128


class LlamaEngine:
    """``file``: a GGUF model; ``folder``: the Hugging Face folder of the same model, for its tokenizer and sizes.

    ``adapter``: a PEFT LoRA folder for that base. ``context_length``: tokens of the window; None: the model's own.
    Not for several threads at a time: finish or close one ``generate`` before the next.
    Raises Problem when a file is missing, corrupt or the adapter is for another base.
    """

    def __init__(self, file: Path | str, folder: Path | str, adapter: Path | str | None = None, threads: int = 2,
                 sampling: Sampling | None = None, context_length: int | None = None):
        self.file, self.folder = Path(file), Path(folder)
        self.sampling = sampling or Sampling()
        self.chat = ChatTokenizer(self.folder)
        window = self.chat.config.max_position_embeddings
        self.context_length = min(window, context_length or window)
        self.last = Generation()
        self._threads = threads
        self._active = gguf_adapter(adapter, self.folder) if adapter else None
        self._adapters = [self._active] if adapter else []
        self._server = self._start(self._adapters)

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, without the template's own."""
        return len(self.chat.encode_text(text))

    def set_adapter(self, adapter: Path | str | None) -> None:
        """Another adapter, or none, on the same base.

        One that was there before is switched at once; llama.cpp takes a new one only with a new context over the same
        memory-mapped weights. When it is not fit: Problem, and the engine stays as it was.
        """
        file = gguf_adapter(adapter, self.folder) if adapter else None
        if file and file not in self._adapters:
            more = [*self._adapters, file]
            self._server, self._adapters = self._start(more), more
        self._active = file

    def generate(self, messages: list[dict], seed: int | None = None, cancel: Event | None = None,
                 begun: str = "") -> Iterator[str]:
        """Text of the reply to ``messages`` (``role``, ``content``), or of what follows after ``begun`` in it, a piece
        for about each token.

        The same ``seed`` gives the same reply; None draws afresh. Once ``cancel`` is set no further token is computed.
        Raises Problem when the messages and the reply do not fit into the model's context.
        """
        ids = self.chat.encode(messages) + self.chat.encode_text(begun)
        check_fits(len(ids), self.sampling, self.context_length)
        start = perf_counter()
        self.last = run = Generation(prompt_tokens=len(ids), computed_tokens=len(ids))
        request = {
            "prompt": ids, "n_predict": self.sampling.max_new_tokens, "stream": True, "return_progress": True,
            "temperature": self.sampling.temperature, "top_k": self.sampling.top_k, "top_p": self.sampling.top_p,
            "min_p": 0.0, "samplers": ["temperature", "top_k", "top_p"], "seed": -1 if seed is None else seed}
        for answer in self._ask(request, cancel or Event()):
            if progress := answer.get("prompt_progress"):
                run.computed_tokens = len(ids) - progress["cache"]
            choice = answer["choices"][0]
            run.finished = choice["finish_reason"] == "stop"
            if text := choice["text"]:
                run.new_tokens += 1
                run.seconds = perf_counter() - start
                run.first_token_seconds = run.first_token_seconds or run.seconds
                yield self.chat.without_prefix(text) if run.new_tokens == 1 else text
            if timings := answer.get("timings"):
                run.new_tokens, run.seconds = timings["predicted_n"] - run.finished, perf_counter() - start

    def logprobs(self, messages: list[dict], reply: str) -> list[float]:
        """Natural logarithm of the probability of each token of ``reply``, its end not counted.

        A grammar of these very tokens leads llama.cpp along the reply; what it reports are the probabilities before
        the grammar.
        """
        tokens = self.chat.encode_text(reply)
        ids = self.chat.encode(messages)
        if len(ids) + len(tokens) > self.context_length:
            raise Problem("tokens of prompt and reply", len(ids) + len(tokens),
                          f"more than a context of {self.context_length}; lower the token budget of the history")
        if not tokens:
            return []
        request = {"prompt": ids, "n_predict": len(tokens), "temperature": 0, "logprobs": 1,
                   "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in tokens)}
        answer, = self._ask(request, Event())
        steps = answer["choices"][0]["logprobs"]["content"]
        if [step["id"] for step in steps] != tokens:
            raise Problem("reply", f"{len(tokens)} tokens", "could not be followed to its end; "
                                                            "take engine transformers for its probabilities")
        return [step["logprob"] for step in steps]

    def own_rate(self, messages: list[dict]) -> float:
        """Tokens a second after the first one, of the likeliest reply in one request that streams nothing.

        By llama.cpp's own clock, which starts with the first token.
        """
        answer, = self._ask({"prompt": self.chat.encode(messages), "n_predict": self.sampling.max_new_tokens,
                             "temperature": 0}, Event())
        timings = answer["timings"]
        return 1000 * (timings["predicted_n"] - 1) / timings["predicted_ms"]

    def _ask(self, request: dict, cancel: Event) -> Iterator[dict]:
        request["lora"] = [{"id": index, "scale": float(file == self._active)}
                           for index, file in enumerate(self._adapters)]

        def work(put, stopped) -> None:
            def answered(answer: dict) -> bool:
                put(answer)
                return stopped()
            self._server.handle_completions(request, answered)

        with contextlib.closing(background(work, cancel)) as answers:
            for answer in answers:
                if "error" in answer:
                    raise Problem("model file", self.file, f"llama.cpp: {answer['error']['message'][:120]}")
                yield answer

    def _start(self, adapters: list[Path]) -> xllamacpp.Server:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self.file)
        parameters.n_ctx, parameters.n_parallel = self.context_length, 1
        parameters.n_batch = parameters.n_ubatch = PREFILL_CHUNK
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = self._threads
        parameters.verbosity, parameters.warmup = -1, False
        parameters.lora_adapters = [_lora(file) for file in adapters]
        with tempfile.TemporaryDirectory() as hidden, _own_signals():
            # llama.cpp always listens; on a socket that nobody can find once the folder is gone.
            parameters.hostnames = [f"{hidden}/socket.sock"]
            try:
                return xllamacpp.Server(parameters)
            except RuntimeError:
                raise Problem("model file", self.file, "llama.cpp cannot load it: missing, cut, or of a kind it does "
                                                       "not know; fetch it again") from None


def _lora(file: Path) -> xllamacpp.CommonAdapterLoraInfo:
    info = xllamacpp.CommonAdapterLoraInfo()
    info.path, info.scale = str(file), 0.0
    return info


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """llama.cpp takes Ctrl-C and SIGTERM for itself; this gives them back to whoever had them."""
    libc = ctypes.CDLL(None)
    numbers = (signal.SIGINT, signal.SIGTERM)
    actions = [ctypes.create_string_buffer(512) for _ in numbers]  # a struct sigaction is smaller everywhere
    for number, action in zip(numbers, actions, strict=True):
        libc.sigaction(number, None, action)
    try:
        yield
    finally:
        for number, action in zip(numbers, actions, strict=True):
            libc.sigaction(number, action, None)
