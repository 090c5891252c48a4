"""What an engine is: messages in, a stream of text out that can be stopped at any token. ``make_engine`` chooses one.

Every engine (llama_engine, transformers_engine, server_engine) has the same face:

    generate(messages, seed=None, cancel=None, begun="") -> iterator of str
    logprobs(messages, reply) -> list[float]    natural logarithm, one for each token of the reply
    count_tokens(text) -> int
    set_adapter(adapter or None)                without loading the base again
    last: Generation, context_length: int
"""

from dataclasses import dataclass
from pathlib import Path

from esc_robot.errors import Problem

ENGINES = ("auto", "llama", "transformers", "server")


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


def make_engine(model: str = "default", engine: str = "auto", adapter: str | Path | None = None, threads: int = 2,
                sampling: Sampling | None = None, server_url: str = "", quantization: str = ""):
    """An engine for a model of config/models.yaml, a Hugging Face folder, or the hub's name of any causal model.

    ``engine``: ``auto`` is ``server`` where ``server_url`` is given, ``transformers`` on a GPU, else ``llama``.
    ``adapter``: a PEFT LoRA folder; for a server the name under which it serves the adapter.
    ``quantization``: "", "4bit" or "8bit", of the transformers engine on a GPU.
    Raises Problem when the model is not on this machine, or a file is corrupt or of another base.
    """
    if engine not in ENGINES:
        raise Problem("engine", engine, f"unknown; choose one of {', '.join(ENGINES)}")
    if engine == "server" or (engine == "auto" and server_url):
        from esc_robot.dialogue.server_engine import ServerEngine
        return ServerEngine(server_url, model, adapter, sampling)
    from esc_robot.dialogue import models
    chosen = models.find(model)
    if engine == "transformers" or (engine == "auto" and models.has_gpu()):
        from esc_robot.dialogue.transformers_engine import TransformersEngine
        return TransformersEngine(models.folder(chosen), adapter, threads, sampling, chosen.dtype, quantization,
                                  chosen.context_length)
    if quantization:
        raise Problem("quantization", quantization, "is of engine transformers on a GPU; llama.cpp's weights are "
                                                    "quantised already")
    from esc_robot.dialogue.llama_engine import LlamaEngine
    return LlamaEngine(models.gguf_file(chosen), models.folder(chosen), adapter, threads, sampling,
                       chosen.context_length)


def check_fits(prompt_tokens: int, sampling: Sampling, context_length: int) -> None:
    """Raises Problem when a prompt and its reply do not fit into the model's context."""
    if prompt_tokens + sampling.max_new_tokens > context_length:
        raise Problem("prompt tokens", prompt_tokens, f"more than a context of {context_length} can hold beside "
                      f"{sampling.max_new_tokens} new ones; lower the token budget of the history")


def first_line(error: Exception) -> str:
    """The first line of a library's message, short enough for one line of ours."""
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__
