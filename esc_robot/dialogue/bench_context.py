"""What each context view costs in tokens and in perplexity of the right reply, unbounded and at equal budgets."""

import hashlib
import json
import math
import re
import statistics
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from esc_robot.assets import share_dir
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.engine import Sampling, make_engine
from esc_robot.dialogue.prompt import SYSTEM_PROMPT, with_prompt
from esc_robot.dialogue.summary import write
from esc_robot.dialogue.views import VIEWS
from esc_robot.errors import Problem

BUDGETS = (None, 64, 128, 256)
FIRST_SCORED = 6    # turns before the first reply that is scored: from there on some are older than recent
CORPUS_FILES = ("plain_1.jsonl", "plain_2.jsonl")


def bench_context(out: Path = Path("runs/bench/context.json"), dialogues: int = 4, adapter: Path | None = None,
                  prompt: str = SYSTEM_PROMPT) -> list[dict]:
    """Scores the later replies of held-out dialogues below their history in every view, each at every budget.

    ``out``: a list of ``view``, ``budget`` (tokens of history, None for all), ``prompt_tokens`` (median, with the
    system prompt) and ``perplexity`` (per token, over all replies). Raises Problem without the corpus.
    """
    engine = make_engine("default", "transformers", adapter, sampling=Sampling(temperature=0, max_new_tokens=40))
    count = lru_cache(None)(engine.count_tokens)
    moments = [moment for turns in held_out(2 * FIRST_SCORED - 2)[:dialogues] for moment in _moments(engine, turns)]
    scored: dict[str, list[float]] = {}
    rows = []
    for name, view in VIEWS.items():
        for budget in BUDGETS:
            nats, tokens = [], []
            for history, reply in moments:
                messages = with_prompt(view(history, budget, count), prompt)
                key = json.dumps([messages, reply])
                if key not in scored:   # views agree while nothing is older than recent
                    scored[key] = engine.logprobs(messages, reply)
                nats += scored[key]
                tokens.append(len(engine.chat.encode(messages)))
            rows.append({"view": name, "budget": budget, "prompt_tokens": statistics.median(tokens),
                         "perplexity": round(math.exp(-sum(nats) / len(nats)), 2)})
    write_rows(out, rows)
    return rows


def held_out(fewest_replies: int = 1) -> list[list[Turn]]:
    """Dialogues of the corpus's test part that no training sees, the longest first; as training/datasets.py parts them.

    Raises Problem where the corpus is not there: it belongs to the checkout, not to the installed package.
    """
    found = []
    for name in CORPUS_FILES:
        path = share_dir() / "training" / "corpus" / name
        if not path.is_file():
            raise Problem("corpus file", path, "does not exist; run this in a checkout of the repository")
        for line in path.read_text().splitlines():
            record = json.loads(line)
            texts = [turn["text"] for turn in record["turns"]]
            words = " ".join(re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", texts[0].lower()))
            share = int(hashlib.sha256(f"{record['scene']}|{words}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
            if share < 0.04 and len(texts) >= 2 * fewest_replies:
                found.append([Turn(str(at), texts[at], [texts[at + 1]]) for at in range(0, len(texts) - 1, 2)])
    return sorted(found, key=len, reverse=True)


def write_rows(out: Path, rows: list[dict]) -> None:
    """Rows as a JSON list in ``out``, and on one line of standard output."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("[\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n]\n")
    print(json.dumps({str(out): rows}))


def _moments(engine, turns: list[Turn]) -> list[tuple[list[Turn], str]]:
    """Each later reply with the turns before it, as they were when it was due: summaries only once they were written.
    """
    moments = []
    for now, turn in enumerate(turns):
        if now >= FIRST_SCORED:
            history = [replace(earlier) for earlier in turns[:now]]
            moments.append(([*history, replace(turn, sentences=[])], turn.reply))
        write(engine, turns[:now + 1], seed=0)
    return moments
