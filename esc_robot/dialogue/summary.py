"""The summary of older turns, written by the model itself while nobody waits for it.

After Wang et al. (2023), "Recursively Summarizing Enables Long-Term Dialogue Memory": what was summarised before and
the turns since are summarised together. There the new summary replaces the old one; here it is added to it, so that
what the model has read stays in its cache.
"""

from contextlib import closing
from threading import Event

from esc_robot.care.limits import overstepped
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.sentences import SentenceSplitter
from esc_robot.dialogue.views import RECENT, summarised

INSTRUCTION = ("You keep notes on a talk between a user and a robot. Write one short sentence about what the user told "
               "that is new. Begin with: The user")


def due(turns: list[Turn]) -> list[Turn]:
    """The turns to be summarised next, none while all the others are recent."""
    start = summarised(turns)
    return turns[start:start + RECENT] if len(turns) - start >= 2 * RECENT else []


def write(engine, turns: list[Turn], seed: int | None = None, cancel: Event | None = None) -> None:
    """Summarises the ``due`` turns into the last one's ``summary``. Cancelled, or with nothing to say, changes nothing.

    Raises what ``engine.generate`` raises.
    """
    block = due(turns)
    if not block:
        return
    before = " ".join(turn.summary for turn in turns if turn.summary)
    said = "\n".join(f"{who}: {text}" for turn in block for who, text in (("User", turn.user), ("Robot", turn.reply)))
    asked = [{"role": "system", "content": INSTRUCTION},
             {"role": "user", "content": f"Notes so far: {before or 'none'}\n\n{said}"}]
    splitter = SentenceSplitter(limit=1)
    sentences: list[str] = []
    with closing(engine.generate(asked, seed=seed, cancel=cancel)) as pieces:
        for piece in pieces:
            sentences += splitter.push(piece)
            if splitter.done:
                break
    sentences += splitter.finish(engine.last.finished)
    if sentences and not (cancel and cancel.is_set()) and not overstepped(sentences[0]):
        block[-1].summary = sentences[0]
