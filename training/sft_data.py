"""From dialogues to packed rows of tokens, with loss on the robot's words alone."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from esc_robot.dialogue.conversation import Turn as SpokenTurn
from esc_robot.dialogue.prompt import SYSTEM_PROMPT, with_prompt
from esc_robot.dialogue.views import VIEWS
from esc_robot.errors import Problem
from training.datasets import Dialogue

IGNORED = -100


@dataclass(frozen=True)
class Example:
    """One prompt with replies: token ids [n], and labels [n] that are ``IGNORED`` wherever the robot does not speak."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]


def examples(dialogues: Iterable[Dialogue], tokenizer, mix: dict[str, float], limit: int, seed: int) -> list[Example]:
    """Training examples of ``dialogues`` in a mixture of history views, at most ``limit`` tokens each.

    ``mix``: view -> share. For ``raw`` it is the share of dialogues that are taught whole, with loss on every reply;
    for any other view the share of replies (the first of a dialogue apart: it has no history) that are taught once
    more below their history in that view, with loss on that reply only. ``none`` (no history) takes portable replies
    only, for the others would teach to invent. The same seed gives the same examples.
    """
    for view in set(mix) - {*VIEWS, "none"}:
        raise Problem("history view", view, f"unknown; use {', '.join(VIEWS)} or none")
    chance = random.Random(seed)
    made = []
    for dialogue in dialogues:
        for view, share in sorted(mix.items()):
            if view == "raw":
                made += whole(dialogue, tokenizer, limit) if chance.random() < share else []
                continue
            for at in range(3, len(dialogue.turns), 2):
                if chance.random() < share and (view != "none" or dialogue.turns[at].portable):
                    made.append(single(dialogue, at, view, tokenizer, limit))
    return [example for example in made if example]


def with_strategies(dialogue: Dialogue) -> Dialogue:
    """The dialogue with the strategy of each reply said before it, as dialogue/strategy.told_strategy reads it."""
    return replace(dialogue, turns=tuple(
        replace(turn, text=f"[{turn.strategy}] {turn.text}") if turn.strategy else turn for turn in dialogue.turns))


def whole(dialogue: Dialogue, tokenizer, limit: int) -> list[Example]:
    """The dialogue as it was said, loss on every reply; what goes beyond ``limit`` tokens is cut after a reply."""
    messages = with_prompt([{"role": turn.role, "content": turn.text} for turn in dialogue.turns], SYSTEM_PROMPT)
    while len(messages) >= 3:
        example = encode(messages, tokenizer)
        if len(example.ids) <= limit:
            return [example]
        messages = messages[:-2]
    return []


def single(dialogue: Dialogue, reply_at: int, view: str, tokenizer, limit: int) -> Example | None:
    """One reply below its history as ``view`` shows it, loss on this reply alone."""
    messages = shown(dialogue, reply_at, view)
    example = encode([*messages, {"role": "assistant", "content": dialogue.turns[reply_at].text}], tokenizer, last=True)
    return example if len(example.ids) <= limit else None


def shown(dialogue: Dialogue, reply_at: int, view: str) -> list[dict]:
    """Messages before the reply at turn ``reply_at``: the system prompt and what went before in ``view``."""
    turns = [SpokenTurn(str(at), dialogue.turns[at].text, [dialogue.turns[at + 1].text])
             for at in range(0, reply_at - 1, 2)]
    latest = SpokenTurn("latest", dialogue.turns[reply_at - 1].text)
    turns = [latest] if view == "none" else [*turns, latest]
    return with_prompt(VIEWS["raw" if view == "none" else view](turns, None, len), SYSTEM_PROMPT)


def encode(messages: list[dict], tokenizer, last: bool = False) -> Example:
    """Tokens of the chat template filled with ``messages``; labels on assistant messages, or on the ``last`` one.

    The end-of-turn token belongs to the reply: the model learns to stop. Raises Problem for a chat template whose text
    for a conversation does not begin with its text for a shorter one, as then no reply can be told from its prompt.
    """
    text = _render(tokenizer, messages, False)
    spans = []
    for at, message in enumerate(messages):
        if message["role"] == "assistant" and (not last or at == len(messages) - 1):
            before, after = _render(tokenizer, messages[:at], True), _render(tokenizer, messages[:at + 1], False)
            if not (text.startswith(after.rstrip()) and after.startswith(before)):
                raise Problem("chat template of", tokenizer.name_or_path,
                              "rewrites earlier turns; use a model whose template only appends")
            spans.append((len(before), len(after)))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [token if any(begin <= start < end for begin, end in spans) else IGNORED
              for token, (start, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)]
    return Example(tuple(encoded["input_ids"]), (IGNORED, *labels[1:]))


def _render(tokenizer, messages: list[dict], answering: bool) -> str:
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answering)


def pack(examples: list[Example], row_tokens: int, seed: int) -> list[list[Example]]:
    """Examples in rows of at most ``row_tokens`` tokens, first fit over a shuffled order; the same seed, the same rows.
    """
    shuffled = random.Random(seed).sample(examples, len(examples))
    rows, room, open_rows = [], [], []
    for example in shuffled:
        fitting = next((row for row in open_rows if room[row] >= len(example.ids)), None)
        if fitting is None:
            fitting = len(rows)
            rows.append([])
            room.append(row_tokens)
            open_rows.append(fitting)
        rows[fitting].append(example)
        room[fitting] -= len(example.ids)
        # Full rows are left behind, so that packing stays linear in the number of examples.
        open_rows = [row for row in open_rows if room[row] >= 32][-64:]
    return rows


def collate(rows: list[list[Example]]) -> dict[str, torch.Tensor]:
    """Rows laid end to end: input_ids, labels and position_ids, each [1, tokens], without padding.

    Positions begin at 0 with every example. transformers reads that as the border between packed sequences and masks
    attention into a block diagonal (flash attention: variable-length kernels), so no example sees another.
    """
    line = [example for row in rows for example in row]
    return {"input_ids": torch.tensor([[token for example in line for token in example.ids]]),
            "labels": torch.tensor([[label for example in line for label in example.labels]]),
            "position_ids": torch.tensor([[at for example in line for at in range(len(example.ids))]])}
