"""Context views: which of the turns the model sees, and how. Each is a plain function

    view(turns, budget, count_tokens) -> messages

of the turns, oldest first, the one to answer last; ``budget`` in tokens, None for all; ``count_tokens(text) -> int``.
The messages (``role``, ``content``) alternate and begin with the user; a view that compresses puts its notes of older
turns before them, as a ``system`` message that dialogue/prompt.py joins to the prompt. The latest utterance is always
there, and whole.

Each view only appends while turns are added, so that the prompt stays a prefix of the next one and the engine's cache
holds. What must go, goes in blocks: turns become notes ``RECENT`` at a time, and a full budget is cleared to
``LOW_WATER`` of it, so that most turns move nothing. Where a border lies follows from the turns alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.triples import head_nouns as nouns_of
from esc_robot.dialogue.triples import triples as triples_of
from esc_robot.dialogue.words import without_stopwords

Count = Callable[[str], int]
TEMPLATE_TOKENS = 5  # what a chat template adds around one message
RECENT = 3           # turns that stay whole; up to twice as many less one, as they leave in blocks
LOW_WATER = 0.75     # of the budget, after it was exceeded


@dataclass(frozen=True)
class Notes:
    """Older turns in short: ``of(turns)`` gives the note of each, which later turns never change; "" for none."""

    heading: str
    separator: str
    of: Callable[[list[Turn]], list[str]]


def raw(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """The newest turns that fit, word for word: plain truncation, what every other view is measured against."""
    start = _first_whole(turns, budget, count_tokens)
    return _messages(turns[start:])


def stopwords(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """Stopwords are removed from all that the user said but the latest utterance, then the newest turns that fit.

    The thesis removes them from the robot's replies as well; a model then imitates what it seems to have said itself
    ("hello there. help."), so those stay as they were spoken.
    """
    shown = [Turn(turn.id, _short(turn.user), turn.sentences) for turn in turns[:-1]] + turns[-1:]
    start = _first_whole(shown, budget, count_tokens)
    return _messages(shown[start:])


def recent_stopwords(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """The last turns whole, and older ones as notes without stopwords, both sides' words: the thesis's compression
    where it does no harm to speech."""
    return _noted(turns, budget, count_tokens, _STOPWORD_NOTES)


def head_nouns(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """The last turns whole, and of older ones the head nouns of what the user said, each once: the bag of head nouns
    of Mousavi et al. (2023), "Response Generation in Longitudinal Dialogues"."""
    return _noted(turns, budget, count_tokens, _NOUN_NOTES)


def personal_graph(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """The last turns whole, and of older ones the user's life as subject, predicate and object: the personal space
    graph of Mousavi et al. (2023), by the rules of dialogue/triples.py. An utterance without a noun or a verb adds
    nothing."""
    return _noted(turns, budget, count_tokens, _TRIPLE_NOTES)


def summary(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """The last turns whole, and older ones as the summary that the model wrote between turns: Wang et al. (2023),
    "Recursively Summarizing Enables Long-Term Dialogue Memory". Turns that no summary covers yet stay whole."""
    return _noted(turns, budget, count_tokens, _SUMMARY_NOTES)


VIEWS = {"raw": raw, "stopwords": stopwords, "recent+stopwords": recent_stopwords, "head-nouns": head_nouns,
         "personal-graph": personal_graph, "summary": summary}


def summarised(turns: list[Turn]) -> int:
    """How many turns, from the first, the summary covers."""
    return max((at + 1 for at, turn in enumerate(turns) if turn.summary), default=0)


_short = lru_cache(4096)(without_stopwords)
_nouns = lru_cache(4096)(nouns_of)
_triples = lru_cache(4096)(triples_of)


def _stopword_notes(turns: list[Turn]) -> list[str]:
    return ["\n".join(f"{who}: {_short(text)}" for who, text in (("User", turn.user), ("You", turn.reply)) if text)
            for turn in turns]


def _new_ones(found: list[list[str]], separator: str) -> list[str]:
    """Of each turn what no turn before it had."""
    seen: set[str] = set()
    notes = []
    for items in found:
        notes.append(separator.join(item for item in items if item not in seen))
        seen.update(items)
    return notes


_STOPWORD_NOTES = Notes("Notes of what was said before:\n", "\n", _stopword_notes)
_NOUN_NOTES = Notes("The user spoke before of: ", ", ", lambda turns: _new_ones(
    [_nouns(turn.user) for turn in turns], ", "))
_TRIPLE_NOTES = Notes("The user told before: ", "; ", lambda turns: _new_ones(
    [[str(triple) for triple in _triples(turn.user)] for turn in turns], "; "))
_SUMMARY_NOTES = Notes("What was said before: ", " ", lambda turns: [turn.summary for turn in turns])


def _messages(turns: list[Turn]) -> list[dict]:
    """One message for all that one side says without a pause: a template wants strict alternation."""
    messages: list[dict] = []
    for turn in turns:
        for role, text in (("user", turn.user), ("assistant", turn.reply)):
            if text and messages and messages[-1]["role"] == role:
                messages[-1] = {"role": role, "content": f"{messages[-1]['content']} {text}"}
            elif text:
                messages.append({"role": role, "content": text})
    return messages


def _noted(turns: list[Turn], budget: int | None, count_tokens: Count, notes: Notes) -> list[dict]:
    lines = notes.of(turns)
    covered = summarised(turns) if notes is _SUMMARY_NOTES else None
    first_note, first_whole = _borders(turns, lines, budget, count_tokens, notes, covered)
    kept = [line for line in lines[first_note:first_whole] if line]
    messages = _messages(turns[first_whole:])
    if kept:
        messages.insert(0, {"role": "system", "content": notes.heading + notes.separator.join(kept)})
    return messages


def _first_whole(turns: list[Turn], budget: int | None, count_tokens: Count) -> int:
    """The first turn that is shown, where there are no notes."""
    first = held = 0
    for now, turn in enumerate(turns if budget is not None else []):
        room = budget - _cost(count_tokens, turn.user)
        if held > room:
            while first < now and held > LOW_WATER * room:
                held -= _cost(count_tokens, turns[first].user, turns[first].reply)
                first += 1
        held += _cost(count_tokens, turn.user, turn.reply)
    return first


def _borders(turns: list[Turn], lines: list[str], budget: int | None, count_tokens: Count, notes: Notes,
             covered: int | None) -> tuple[int, int]:
    """The first turn with a note and the first that is whole, found by going through the conversation again.

    Whole turns take at most half of the budget, so that there is room for notes.
    """
    def due(now: int) -> int:
        return min(now, covered) if covered is not None else max(0, (now // RECENT - 1) * RECENT)

    if budget is None:
        return 0, due(len(turns) - 1)
    first_note = first_whole = noted = held = 0

    def to_note() -> None:
        nonlocal first_whole, noted, held
        held -= _cost(count_tokens, turns[first_whole].user, turns[first_whole].reply)
        noted += note_cost(lines[first_whole])
        first_whole += 1

    def note_cost(line: str) -> int:
        return count_tokens(line) + count_tokens(notes.separator) if line else 0

    for now, turn in enumerate(turns):
        while first_whole < due(now):
            to_note()
        room = budget - _cost(count_tokens, turn.user)
        if held > room / 2:
            while first_whole < now and held > LOW_WATER * room / 2:
                to_note()
        left = room - held - _cost(count_tokens, notes.heading)
        if noted > left:
            while first_note < first_whole and noted > LOW_WATER * left:
                noted -= note_cost(lines[first_note])
                first_note += 1
        held += _cost(count_tokens, turn.user, turn.reply)
    return first_note, first_whole


def _cost(count_tokens: Count, *texts: str) -> int:
    return sum(count_tokens(text) + TEMPLATE_TOKENS for text in texts if text)
