"""Check the corpus, and say what it still lacks.

    python -m training.corpus_check [FILE ...] [--esconv TRAIN.jsonl] [--mark]

Without FILE the whole of training/corpus is read and its balance is asked for. ``--esconv`` looks for turns that also
stand in ESConv (or any other file of dialogues). ``--mark`` writes ``portable`` into the replies that lack it (rules:
training/portability.py) and touches nothing else. Ends with 1 when anything is wrong or missing.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from esc_robot.errors import Problem
from training.datasets import CORPUS, REGISTERS, STRATEGIES, corpus, corpus_files, read_dialogues, words
from training.portability import mark

SCENES = (
    "Breakups or Divorce", "Conflicts or Communication Problems", "Communication Challenges",
    "Coping with the Death of a Loved One", "Dealing with the Loss of a Pet", "Work-related Stress and Burnout",
    "Financial Worries and Uncertainty", "Unemployment-related Stress", "Academic Stress", "Spirituality and Faith",
    "Managing Bipolar Disorder", "Anxiety and Panic", "Depression and Low Mood", "Adjusting to a New Job or Role",
    "Chronic Illness or Pain Management", "Coping with a Diagnosis or Medical Treatment", "Caregiver Support",
    "Finding Meaning and Purpose in Life", "Navigating Gender Identity and Transitioning",
    "Moving to a New City or Country", "Career Transitions", "Parenthood and Parenting Challenges",
    "Low Self-Esteem or Lack of Confidence", "Body Image Concerns and Eating Disorders", "LGBTQ+ Identity",
    "Cultural Identity and Belonging", "Academic Stress or Pressure", "Job Loss or Career Setbacks",
    "Parenting Challenges and Parental Guilt", "Sibling Rivalry or Family Conflict",
    "Surviving and Recovering from Physical or Emotional Abuse", "Healing from Sexual Assault or Domestic Violence",
    "Post-Traumatic Stress Disorder (PTSD)", "Loneliness (Healing and Belonging)", "Addiction and Recovery",
    "Support for Loved Ones or Friends",
)
OWN_SCENES = (
    "Greetings and Small Talk", "Questions about the Robot", "Silence and Few Words", "Misheard and Unclear",
    "Off Topic", "Anger at the Robot", "Crisis and Safety", "Not a Crisis", "Good News and Thanks",
    "Goodbyes and Coming Back", "Children", "Everyday Worries",
)
WANTED = {"dialogues of a scene": 45, "replies of a strategy": 550, "plain dialogues": 2400, "plain replies": 13000,
          "rich dialogues": 400}
LENGTH = {"plain": (3, 26), "rich": (6, 34)}
# Mean Flesch-Kincaid grade of a dialogue's replies: plain ones are for a child of eleven and for a 135M model.
GRADE = {"plain": 6.5, "rich": 8.0}
OPENER_SHARE, SHARED_RUN, LIKENESS = 0.03, 10, 0.25
WRONG_KEYS = {"context", "right", "contradicting", "wrong_person", "invented"}

BANNED = {
    "a claim to know the feeling": r"i know (exactly |just )?(how|what) (you feel|you are feeling|it feels|it is like)|"
                                   r"i (understand|feel) exactly|i can relate|i feel (your|the same)\b|"
                                   r"i('ve| have) been there|been through (that|the same)|same (here|happened to me)",
    "a past or people of its own": r"\bmy (own )?(friends?|family|mother|mom|mum|father|dad|parents?|wife|husband|"
                                   r"brother|sister|son|daughter|childhood|experience|life|body|heart|boss|job)\b|"
                                   r"when i was\b|\bi (used to|grew up|remember when|once (had|was|lost))\b",
    "a body": r"\bi('m| am) (tired|hungry|crying|sick|hurt)\b|\bi (cried|slept|ate)\b|"
              r"\bi (can|could|will|would like to|want to) (hug you|hold your hand)\b",
    "being human": r"\bas a (person|human),? i\b|\bi('m| am) (a )?human\b|\bi('m| am) a (real )?person\b",
    "secrecy": r"(?<!not )(our|keep (this|it) (a )?|a safe )secret|"
               r"\b(won't|will not|never) tell (anyone|anybody)|stays between us",
    "a diagnosis": r"you (may |might |probably |clearly )?(have|are suffering from|suffer from) (an? )?(clinical )?"
                   r"(depression|anxiety disorder|ptsd|bipolar|adhd|ocd|autism|eating disorder|dementia|psychosis)\b",
    "an order about medicine": r"\b(stop|start) taking (your|the) (medicine|medication|pills|tablets)|"
                               r"\b(take|try) (a |an |some |more )?(aspirin|ibuprofen|sleeping pills?|melatonin)\b",
    "a promise": r"\bi promise\b|everything will be (fine|okay|all right)|it will all work out|\bi guarantee\b",
    "an empty comfort": r"\bat least\b|everything happens for a reason|stay positive|calm down|"
                        r"look on the bright side|time heals|could be worse|\bjust (think|try|relax|be|do|get|let)\b|"
                        r"in a better place|god has a plan|man up|you should get over it",
    "a mark that is not read aloud": r"[*_#`<>{}\[\]|()]|[\U0001F000-\U0001FAFF☀-➿]|https?:|\bas an ai\b",
}


def check_file(path: Path, register: str) -> Iterator[str]:
    """Problems of one file of dialogues, each beginning with ``file:line``."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}:{number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            yield f"{where} is not JSON: {error}"
            continue
        problems = list(_schema(record))
        yield from (f"{where} {problem}" for problem in problems or _language(record["turns"], register))


def _schema(record: dict) -> Iterator[str]:
    if set(record) != {"scene", "description", "turns"}:
        yield f"has the keys {sorted(record)}; needs scene, description, turns"
        return
    if record["scene"] not in SCENES + OWN_SCENES:
        yield f"has the unknown scene {record['scene']!r}"
    if not record["description"].strip():
        yield "has no description"
    turns = record["turns"]
    if len(turns) < 2 or len(turns) % 2:
        yield f"has {len(turns)} turns; needs pairs of user and assistant"
    for at, turn in enumerate(turns):
        role = ("user", "assistant")[at % 2]
        allowed = {"role", "text"} if role == "user" else {"role", "text", "strategy", "portable"}
        if turn.get("role") != role or not set(turn) <= allowed:
            yield f"turn {at} must be {role}'s with {sorted(allowed)}; has {sorted(turn)}"
        elif not turn.get("text", "").strip():
            yield f"turn {at} is empty"
        elif role == "assistant" and turn.get("strategy") not in STRATEGIES:
            yield f"turn {at} has the unknown strategy {turn.get('strategy')!r}"
        elif not isinstance(turn.get("portable", False), bool):
            yield f"turn {at}: portable must be true or false"


def _language(turns: list[dict], register: str) -> Iterator[str]:
    shortest, longest = LENGTH[register]
    before = ""
    for at in range(1, len(turns), 2):
        text = turns[at]["text"]
        count = len(text.split())
        if not shortest <= count <= longest:
            yield f"turn {at} has {count} words, not {shortest} to {longest}: {text}"
        yield from (f"turn {at} holds {claim}: {text}" for claim in banned(text))
        opener = " ".join(words(text)[:3])
        if opener == before:
            yield f"turn {at} opens as the reply before: {opener}"
        before = opener
    grade = reading_grade([turn["text"] for turn in turns[1::2]])
    if grade > GRADE[register]:
        yield f"reads at grade {grade:.1f}, above {GRADE[register]}"


def banned(reply: str) -> list[str]:
    """Names of the banned claims that a reply makes; usable on whatever a model says."""
    return [name for name, pattern in BANNED.items() if re.search(pattern, reply.lower())]


def reading_grade(replies: list[str]) -> float:
    """Flesch-Kincaid grade level (Kincaid et al., 1975) of replies taken together."""
    text = " ".join(replies)
    said = words(text)
    sentences = max(1, len(re.findall(r"[.!?]+(?=\s|$)", text)))
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", re.sub(r"(?<=[^aeiouyl])e$|(?<=[^td])ed$", "", word))))
                    for word in said)
    return 0.39 * len(said) / sentences + 11.8 * syllables / max(1, len(said)) - 15.59


def check_wrong(path: Path) -> Iterator[str]:
    """Problems of the file of wrong replies: a context, the right reply and one wrong reply of each kind."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        record = json.loads(line)
        where = f"{path.name}:{number}"
        if set(record) != WRONG_KEYS or not record["context"] or record["context"][-1]["role"] != "user":
            yield f"{where} needs {sorted(WRONG_KEYS)}, the context ending with the user"
            continue
        replies = [record[key] for key in sorted(WRONG_KEYS - {"context"})]
        if len(set(replies)) < 4 or not all(4 <= len(reply.split()) <= 26 for reply in replies):
            yield f"{where} needs four different replies of 4 to 26 words"
        yield from (f"{where} the right reply holds {claim}: {record['right']}" for claim in banned(record["right"]))


def near_duplicates(dialogues: list) -> Iterator[str]:
    """Pairs of dialogues that share more than ``LIKENESS`` (Jaccard) of their runs of four words, and openers overused.
    """
    shingles = [_runs(" / ".join(turn.text for turn in dialogue.turns), 4) for dialogue in dialogues]
    holders = defaultdict(list)
    for index, runs in enumerate(shingles):
        for run in runs:
            holders[run].append(index)
    shared = Counter(pair for held in holders.values() if 1 < len(held) <= 40 for pair in combinations(held, 2))
    for (one, other), count in shared.items():
        if count / len(shingles[one] | shingles[other]) > LIKENESS:
            yield f"near-duplicates: {_name(dialogues[one])} and {_name(dialogues[other])}"
    openers = Counter(" ".join(words(reply.text)[:3]) for dialogue in dialogues for reply in dialogue.replies)
    for opener, count in openers.items():
        if count > max(20, OPENER_SHARE * openers.total()):
            yield f"{count} of {openers.total()} replies open with \"{opener}\""


def copied(dialogues: list, others: list) -> Iterator[str]:
    """Turns that share a run of ``SHARED_RUN`` words with a turn of another data set."""
    known = set().union(*(_runs(turn.text, SHARED_RUN) for dialogue in others for turn in dialogue.turns))
    for dialogue in dialogues:
        for turn in dialogue.turns:
            for run in sorted(_runs(turn.text, SHARED_RUN) & known)[:1]:
                yield f"{_name(dialogue)} shares \"{' '.join(run)}\" with the other data set"


def _runs(text: str, length: int) -> set[tuple[str, ...]]:
    said = words(text)
    return {tuple(said[at:at + length]) for at in range(len(said) - length + 1)}


def _name(dialogue) -> str:
    return f"{dialogue.source} ({dialogue.turns[0].text[:50]})"


def balance(plain: list, rich: list) -> tuple[list[str], list[str]]:
    """The table of what there is (lines of markdown), and what is missing."""
    scenes = Counter(dialogue.scene for dialogue in plain)
    strategies = Counter(reply.strategy for dialogue in plain for reply in dialogue.replies)
    totals = {"plain dialogues": len(plain), "plain replies": strategies.total(), "rich dialogues": len(rich)}
    rows = [(name, totals[name], WANTED[name]) for name in totals]
    rows += [(scene, scenes[scene], WANTED["dialogues of a scene"]) for scene in SCENES]
    rows += [(strategy, strategies[strategy], WANTED["replies of a strategy"]) for strategy in STRATEGIES]
    table = ["| what | there | wanted | missing |", "|---|---|---|---|"]
    table += [f"| {name} | {there} | {wanted} | {max(0, wanted - there) or ''} |" for name, there, wanted in rows]
    table += [f"| {scene} | {scenes[scene]} | | |" for scene in OWN_SCENES]
    missing = [f"{name}: {wanted - there} missing" for name, there, wanted in rows if there < wanted]
    unmarked = Counter(d.source for d in plain + rich for reply in d.replies if reply.portable is None)
    missing += [f"{count} replies of {source} are not marked portable or not" for source, count in unmarked.items()]
    return table, missing


def write_marks(paths: list[Path], everything: list) -> None:
    """Write ``portable`` into replies that lack it, one file at a time; a mark that is there stays."""
    for path in paths:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        records, dialogues = [json.loads(line) for line in lines], read_dialogues(path)
        for record, marks in zip(records, mark(dialogues, everything), strict=True):
            for turn, portable in zip(record["turns"][1::2], marks, strict=True):
                turn.setdefault("portable", portable)
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def run(paths: list[Path], esconv: Path | None, whole: bool) -> int:
    problems, plain, rich = [], [], []
    for path in paths:
        if path.stem == "wrong":
            problems += check_wrong(path)
            continue
        register = "rich" if path.stem.startswith(REGISTERS["rich"]) else "plain"
        problems += check_file(path, register)
        (rich if register == "rich" else plain).extend(read_dialogues(path))
    problems += near_duplicates(plain)
    if esconv:
        problems += copied(plain + rich, read_dialogues(esconv))
    table, missing = balance(plain, rich)
    if whole:
        print("\n".join(table))
        problems += missing
    replies = [reply for dialogue in plain + rich for reply in dialogue.replies]
    portable = sum(reply.portable is True for reply in replies)
    print("\n".join(problems))
    print(f"{len(plain)} plain and {len(rich)} rich dialogues, {len(replies)} replies, "
          f"{len({reply.text for reply in replies})} distinct, {portable} portable; {len(problems)} problems")
    return 1 if problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--esconv", type=Path)
    parser.add_argument("--mark", action="store_true")
    arguments = parser.parse_args()
    paths = arguments.files or [*corpus_files("plain"), *corpus_files("rich"), CORPUS / "wrong.jsonl"]
    try:
        for path in paths:
            if not path.is_file():
                raise Problem("corpus file", path, "does not exist")
        if arguments.mark:
            write_marks([path for path in paths if path.stem != "wrong"], corpus("plain") + corpus("rich"))
        return run(paths, arguments.esconv, whole=not arguments.files)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
