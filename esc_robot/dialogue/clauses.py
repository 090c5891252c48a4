"""Clauses of an utterance: where they begin, what kind of thing each tells, how it is said back in the second person.

Read off the parts of speech, without a parser. Only clauses that open with their subject are read; what stays unclear
is left out, since saying back a clause that was not understood is worse than not saying it back.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

import yaml

from esc_robot.assets import config
from esc_robot.dialogue.words import STOPWORDS, tagged


def words_of(name: str) -> str:
    """One alternative of a pattern out of config/care/english.yaml."""
    found = _ENGLISH[name]
    return found if isinstance(found, str) else "|".join(found)


_ENGLISH = yaml.safe_load(config("care/english.yaml").read_text())
DAYS, MONTHS = words_of("days"), words_of("months")
_SPELL = [(re.compile(wrong, re.I), right) for wrong, right in _ENGLISH["spelling"]]
_CAPITALS = re.compile(rf"\b(?:{DAYS}|{re.sub('[|](?:march|may)', '', MONTHS)}|(?<=in )ma(?:rch|y))\b", re.I)
_FULL = [(re.compile(short, re.I), long) for short, long in _ENGLISH["in_full"]]
_HEDGES = re.compile(rf"^(?:(?:{words_of('hedges')})\b(?!'|-)[,\s]*)+", re.I)
_TAILS = re.compile(rf"(?:[,\s]+(?:{words_of('tails')}))+$", re.I)
_ADJUNCT = re.compile(rf"(?:{words_of('adjuncts')}),?\s+", re.I)
_AHEAD = re.compile(rf"\b(?:{words_of('ahead').format(days=DAYS, months=MONTHS)})\b|\b(?:{DAYS})$", re.I)
_SOMEBODY = re.compile(rf"\b(?:{words_of('people')})\b(?: (?:all|both))?$", re.I)
_DROPPED = re.compile(rf"(?:just |never |only |still |even )?(?:{words_of('dropped')})\b", re.I)
_MOOD = re.compile(rf"(?:just |so |very |really |too |still |pretty |a bit |even )*(?:{words_of('moods')})\b"
                   r"(?! (?:is|are|was|were)\b)", re.I)
_SUFFERED = re.compile(rf"(?:just |also |then )?(?:got |was )?(?:{words_of('suffered')})\b", re.I)
_KIN_NAME = re.compile(rf"(?:(\w+) )?\b({words_of('kin_names')})\b", re.I)
_LEAVING = re.compile(rf"\b(?:am|is|are|'s) (?:(?:also|now|just|really|not|still|soon) )?(?:{words_of('leaving')})\b|"
                      r"(?:\b(?:am|is|are)|'s) (?:not )?going to [a-z]+")
_BARE = re.compile(rf"(?:\bis|'s|\bare|'re) (?:{words_of('bare')})\b", re.I)
_SINCE = re.compile(r"\bsince (?:an?|one|two|three|four|five|six|seven|eight|nine|ten|\d+) (?:year|month|week|day)s?\b",
                    re.I)
_PASTS = {past: verb for verb, pasts in _ENGLISH["pasts"].items() for past in pasts.split()}
_REGULAR = frozenset(_ENGLISH["regular"].split())
_LEFT_OUT = [(re.compile(r"(?:just )?been ", re.I), "I have "), (re.compile(r"(?:just )?(?:got|was) ", re.I), "I "),
             (_SUFFERED, "I was "), (_MOOD, "I am "), (_DROPPED, "I ")]
_OPENERS = r"but|and|because|so|then|or|although|though|except|yet"
_JOINTS = re.compile(rf"(?:\s*[,:]\s*|\s+[-\u2013\u2014]+\s*|\s+)(?=(?:{_OPENERS})\s)|\s*[,:]\s+|"
                     rf"\s+[-\u2013\u2014]+\s+", re.I)
_SWAP = {"i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "we": "you", "us": "you",
         "our": "your", "ours": "yours", "ourselves": "yourselves"}
_AGREE = [(r"\byou am\b", "you are"), (r"\byou(r \w+)? and you\b", r"you\1 and you"), (r"\byou'm\b", "you're"),
          (r"\byou was\b", "you were"), (r"\byou wasn't\b", "you weren't"), (r"\bam you\b", "are you")]
_PRONOUNS = ("i", "we", "he", "she", "they", "it", "you", "that", "this", "there")
_NOMINAL = ("PRP$", "DT", "PDT", "JJ", "JJR", "JJS", "NN", "NNS", "NNP", "NNPS", "CD", "POS")
_DANGLING = re.compile(r"\b(?:the|an?|my|your|his|their|our|its|and|or|of|every|very)$", re.I)
_OWNERS = ("my", "your", "his", "her", "our", "their", "the", "a", "an", "its", "s", "'s", "no", "some", "any")
_JOINERS = ("and", "of", "at", "in", "next", "from", "on", "with", "to", "round", "across", "behind", "near",
            "over", "under")
_FINITE = ("VBD", "VBZ", "VBP", "MD")
_BOTH = ("quit", "put", "cut", "let", "shut", "hit", "set", "read")      # present and past are alike
_UNSURE = re.compile(r"(?:(?:and|but|so|well|yeah|no) )*(?:if|maybe|perhaps|unless)\b", re.I)
_OFTEN = re.compile(r"\b(?:every|always|never|often|when)\b")
_BE = ("am", "is", "are", "was", "were", "'s", "'m", "'re")


@dataclass(frozen=True)
class Clause:
    """``text``: the user's words, spelling mended; ``said``: in the second person, without a full stop; ``person``:
    ``I``, ``other`` (somebody else) or ``thing``; ``kind``: ``past``, ``was``, ``ahead``, ``state``, ``habit``,
    ``wish``, ``opinion``, ``unable``, ``undone``, ``unknown``, ``would`` or ``have``; ``contrast``: it stands after
    a "but"; ``last``: nothing follows; ``odd``: the tags do not go together, the words were misheard or the grammar
    broken."""

    text: str
    said: str
    subject: str
    person: str
    kind: str
    contrast: bool = False
    last: bool = False
    odd: bool = False


def mended(text: str) -> str:
    """``text`` with its common slips of spelling put right."""
    for pattern, other in _SPELL:
        text = pattern.sub(other, text)
    return _CAPITALS.sub(lambda name: name[0].capitalize(), text).strip()


def in_full(text: str) -> str:
    """Mended, and with contractions written out: "I'm" is "I am", "don't" is "do not"."""
    text = mended(text)
    for pattern, other in _FULL:
        text = pattern.sub(other, text)
    return text


def sentences(text: str) -> list[str]:
    """Sentences with their end marks."""
    return [part.strip() for part in re.findall(r"[^.?!;\n]+[.?!;]*", text) if re.search(r"\w", part)]


def second_person(words: str) -> str:
    """The user's words as the robot says them: "my" is "your"."""
    words = _KIN_NAME.sub(_kin_named, words)
    said = re.sub(r"[A-Za-z]+", lambda word: _SWAP.get(word[0].lower(), word[0]), words)
    for pattern, other in _AGREE:
        said = re.sub(pattern, other, said, flags=re.I)
    return said.strip(" ,.!;:")


def _kin_named(match: re.Match) -> str:
    """"Mum" is "your mum", unless it is somebody's already."""
    before = match[1]
    if before and (before.lower() not in STOPWORDS or before.lower() in _OWNERS):
        return match[0]
    return f"{before + ' ' if before else ''}your {match[2].lower()}"


@lru_cache(256)
def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of an utterance that tell something, in its order; questions are none."""
    found, parts = [], []
    for sentence in sentences(mended(text)):
        if not sentence.endswith("?"):
            # what hangs on an "if" or a "maybe" is not told
            unsure = bool(_UNSURE.match(sentence))
            parts += [(*part, unsure and (at > 0 or not _UNSURE.match(part[0])))
                      for at, part in enumerate(_parts(sentence.rstrip(".!; ")))]
    for at, (part, contrast, unsure) in enumerate(parts):
        clause = _clause(part, contrast, at == len(parts) - 1, [one.person for one in found])
        if clause:
            found.append(replace(clause, odd=clause.odd or unsure))
    return tuple(found)


def _parts(sentence: str) -> list[tuple[str, bool]]:
    """A sentence cut where a conjunction, a comma or a dash is followed by a subject with its verb."""
    pieces = _JOINTS.split(sentence)
    parts: list[tuple[str, bool]] = []
    for piece in filter(None, pieces):
        opener = re.match(rf"(?:{_OPENERS})\b", piece, re.I)
        bare = _HEDGES.sub("", piece)
        purpose = opener and opener[0].lower() == "so" and re.match(
            r"(?:nobody|no one|\w+ (?:can|could|will|would|does|do))\b", bare)
        listed = parts and opener and opener[0].lower() == "and" and not _opens(parts[-1][0])  # "me and my dad"
        cause = parts and opener and opener[0].lower() == "because" and len(f"{parts[-1][0]} {piece}".split()) < 15
        if parts and (purpose or listed or cause or not _opens(bare)) and not (opener and opener[0].lower() == "but"):
            joint = " " if opener else ", "
            parts[-1] = (f"{parts[-1][0]}{joint}{piece}", parts[-1][1])
        else:
            parts.append((bare, bool(opener and opener[0].lower() in ("but", "yet", "except", "though"))))
    return [(part, contrast) for part, contrast in parts if part]


def _opens(words: str) -> bool:
    return _subject_ends(_tags(words)) > 0 or bool(_adjunct(words))


def _adjunct(words: str) -> str:
    """The time or place at the head, when a subject with its verb follows: "now", "every morning"."""
    match = _ADJUNCT.match(words)
    if not match or not _subject_ends(_tags(words[match.end():])):
        return ""
    # "in the car I had" goes on with a relative clause
    relative = re.search(rf"\b(?:the|a) (?!(?:{words_of('times')}) )\w+ $", match[0]) \
        and re.match(r"(?:I|he|she|they|we)\b", words[match.end():])
    return "" if relative else match[0]


def _tags(words: str) -> list[tuple[str, str]]:
    """Parts of speech, mended where what stands before decides: a word after "I" or "she" is its verb."""
    tags = tagged(words)
    first = tags[0][0].lower() if tags else ""
    for at, (word, tag) in enumerate(tags):
        low, before = word.lower(), tags[at - 1][0].lower() if at else ""
        if _KIN_NAME.fullmatch(low):
            tag = "NN"
        elif low == "used" and before not in _BE and at + 1 < len(tags) and tags[at + 1][0] == "to":
            tag = "VBD"
        elif (at > 1 or before.startswith("every")) and tags[at - 1][1] == "NN" and _SOMEBODY.search(before) and (
                tag == "VB" or (
                tag in ("NN", "JJ") and tags[at + 1:at + 2] and tags[at + 1][1] in ("DT", "PRP", "PRP$", "IN", "TO"))):
            tag = "VBP"     # "my daughter call the helper"
        elif at > 1 and tag == "NNS" and tags[at - 1][1] == "NN" and _SOMEBODY.search(before) \
                and not any(other in _FINITE for _, other in tags):
            tag = "VBZ"     # "my husband's mother rings"
        elif at and first in ("i", "we", "they", "he", "she") and low.isalpha() \
                and all(other == "RB" for _, other in tags[1:at]):
            plain = first in ("i", "we", "they")
            tag = {"NN": "VBP", "VB": "VBP", "JJ": "VBP", "VBN": "VBD", "NNP": "VBP",
                   "NNS": tag if plain else "VBZ"}.get(tag, tag)
            if tag == "VBP" and not plain and low in _PASTS:
                tag = "VBD"
            if tag == "VBD" and not plain and low.endswith("s") and low not in _PASTS:
                tag = "VBZ"
            if low in ("all", "both", "only", "just", "really", "still"):
                tag = "RB"
        tags[at] = (word, tag)
    if not any(tag in _FINITE for _, tag in tags):
        # "my hip's bad": where there is no other verb, it is one
        nouns = [tag.startswith("N") and not word.endswith("ing") for word, tag in tags[1:]] + [True]
        tags = [(word, "VBZ" if (word, tag) == ("'s", "POS") and not noun else tag)
                for (word, tag), noun in zip(tags, nouns, strict=False)]
    return tags


def _subject_ends(tags: list[tuple[str, str]]) -> int:
    """How many words the subject at the head has, when a finite verb follows; else 0. Adverbs may stand between."""
    at = 0
    if tags and (tags[0][0].lower() in _PRONOUNS or tags[0][1] in ("PRP", "EX")):
        at = 1
    if not at or tags[1:2] and tags[1][0].lower() == "and":
        while at < len(tags) and at < 7 and (tags[at][1] in _NOMINAL or (
                at and tags[at][0].lower() in _JOINERS) or (
                at and tags[at - 1][0].lower() == "and" and tags[at][0].lower() in ("i", "me"))):
            at += 1
        if not any(tag[0] == "N" or tag in ("CD", "DT") for _, tag in tags[:at]):
            return 0
    ahead = at
    while ahead < len(tags) and (tags[ahead][1] == "RB" or tags[ahead][0].lower() in ("all", "both")):
        ahead += 1
    return at if at and ahead < len(tags) and tags[ahead][1] in _FINITE else 0


def _clause(part: str, contrast: bool, last: bool, before: list[str]) -> Clause | None:
    words = _TAILS.sub("", _HEDGES.sub("", part)).strip(" ,")
    if not words:
        return None
    tags = _tags(words)
    ends = _subject_ends(tags)
    if adjunct := _adjunct(words):
        words = words[len(adjunct):]
        tags = _tags(words)
        ends = _subject_ends(tags)
    if not ends:
        # A dropped subject is the speaker, unless somebody else was spoken of just before.
        lead = next((lead for pattern, lead in _LEFT_OUT if pattern.match(words)), None)
        if not lead or "other" in before[-1:]:
            return None
        words = lead + words[0].lower() + words[1:]
        tags = _tags(words)
        ends = _subject_ends(tags)
        if not ends:
            return None
    subject = " ".join(word for word, _ in tags[:ends]).replace(" '", "'")
    person = _person(subject, tags[:ends])
    words, odd = _agreeing(words, tags, ends, person)
    said = second_person(adjunct + words)
    kind = _kind(words, tags[ends:], person, adjunct)
    return Clause(adjunct + words, said, second_person(subject), person, kind, contrast, last,
                  odd or bool(re.search(r"[A-Za-z]+n't not\b", words)))


def _person(subject: str, tags: list[tuple[str, str]]) -> str:
    first = subject.lower().split()[0]
    if first in ("i", "we") or re.search(r"\b(?:me and|and (?:me|i))\b", subject, re.I):
        return "I"
    names = tags[0][1] in ("NNP", "NNPS") and not re.fullmatch(f"{DAYS}|{MONTHS}|christmas|easter", subject, re.I)
    head = re.split(rf" (?:{'|'.join(_JOINERS[1:])}) ", subject)[0]
    return "other" if first in ("he", "she", "they") or names or _SOMEBODY.search(head) else "thing"


def _agreeing(words: str, tags: list[tuple[str, str]], ends: int, person: str) -> tuple[str, bool]:
    """The clause with the third person's -s put in where it was dropped; and whether its verbs do not go together."""
    rest = tags[ends:]
    at = next(k for k, (_, tag) in enumerate(rest) if tag in _FINITE)
    verb, tag = rest[at]
    head = tags[ends - 1]
    plural = head[1] in ("NNS", "NNPS") or head[0].lower() in ("they", "we", "i", "you", "people", "children", "both",
                                                              "all", "police") or any(
        word.lower() == "and" for word, _ in tags[:ends])
    low = verb.lower()
    # "have send", "is finish"; "since" with a length of time
    follows = next((t for _, t in rest[at + 1:] if t != "RB"), "")
    odd = low in ("have", "has", "had", "'ve") and follows in ("VB", "VBP")
    odd = odd or low in ("ain't", "ai", "seen", "done") or bool(_SINCE.search(words) or _BARE.search(words))
    if low in ("am", "is", "was", "were") and person != "thing" and rest[-1][1] == "NN" and len(rest) == at + 2 \
            and rest[-1][0].lower() not in STOPWORDS | {"home", "sorry"} and not _MOOD.match(rest[-1][0]):
        # "I was pharmacist": a learner's missing article
        words = re.sub(r"(\w+)$", lambda noun: f"{'an' if noun[1][0].lower() in 'aeiou' else 'a'} {noun[1]}", words)
    if person != "I" and not plural and tag == "VBP" and low not in (*_BE, "'ve", "have", "do") and low.isalpha():
        ending = "es" if re.search(r"(?:s|sh|ch|x|z|o)$", low) else "s"
        stem = low[:-1] + "ie" if re.search(r"[^aeiou]y$", low) else low
        words = re.sub(rf"\b{verb}\b", stem + ("s" if stem != low else ending), words, count=1)
    if low == "do" and person != "I" and not plural:
        words = re.sub(r"\bdon't\b", "doesn't", words, count=1)
    # a clause that ends in the middle was not heard to its end
    return words, odd or bool(_DANGLING.search(words))


def _kind(words: str, rest: list[tuple[str, str]], person: str, adjunct: str) -> str:
    low = in_full(adjunct + words).lower()
    head = [(word.lower(), tag) for word, tag in rest if tag != "RB" or word in ("n't", "not")]
    verb, tag = head[0]
    after, tags = " ".join(word for word, _ in head[:6]), [t for _, t in head[1:3]]
    perfect = verb in ("have", "has", "'ve", "'s", "had", "'d") and tags and tags[0] not in ("DT", "NN", "PRP$") and (
        "VBN" in tags or after.startswith(f"{verb} been") or (verb == "'d" and "VBD" in tags))
    if person == "I" and re.search(r"\b(?:i|we) (?:\w+ ){0,2}?(?:can|could) (?:\w+ )?not\b|\b(?:un)?able to\b", low):
        return "unable"
    if re.search(r"\b(?:do|does) not (?:even |really )?(?:know|understand|remember)\b|\bno idea\b", low):
        return "unknown"
    if person == "I" and (re.match(r"I never \w", words) and tag in ("VBD", "VBN")
                          or re.match(r"(?:have|'ve) (?:n't|not|never)\b", after)):
        return "undone"
    if re.match(r"(?:have|has|'ve got|'s got|have got|has got) to\b", after):
        return "ahead" if _AHEAD.search(low) else "state"
    owns = re.match(r"(?:'ve|have|has|'s) got |own |(?:have|has) (?!n't|not)", f"{after} ")
    if owns and (not perfect or " got" in after):
        return "ahead" if _AHEAD.search(low) else "have"
    had = verb == "'d" and ("VBN" in tags or re.match(r"'d (?:\w+ed|been) ", f"{after} "))
    if verb in ("would", "could", "might", "should", "'d") and not had:
        return "wish" if person == "I" and re.match(r"(?:would|'d) (?:like|love|rather|want)", after) else "would"
    if verb == "wo" and person != "I" and not _AHEAD.search(low):
        return "habit"      # "the drawer won't open"
    if verb in ("will", "'ll", "wo", "shall") or _LEAVING.search(low):
        return "ahead"
    if person == "I" and re.match(r"(?:want|wish|hope)(?:ed)? |need |(?:'d|would) (?:like|love|rather|want)", after):
        return "wish"
    if perfect:
        lasts = " been " in f" {after} " or "since" in low or (verb == "'s" and person == "thing")
        return "state" if lasts and verb not in ("had", "'d") else "past"
    if tag == "VBD" or (verb in _BOTH and tag == "VBP" and not _OFTEN.search(low)):
        being = verb in ("was", "were", "had", "used") and not after.startswith("had to")
        return "was" if being and not {"VBG", "VBN"} & set(tags) else "past"
    if person == "I" and re.match(r"(?:think|believe|suppose|reckon|feel like)\b(?! (?:about|of)\b)", after):
        return "opinion"
    if _AHEAD.search(low) and not re.search(r"\b(?:every|since|already)\b", low):
        return "ahead"
    return "state" if verb in (*_BE, "feel", "feels", "seem", "seems", "look", "looks") else "habit"


def infinitive(clause: Clause) -> str | None:
    """What the user does or did, as it stands after "to": "sit in the car for an hour"; None where it is unclear."""
    match = re.match(r"you(?:'(?:re|ve))? ?(.*)$", clause.said, re.I)
    if clause.person != "I" or not match or clause.odd:
        return None
    words = re.sub(r"^(?:(?:just|still|actually|also|really|only|even|now|did|do|already|always) )+", "", match[1])
    verb, _, rest = words.partition(" ")
    low = verb.lower()
    head = clause.said.lower().split()[0]
    if head == "you're" or low in ("are", "were", "was"):
        verb, rest = "be", words if head == "you're" else rest
    elif head == "you've" and clause.kind == "past":
        return None
    elif head == "you've" or low == "have":
        verb, rest = "have", re.sub(r"^got\b ?", "", words) if head == "you've" else rest
    elif re.search(r"(?:n't|^not|^never|^used|^had|'d|^could|^can|^will|^would|^should)$", low) or not rest:
        return None
    elif clause.kind in ("past", "was"):
        verb = lemma(low)
    if not verb or verb == "be" and re.match(r"going to|not\b", rest):
        return None
    return None if rest in ("it", "them", "one", "him", "her", "that") else f"{verb} {rest}"


def lemma(past: str) -> str | None:
    """The verb of which a word is the past: "sat" is "sit", "stopped" is "stop"; None for a word that is no past."""
    if past in _PASTS:
        return _PASTS[past]
    if not past.endswith("ed"):
        return None
    stem = past[:-2]
    if stem.endswith("i"):
        return stem[:-1] + "y"
    if re.search(r"([bdgkmnprt])\1$", stem):
        return stem[:-1]
    if re.search(r"(?:[^s]s|[^z]z|[cguv]|dl|tl|pl|bl|[^aeiou][^aeioulrs]l)$", stem):
        return stem + "e"
    if re.search(r"^[^aeiou]*[aeiou][^aeiouwxy]$", stem) or re.search(r"(?:id|ir|ar|or|ur|it|at|ib|in|ok|ak)$", stem) \
            and stem not in _REGULAR and not re.search(r"[aeiou]{2}\w$", stem):
        return stem + "e"
    return stem
