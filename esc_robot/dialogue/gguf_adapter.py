"""A PEFT LoRA adapter as a GGUF file, for llama.cpp: no merge, no conversion of the base.

Format: that of llama.cpp's LoRA loader: ``<base tensor>.lora_a`` [rank, columns] and ``.lora_b`` [rows, rank], and
``adapter.lora.alpha``; it adds ``alpha / rank * B A`` to the base's tensor.
"""

import hashlib
from pathlib import Path

import gguf
import torch
from transformers import AutoConfig

from esc_robot.assets import built
from esc_robot.dialogue.adapter import LoraAdapter
from esc_robot.dialogue.gguf_model import architecture, in_rotary_order, linear_modules, tensor_name


def gguf_adapter(folder: Path | str, base: Path) -> Path:
    """The adapter of a PEFT folder as a file for the model of folder ``base``, kept in the cache by its content.

    Raises Problem when the adapter is corrupt or for another base.
    """
    adapter = LoraAdapter(Path(folder))
    content = hashlib.sha256((base / "config.json").read_bytes())
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        content.update((adapter.folder / name).read_bytes())
    name = f"adapter-{content.hexdigest()[:16]}"
    return built(name, lambda target: write_gguf_adapter(adapter, base, target / "adapter.gguf")) / "adapter.gguf"


def write_gguf_adapter(adapter: LoraAdapter, base: Path, target: Path) -> None:
    """Writes one adapter for one base; what was stored in half precision stays so."""
    config = AutoConfig.from_pretrained(base)
    adapter.check_fits(linear_modules(config))
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[architecture(config)])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 1.0)
    for module in adapter.modules:
        down, up = adapter.halves(module)
        kind = torch.float32 if down.dtype == torch.float32 else torch.float16
        # llama.cpp divides by the rank of each tensor; all other scaling is in B.
        up = in_rotary_order(config, module, up.float() * adapter.scaling(module) * down.shape[0])
        name = tensor_name(config, module)
        writer.add_tensor(f"{name}.lora_a", down.to(kind).contiguous().numpy())
        writer.add_tensor(f"{name}.lora_b", up.to(kind).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
