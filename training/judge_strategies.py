"""Whether the strategy that the robot names is the one that a reader would give.

    python -m training.judge_strategies deal OUT --system chooser --openings 30    OUT/strategies_*.md and its key
    python -m training.judge_strategies count OUT                                  reads OUT/strategies_*.txt

OUT holds the replies that ``training.judge_replies play`` wrote. Readers get one batch file each, without the names
that the robot gave, and hand back a line ``NUMBER FIRST / SECOND`` for every item.
"""

import argparse
import json
import random
import re
import sys
from pathlib import Path

from esc_robot.dialogue.strategy import STRATEGIES
from esc_robot.errors import Problem
from training.judge_replies import HERE, item_text, rows_of


def deal(out: Path, system: str, share: int, batch: int, seed: int = 0) -> None:
    """Numbered replies of ``share`` openings, those of the crisis protocol apart, which have no strategy of their own.
    """
    rows = [row for row in rows_of(out / f"replies_{system}.jsonl") if row["source"] != "care"]
    chosen = set(random.Random(seed).sample(sorted({row["opening"] for row in rows}), share))
    rows = [row for row in rows if row["opening"] in chosen]
    random.Random(seed).shuffle(rows)
    (out / "strategies_key.json").write_text(json.dumps([row["strategy"] for row in rows]))
    items = [item_text(number, "", row["context"], row["reply"]) for number, row in enumerate(rows, 1)]
    brief = (HERE / "JUDGE_STRATEGY.md").read_text()
    for at in range(0, len(rows), batch):
        shown = items[at:at + batch]
        (out / f"strategies_{at // batch + 1}.md").write_text(f"{brief}\n# The items\n\n" + "\n".join(shown))
    print(f"{len(rows)} items under {out}")


def count(out: Path) -> dict:
    """``replies`` read, share whose strategy is the reader's ``first``, and share with ``either`` of the two."""
    key, read = json.loads((out / "strategies_key.json").read_text()), {}
    for path in sorted(out.glob("strategies_*.txt")):
        for line in filter(str.strip, path.read_text().splitlines()):
            match = re.match(r"\s*(\d+)[.:]?\s+(.+?)\s*/\s*(.+?)\s*$", line)
            if not match or not {match[2], match[3]} <= set(STRATEGIES) or not 0 < int(match[1]) <= len(key):
                raise Problem("strategies", f"{path.name}: {line[:60]}", "is not NUMBER FIRST / SECOND of the sixteen")
            read[int(match[1])] = match[2], match[3]
    if not read:
        raise Problem("strategies", out, "holds no strategies_*.txt; have the batches read first")
    first = sum(key[number - 1] == one for number, (one, _) in read.items())
    either = sum(key[number - 1] in both for number, both in read.items())
    return {"replies": len(read), "of": len(key), "first": round(first / len(read), 3),
            "either": round(either / len(read), 3)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("deal", "count"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--system", default="chooser")
    parser.add_argument("--openings", type=int, default=100)
    parser.add_argument("--batch", type=int, default=75)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.what == "deal":
            deal(chosen.out, chosen.system, chosen.openings, chosen.batch)
        else:
            print(json.dumps(count(chosen.out)))
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
