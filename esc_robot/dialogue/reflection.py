"""Saying back what the user told, with a question about it: a clause of theirs in the second person cannot be about
anybody else, and a question is chosen by what kind of thing the clause tells (config/care/questions.yaml).

"I haven't told her about the sitting" becomes "You haven't told her about the sitting." A clause is left alone where
saying it back would do harm (a harsh word about oneself, violence), or where it was not understood.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from esc_robot.assets import config
from esc_robot.dialogue.acts import asks
from esc_robot.dialogue.clauses import DAYS, Clause, clauses, infinitive, mended, second_person, sentences, words_of
from esc_robot.dialogue.words import STOPWORDS

WORDS = range(2, 15)    # of a clause that is said back; longer ones sound like parroting
JOINT = 15              # words of two clauses that are said back together
CONTRAST = 24           # and of two of which the first is denied

_UNSAID = re.compile(
    rf"\b(?:{words_of('unsaid')})\b|^I (?:look|sound|smell|feel) like an? |"
    r"^(?:that|this|these|those|some|what|one)\b|\b(?:this|these|those)$|"
    r"^it's (?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b|"
    r"\b(?:do|does|did|is|was|has|have|were|are|said|says?)$", re.I)
_THANKS = re.compile(r"\bthank you\b", re.I)
_TELLING = re.compile(rf"\b(?:{words_of('telling')})\b|n't\b", re.I)
_EVALUATION = re.compile(r"^(?:it|that|this)(?:'s| is| was)\b", re.I)
_POINTS = re.compile(rf"{_EVALUATION.pattern} (?:{words_of('pointing')})", re.I)
_SAYS = re.compile(r"^(?!you\b).*\b(?:says?|said|tells?|told|asks?|asked|thinks?|thought) ", re.I)
_CAUSE = re.compile(r"\b(?:because|since|cos|so)\b", re.I)
_GLAD = re.compile(rf"\b(?:{words_of('glad')})\b", re.I)
_NEWS = re.compile(rf"\b(?:{words_of('news')})\b", re.I)
_GLAD_NOT = re.compile(r"\b(?:never|not|no|but|without|lost|only|half|nobody|sorry|sick|ill|hate\w*|tired|"
                       r"afraid|scared|worried|alone|cry\w*|cried)\b|n't\b", re.I)
_DENIED = re.compile(r"^I(?:'m| am| was| do|'ve| have| did)?(?:n't| not)\b", re.I)
_LOSS = re.compile(rf"\b(?:died|passed away|is dead)\b|\blost (?:my|our) (?:{words_of('lost')})$", re.I)
_NO_LOSS = re.compile(r"\byou|n't|not\b|^(?:\w+ )?I died\b|^(?:it|that|this)\b|"
                      r"\b(?:when|after|before|since|until|because|who|that) \w", re.I)
_MORTAL = re.compile(rf"\b(?:{words_of('creatures')})$", re.I)
_EMBEDDED = re.compile(r"(?!.*\b(?:years|months|weeks|times|has|hasn't|haven't|had|since|already|apparently|actually|"
                       r"just)\b)(?:\W*\w+){2,9}(?<! to)\W*$", re.I)
_SALIENT = re.compile(r"(?<!in )(?<!past )\b(?:{})".format(
    words_of("salient").format(numbers=words_of("numbers"), days=DAYS)) + r"\b", re.I)
_LOOKS_BACK = re.compile(r"(?:What happened|How did|How was|What (?:was|did|went|comes back)|Was|Did)\b")
_NAMED = re.compile(rf"\b(?:my|our) ({words_of('close')})\b(?![-'])", re.I)
_ABSENT = re.compile(rf"\b(?:{words_of('absent')})\b", re.I)
_SHE = re.compile(rf"\b(?:{words_of('women')})$", re.I)
_HE = re.compile(rf"\b(?:{words_of('men')})$", re.I)
_UNNAMED = ("every", "nobody", "everyone", "everybody", "people", "last", "no", "now", "today", "yesterday", "tomorrow",
            "even", "maybe", "perhaps", "probably", "sometimes", "one", "next", "nothing", "first")


@dataclass(frozen=True)
class Question:
    """A question of questions.yaml as it fits a clause. ``apt``: words of the clause called for it; ``alone``: it names
    the clause itself, or the clause is better not said back; ``said``: the clause, where it can be said back."""

    text: str
    apt: bool
    alone: bool
    said: str = ""


@cache
def _tellings() -> dict:
    return yaml.safe_load(config("care/tellings.yaml").read_text())


@cache
def _asked_of() -> dict:
    found = yaml.safe_load(config("care/questions.yaml").read_text())
    for entry in found["questions"] + found["topics"] + found["fragments"]:
        for key in ("when", "unless", "known"):
            words = re.sub(r"(?<!P)<(\w+)>", lambda name: found["words"].get(name[1], name[0]), entry.get(key, ""))
            entry[key] = re.compile(words, re.I) if words else None
    return found


def telling_clauses(text: str) -> list[Clause]:
    """The clauses of an utterance that can be said back, the most telling first."""
    every = clauses(text)
    pointed = {id(one) for one, other in zip(every, every[1:], strict=False) if _POINTS.match(other.text)}
    return sorted(filter(_sayable, every), key=lambda clause: -_weight(clause) - 2 * (id(clause) in pointed))


def reflections(text: str) -> list[str]:
    """Clauses of an utterance said back, the most telling first; none when no clause can be."""
    return list(dict.fromkeys(_sentence(clause.said) for clause in telling_clauses(text)))


def salient(text: str) -> str | None:
    """The part of longer words that is said back alone: "Every night."; None where there is none."""
    match = _SALIENT.search(text)
    return _sentence(second_person(match[0])) if match else None


def said_back(text: str) -> str | None:
    """The point of an utterance as one sentence: a denial with what it is set against, two short clauses that belong
    together, or the most telling clause."""
    every = clauses(text)
    for one, other in zip(every, every[1:], strict=False):
        if _DENIED.match(one.text) and one.kind != "past" and other.person == "I" and not _DENIED.match(other.text) \
                and _joint(one, other, CONTRAST):
            return _sentence(f"{one.said}, {_inside(other)}")
    best = telling_clauses(text)[:1]
    if not every:
        return _fragments(text)
    if len(every) == 2 and best and _joint(*every, JOINT) and not _CAUSE.search(text) \
            and not any(_EVALUATION.match(one.text) for one in every):
        return _sentence(f"{every[0].said}, {'but' if every[1].contrast else 'and'} {_inside(every[1])}")
    return _sentence(best[0].said) if best else None


def _fragments(text: str) -> str | None:
    """Words without a verb, as they were said: "First time in five weeks."."""
    parts = [part.strip(" .!") for part in sentences(mended(text))]
    said = ", ".join([*parts[:1], *(part[0].lower() + part[1:] for part in parts[1:])])
    plain = 2 <= len(said.split()) <= 10 and not asks(text) and not _UNSAID.search(said)
    opens = re.match(r"(?:what|when|so|ok|yes|no|not|maybe|but)\b", said, re.I)
    return _sentence(second_person(said)) if plain and not opens else None


def _joint(one: Clause, other: Clause, most: int) -> bool:
    return not (one.odd or other.odd or _UNSAID.search(one.text) or _UNSAID.search(other.text)) \
        and len(f"{one.said} {other.said}".split()) <= most and not re.search(r" and |, ", one.said) \
        and not set(one.said.lower().split()) <= set(other.said.lower().split())


def questions(text: str, context: str, salt: str = "", pending: bool = False) -> list[Question]:
    """What can be asked about an utterance, those questions first that its words call for, of its most telling clause
    before the others. ``context``: all that was said before, by both; ``pending``: it tells of what lies ahead, and
    nothing that looks back is asked unless its words call for it."""
    every = [clause for clause in clauses(text) if not clause.odd]
    ranked = [*telling_clauses(text), *sorted((
        clause for clause in every if not _sayable(clause) and (
            _SAYS.search(clause.text) or not re.search(r"\byou", clause.text, re.I))), key=lambda one: -_weight(one))]
    each = [_questions_of(clause, text, context, salt or text) for clause in ranked]
    found = [one for of_clause in each for one in of_clause if one.apt]
    found += [one for one in sum(each[:1], []) if not one.apt and not (pending and _LOOKS_BACK.match(one.text))]
    if not every:
        found += [Question(entry["text"], True, False) for entry in _asked_of()["fragments"]
                  if entry["when"].search(text.strip()) and not _idle(entry, text, context)]
    return [one for one in found if not asked(one.text, context)]


def told(text: str, before: Sequence[tuple[str, str]], asking: bool = True, glad: bool = False
         ) -> list[tuple[str, str]]:
    """What can be said to an utterance that tells something, with its strategy, the best first. ``before``: what the
    user and the robot said in turn; ``asking``: whether a question is wanted; ``glad``: what is told is good news.

    A clause is not said back twice running where a question can stand without it."""
    context = " ".join(words for pair in before for words in pair)
    if sorrow := loss(text, context):
        return [("Empathetic Statements", sorrow)]
    said = said_back(text)
    said = None if said and said in context else said
    echoed = bool(before) and any(clause.said.lower() in before[-1][1].lower().split("?")[0] and
                                  not _begins_with_question(before[-1][1]) for clause in clauses(before[-1][0]))
    found, best = [], telling_clauses(text)[:1]
    good = any(_GLAD.search(clause.text) and _theirs(clause) for clause in clauses(text))
    if said and (good or (glad and (not best or _is_news(best[0])))) and not _GLAD_NOT.search(text):
        found += [("Affirmation", f"{said} {text_}") for text_ in _turned(_tellings()["glad"], text)
                  if text_ not in context and (asking or "?" not in text_)]
    if asking:
        pending = any(clause.kind == "ahead" for words in (text, *(user for user, _ in before))
                      for clause in clauses(words))
        wanted = questions(text, context, pending=pending)
        if not any(one.apt for one in wanted):
            wanted = [*_of_earlier(text, before, context), *wanted]
        for one in wanted:
            words = said if said and (not one.apt or one.said.lower() in said.lower()) else _sentence(one.said)
            words = _short(words, context)
            if one.alone or not words or words in context or (echoed and one.apt and clauses(text)):
                found.append(("Clarification", one.text))
            else:
                found.append((_mainly(words), f"{words} {one.text}"))
    if said:
        found.append(("Reflective Statements", f"{_short(said, context)} {company(context, text)}"))
    return found


def _short(said: str, context: str) -> str:
    part = salient(said) if len(said.split()) > 6 else None
    return part if part and part not in context else said


def _of_earlier(text: str, before: Sequence[tuple[str, str]], context: str) -> list[Question]:
    """What a detail leaves room to ask: after words without a verb, what the turn before called for; else what somebody
    says to it who was named before."""
    if not before:
        return []
    if not clauses(text):
        if before[-1][1].endswith("?") or len(text.split()) > 4 or asks(text):
            return []
        first = [one for one in questions(before[-1][0], "") if one.apt and not one.alone][:1]
        return [one for one in first if not asked(one.text, context)]
    if any(clause.person != "I" or clause.kind not in ("ahead", "wish", "state", "unable") for clause in clauses(text)):
        return []
    for user, _ in reversed(before):
        for match in _NAMED.finditer(mended(user)):
            who = second_person(match[0])
            nobody = _ABSENT.search(f"{context} {text}") or re.search(
                rf"\b(?:{match[1]}|we|us|he|him|she|her)\b", text, re.I)
            question = f"And {who}, what does {pronouns(who)['he']} say to that?"
            return [] if nobody or f"And {who}, what" in context else [Question(question, False, False)]
    return []


def _mainly(said: str) -> str:
    """The strategy of words said back with a short question: to readers a long part said back outweighs it."""
    return "Reflective Statements" if len(said.split()) > 6 else "Clarification"


def _is_news(clause: Clause) -> bool:
    return _theirs(clause) and bool(_NEWS.search(clause.text))


def _theirs(clause: Clause) -> bool:
    return clause.person != "other" or clause.subject.lower().startswith(("your ", "they"))


def unread(context: str) -> list[tuple[str, str]]:
    """What is said where nothing can be said back: company, that was not yet said."""
    return [("Clarification" if text.endswith("?") else "Reflective Statements", text)
            for text in _tellings()["unread"] if not asked(text, context)]


def _begins_with_question(reply: str) -> bool:
    return bool(re.match(r"(?:what|how|who|whom|where|when|which|did|is|will)\b", reply, re.I))


def asked(question: str, context: str) -> bool:
    """Whether a question that begins like this one was asked before."""
    return " ".join(question.lower().split()[:4]).strip("?") in context.lower()


def company(context: str, salt: str) -> str:
    """A sentence that keeps company, not yet said."""
    return next((text for text in _turned(_tellings()["company"], salt) if text not in context),
                _tellings()["company"][0])


def is_company(sentence: str) -> bool:
    """Whether a sentence only keeps company."""
    return sentence in _tellings()["company"]


def loss(text: str, context: str) -> str | None:
    """What is said to a death that was told: sorrow, and a question about who was lost."""
    for clause in clauses(text):
        if clause.kind == "past" and not clause.odd and _LOSS.search(clause.text) and len(clause.said.split()) <= 12 \
                and not _NO_LOSS.search(clause.text) and (clause.person != "thing" or _MORTAL.search(clause.subject)):
            for template in _turned(_tellings()["losses"], text):
                lost = re.search(r"lost (.+)$", clause.said)
                who = pronouns(lost[1] if lost else clause.subject)
                reply = template.format(clause=_inside(clause), **who)
                if not asked(reply, context) and not ("{he}" in template and who["he"] == "they"):
                    return reply
    return None


def pronouns(subject: str) -> dict[str, str]:
    """``he``, ``him`` and ``his`` for a subject: "she" and "her" for "your sister"; "your vet" where not known."""
    head = re.split(r" (?:of|at|in|from|with) ", subject)[0]
    if _SHE.search(head):
        return {"he": "she", "him": "her", "his": "her"}
    if _HE.search(head):
        return {"he": "he", "him": "him", "his": "his"}
    named = head.lower().startswith("your ") and not head.endswith("s") and len(head.split()) < 4
    return {"he": head, "him": head, "his": f"{head}'s"} if named else {"he": "they", "him": "them", "his": "their"}


def _questions_of(clause: Clause, text: str, context: str, salt: str) -> list[Question]:
    label = f"{clause.kind} {clause.person}"
    apt, likely, plain, said = [], [], [], clause.said if _sayable(clause) else ""
    embeddable = _sayable(clause) and len(clause.said.split()) > 2 and _EMBEDDED.match(clause.said) \
        and clause.said.lower().startswith(clause.subject.lower())
    for entry in _asked_of()["questions"]:
        if label not in entry["kinds"] or _idle(entry, text, context):
            continue
        match = entry["when"].search(clause.text) if entry["when"] else None
        embeds = "{clause}" in entry["text"] or "{inf}" in entry["text"]
        if (entry["when"] and not match) or (embeds and not embeddable):
            continue
        if "{clause}" in entry["text"] and re.search(
                r"'(?:ve|d|s)\b" if clause.kind == "past" else r"'(?:ve|d)\b", clause.said):
            continue
        groups = _groups(match) if match else {}
        slots = {"clause": _inside(clause), "inf": infinitive(clause), **pronouns(clause.subject), **groups,
                 **(pronouns(groups["who"]) if "who" in groups else {})}
        if "{inf}" in entry["text"] and not slots["inf"]:
            continue
        question = Question(entry["text"].format(**slots), bool(match) and "plain" not in entry,
                            embeds or entry.get("alone", False), said)
        (apt if question.apt else likely if match else plain).append(question)
    topics = []
    for entry in _asked_of()["topics"]:
        if (match := entry["when"].search(clause.text)) and not _idle(entry, text, context):
            topics.append(Question(entry["text"].format(**_groups(match)), True, False, said))
    return apt + topics + likely + _turned(plain, salt)


def _idle(entry: dict, text: str, context: str) -> bool:
    return bool(entry["unless"] and entry["unless"].search(text)
                or entry["known"] and entry["known"].search(f"{context} {text}"))


def _groups(match: re.Match) -> dict[str, str]:
    return {name: second_person(words) for name, words in match.groupdict().items() if words}


def _sayable(clause: Clause) -> bool:
    return len(clause.said.split()) in WORDS and not clause.odd and not _UNSAID.search(_THANKS.sub("", clause.text))


def _weight(clause: Clause) -> float:
    words = len(clause.said.split())
    opening = clause.text.split()[0].lower().split("'")[0]
    return (2.0 * clause.contrast + 0.5 * clause.last + 1.2 * bool(_TELLING.search(clause.text))
            + 0.3 * (clause.person != "thing") + 0.4 * (clause.kind in ("wish", "unable", "unknown"))
            - (0.5 if words > 6 else 1.0) * (opening in ("it", "there", "that"))
            - 0.6 * (words < 4) - 0.15 * max(0, words - 11))


def _inside(clause: Clause) -> str:
    """A clause as it stands inside a sentence."""
    said = clause.said
    first = said.split()[0].split("'")[0]
    named = first[0].isupper() and first.lower() not in STOPWORDS and first.lower() not in _UNNAMED
    return said if named else said[0].lower() + said[1:]


def _sentence(said: str) -> str:
    return said[0].upper() + said[1:].rstrip(" ,.!") + "." if said else ""


def _turned(entries: list, salt: str) -> list:
    """The entries from one on that depends on the words, so that not every conversation begins with the same."""
    at = zlib.crc32(salt.encode()) % len(entries) if entries else 0
    return entries[at:] + entries[:at]
