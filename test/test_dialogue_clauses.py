"""Reading what a turn tells and what it asks for: clauses, what is said back with which question, moves."""

import re
import time

import pytest

from esc_robot.dialogue.clauses import clauses, infinitive, lemma
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.moves import moves
from esc_robot.dialogue.reflection import loss, questions, said_back, told
from esc_robot.dialogue.selector import Chooser


@pytest.fixture(scope="module")
def chooser():
    return Chooser()


@pytest.mark.parametrize("text, kind, person", [
    ("she sold the piano", "past", "other"), ("the hearing is on the fourteenth", "ahead", "thing"),
    ("we are moving to Leeds", "ahead", "I"), ("he never calls me", "habit", "other"), ("I'm so tired", "state", "I"),
    ("I want a day off", "wish", "I"), ("I think he lied", "opinion", "I"), ("i cant open the letter", "unable", "I"),
    ("I haven't told anyone", "undone", "I"), ("my son doesn't know yet", "unknown", "other"),
    ("I've got four pounds left", "have", "I"), ("my knee's bad", "state", "thing"),
    ("my mother used to sing", "was", "other"), ("every morning the cups are gone", "state", "thing")])
def test_a_clause_is_known_by_what_kind_of_thing_it_tells_and_of_whom(text, kind, person):
    assert [(clause.kind, clause.person) for clause in clauses(text)] == [(kind, person)]


@pytest.mark.parametrize("text, said", [
    ("i wasnt crying in front of mum", "You weren't crying in front of your mum."),
    ("me and my dad were on the pier", "You and your dad were on the pier."),
    ("my daughter call the helper aunty", "Your daughter calls the helper aunty."),
    ("In my country I was teacher", "In your country you were a teacher."),
    ("sat in the car for an hour", "You sat in the car for an hour."),
    ("just tired of doing fractions", "You are just tired of doing fractions."),
    ("sacked by text", "You were sacked by text."),
    ("My son he don't want to eat", "Your son doesn't want to eat."),
    ("i meant she never sat down with us", "She never sat down with you."),
    ("they said eighteen moths", "They said eighteen months."),
    ("First time in five weeks!", "First time in five weeks."),
    ("I'm not cross that she went. I'm cross nobody rang",
     "You're not cross that she went, you're cross nobody rang."),
    ("she sent flowers to the ward but she didn't come", "She sent flowers to the ward, but she didn't come."),
    ("he took the lamp. the one from the hall table. and I held the door for him, that's what gets me",
     "You held the door for him.")])
def test_the_point_is_said_back_in_good_english(text, said):
    assert said_back(text) == said


@pytest.mark.parametrize("text", [
    "if i stop we all fail",
    "my contract is finish", "they gave me a card with the", "I live here since two years"])
def test_what_was_not_understood_is_not_said_back(text):
    assert said_back(text) is None


@pytest.mark.parametrize("past, verb", [("sat", "sit"), ("stopped", "stop"), ("moved", "move"), ("carried", "carry"),
                                        ("visited", "visit"), ("hoped", "hope"), ("watched", "watch")])
def test_a_verb_is_found_from_its_past(past, verb):
    assert lemma(past) == verb


def test_what_the_user_did_is_put_after_to():
    assert [infinitive(clause) for clause in clauses("I told my father. I'm a guest in my kitchen. he left")] == [
        "tell your father", "be a guest in your kitchen", None]


@pytest.mark.parametrize("text", ["the scan is on Thursday", "I start the new job on Monday", "my son leaves tomorrow"])
def test_nobody_is_asked_how_it_was_before_it_has_happened(text):
    replies = [reply for _, reply in told(text, [])]
    assert replies and not [reply for reply in replies if re.search(r"\b(?:was|were|did|happened)\b", reply)]


def test_what_is_told_on_the_way_to_something_is_not_looked_back_on():
    before = [("I go in for my operation on Thursday", "You go in on Thursday.")]
    replies = [reply for _, reply in told("my slippers don't fit in the bag", before)]
    assert replies and not [reply for reply in replies if re.search(r"\b(?:was|did|happened|afterwards)\b", reply)]


@pytest.mark.parametrize("text", ["I look like a plucked hen", "i'm a terrible mother", "I'm such an idiot"])
def test_a_harsh_or_odd_word_about_oneself_is_not_repeated(text):
    assert not [reply for _, reply in told(text, []) if text.split()[-1] in reply]


def test_what_hangs_on_a_maybe_is_not_told():
    assert "making" not in said_back("maybe they are right and i am making it up")


def test_a_question_about_another_clause_stands_with_that_clause():
    reply = told("I retired on the last day of June and my alarm still goes at ten to six", [])[0][1]
    assert reply.startswith("You retired on the last day of June. ")


def test_only_who_lived_is_mourned():
    assert loss("the fridge died with all my insulin in it", "") is None
    assert loss("my dog died", "").startswith("I am sorry that your dog died.")


def test_a_clause_is_not_said_back_twice_running():
    first = told("my brother sold the boat", [])[0][1]
    assert first.startswith("Your brother sold the boat.")
    second = told("he told me at the gate", [("my brother sold the boat", first)])[0][1]
    assert second == "What did you say to that?"


def test_no_question_is_asked_twice():
    text = "she looked at me and walked out"
    first = questions(text, "")[0].text
    assert first not in [question.text for question in questions(text, f"Oh. {first}")]


def test_a_death_is_met_with_sorrow_and_who_it_was_is_asked():
    strategy, reply = told("my sister died in march", [])[0]
    assert reply.startswith("I am sorry that your sister died in March.") and re.search(r"\b(?:her|she)\b", reply)
    assert strategy == "Empathetic Statements"


@pytest.mark.parametrize("text, before, act, words", [
    ("please don't tell me it's all right", 0, "refuses", "I will not tell you it is all right"),
    ("stop asking how I feel", 1, "refuses", "no more asking how you feel"),
    ("no advice please", 0, "refuses", "none of that"),
    ("I'd rather not say", 1, "refuses", ""), ("...", 1, "silent_or_unsure", "here"),
    ("That was all. I've a bus to catch", 1, "goodbye", ""),
    ("right, I'd better go and get the kids", 1, "goodbye", ""),
    ("night", 1, "goodbye", "Good night"), ("I came to say thank you. You sat with me last month", 0, "thanks", ""),
    ("no I said my lodger, not my brother", 1, "corrects_robot", "Your lodger, not your brother"),
    ("you keep asking the same thing", 1, "doubts_robot", "You are right"),
    ("why?", 1, "asks_repeat", "You may leave it out|need not answer"),
    ("should I lend my cousin the money", 0, "asks_advice", "if you lend your cousin the money"),
    ("do you like cricket", 0, "robot_nature", "I am a machine, so I have no taste for cricket"),
    ("can you see me", 0, "robot_ability", "cannot see"), ("what if they laugh", 1, "fear_ahead", "if they laugh"),
    ("tell me something else", 1, "robot_ability", r"\w+ \w+ \w+"),
    ("is that stupid?", 1, "asks_hard_question", "not sound"),
    ("how much is a stamp", 0, "asks_fact", "I do not know"), ("you're just a machine", 1, "doubts_robot", "machine")])
def test_what_a_turn_asks_for_is_answered(chooser, text, before, act, words):
    turns = [Turn("1", "my aunt rang about the garden", ["What did she say?"])][:before]
    choice = chooser.choose(turns, text)
    assert choice.act == act and choice.source in ("move", "robot") and re.search(words, choice.reply)


@pytest.mark.parametrize("text", [
    "I never said thank you to my uncle", "it's a Tuesday, it's always a Tuesday", "I have to go to court in May",
    "I told him to stop shouting", "he said you are useless", "we could hear the neighbours call the dog",
    "I said yes to the job", "she asked me to be quiet", "nobody wants my advice"])
def test_what_is_told_is_not_taken_for_a_request_of_the_robot(text):
    assert moves(text, 1) == []


def test_the_time_is_told_from_the_clock(chooser):
    assert time.strftime("%A") in chooser.choose([], "what day is it").reply
    assert re.search(r"\d+:\d\d [AP]M", chooser.choose([], "what's the time?").reply)
