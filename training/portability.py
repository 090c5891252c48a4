"""Whether a reply leans on earlier turns or fits the last thing said alone ("portable").

A portable reply can be fetched for a new person who says something alike. A reply is taken as portable unless

1. it points back: "you said", "earlier", "that plan"; elsewhere than in the files written to be portable (``TRUSTED``)
   words that hint at something before are enough ("again", "still", "then");
2. it speaks of a person ("he", "her", "them") whom neither the user's last turn nor the reply itself names;
3. it names something that earlier turns told and the last one does not, basic words ("hard", "feel") apart; outside
   ``TRUSTED`` even those where the last turn is a word or three, and so the answer to a question before;
4. outside ``TRUSTED``, it names two or more rare things of which the last turn says nothing.

The first reply of a dialogue has no earlier turn to lean on, so only rule 4 can hold it back. Replies in the rich
register echo details and are never portable. How often the rule agrees with a reader stands in the corpus's README.
"""

import re
from collections import Counter
from collections.abc import Iterable

from training.datasets import Dialogue, words

# A word is common, or basic, when it stands in the replies of so many of a thousand dialogues.
COMMON, BASIC = 8, 60
TRUSTED = ("portable", "short")

_BACK = re.compile(
    r"\b(earlier|you (said|told|mentioned|spoke|asked|called|were saying)|as you say|we (talked|spoke|said|agreed)|"
    r"(your|that|the|this) (plan|idea|list|first step)|welcome back)\b")
_HINT = re.compile(r"^so |\b(again|both|either|same|still|also|then|else|instead|as well|now that|after all|so far|"
                   r"other (one|ones|thing))\b")
_PERSON = {"he", "him", "his", "she", "her", "hers", "they", "them", "their", "theirs"}
_PERSON_WORDS = _PERSON | set(words(
    "mother mom mum mama mommy father dad daddy papa parent parents son daughter kid kids child children baby wife "
    "husband partner girlfriend boyfriend fiance ex friend friends sister brother sisters brothers siblings twin aunt "
    "uncle cousin grandma grandpa grandmother grandfather gran nan granny grandson granddaughter boss manager teacher "
    "coworker coworkers colleague colleagues doctor nurse therapist neighbor neighbour neighbors neighbours people "
    "everyone everybody somebody someone nobody family man woman guy girl boy dog cat pet hamster rabbit horse bird "
    "roommate flatmate landlord classmates team supervisor customers clients who"))
_FUNCTION = set(words(
    "a an the and or but so if as of to in on at by for with from about into over after before up down out off than "
    "is are was were be been being am do does did done have has had having can could may might must shall should "
    "will would not no nor it its it's this that these those there here i me my mine we us our you your yours he him "
    "his she her they them their what which who whom whose when where why how all any some each every more most other "
    "such only own very one two three i'm don't can't isn't didn't won't that's what's you're i'll i've let go get got "
    "make made take say said tell told think know want need like way thing things something anything nothing much "
    "many lot little bit today tonight now time day days right while because"))


def mark(dialogues: list[Dialogue], of: Iterable[Dialogue]) -> list[list[bool]]:
    """For each dialogue, whether each of its replies is portable; word frequencies are taken over the corpus ``of``."""
    frequency, total = Counter(), 0
    for dialogue in of:
        total += 1
        frequency.update({stem(word) for reply in dialogue.replies for word in words(reply.text)})
    common, basic = ({word for word, count in frequency.items() if count >= share * total / 1000}
                     for share in (COMMON, BASIC))
    return [[not dialogue.source.startswith("rich") and not _leans(dialogue, at, common, basic)
             for at in range(1, len(dialogue.turns), 2)] for dialogue in dialogues]


def _leans(dialogue: Dialogue, reply_at: int, common: set[str], basic: set[str]) -> bool:
    trusted = dialogue.source.startswith(TRUSTED)
    reply = dialogue.turns[reply_at].text.lower()
    last = set(map(stem, words(dialogue.turns[reply_at - 1].text)))
    said = set(words(reply))
    content = {stem(word) for word in said - _FUNCTION}
    if not trusted and len(content - last - common) > 1:
        return True
    if reply_at == 1:
        return False
    people = set(map(stem, _PERSON_WORDS))
    unknown_person = _PERSON & said and not people & (last | set(map(stem, said - _PERSON)))
    earlier = {stem(word) for turn in dialogue.turns[:reply_at - 1] for word in words(turn.text)}
    elliptic = len(last) <= 3 and not trusted
    told = (content & earlier) - last - (set() if elliptic else basic)
    return bool(_BACK.search(reply) or unknown_person or told or (_HINT.search(reply) and not trusted))


def stem(word: str) -> str:
    """A crude stem, enough to match "crying" with "cry" and "hurts" with "hurt"."""
    word = re.sub(r"['’](s|re|ve|ll|d|m)$", "", word)
    for suffix in ("ingly", "edly", "iness", "ing", "ies", "ied", "ed", "es", "s", "ly"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    return re.sub(r"(.)\1$", r"\1", word).rstrip("ey") or word
