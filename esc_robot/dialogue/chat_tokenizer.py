"""A model's tokenizer with its chat template: the same token ids whatever engine computes."""

from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoConfig, AutoTokenizer, GenerationConfig
from transformers.utils import logging

from esc_robot.dialogue.engine import first_line
from esc_robot.errors import Problem


class ChatTokenizer:
    """``folder``: a Hugging Face model folder. Raises Problem when it has no tokenizer or no chat template."""

    def __init__(self, folder: Path):
        if not (folder / "config.json").is_file():
            raise Problem("model folder", folder, "has no config.json; give a Hugging Face model folder")
        logging.disable_progress_bar()
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            self.config = AutoConfig.from_pretrained(folder)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise Problem("model folder", folder, f"its tokenizer cannot be read ({first_line(error)}); "
                                                  "fetch it again") from None
        finally:
            logging.enable_progress_bar()
        if not self.tokenizer.chat_template:
            raise Problem("model folder", folder, "has no chat template; take the model's instruct or chat version")
        space = self.tokenizer.get_vocab().get("\u2581")
        self._strips = space is not None and not self.decode([space])
        self.stop_tokens = {self.tokenizer.eos_token_id, *_generation_stops(folder)}

    def encode(self, messages: list[dict]) -> list[int]:
        """Token ids of the chat template filled with ``messages``, up to where the assistant begins to speak."""
        plain = [message | {"content": self._plain(message["content"])} for message in messages]
        try:
            return self._fill(plain)
        except TemplateError:
            # Some templates know no system role: what the robot is told is then said by the first user.
            system, first, *rest = plain
            return self._fill([first | {"content": f"{system['content']}\n\n{first['content']}"}, *rest])

    def encode_text(self, text: str) -> list[int]:
        """Token ids of ``text``, without the template's own."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def without_prefix(self, text: str) -> str:
        """A reply's first piece as ``decode`` writes it: without the space that SentencePiece puts before a word."""
        return text.removeprefix(" ") if self._strips else text

    def _fill(self, messages: list[dict]) -> list[int]:
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)

    def _plain(self, text: str) -> str:
        """A user cannot open a turn of their own: the template's markers are taken out of what was said."""
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return text


def _generation_stops(folder: Path) -> list[int]:
    if not (folder / "generation_config.json").is_file():
        return []
    stops = GenerationConfig.from_pretrained(folder).eos_token_id
    return stops if isinstance(stops, list) else [] if stops is None else [stops]
