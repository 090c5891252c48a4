"""How long to wait for a person who has stopped speaking, and which words do not want the floor."""

import re
from collections import deque

from esc_robot.listening.endpointing import EndpointerParameters


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


# A sentence that ends in one of these goes on.
CONNECTING = _words("""
    and but or so because since although though while if when whenever until unless where than then plus except
    a an the my your his its our their this these those some any every each
    to of in on at for with from by about into like as without between during around against
    is are was were am be been being have has had having i'm it's he's she's we're they're i've i'd i'll
    will would can could should may might must do does did don't doesn't didn't can't won't couldn't wouldn't
    i we he she they who which whose what
    not really very just even only also maybe still always never almost
    um uh uhm umm er erm hmm hm well""")
TRAILING = re.compile(r"(?:\.\.\.|…|,|-|—|:)\s*$")
SENTENCE_END = re.compile(r"[.?!][\"')]*\s*$")
BACKCHANNELS = _words("""
    mhm mm mmm mmhmm hmm hm m h um uh huh uhhuh ah oh aha yeah yes yep yup ya right alright okay ok sure true exactly
    wow ha haha hahaha hehe good nice great really totally absolutely isee allright""")
MOST_BACKCHANNEL_WORDS = 3
# What a single word must be to take the floor. Any other may be a "mhm" that was misheard under the robot's voice.
INTERRUPTING = _words("stop wait no hey hold sorry pardon please help but what why listen quiet enough goodbye bye")
# Of the pauses a speaker makes within a turn, the next is shorter than the longest of the last few times this.
MARGIN = 1.6
REMEMBERED_PAUSES = 8
LEAST_PAUSE_S = 0.35    # shorter ones stand between any two phrases and tell nothing about the pace


class Patience:
    """The silence that ends a turn: by the words before it, and by the pauses this speaker has made so far."""

    def __init__(self, parameters: EndpointerParameters):
        self.parameters = parameters
        self._pauses: deque[float] = deque(maxlen=REMEMBERED_PAUSES)
        self._paused = False

    def bridged(self, seconds: float) -> None:
        """The speaker went on after a pause of so many seconds."""
        if seconds >= LEAST_PAUSE_S:
            self._pauses.append(seconds)
            self._paused = True

    def ended(self) -> None:
        """The turn is over; one without a pause makes the oldest pause count no more."""
        if not self._paused and self._pauses:
            self._pauses.popleft()
        self._paused = False

    def needed(self, words: str | None) -> float:
        """Seconds, within the parameters' bounds. words: those before the silence, None while they are not known."""
        shortest, longest = self.parameters.shortest_silence, self.parameters.longest_silence
        if not words or unfinished(words):      # "": a sob, a sigh, a cough
            return longest
        base = shortest if SENTENCE_END.search(words) else self.parameters.silence
        pace = MARGIN * max(self._pauses) if self._pauses else 0.0
        return min(max(base, pace), longest)


def unfinished(words: str) -> bool:
    """Whether the sentence will go on: it trails off, or ends with a word that connects, or with a filler."""
    found = _words(words)
    if not found or TRAILING.search(words) or found[-1] in CONNECTING:
        return True
    return found[-1] == "that" and not SENTENCE_END.search(words)       # "I told you that", but "I know that."


def takes_the_floor(words: str) -> bool:
    """Whether words spoken into the robot's want the floor; a listener's ("mhm", "yeah, right") do not."""
    found = _words(re.sub(r"-|(?<=\bi) (?=see\b)|(?<=\ball) (?=right\b)", "", words.lower()))
    if len(found) <= 1:
        return bool(found) and found[0] in INTERRUPTING
    return len(found) > MOST_BACKCHANNEL_WORDS or any(word not in BACKCHANNELS for word in found)
