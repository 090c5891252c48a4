"""Saying back what the user said: a clause of theirs in the second person, which cannot be about anybody else.

"I haven't told her about the sitting" becomes "You have not told her about the sitting." A clause is left alone where
saying it back would do harm (a harsh word about oneself, death, violence), or where it is no statement.
"""

import re

from esc_robot.dialogue.words import tagged

WORDS = range(3, 14)    # of a clause that is said back; longer ones sound like parroting

_HEDGES = re.compile(
    r"^(?:(?:well|anyway|so|and|but|or|like|honestly|actually|also|then|yeah|yes|no|nah|ok|okay|oh|um|uh|look|right|"
    r"please|sorry|sir|i mean|i guess|you know|the thing is|to be honest|because|cause|cos|idk)\b"
    r"[,\s]*)+", re.I)
# Said back, these would blame, wound, frighten or promise; or the words lean on something that was not heard.
_UNSAID = re.compile(
    r"\b(?:you|your|yours|u|ur|yourself|robot|died?|dying|dead|death|kill\w*|murder\w*|suicid\w*|hurt\w*|hit|beat\w*|"
    r"cut\w*|blood\w*|rape\w*|abus\w*|funeral|buried|cremat\w*|fault|blame\w*|stupid|daft|dumb|pathetic|idiot\w*|"
    r"fail\w*|monster|burden|worthless|useless|ugly|weak|lazy|fat|disgust\w*|asham\w*|hate\w*|worst|terrible|awful|"
    r"joke|joking|kidding|lol|haha|crazy|mad|selfish|coward\w*|hopeless|deserve\w*|should\w*|ought|god|hell|fuck\w*|"
    r"shit\w*|damn|gotta|good enough|throw\w*|threw|vomit\w*|puk\w*|bloody|no reason|alive|mess\w*|"
    r"going to (?:get|lose)|if|wh(?:at|y|o|ich|ere|en)ever|anything|here|hear|this|that|these|those|its|every time|"
    r"said|says)\b", re.I)
_QUESTION = re.compile(r"^(?:what|why|how|who|whose|which|where|when|is|are|am|was|were|do|does|did|can|could|will|"
                       r"would|should|shall|may|have|has|had)\b", re.I)
_FEELINGS = {"tired", "exhausted", "sad", "lonely", "alone", "scared", "afraid", "frightened", "worried", "nervous",
             "anxious", "angry", "furious", "happy", "glad", "relieved", "proud", "lost", "empty", "numb", "stressed",
             "overwhelmed", "confused", "homesick", "jealous", "stuck", "torn", "bored", "upset", "disappointed",
             "so", "very", "really", "just", "still", "too", "going", "leaving", "moving", "starting", "trying",
             "working", "living", "looking", "waiting", "thinking", "sitting", "off", "back", "at", "in", "on", "with"}
_SWAP = {"i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "we": "you", "us": "you",
         "our": "your", "ours": "yours", "ourselves": "yourselves"}
_SPELL = [(r"\bi'm\b|\bim\b|\bi am\b", "you are"), (r"\bi was\b", "you were"), (r"\bi wasn't\b", "you were not"),
          (r"\bi've\b|\bive\b", "you have"), (r"\bi'd\b", "you'd"), (r"\bi'll\b", "you will"),
          (r"\bwe're\b", "you are"), (r"\bwe've\b", "you have"), (r"\bwe'd\b", "you'd"), (r"\bwe'll\b", "you will"),
          (r"\bdont\b", "don't"), (r"\bcant\b", "can't"), (r"\bdidnt\b", "didn't"), (r"\bwont\b", "won't"),
          (r"\bgonna\b", "going to"), (r"\bwanna\b", "want to"),
          (r"\b(could|have|has|had|does|is|was|are|were|would)nt\b", r"\1n't")]
_YEARS = re.compile(r"\b((?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|"
                    r"fifty)(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?) years\b"
                    r"(?! (?:old|ago|younger|older|from|later|earlier|time))", re.I)


def reflections(text: str) -> list[str]:
    """Clauses of an utterance said back, the fittest first; none when no clause can be."""
    found = []
    for sentence in re.findall(r"[^.?!;\n]+[.?!;]*", text.replace("\u2019", "'")):
        if sentence.rstrip().endswith("?"):
            continue
        for clause in re.split(r",? but |, and |,? because |, so | - |: ", sentence.strip(" .!;,")):
            said = _said_back(clause)
            if said:
                found.append(said)
    return sorted(dict.fromkeys(found), key=_fitness, reverse=True)


def long_time(text: str) -> str | None:
    """"Twenty-two years is a long time." where a number of years is told."""
    match = _YEARS.search(text)
    return f"{match[1].capitalize()} years is a long time." if match else None


def _said_back(clause: str) -> str | None:
    clause = _HEDGES.sub("", clause.strip())
    words = clause.split()
    if len(words) not in WORDS or _UNSAID.search(clause) or _QUESTION.match(clause):
        return None
    tags = tagged(clause)
    subject, verb = _subject_and_verb(tags)
    if not subject or not verb:
        return None
    if re.match(r"(?:i'm|im|i am|i was|i feel|i felt|we are|we're|we were) ", clause, re.I):
        after = re.split(r"(?:am|'m|m|was|feel|felt|are|'re|were) ", clause, maxsplit=1, flags=re.I)[1].split()
        if next((word for word in after if word != "not"), "").lower().strip(",") not in _FEELINGS:
            return None
    return second_person(clause)


def _subject_and_verb(tags: list[tuple[str, str]]) -> tuple[str, str]:
    """The clause must open with its subject, I or we or a short noun phrase, and go on with a finite verb."""
    at = 0
    while at < len(tags) and at < 5 and tags[at][1] in (
            "PRP", "PRP$", "DT", "JJ", "NN", "NNS", "NNP", "NNPS", "CD", "POS", "RB", "EX"):
        at += 1
    opening, rest = tags[:at], tags[at:]
    if all(tag == "RB" for _, tag in opening) or not rest or rest[0][1] not in ("VBD", "VBZ", "VBP", "MD"):
        return "", ""
    if opening[0][0].lower() in ("he", "she", "they", "it") and len(opening) == 1 and len(tags) < 4:
        return "", ""
    return opening[0][0], rest[0][0]


def second_person(clause: str) -> str:
    """What the user says of themselves, as it is said to them: "I lost my job" is "You lost your job."."""
    for pattern, other in _SPELL:
        clause = re.sub(pattern, other, clause, flags=re.I)
    words = [re.sub(r"^[A-Za-z]+", lambda m: _SWAP.get(m[0].lower(), m[0]), word) for word in clause.split()]
    said = " ".join(words)
    said = re.sub(r"\byou am\b", "you are", re.sub(r"\byou was\b", "you were", said))
    return said[0].upper() + said[1:].rstrip(" ,.!") + "."


def _fitness(said: str) -> float:
    """The user's own doing before others', and neither curt nor long."""
    opening = said.split()[0].lower()
    return 2 * (opening in ("you", "your")) - abs(len(said.split()) - 7) / 7
