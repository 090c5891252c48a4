"""Plays the hundred openings through systems that answer, and has the replies read blind.

    python -m training.judge_replies play OUT --systems default model fetched   OUT/replies_SYSTEM.jsonl
    python -m training.judge_replies deal OUT --openings 30                     OUT/batch_*.md and OUT/key.json
    python -m training.judge_replies count OUT                                  reads OUT/labels_*.txt, prints the table

Readers get one batch file each and hand back ``labels_NAME.txt``: a line ``NUMBER LABEL REASON`` for every item. Each
system sees its own earlier replies. ``count`` writes runs/bench/replies.md when every item has a label.
"""

import argparse
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml

from esc_robot.assets import config
from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.mind import Mind
from esc_robot.dialogue.models import adapter_of
from esc_robot.dialogue.prompt import SYSTEM_PROMPT
from esc_robot.dialogue.selector import SOURCES, Chooser, chooser_for
from esc_robot.dialogue.views import VIEWS
from esc_robot.errors import Problem

HERE = Path(__file__).resolve().parent
LABELS = ("fits", "weak", "wrong")


def _chooser(**options) -> Callable[[str], Callable[[str], dict]]:
    chooser_of = cache(lambda country: Chooser(country=country, **options))

    def begin(country: str):
        chooser, care, turns = chooser_of(country), CrisisProtocol(country), []

        def answer(text: str) -> dict:
            alarm = care.check(text)
            if alarm:
                row = {"reply": " ".join(alarm.sentences), "strategy": "Others", "source": "care", "act": alarm.level}
            else:
                choice = chooser.choose(turns, text)
                row = {"reply": choice.reply, "strategy": choice.strategy, "source": choice.source, "act": choice.act,
                       "score": round(choice.score, 3)}
            turns.append(Turn(str(len(turns)), text, [row["reply"]], row["strategy"]))
            return row
        return answer
    return begin


def _mind(adapter: Path | None, replies: str) -> Callable[[str], Callable[[str], dict]]:
    from esc_robot.dialogue.engine import make_engine
    engine = make_engine("default", "llama", adapter or adapter_of("default"))
    chooser_of = cache(lambda country: chooser_for(replies, "default", country=country))

    def begin(country: str):
        mind = Mind(engine, VIEWS["stopwords"], CrisisProtocol(country), SYSTEM_PROMPT, seed=0,
                    chooser=chooser_of(country))

        def answer(text: str) -> dict:
            sentences = list(mind.respond(str(len(mind.conversation.turns)), text))
            return {"reply": " ".join(sentence.text for sentence in sentences), "strategy": sentences[0].strategy,
                    "source": " and ".join(dict.fromkeys(sentence.source for sentence in sentences))}
        return answer
    return begin


def systems(adapter: Path | None) -> dict[str, Callable]:
    """What can answer, by name. Each gives, for a country, a function from a user's turn to its reply; crisis first."""
    return {"default": lambda: _mind(adapter, "auto"), "model": lambda: _mind(adapter, "written"),
            "fetched": lambda: _chooser(sources=("fetched",), threshold=0.0),
            "acts": lambda: _chooser(sources=("act",)),
            "chooser": lambda: _chooser(sources=SOURCES)}


def openings() -> list[dict]:
    return yaml.safe_load((HERE / "openings.yaml").read_text())


def play(out: Path, names: list[str], adapter: Path | None) -> None:
    """Every opening with its follow-ups through every system: one line a reply, with the conversation before it. In a
    country whose numbers the robot does not have it is set up as ``default``, as it would be there."""
    known, countries = systems(adapter), yaml.safe_load(config("care/lines.yaml").read_text())
    if unknown := set(names) - set(known):
        raise Problem("system", ", ".join(sorted(unknown)), f"unknown; choose among {', '.join(known)}")
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        begin = known[name]()
        with open(out / f"replies_{name}.jsonl", "w") as file:
            for opening in openings():
                country = opening.get("country")
                answer, said = begin(country if country in countries else "default"), []
                for number, text in enumerate(opening["turns"]):
                    row = answer(text)
                    about = {"system": name, "opening": opening["id"], "turn": number, "kind": opening["kind"],
                             "country": opening.get("country", ""), "context": [*said, ["user", text]]}
                    said += [["user", text], ["robot", row["reply"]]]
                    file.write(json.dumps(about | row, ensure_ascii=False) + "\n")
        print(f"{name}: {3 * len(openings())} replies", flush=True)


def deal(out: Path, names: list[str], share: int, batch: int, seed: int) -> None:
    """Mixes and numbers the replies; one item where several systems say the same in the same place."""
    chosen = set(random.Random(seed).sample([opening["id"] for opening in openings()], share))
    items = defaultdict(list)
    for name in names:
        for row in rows_of(out / f"replies_{name}.jsonl"):
            if row["opening"] in chosen:
                items[json.dumps([row["country"], row["context"], row["reply"]])].append(
                    [name, row["opening"], row["turn"]])
    order = sorted(items)
    random.Random(seed).shuffle(order)
    key = {number: items[item] for number, item in enumerate(order, 1)}
    (out / "key.json").write_text(json.dumps(key))
    brief = (HERE / "JUDGE.md").read_text()
    for at in range(0, len(order), batch):
        shown = [item_text(number, *json.loads(order[number - 1]))
                 for number in range(at + 1, min(at + batch, len(order)) + 1)]
        (out / f"batch_{at // batch + 1}.md").write_text(f"{brief}\n# The items\n\n" + "\n".join(shown))
    print(f"{len(order)} items in {-(-len(order) // batch)} files under {out}")


def item_text(number: int, country: str, context: list, reply: str) -> str:
    said = "\n".join(f"{who}: {text}" for who, text in context)
    return f"## {number}{f' (country: {country})' if country else ''}\n{said}\n\nREPLY: {reply}\n"


def labels(out: Path) -> dict[int, list[str]]:
    """Labels by item, of all readers. Raises Problem on a line that is none."""
    found = defaultdict(list)
    for path in sorted(out.glob("labels_*.txt")):
        for line in path.read_text().splitlines():
            match = re.match(rf"\s*(\d+)[.:]?\s+({'|'.join(LABELS)})\b", line, re.I)
            if match:
                found[int(match[1])].append(match[2].lower())
            elif line.strip():
                raise Problem("label", f"{path.name}: {line[:40]}", "is not NUMBER LABEL REASON")
    return found


def count(out: Path) -> dict[str, dict]:
    """Counts of each system over its labelled replies, by all and by turn; two readers of an item: the lower label."""
    key = json.loads((out / "key.json").read_text())
    given = labels(out)
    counts = defaultdict(Counter)
    for number, replies in key.items():
        if given.get(int(number)):
            label = max(given[int(number)], key=LABELS.index)
            for name, _, turn in replies:
                counts[name][label] += 1
                counts[f"{name}, turn {turn + 1}"][label] += 1
    table = {name: {"replies": sum(tally.values())} | {
        label: round(100 * tally[label] / sum(tally.values())) for label in LABELS}
        for name, tally in sorted(counts.items())}
    missing = [number for number in key if not given.get(int(number))]
    print(f"{len(key) - len(missing)} of {len(key)} items labelled")
    for name, row in table.items():
        print(f"{name:24}", row)
    if not missing:
        _write_report(out, key, given, table)
    return table


def _write_report(out: Path, key: dict, given: dict, table: dict) -> None:
    places = {(name, opening, turn): max(given[int(number)], key=LABELS.index)
              for number, replies in key.items() for name, opening, turn in replies}
    lines = ["# Replies to openings, judged blind", "", "Of 100 replies, by training/JUDGE.md.", "",
             "| system | replies | fits | weak | wrong |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {row['replies']} | {row['fits']} | {row['weak']} | {row['wrong']} |"
              for name, row in table.items()]
    for name in sorted({place[0] for place in places}):
        lines += ["", f"## {name}"]
        for row in rows_of(out / f"replies_{name}.jsonl"):
            label = places.get((name, row["opening"], row["turn"]))
            if label:
                lines += ["", f"### {row['opening']}"] if row["turn"] == 0 else []
                lines += [f"- user: {row['context'][-1][1]}",
                          f"- robot ({row['source']}, {row['strategy']}): {row['reply']} **{label}**"]
    path = Path("runs/bench/replies.md")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    print(path)


def rows_of(path: Path) -> list[dict]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except OSError:
        raise Problem("replies", path, "are not there; run `play` with this system first") from None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("play", "deal", "count"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--systems", nargs="+", default=["default", "model", "fetched"])
    parser.add_argument("--adapter", type=Path, help="adapter of the model alone; else the one that ships")
    parser.add_argument("--openings", type=int, default=100)
    parser.add_argument("--batch", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.what == "play":
            play(chosen.out, chosen.systems, chosen.adapter)
        elif chosen.what == "deal":
            deal(chosen.out, chosen.systems, chosen.openings, chosen.batch, chosen.seed)
        else:
            count(chosen.out)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
