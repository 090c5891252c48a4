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
from esc_robot.dialogue.triples import head_nouns
from esc_robot.dialogue.views import RECENT, summarised
from esc_robot.dialogue.words import without_stopwords

INSTRUCTION = "You sum up what a person said, in one short sentence about them that adds to what is known."
# Without examples a small model answers the person instead.
EXAMPLES = (
    ("Known: nothing yet.\nSaid: hi. my husband lost his job in may. we have two kids and no savings",
     "The user's husband lost his job, and they have two kids and no savings."),
    ("Known: The user's husband lost his job, and they have two kids and no savings.\n"
     "Said: i don't sleep. i lie there and count the bills",
     "The user does not sleep and lies there counting the bills."),
)


def due(turns: list[Turn]) -> list[Turn]:
    """The turns to be summarised next, none while all the others are recent."""
    start = summarised(turns)
    return turns[start:start + RECENT] if len(turns) - start >= 2 * RECENT else []


def write(engine, turns: list[Turn], seed: int | None = None, cancel: Event | None = None) -> None:
    """Summarises the ``due`` turns into the last one's ``summary``; cancelled, or with none due, changes nothing.

    A sentence with words that nobody said, or that is known, is not taken, but the nouns of the turns in its place.
    Raises what ``engine.generate`` raises.
    """
    block = due(turns)
    if not block:
        return
    known = " ".join(turn.summary for turn in turns if turn.summary)
    said = ". ".join(turn.user.rstrip(".") for turn in block)
    asked = [{"role": "system", "content": INSTRUCTION}]
    for question, answer in (*EXAMPLES, (f"Known: {known or 'nothing yet.'}\nSaid: {said}", "")):
        asked += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    splitter = SentenceSplitter(limit=1)
    sentences: list[str] = []
    with closing(engine.generate(asked[:-1], seed=seed, cancel=cancel)) as pieces:
        for piece in pieces:
            sentences += splitter.push(piece)
            if splitter.done:
                break
    if cancel and cancel.is_set():
        return
    sentences += splitter.finish(engine.last.finished)
    usable = sentences and sentences[0] not in known and not overstepped(sentences[0])
    if usable and is_told(sentences[0], f"{known} {said}"):
        block[-1].summary = sentences[0]
    else:
        block[-1].summary = f"The user spoke of {', '.join(head_nouns(said)) or 'little'}."


def is_told(sentence: str, said: str) -> bool:
    """Whether at least three of four content words of a summary were said; a word is known by its first four letters.
    """
    words = [word[:4] for word in without_stopwords(sentence.lower()).split() if not word.startswith("user")]
    told = {word[:4] for word in said.lower().split()}
    return bool(words) and sum(word in told for word in words) >= 0.75 * len(words)
