"""A PEFT LoRA adapter on disk, read and checked before it touches a model."""

import json
import math
import re
from pathlib import Path

from safetensors import SafetensorError, safe_open

from esc_robot.dialogue.engine import first_line
from esc_robot.errors import Problem

_KEY = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


class LoraAdapter:
    """``folder``: adapter_config.json and adapter_model.safetensors, as PEFT saves them.

    ``modules``: names of the base's modules it changes. Raises Problem when a file is missing or corrupt, or when the
    adapter is more than a plain LoRA.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            if not (folder / name).is_file():
                raise Problem("adapter", folder, f"has no {name}; give a PEFT adapter folder")
        try:
            self.config = json.loads((folder / "adapter_config.json").read_text())
            with safe_open(folder / "adapter_model.safetensors", "pt") as file:
                self._shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, ValueError, OSError) as error:
            raise Problem("adapter", folder, f"is corrupt ({first_line(error)}); copy it again") from None
        more = self.config.get("modules_to_save") or self.config.get("bias", "none") != "none"
        if self.config.get("peft_type") != "LORA" or self.config.get("use_dora") or more:
            raise Problem("adapter", folder, "is not a plain LoRA (DoRA, bias or whole modules); train a plain one")
        matches = [_KEY.fullmatch(key) for key in self._shapes]
        if not matches or not all(matches):
            raise Problem("adapter", folder, "has weights that are no LoRA of a linear layer; train a plain one")
        self.modules = sorted({match[1] for match in matches})

    def check_fits(self, base: dict[str, tuple[int, int]]) -> None:
        """``base``: (rows, columns) of every linear module by name. Raises Problem when the adapter is not for it."""
        for module in self.modules:
            down, up = (self._shapes.get(self._key(module, half)) for half in "AB")
            if down is None or up is None or base.get(module) != (up[0], down[1]):
                self._refuse()
        targets, layers = self.config.get("target_modules"), self.config.get("layers_to_transform")
        if isinstance(targets, list) and not layers:
            wanted = {name for name in base if any(name == target or name.endswith(f".{target}") for target in targets)}
            if not wanted <= set(self.modules):
                self._refuse()

    def halves(self, module: str):
        """The module's A [rank, columns] and B [rows, rank], torch tensors as they lie in the file."""
        with safe_open(self.folder / "adapter_model.safetensors", "pt") as file:
            return tuple(file.get_tensor(self._key(module, half)) for half in "AB")

    def scaling(self, module: str) -> float:
        """What B A is multiplied with: alpha / rank, or alpha / sqrt(rank) of rank-stabilised LoRA."""
        rank = self._shapes[self._key(module, "A")][0]
        alpha = next((value for pattern, value in self.config.get("alpha_pattern", {}).items()
                      if re.fullmatch(rf"(.*\.)?({pattern})", module)), self.config["lora_alpha"])
        return alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)

    def _key(self, module: str, half: str) -> str:
        return f"base_model.model.{module}.lora_{half}.weight"

    def _refuse(self):
        raise Problem("adapter", self.folder, "is of another base or not complete; use one trained on this base")
