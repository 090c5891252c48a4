"""Tokens a second of each engine, against llama.cpp itself on the same weights in the same run."""

import json
import statistics
import time
from pathlib import Path

from esc_robot.dialogue import models
from esc_robot.dialogue.engine import Sampling
from esc_robot.dialogue.prompt import SYSTEM_PROMPT

ROUNDS = 9
NEW_TOKENS = 64
MESSAGES = [{"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": "I lost my job, and I do not know how to tell my family. Tell me at length "
                                        "what you think of it, with an example."}]


def bench_decode(out: Path = Path("runs/bench/decode.json"), threads: int = 2) -> dict:
    """Decodes the same reply with every engine by turns; medians over the rounds go to ``out``.

    ``tokens_per_second`` counts from the first token to the last; ``llama.cpp`` is the library's own timing of a
    request that streams nothing. ``ratio_to_llama_cpp`` is the median ratio within a round, of the default engine.
    """
    from esc_robot.dialogue.llama_engine import LlamaEngine
    from esc_robot.dialogue.transformers_engine import TransformersEngine

    model = models.find("default")
    sampling = Sampling(temperature=0, max_new_tokens=NEW_TOKENS)
    folder = models.folder(model)
    llama = LlamaEngine(models.gguf_file(model), folder, None, threads, sampling)
    engines = {"llama": llama, "transformers": TransformersEngine(folder, None, threads, sampling)}
    rates: dict[str, list[float]] = {name: [] for name in ("llama.cpp", *engines)}
    first_ms: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        before = llama.own_rate(MESSAGES)
        for name, engine in engines.items():
            for _ in engine.generate(MESSAGES):
                pass
            run = engine.last
            rates[name].append((run.new_tokens - 1) / (run.seconds - run.first_token_seconds))
            first_ms[name].append(1000 * run.first_token_seconds)
            if engine is llama:     # before and after, so that a change of the machine's load weighs on both alike
                rates["llama.cpp"].append((before + llama.own_rate(MESSAGES)) / 2)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(rates["llama"], rates["llama.cpp"], strict=True))
    report = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "model": model.name, "threads": threads, "rounds": ROUNDS,
        "tokens": NEW_TOKENS, "default": "llama",
        "tokens_per_second": {name: round(statistics.median(values), 1) for name, values in rates.items()},
        "warm_first_token_ms": {name: round(statistics.median(values[1:]), 1) for name, values in first_ms.items()},
        "ratio_to_llama_cpp": round(ratio, 3)}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{out}: " + ", ".join(f"{name} {rate} tok/s" for name, rate in report["tokens_per_second"].items())
          + f"; the default is {ratio:.2f} of llama.cpp")
    return report
