"""What was said so far. Of a reply that was interrupted, only what was heard aloud."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Turn:
    """A user's utterance and the robot's sentences in answer to it; no sentence yet while it is being answered.

    ``told``: the strategy that the model said before its reply, where it was trained to.
    ``summary``: what the model wrote of the turns up to this one since the summary before, if one ends here.
    """

    id: str
    user: str
    sentences: list[str] = field(default_factory=list)
    strategy: str = ""
    interrupted: bool = False
    told: str = ""
    summary: str = ""

    @property
    def reply(self) -> str:
        return " ".join(self.sentences)

    @property
    def written(self) -> str:
        """The reply as the model wrote it, its strategy first."""
        return f"[{self.told}] {self.reply}" if self.told else self.reply


class Conversation:
    """Turns, oldest first."""

    def __init__(self):
        self.turns: list[Turn] = []

    def add(self, turn_id: str, user: str) -> Turn:
        """Begins a turn with what the user said."""
        turn = Turn(turn_id, user)
        self.turns.append(turn)
        return turn

    def heard_aloud(self, turn_id: str, sentences: int) -> None:
        """Of this turn's reply only the first ``sentences`` were sounded; what nobody heard was never said."""
        for turn in reversed(self.turns):
            if turn.id == turn_id:
                turn.interrupted = turn.interrupted or sentences < len(turn.sentences)
                del turn.sentences[sentences:]
                return

    def forget(self, hit: Callable[[Turn], bool]) -> list[Turn]:
        """Takes the turns that ``hit`` is true of out of the conversation, as if never said, and gives them.

        Summaries from the first of them on may hold their words: those are to be written again.
        """
        gone = [at for at, turn in enumerate(self.turns) if hit(turn)]
        for turn in self.turns[min(gone, default=len(self.turns)):]:
            turn.summary = ""
        forgotten = [self.turns[at] for at in gone]
        self.turns = [turn for at, turn in enumerate(self.turns) if at not in gone]
        return forgotten
