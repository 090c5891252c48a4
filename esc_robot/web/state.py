"""What the page shows: the conversation, live captions, each turn's strategy, gesture and latency. No ROS, no network.

Each thing that happens returns the updates that every open page is to be told: dictionaries for JSON. An update
names the whole of what changed (a turn, the caption), so that a page that gets one twice, or misses one before it,
still ends up right.
"""

from collections import deque
from dataclasses import dataclass, field

#: The page keeps so many turns; older ones leave it.
TURNS_KEPT = 200
#: A node unheard on /diagnostics for so long (s) is taken for asleep.
SILENCE_OF_A_NODE_S = 5.0
#: A turn's stages in order: the event of the timeline that ends each, and its name for people.
STAGES = {"speech_ended": "Turn end noticed", "text": "Words understood", "first_token": "First word written",
          "sentence_started": "First sound"}


@dataclass
class ShownTurn:
    """key: its name on the page, from the start; id: the turn id, empty while a typed line has not met its turn.

    started: how many sentences have begun to sound. stamps: s of the system clock at "asked" (the user's last sound,
    or the typed line) and at the end of each stage. over: "", "finished" or "interrupted".
    """

    key: str
    id: str = ""
    user: str = ""
    typed: bool = False
    sentences: list[str] = field(default_factory=list)
    started: int = 0
    strategy: str = ""
    gesture: str = ""
    stamps: dict[str, float] = field(default_factory=dict)
    written: bool = False
    over: str = ""
    forgotten: bool = False

    @property
    def latency_ms(self) -> dict[str, int]:
        """Stage to ms since the user's last sound, or since the line was typed; in the order of the stages."""
        asked = self.stamps.get("asked")
        return {name: round((self.stamps[stage] - asked) * 1000) for stage, name in STAGES.items()
                if asked is not None and stage in self.stamps}

    def as_dict(self) -> dict:
        return {"key": self.key, "user": self.user, "sentences": self.sentences, "started": self.started,
                "strategy": self.strategy, "gesture": self.gesture.replace("_", " "), "latency": self.latency_ms,
                "over": self.over}


class PageState:
    """The conversation as the page shows it. Turn ids are those on the topics; stamps are in s of the system clock."""

    def __init__(self):
        self.turns: deque[ShownTurn] = deque(maxlen=TURNS_KEPT)
        self._number = 0
        self._listening = False
        self._partial = ""
        self._sounding: set[str] = set()
        self._alive: dict[str, tuple[bool, float]] = {}
        self._now = 0.0
        self._said_status = ""

    def snapshot(self) -> dict:
        """Everything a page needs that opens now."""
        return {"turns": [turn.as_dict() for turn in self.turns if turn.user or turn.sentences],
                "partial": self._partial, "status": self._status()}

    def typed(self, text: str, stamp: float) -> list[dict]:
        """A line on /chat/text. The dialogue gives it its turn id: the next unknown id that is answered is this
        one's."""
        turn = self._new_turn()
        turn.user, turn.typed, turn.stamps["asked"] = text, True, stamp
        return self._told(turn)

    def listening(self, speaks: bool) -> list[dict]:
        """/speech/activity."""
        self._listening = speaks
        return self._status_if_changed()

    def partial(self, turn_id: str, text: str) -> list[dict]:
        """/speech/partial: what is heard so far of an utterance that may go on."""
        self._spoken_turn(turn_id)
        self._partial = text
        return [{"partial": text}]

    def heard(self, turn_id: str, text: str) -> list[dict]:
        """/speech/text."""
        turn = self._spoken_turn(turn_id)
        turn.user = f"{turn.user} {text}".strip()
        self._partial = ""
        return [{"partial": ""}, *self._told(turn)]

    def strategy(self, turn_id: str, name: str) -> list[dict]:
        turn = self._answered_turn(turn_id)
        turn.strategy = name
        return self._told(turn)

    def reply(self, turn_id: str, sentence: str) -> list[dict]:
        turn = self._answered_turn(turn_id)
        if not turn.forgotten:
            turn.sentences.append(sentence)
        return self._told(turn)

    def written(self, turn_id: str) -> list[dict]:
        """/dialogue/end."""
        turn = self._answered_turn(turn_id)
        turn.written = True
        return self._told(turn)

    def words(self, turn_id: str, sentence: int, stamp: float, words: list[tuple], now: float) -> list[dict]:
        """/speech/words: (word, start, end) in s after the stamp. A page gets the stamp's age: its clock may be
        another."""
        key = self._answered_turn(turn_id).key
        return [{"words": {"turn": key, "sentence": sentence, "age": round(now - stamp, 3), "words": words}}]

    def event(self, name: str, turn_id: str, stamp: float, values: dict[str, str]) -> list[dict]:
        """A point of the timeline (graph.EVENTS); one without a turn, or of no matter to the page, changes nothing."""
        if not turn_id:
            return []
        if name == "speech_started":
            self._spoken_turn(turn_id)
            return []
        if name not in (*STAGES, "gesture", "turn_finished", "turn_interrupted"):
            return []
        turn = self._spoken_turn(turn_id) if name == "speech_ended" else self._answered_turn(turn_id)
        if name == "speech_ended":
            turn.stamps[name] = stamp
            turn.stamps["asked"] = stamp - float(values.get("silence", 0))
        elif name == "gesture":
            turn.gesture = values.get("name", "")
        elif name == "text":
            turn.stamps[name] = stamp
        elif name in STAGES:
            turn.stamps.setdefault(name, stamp)
        if name == "sentence_started":
            self._sounding.add(turn.key)
            turn.started = max(turn.started, int(values.get("sentence", 0)) + 1)
        elif name in ("turn_finished", "turn_interrupted"):
            self._sounding.discard(turn.key)
            turn.over = turn.over or name.removeprefix("turn_")
        return self._told(turn)

    def interrupted(self, turn_id: str) -> list[dict]:
        """/conversation/interrupt: the turn, or with an empty id all that are not over; the pages fall silent at
        once."""
        updates = []
        for turn in self.turns:
            if not turn.over and (turn.id == turn_id if turn_id else turn.id or turn.typed):
                turn.over = "interrupted"
                self._sounding.discard(turn.key)
                updates.append({"turn": turn.as_dict()})
        return [{"silence": turn_id}, *updates, *self._status_if_changed()]

    def forgotten(self, turn_id: str, but: str) -> list[dict]:
        """/conversation/forget: the turn leaves the page; with an empty id all do, but the turn ``but``."""
        gone = [turn for turn in self.turns if not turn.forgotten
                and (turn.id == turn_id if turn_id else not but or turn.id != but)]
        for turn in gone:
            turn.user, turn.sentences, turn.forgotten = "", [], True    # it stays for what still comes of it
            self._sounding.discard(turn.key)
        return [{"forgotten": [turn.key for turn in gone]}, *self._status_if_changed()]

    def alive(self, node: str, well: bool, now: float) -> list[dict]:
        """A node's line on /diagnostics."""
        self._alive[node] = (well, now)
        self._now = now
        return self._status_if_changed()

    def _new_turn(self, turn_id: str = "") -> ShownTurn:
        self._number += 1
        turn = ShownTurn(f"turn-{self._number}", turn_id)
        self.turns.append(turn)
        return turn

    def _find(self, turn_id: str) -> ShownTurn | None:
        return next((turn for turn in reversed(self.turns) if turn.id == turn_id), None)

    def _spoken_turn(self, turn_id: str) -> ShownTurn:
        return self._find(turn_id) or self._new_turn(turn_id)

    def _answered_turn(self, turn_id: str) -> ShownTurn:
        """The dialogue answers in the order in which it was asked: an unknown id is that of the oldest typed line
        without."""
        turn = self._find(turn_id)
        if turn is None:
            turn = next((turn for turn in self.turns if turn.typed and not turn.id), None) or self._new_turn()
            turn.id = turn_id
        return turn

    def _told(self, turn: ShownTurn) -> list[dict]:
        return [{"turn": turn.as_dict()}, *self._status_if_changed()]

    def _status_if_changed(self) -> list[dict]:
        status = self._status()
        if status == self._said_status:
            return []
        self._said_status = status
        return [{"status": status}]

    def _status(self) -> str:
        """asleep, waking, listening, speaking, thinking or ready."""
        well, heard_at = self._alive.get("dialogue", (False, None))
        if heard_at is None or self._now - heard_at > SILENCE_OF_A_NODE_S:
            return "asleep"
        if not well:
            return "waking"
        if self._listening:
            return "listening"
        if self._sounding:
            return "speaking"
        last = self.turns[-1] if self.turns else None
        return "thinking" if last and last.user and not last.written and not last.over else "ready"
