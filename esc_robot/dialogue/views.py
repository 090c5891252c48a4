"""Context views: which of the turns the model sees, and how. Each is a plain function

    view(turns, budget, count_tokens) -> messages

of the turns, oldest first, the one to answer last; ``budget`` in tokens, None for all; ``count_tokens(text) -> int``.
The messages (``role``, ``content``) alternate and begin with the user; a view that takes notes of older turns puts them
first, as a ``system`` message that dialogue/prompt.py joins to the prompt. The latest utterance is always there, and
whole.

Each view only appends while turns are added, so that the prompt stays a prefix of the next one and the engine's cache
holds. What must go, goes in blocks: turns are shortened ``RECENT`` at a time, and a full budget is cleared to
``LOW_WATER`` of it, so that most turns move nothing. Where a border lies follows from the turns alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.triples import Triple
from esc_robot.dialogue.triples import head_nouns as nouns_of
from esc_robot.dialogue.triples import triples as triples_of
from esc_robot.dialogue.words import without_stopwords

Count = Callable[[str], int]
TEMPLATE_TOKENS = 5  # what a chat template adds around one message
RECENT = 3           # turns that stay whole; up to twice as many less one, as they leave in blocks
WHOLE_SHARE = 0.75   # of the budget: what whole turns may take, so that there is room for older ones in short
LOW_WATER = 0.75     # of what may be taken, after it was exceeded
KNOWLEDGE_SHARE = 0.25
KNOWLEDGE_HEADING = "The user told on other days: "


@dataclass(frozen=True)
class Notes:
    """Older turns in short: ``of(turns)`` gives the note of each, which later turns never change; "" for none."""

    heading: str
    separator: str
    of: Callable[[list[Turn]], list[str]]


def raw(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """The newest turns that fit, word for word: plain truncation, what every other view is measured against."""
    none = [0] * len(turns)
    _, start = _borders(turns, budget, count_tokens, none, lambda now: 0, share=1)
    return _messages(turns[start:])


def stopwords(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """Stopwords are removed from all that the user said but the latest utterance, then the newest turns that fit.

    The thesis removes them from the robot's replies as well; a model then imitates what it seems to have said itself
    ("hello there. help."), so those stay as they were spoken.
    """
    return raw([*map(_shortened, turns[:-1]), turns[-1]], budget, count_tokens)


def recent_stopwords(turns: list[Turn], budget: int | None, count_tokens: Count) -> list[dict]:
    """The last turns whole, and of older ones what the user said without stopwords, as in ``stopwords``."""
    short = [_shortened(turn) for turn in turns]
    costs = [_cost(count_tokens, turn.user, turn.written) for turn in short] if budget is not None else []
    start, whole = _borders(turns, budget, count_tokens, costs, _outside)
    return _messages(short[start:whole] + turns[whole:])


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
DEFAULT_VIEW = "stopwords"


def knowledge(told: list[list[Triple]], budget: int | None, count_tokens: Count) -> str:
    """What the user told on other days, for the system message: a line of ``personal-graph`` for any view, "" for none.

    ``told``: the triples of each fact, oldest first; the newest that fit into ``KNOWLEDGE_SHARE`` of the budget.
    """
    notes = [note for note in _new_ones([list(map(str, triples)) for triples in told], "; ") if note]
    room = None if budget is None else budget * KNOWLEDGE_SHARE - _cost(count_tokens, KNOWLEDGE_HEADING)
    kept: list[str] = []
    for note in reversed(notes):
        if room is not None and (room := room - count_tokens(note) - count_tokens("; ")) < 0:
            break
        kept.insert(0, note)
    return KNOWLEDGE_HEADING + "; ".join(kept) if kept else ""


def summarised(turns: list[Turn]) -> int:
    """How many turns, from the first, the summary covers."""
    return max((at + 1 for at, turn in enumerate(turns) if turn.summary), default=0)


_short = lru_cache(4096)(without_stopwords)
_nouns = lru_cache(4096)(nouns_of)
_triples = lru_cache(4096)(triples_of)


def _shortened(turn: Turn) -> Turn:
    return replace(turn, user=_short(turn.user))


def _new_ones(found: list[list[str]], separator: str) -> list[str]:
    """Of each turn what no turn before it had."""
    seen: set[str] = set()
    notes = []
    for items in found:
        notes.append(separator.join(item for item in items if item not in seen))
        seen.update(items)
    return notes


_NOUN_NOTES = Notes("The user spoke before of: ", ", ", lambda turns: _new_ones(
    [_nouns(turn.user) for turn in turns], ", "))
_TRIPLE_NOTES = Notes("The user told before: ", "; ", lambda turns: _new_ones(
    [[str(triple) for triple in _triples(turn.user)] for turn in turns], "; "))
_SUMMARY_NOTES = Notes("What was said before: ", " ", lambda turns: [turn.summary for turn in turns])


def _messages(turns: list[Turn]) -> list[dict]:
    """One message for all that one side says without a pause: a template wants strict alternation."""
    messages: list[dict] = []
    for turn in turns:
        for role, text in (("user", turn.user), ("assistant", turn.written)):
            if text and messages and messages[-1]["role"] == role:
                messages[-1] = {"role": role, "content": f"{messages[-1]['content']} {text}"}
            elif text:
                messages.append({"role": role, "content": text})
    return messages


def _noted(turns: list[Turn], budget: int | None, count_tokens: Count, notes: Notes) -> list[dict]:
    lines = notes.of(turns)
    costs = [count_tokens(line) + count_tokens(notes.separator) if line and budget is not None else 0 for line in lines]
    covered = summarised(turns)
    start, whole = _borders(turns, budget, count_tokens, costs,
                            (lambda now: min(now, covered)) if notes is _SUMMARY_NOTES else _outside,
                            heading=_cost(count_tokens, notes.heading))
    kept = [line for line in lines[start:whole] if line]
    messages = _messages(turns[whole:])
    if kept:
        messages.insert(0, {"role": "system", "content": notes.heading + notes.separator.join(kept)})
    return messages


def _outside(now: int) -> int:
    """How many turns are older than recent when turn ``now`` is to be answered; grows by ``RECENT`` at a time."""
    return max(0, (now // RECENT - 1) * RECENT)


def _borders(turns: list[Turn], budget: int | None, count_tokens: Count, short_costs: list[int],
             outside: Callable[[int], int], heading: int = 0, share: float = WHOLE_SHARE) -> tuple[int, int]:
    """The first turn that is shown in short, at ``short_costs`` tokens, and the first that is whole.

    ``outside``: how many turns are to be short at least, when a turn is to be answered. ``share`` of the budget is what
    whole turns may take. Found by going through the conversation again, so that no border ever moves back.
    """
    if budget is None:
        return 0, outside(len(turns) - 1)
    first = whole = short = held = 0

    def shorten() -> None:
        nonlocal whole, short, held
        held -= _cost(count_tokens, turns[whole].user, turns[whole].written)
        short += short_costs[whole]
        whole += 1

    for now, turn in enumerate(turns):
        room = budget - _cost(count_tokens, turn.user)
        while whole < outside(now):
            shorten()
        if held > share * room:
            while whole < now and held > LOW_WATER * share * room:
                shorten()
        if short > room - held - heading:
            while first < whole and short > LOW_WATER * (room - held - heading):
                short -= short_costs[first]
                first += 1
        held += _cost(count_tokens, turn.user, turn.written)
    return first, whole


def _cost(count_tokens: Count, *texts: str) -> int:
    return sum(count_tokens(text) + TEMPLATE_TOKENS for text in texts if text)
