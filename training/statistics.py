"""Statistics of a set of dialogues as a table and plots: figures 3.3 to 3.6 and 4.1 of the thesis.

    python -m training.statistics [plain | rich | FILE ...] [--out runs/statistics]

Writes statistics.md and scenes.png (dialogues by scene), strategies.png, turns.png (turns of a dialogue), words.png
(words of an utterance) and history.png (tokens of the history as a talk grows, raw and with stopwords removed).
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from statistics import mean, median

from esc_robot.dialogue.views import without_stopwords
from esc_robot.errors import Problem
from training.datasets import REGISTERS, Dialogue, corpus, read_dialogues


def scenes(dialogues: list[Dialogue]) -> Counter:
    """Dialogues of each scene (figure 3.3)."""
    return Counter(dialogue.scene for dialogue in dialogues)


def strategies(dialogues: list[Dialogue]) -> Counter:
    """Replies of each strategy (figure 3.4); "" counts those without a label."""
    return Counter(reply.strategy for dialogue in dialogues for reply in dialogue.replies)


def turns(dialogues: list[Dialogue]) -> Counter:
    """Dialogues of each number of turns, both sides counted (figure 3.5)."""
    return Counter(len(dialogue.turns) for dialogue in dialogues)


def utterance_words(dialogues: list[Dialogue]) -> dict[str, Counter]:
    """Utterances of each number of words, by role (figure 3.6)."""
    counts = {"user": Counter(), "assistant": Counter()}
    for dialogue in dialogues:
        for turn in dialogue.turns:
            counts[turn.role][len(turn.text.split())] += 1
    return counts


def history_tokens(dialogues: list[Dialogue], count_tokens) -> list[tuple[int, int, float, float]]:
    """(turn, dialogues, mean raw tokens, mean tokens without stopwords) of the history after each turn (figure 4.1)."""
    raw, short, held = Counter(), Counter(), Counter()
    for dialogue in dialogues:
        raw_sum = short_sum = 0
        for at, turn in enumerate(dialogue.turns, 1):
            raw_sum += count_tokens(turn.text)
            short_sum += count_tokens(without_stopwords(turn.text))
            raw[at] += raw_sum
            short[at] += short_sum
            held[at] += 1
    return [(at, held[at], raw[at] / held[at], short[at] / held[at]) for at in sorted(held)]


def markdown(name: str, dialogues: list[Dialogue], history: list[tuple]) -> str:
    used = strategies(dialogues)
    lengths = utterance_words(dialogues)
    each = [len(dialogue.turns) for dialogue in dialogues]
    lines = [f"# {name}", "", "| | |", "|---|---|", f"| dialogues | {len(dialogues)} |", f"| turns | {sum(each)} |",
             f"| replies | {used.total()} |", f"| turns of a dialogue, mean / median / most | "
             f"{mean(each):.1f} / {median(each):g} / {max(each)} |"]
    for role, counts in lengths.items():
        said = sorted(counts.elements())
        lines.append(f"| words of an utterance ({role}), mean / median / most | "
                     f"{mean(said):.1f} / {median(said):g} / {said[-1]} |")
    lines += ["", "## Dialogues by scene", "", "| scene | dialogues |", "|---|---|"]
    lines += [f"| {scene or '(none)'} | {count} |" for scene, count in scenes(dialogues).most_common()]
    lines += ["", "## Replies by strategy", "", "| strategy | replies | share |", "|---|---|---|"]
    lines += [f"| {strategy or '(none)'} | {count} | {count / used.total():.1%} |" for strategy, count in
              used.most_common()]
    lines += ["", "## Tokens of the history", "", "| turn | dialogues | raw | stopwords removed | share |",
              "|---|---|---|---|---|"]
    lines += [f"| {at} | {held} | {raw:.0f} | {short:.0f} | {short / raw:.0%} |" for at, held, raw, short in history]
    return "\n".join(lines) + "\n"


def plots(dialogues: list[Dialogue], history: list[tuple], folder: Path) -> None:
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    def save(name, width, height, draw, **labels):
        figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
        draw(axes)
        axes.set(**labels)
        figure.savefig(folder / f"{name}.png", dpi=120)
        pyplot.close(figure)

    def bars(counts):
        kinds = [(kind or "(none)", count) for kind, count in reversed(counts.most_common())]
        return lambda axes: axes.barh(*zip(*kinds, strict=True))

    def words(axes):
        for role, counts in utterance_words(dialogues).items():
            axes.plot(*zip(*sorted(counts.items()), strict=True), label=role)
        axes.legend()

    def growth(axes):
        for label, column in (("raw", 2), ("stopwords removed", 3)):
            axes.plot([row[0] for row in history], [row[column] for row in history], label=label)
        axes.legend()

    by_scene = scenes(dialogues)
    save("scenes", 9, 1 + 0.2 * len(by_scene), bars(by_scene), xlabel="dialogues")
    save("strategies", 8, 4.5, bars(strategies(dialogues)), xlabel="replies")
    save("turns", 7, 4, lambda axes: axes.bar(*zip(*sorted(turns(dialogues).items()), strict=True)),
         xlabel="turns of a dialogue", ylabel="dialogues")
    save("words", 7, 4, words, xlabel="words of an utterance", ylabel="utterances")
    save("history", 7, 4, growth, xlabel="turns so far", ylabel="mean tokens of the history")


def write(names: list[str], folder: Path) -> Path:
    """statistics.md and the plots of the named registers and files, under ``folder``."""
    from transformers import AutoTokenizer

    from esc_robot.dialogue.models import default_model_folder

    tokenizer = AutoTokenizer.from_pretrained(default_model_folder())
    dialogues = [dialogue for name in names
                 for dialogue in (corpus(name) if name in REGISTERS else read_dialogues(name))]
    history = history_tokens(dialogues, lambda text: len(tokenizer.encode(text, add_special_tokens=False)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "statistics.md").write_text(markdown(", ".join(names), dialogues, history), encoding="utf-8")
    plots(dialogues, history, folder)
    return folder / "statistics.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="plain|rich|FILE")
    parser.add_argument("--out", type=Path, default=Path("runs/statistics"))
    given = parser.parse_args()
    try:
        print(write(given.names or ["plain"], given.out))
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
