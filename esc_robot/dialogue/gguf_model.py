"""A Hugging Face model folder as a GGUF file, for llama.cpp: the architectures Llama, Mistral and Phi-3.

Format: the GGUF specification of ggml (docs/gguf.md) and the names of ``gguf.TensorNameMap``.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy
import torch
from gguf.quants import quantize
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from esc_robot.errors import Problem

# llama.cpp knows Mistral as a Llama.
ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA, "phi3": gguf.MODEL_ARCH.PHI3}
Q4_1, Q8_0, F32 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32


def architecture(config: PreTrainedConfig) -> gguf.MODEL_ARCH:
    """llama.cpp's name of a model. Raises Problem for one that is not written here."""
    if config.model_type not in ARCHITECTURES:
        raise Problem("model type", config.model_type,
                      f"is none of {', '.join(ARCHITECTURES)}; take engine transformers for it")
    return ARCHITECTURES[config.model_type]


def linear_modules(config: PreTrainedConfig) -> dict[str, tuple[int, int]]:
    """(rows, columns) of each linear module of the model by its name in transformers."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return {name: (module.out_features, module.in_features) for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear)}


def tensor_name(config: PreTrainedConfig, module: str) -> str:
    """llama.cpp's name of a module's weight."""
    name = gguf.get_tensor_name_map(architecture(config), config.num_hidden_layers).get_name(module)
    if name is None:
        raise Problem("module", module, "has no counterpart in llama.cpp; take engine transformers for this model")
    return f"{name}.weight"


def in_rotary_order(config: PreTrainedConfig, module: str, rows: torch.Tensor) -> torch.Tensor:
    """Rows [rows, columns] of a query or key projection as llama.cpp wants them; those of any other as they are.

    transformers turns the first half of each head against the second; llama.cpp's Llama turns neighbouring rows.
    """
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(module.rsplit(".")[-1])
    if architecture(config) != gguf.MODEL_ARCH.LLAMA or heads is None:
        return rows
    return rows.reshape(heads, 2, -1, rows.shape[1]).transpose(1, 2).reshape(rows.shape)


def write_gguf(folder: Path, target: Path, quantization: gguf.GGMLQuantizationType = Q4_1) -> None:
    """Writes the model of ``folder``: linear layers quantised, embeddings in Q8_0 (all in F32 when that is asked).

    Raises Problem for an architecture, rotary scaling or tokenizer that is not written here.
    """
    config = AutoConfig.from_pretrained(folder)
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[architecture(config)])
    _write_sizes(writer, config)
    _write_tokenizer(writer, folder, config)
    kinds = {}
    for name, tensor in _tensors(folder):
        kinds[name] = _precision(name, tensor.dim(), quantization)
        size = gguf.quant_shape_to_byte_shape(tensor.shape, kinds[name])
        writer.add_tensor_info(tensor_name(config, name.removesuffix(".weight")), size, numpy.dtype(numpy.uint8),
                               math.prod(size), kinds[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    # One tensor in memory at a time.
    for name, tensor in _tensors(folder):
        rows = in_rotary_order(config, name.removesuffix(".weight"), tensor.float())
        writer.write_tensor_data(quantize(rows.contiguous().numpy(), kinds[name]))
    writer.close()


def _precision(name: str, dimensions: int, quantization: gguf.GGMLQuantizationType) -> gguf.GGMLQuantizationType:
    if dimensions < 2 or quantization == F32:
        return F32
    return Q8_0 if name in ("model.embed_tokens.weight", "lm_head.weight") else quantization


def _write_sizes(writer: gguf.GGUFWriter, config: PreTrainedConfig) -> None:
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise Problem("rotary scaling", rope["rope_type"], "is not written here; take engine transformers")
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(int(head * rope.get("partial_rotary_factor", 1.0)))
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if config.model_type == "phi3":
        writer.add_sliding_window(config.sliding_window or 0)


def _write_tokenizer(writer: gguf.GGUFWriter, folder: Path, config: PreTrainedConfig) -> None:
    """Names of the tokens, so that llama.cpp can write text; prompts come to it as ids."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    model = tokenizer["model"]
    if model.get("type") != "BPE":
        raise Problem("tokenizer", model.get("type"), "is no byte-pair encoding; take engine transformers")
    pieces = bool(model.get("byte_fallback"))
    tokens = [f"[UNUSED{index}]" for index in range(config.vocab_size)]
    kinds = [gguf.TokenType.UNUSED] * config.vocab_size
    for token, index in model["vocab"].items():
        byte = pieces and len(token) == 6 and token.startswith("<0x")
        tokens[index], kinds[index] = token, gguf.TokenType.BYTE if byte else gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    if pieces:
        writer.add_token_scores([-float(index) for index in range(config.vocab_size)])
    else:
        writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    end = config.eos_token_id
    writer.add_eos_token_id(end[0] if isinstance(end, list) else end)
    if config.bos_token_id is not None:
        writer.add_bos_token_id(config.bos_token_id)
    template = folder / "chat_template.jinja"
    if template.is_file():
        writer.add_chat_template(template.read_text())


def _tensors(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                yield name, file.get_tensor(name)
