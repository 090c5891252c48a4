"""When the body does what: strokes on their words while speaking, nods and gaze while listening, breath when idle.

The caller owns the clock (seconds, any epoch), the joint state and the sending; the scheduler only says what to play.
"""

import zlib
from dataclasses import dataclass

from esc_robot.body.gestures import Gesture, Library
from esc_robot.body.motion import Plan, State, plan, soft_stop
from esc_robot.body.profile import RobotProfile

ON_TIME = 0.1                      # seconds a stroke may miss its word by
BACKCHANNEL_SECONDS = (3.5, 6.5)   # between two nods while the person speaks
THINKING_AFTER = 0.7               # seconds of silence after the person's turn until the gaze leaves them
IDLE_AFTER = 4.0                   # seconds of nothing until the idle breath begins


@dataclass(frozen=True)
class Word:
    """One word as it sounds. start: seconds on the caller's clock. at: index of its first character in the sentence."""

    text: str
    start: float
    at: int


@dataclass(frozen=True)
class Scheduled:
    """A gesture that was chosen: what to play now, and when (on the caller's clock) its stroke falls on which word;
    None: the sentence is too short for any stroke to be in time for a word of it."""

    gesture: str
    plan: Plan
    word: Word | None
    stroke_at: float


def words_of(sentence: str, starts: list[float]) -> list[Word]:
    """Words of a sentence with the times (caller's clock) at which they begin to sound, in order."""
    words, place = [], 0
    for text, start in zip(sentence.split(), starts, strict=False):
        place = sentence.index(text, place)
        words.append(Word(text, start, place))
        place += len(text)
    return words


class Scheduler:
    """One body's schedule. Every method that may move the body returns what to send, or None."""

    def __init__(self, profile: RobotProfile, library: Library):
        self.profile, self.library = profile, library
        self.previous: str | None = None
        self._busy_until = self._quiet_since = float("-inf")
        self._listening = False
        self._turn_ended: float | None = None
        self._nod_at = float("inf")

    def prepare(self) -> None:
        """Solves every posture now (about two seconds), so that no plan waits for it later."""
        for gesture in self.library.gestures.values():
            for keyframe in gesture.keyframes:
                self.profile.posture(keyframe.pose)

    def speak(self, now: float, state: State, sentence: str, words: list[Word], strategy: str = "",
              gentle: bool = False) -> Scheduled | None:
        """The gesture for a sentence that begins to sound; None while an earlier one is not yet on its way back.

        Of the gestures that fit, the first whose stroke reaches a word within ON_TIME: the cue's word, else a long word
        that can be reached in full size. Where none can, the head moves at its own pace, with no word of its own, and
        gives way to the next sentence at once.
        """
        self._listening, self._turn_ended = False, None
        if now < self._busy_until or not words:
            return None
        for gesture in self.library.fitting(strategy, sentence, self.previous, gentle):
            for word in self._targets(gesture, sentence, words, now, state):
                made = plan(gesture, self.profile, state, word.start - now)
                if abs(now + made.stroke - word.start) <= ON_TIME:
                    return self._take(now, gesture, made, word)
        small = self.library["nod" if self.previous != "nod" else "head_tilt"]
        made = plan(small, self.profile, state)
        self.previous, self._quiet_since = small.name, now + made.seconds
        return Scheduled(small.name, made, None, now + made.stroke)

    def listen(self, now: float, state: State, speaking: bool) -> Plan | None:
        """The person begins (True) or has ended (False) to speak."""
        self._quiet_since = max(self._quiet_since, now)
        self._turn_ended = None if speaking or not self._listening else now
        began = speaking and not self._listening
        self._listening = speaking
        if not began or now < self._busy_until:
            return None
        self._nod_at = now + self._interval(now)
        return self._play(now, state, "listening")

    def tick(self, now: float, state: State) -> Plan | None:
        """What the body does of itself, asked a few times a second."""
        if self._listening and now >= self._nod_at:
            self._nod_at = now + self._interval(now)
            return plan(self.library["backchannel_nod"], self.profile, state)
        if now < self._busy_until or self._listening:
            return None
        if self._turn_ended is not None and now - self._turn_ended >= THINKING_AFTER:
            self._turn_ended = None
            return self._play(now, state, "look_away")
        if now - self._quiet_since >= IDLE_AFTER:
            return self._play(now, state, "idle_breath")
        return None

    def stop(self, now: float, state: State) -> Plan:
        """Barge-in or a stop: everything stands within 200 ms, then rests."""
        self._turn_ended, self._quiet_since, self._busy_until = None, now, now
        return soft_stop(self.profile, state)

    def _targets(self, gesture: Gesture, sentence: str, words: list[Word], now: float, state: State) -> list[Word]:
        cue = gesture.cue_in(sentence)
        on_cue = next((word for word in reversed(words) if word.at <= cue.start()), words[0]) if cue else None
        earliest = max(now + plan(gesture, self.profile, state).stroke, on_cue.start if on_cue else now)
        long = [word for word in words if len(word.text.strip(".,!?")) >= 4] or words
        reached = [word for word in long if word.start >= earliest and word is not on_cue][:2]
        return ([on_cue] if on_cue else []) + reached or long[-1:]

    def _take(self, now: float, gesture: Gesture, made: Plan, word: Word) -> Scheduled:
        self.previous, self._busy_until, self._quiet_since = gesture.name, now + made.retraction, now + made.seconds
        return Scheduled(gesture.name, made, word, now + made.stroke)

    def _play(self, now: float, state: State, name: str) -> Plan:
        """A movement of its own accord: it gives way to the next sentence at once."""
        made = plan(self.library[name], self.profile, state)
        self._quiet_since = now + made.seconds
        return made

    def _interval(self, now: float) -> float:
        """Uneven, and the same for the same instant."""
        least, most = BACKCHANNEL_SECONDS
        return least + (most - least) * (zlib.crc32(f"{now:.3f}".encode()) % 1000) / 1000
