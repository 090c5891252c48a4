"""What the robot may not say (a human life, a profession, a diagnosis, promises, anything unsafe), and what instead.

The rules and the sentences stand in config/care/limits.yaml.
"""

import re
from collections import Counter
from functools import cache

import yaml

from esc_robot.assets import config

INSTEAD, UNHEARD = "instead", "unheard"


def overstepped(sentence: str) -> str | None:
    """Which limit a sentence of the model oversteps, such as ``a diagnosis``; None when it may be said."""
    plain = sentence.lower().replace("\u2019", "'")
    return next((limit for limit, pattern in _limits().items() if pattern.search(plain)), None)


class SafeSentences:
    """Sentences that are always right to say, each list in turn so that none comes twice running."""

    def __init__(self):
        entries = yaml.safe_load(config("care/limits.yaml").read_text())
        self._lists = {INSTEAD: entries[INSTEAD], **entries[UNHEARD]}
        self._said = Counter()

    def next(self, kind: str = INSTEAD) -> str:
        """The next sentence for ``instead`` of what was dropped, or for an utterance that is ``empty``, too ``long``,
        in another ``script``, or whose answer was ``broken`` off."""
        sentences = self._lists[kind]
        self._said[kind] += 1
        return sentences[(self._said[kind] - 1) % len(sentences)]


@cache
def _limits() -> dict[str, re.Pattern]:
    entries = yaml.safe_load(config("care/limits.yaml").read_text())
    return {limit: re.compile("|".join(patterns)) for limit, patterns in entries.items()
            if limit not in (INSTEAD, UNHEARD)}
