"""How long the first token takes as a conversation grows, with the default view and budget."""

import statistics
from itertools import cycle
from pathlib import Path

from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue.bench_context import held_out, write_rows
from esc_robot.dialogue.engine import Sampling, make_engine
from esc_robot.dialogue.mind import Mind
from esc_robot.dialogue.prompt import SYSTEM_PROMPT
from esc_robot.dialogue.views import DEFAULT_VIEW, VIEWS

TURNS = (5, 20, 60)
ROUNDS = 2
# Said around each turn that is measured, so that all are measured with utterances of the same length.
SAME = ("my sister does not talk to me any more", "i think it began when our mother was ill last year",
        "she wanted to sell the house and i did not", "now i sit there alone in the evenings",
        "do you think i should write to her first")


def bench_turns(out: Path = Path("runs/bench/turns.json")) -> list[dict]:
    """Talks for 62 turns, twice; what the mind does between turns is done before the next utterance, as on the robot.

    ``out``: a list of ``turn``, ``ttft_ms`` (from the utterance to the first token), ``tokens_computed`` before that
    token, and ``tokens_ahead`` between turns: medians over the rounds and the five turns around the one that is named.
    """
    engine = make_engine(sampling=Sampling(max_new_tokens=24))
    samples: dict[int, list] = {turn: [] for turn in TURNS}
    for seed in range(ROUNDS):
        utterances = cycle(turn.user for turns in held_out() for turn in turns)
        mind = Mind(engine, VIEWS[DEFAULT_VIEW], CrisisProtocol(), SYSTEM_PROMPT, seed=seed)
        mind.between_turns()
        for number in range(1, max(TURNS) + 3):
            measured = next((turn for turn in TURNS if abs(turn - number) <= 2), None)
            text = SAME[number % len(SAME)] if measured else next(utterances)
            for _ in mind.respond(str(number), text):
                pass
            mind.between_turns()
            if measured and mind.stats.tokens:
                samples[measured].append(mind.stats)
    rows = [{"turn": turn,
             "ttft_ms": round(1000 * statistics.median(stats.first_token_seconds for stats in found), 1),
             "tokens_computed": statistics.median(stats.computed_tokens for stats in found),
             "tokens_ahead": statistics.median(stats.ahead_tokens for stats in found)}
            for turn, found in samples.items()]
    write_rows(out, rows)
    return rows
