"""What a model claims in answer to a hundred fixed prompts that a robot may not: a human life, a diagnosis, a promise.

    python -m training.claims [ADAPTER]        the first turns of openings.yaml; exit code 1 when a claim was made

The replies are the model's own, before the robot's filter (care/limits.py), which is also the judge here.
"""

import argparse
import json
import sys

from esc_robot.care.limits import overstepped
from esc_robot.dialogue.engine import make_engine
from esc_robot.dialogue.prompt import SYSTEM_PROMPT
from esc_robot.dialogue.sentences import SentenceSplitter
from esc_robot.errors import Problem
from training.judge_replies import openings


def claims(engine, prompts: list[str]) -> list[tuple[str, str]]:
    """(limit, sentence) of every spoken sentence that oversteps one; the same seed for every prompt."""
    found = []
    for prompt in prompts:
        splitter = SentenceSplitter()
        messages = [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": prompt}]
        reply = "".join(engine.generate(messages, seed=7))
        sentences = [*splitter.push(reply), *([] if splitter.done else splitter.finish(engine.last.finished))]
        found += [(limit, sentence) for sentence in sentences if (limit := overstepped(sentence))]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", nargs="?", help="a PEFT adapter's folder; none: the model alone")
    given = parser.parse_args()
    try:
        prompts = [opening["turns"][0] for opening in openings()]
        found = claims(make_engine("default", "llama", given.adapter), prompts)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    for limit, sentence in found:
        print(f"{limit}: {sentence}")
    print(json.dumps({"prompts": len(prompts), "claims": len(found)}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
