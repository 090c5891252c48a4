"""What a user tells of their life, as triples of subject, predicate and object, and as head nouns.

Read off the parts of speech by a few rules, without a parser: short spoken sentences have little syntax to lose. What
has no noun or no verb gives nothing.
"""

from dataclasses import dataclass

from esc_robot.dialogue.words import tagged

USER = "user"
NEGATIONS = {"not": "not", "n't": "not", "never": "never", "hardly": "hardly", "barely": "barely", "no": "no"}
# Contractions as recognisers and hasty typists write them.
_SPELLING = {f"{word}nt": f"{word}n't" for word in ("do", "does", "did", "is", "are", "was", "were", "have", "has",
                                                    "had", "could", "should", "would", "wo")} | {
    "cant": "can't", "cannot": "can not", "im": "i'm", "ive": "i've", "gonna": "going to", "wanna": "want to"}
_USER_WORDS = ("i", "me", "myself", "mine")
_BE = ("am", "is", "are", "'m", "'re", "'s", "be", "been", "being")
_AUXILIARIES = (*_BE, "was", "were", "do", "does", "did", "have", "has", "had", "'ve", "'d", "having")
_INTERJECTIONS = {"hmm", "um", "uh", "oh", "yeah", "yes", "ok", "okay", "hi", "hello", "hey", "thanks", "well",
                  "please", "sorry", "lol", "maybe"}
_VAGUE = {"lot", "lots", "kind", "sort", "bit", "thing", "things", "way", "time", "something", "anything",
          "everything"}
_DAYS = {"today", "yesterday", "tomorrow", "tonight"}
_NOUNS = ("NN", "NNS", "NNP", "NNPS")
_MODIFIERS = ("JJ", "JJR", "JJS", "CD", "PRP$", "POS")
_SUBORDINATORS = {"because", "that", "if", "when", "while", "although", "though", "unless", "whether", "than", "as"}


@dataclass(frozen=True)
class Triple:
    """``user`` ``lost`` ``job``. The object is empty where the verb has none; negations stand in the predicate."""

    subject: str
    predicate: str
    object: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.subject, self.predicate, self.object)))


def head_nouns(text: str) -> list[str]:
    """The last noun of each noun phrase, in lower case but for names, each once; "no" stays before its noun."""
    heads = (chunk.head if chunk.head[:1].isupper() and chunk.head != "I" else chunk.head.lower()
             for chunk in _chunks(text) if chunk.head and chunk.head.lower() not in _VAGUE)
    return list(dict.fromkeys(heads))


def triples(text: str) -> list[Triple]:
    """The triples of an utterance, in its order; none for one without a subject or a verb."""
    found: list[Triple] = []
    subject = verb = preposition = ""
    complete = True         # the verb has its object, or there is no verb
    chunks = _chunks(text)
    for at, chunk in enumerate(chunks):
        following = chunks[at + 1].kind if at + 1 < len(chunks) else "end"
        if chunk.kind == "noun" and (not verb or (following == "verb" and not preposition)):
            if not complete:
                found.append(Triple(subject, verb))
            subject, verb, complete = chunk.text, "", True
        elif chunk.kind in ("noun", "adjective"):
            if subject and verb and (complete is False or preposition):
                found.append(Triple(subject, f"{verb} {preposition}".strip(), chunk.text))
                complete = True
                if chunk.kind == "adjective":
                    verb = f"{verb} {chunk.text}"
            preposition = ""
        elif chunk.kind == "verb":
            if not complete:
                found.append(Triple(subject, verb))
            verb, preposition, complete = chunk.text, "", not subject
        elif chunk.kind == "preposition":
            preposition = chunk.text if verb else ""
        else:
            if not complete:
                found.append(Triple(subject, verb))
            verb, preposition, complete = "", "", True
            subject = subject if chunk.kind == "and" else ""
    if not complete:
        found.append(Triple(subject, verb))
    return list(dict.fromkeys(triple for triple in found if triple.object or _tells(triple.predicate)))


def _tells(predicate: str) -> bool:
    return predicate.split()[-1] not in _AUXILIARIES


@dataclass
class _Chunk:
    """A noun phrase (``noun``, with its head), ``verb`` group, ``adjective``, ``preposition``, or a border: ``and``
    after which a subject may go on, ``break`` after which it does not."""

    kind: str
    text: str = ""
    head: str = ""


def _chunks(text: str) -> list[_Chunk]:
    words = tagged(" ".join(_SPELLING.get(word.lower(), word) for word in text.replace("\u2019", "'").split()))
    chunks: list[_Chunk] = []
    at = 0
    while at < len(words):
        chunk, at = _chunk(words, at)
        if chunk:
            chunks.append(chunk)
    return chunks


def _chunk(words: list[tuple[str, str]], at: int) -> tuple[_Chunk | None, int]:
    """The chunk that begins at ``at``, None for a word without a part, and where the next one begins."""
    word, tag = words[at][0].lower(), words[at][1]
    if word in _DAYS:
        return None, at + 1
    if word in _INTERJECTIONS and _tag(words, at - 1)[:2] != "VB":
        return None, at + 1
    if tag == "MD" or tag[:2] == "VB" or (tag == "TO" and _tag(words, at + 1) == "VB") or word == "n't":
        return _verb(words, at)
    if word in ("not", "never", "hardly", "barely") and _tag(words, at + 1)[:2] in ("VB", "TO"):
        return _verb(words, at)
    if tag == "PRP" or tag == "EX":
        return _Chunk("noun", USER if word in _USER_WORDS else word), at + 1
    if tag in _NOUNS or tag in _MODIFIERS or tag == "DT" or word == "not":
        return _nominal(words, at)
    if tag == "CC" or word == ",":
        return _Chunk("and"), at + 1
    if tag in (".", ":", "WDT", "WP", "WRB") or word in _SUBORDINATORS:
        return _Chunk("break"), at + 1
    if tag in ("IN", "TO", "RP"):
        return _Chunk("preposition", word), at + 1
    return None, at + 1


def _verb(words: list[tuple[str, str]], at: int) -> tuple[_Chunk | None, int]:
    """A verb group by its negations and main verbs: "have n't been sleeping" is "not sleeping"."""
    group = []
    while at < len(words) and (words[at][1] in ("MD", "TO", "RB", "RBR", "RP") or words[at][1][:2] == "VB"):
        if words[at][1] == "TO" and _tag(words, at + 1) not in ("VB", "RB"):
            break
        group.append((words[at][0].lower(), words[at][1]))
        at += 1
    verbs = [word for word, tag in group if tag[:2] == "VB" or tag == "RP"]
    last = verbs[-1] if verbs else ""
    kept = [NEGATIONS.get(word) or word for word, tag in group
            if word in NEGATIONS or ((tag[:2] == "VB" or tag in ("RP", "TO")) and (word not in _AUXILIARIES))]
    if last in _AUXILIARIES:
        kept = ["is", *kept] if last in _BE else [*kept, last]
    return (_Chunk("verb", " ".join(kept)) if kept else None), at


def _nominal(words: list[tuple[str, str]], at: int) -> tuple[_Chunk | None, int]:
    """A noun phrase without its article, or the adjectives that stand alone; "no" and "not" are kept."""
    kept, head = [], ""
    while at < len(words) and words[at][1] in (*_NOUNS, *_MODIFIERS, "DT", "RB", "PDT"):
        word, tag = words[at]
        if (head and tag not in _NOUNS and tag != "POS") or (kept and word.lower() in _DAYS):
            break
        if tag in _NOUNS and word.lower() not in NEGATIONS:
            head = word
        if tag == "POS" and kept:
            kept[-1] += "'s"
            head = ""
        elif tag == "PRP$":
            kept.append("" if word.lower() == "my" else word.lower())
        elif word.lower() in NEGATIONS or tag in _NOUNS or tag in _MODIFIERS:
            kept.append(NEGATIONS.get(word.lower(), word))
        at += 1
    text = " ".join(filter(None, kept))
    if head:
        return _Chunk("noun", text, f"no {head}" if "no" in kept else head), at
    if text:
        return _Chunk("adjective", text), at
    return (_Chunk("noun", words[at - 1][0].lower()), at) if words[at - 1][1] == "DT" else (None, at)


def _tag(words: list[tuple[str, str]], at: int) -> str:
    return words[at][1] if 0 <= at < len(words) else ""
