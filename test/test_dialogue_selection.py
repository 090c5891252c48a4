"""Choosing what to say: acts, reflections, fetched replies, the last check. With the shipped encoders."""

import shutil

import numpy as np
import pytest

from esc_robot.dialogue import candidates, encoder
from esc_robot.dialogue.acts import act_replies, asks
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.reflection import reflections, said_back, salient
from esc_robot.dialogue.selector import SOURCES, Chooser
from esc_robot.dialogue.strategy import STRATEGIES
from esc_robot.errors import Problem


@pytest.fixture(scope="module")
def chooser():
    return Chooser()


def _talk(chooser, lines):
    turns = []
    for line in lines:
        choice = chooser.choose(turns, line)
        turns.append(Turn(str(len(turns)), line, [choice.reply], choice.strategy))
    return turns


def test_what_was_said_is_said_back_in_the_second_person():
    assert reflections("I haven't told my wife about the car.") == ["You haven't told your wife about the car."]
    assert "Your sister took you to our old school." not in reflections("My sister took me to our old school.")
    assert reflections("My sister took me to our old school.") == ["Your sister took you to your old school."]
    assert reflections("well i guess i was in the garden all day") == ["You were in the garden all day."]


def test_only_a_name_keeps_its_capital_inside_a_sentence():
    assert said_back("My boy says sell. He's an accountant.") == "Your boy says sell, and he's an accountant."
    assert said_back("My boy says sell. Tom's an accountant.") == "Your boy says sell, and Tom's an accountant."


@pytest.mark.parametrize("text", [
    "I am a bad mother", "it was my fault", "I'm going to kill my flatmate", "she died in February",
    "I'm not good enough", "you never listen to me", "Why did I sell the house?", "go away and leave me",
    "I should have called her",
    "i feel stupid about it", "if I told him he would leave"])
def test_what_would_wound_or_is_no_statement_is_not_said_back(text):
    assert reflections(text) == []


def test_of_a_long_clause_the_telling_part_is_said_back_alone():
    assert salient("She packs a bag every evening and asks me to drive her home") == "Every evening."
    assert salient("we were together for 9 years") == "9 years."
    assert salient("he is nine years old") is None and salient("two years ago") is None
    assert salient("I have to do a speech in three weeks") is None


@pytest.mark.parametrize("text, question", [
    ("what's the capital of Australia", True), ("I told him. Do you think he knows?", True),
    ("so how do i tell her", True),
    ("Is it wrong? I don't think so.", False), ("i know what he wants", False), ("Tell me more", False)])
def test_a_question_is_known_by_its_mark_or_its_first_words(text, question):
    assert asks(text) is question


def test_every_reply_of_an_act_has_a_strategy_of_the_sixteen():
    assert {reply.strategy for replies in act_replies().values() for reply in replies} <= set(STRATEGIES)


@pytest.mark.parametrize("text, act", [
    ("hello there", "greets"), ("thank you so much", "thanks"), ("I have to go now, bye", "goodbye"),
    ("my grandmother died last week", "grief"), ("do you remember me", "robot_memory"),
    ("are you a real person", "robot_nature"), ("can you say that again please", "asks_repeat")])
def test_plain_turns_get_their_act(chooser, text, act):
    assert chooser.choose([], text).act == act


def test_asked_to_repeat_the_robot_says_its_last_reply_again(chooser):
    turns = [Turn("1", "my cat ran away", ["How long has the cat been gone?"])]
    assert chooser.choose(turns, "can you say that again please").reply.endswith("How long has the cat been gone?")
    assert "not said anything" in chooser.choose([], "can you say that again please").reply


def test_the_robot_claims_no_memory_of_other_days(chooser):
    choice = chooser.choose([], "Do you remember what I told you last time?")
    assert choice.source == "robot" and "forget" in choice.reply


def test_no_reply_comes_twice_in_a_conversation(chooser):
    replies = [turn.reply for turn in _talk(chooser, ["i don't know"] * 8 + ["i am so tired"] * 8)]
    assert len(set(replies)) == len(replies)


def test_who_wants_no_questions_is_asked_none(chooser):
    turns = _talk(chooser, ["my father is ill", "please don't ask me anything", "i am tired", "they moved him today"])
    assert not [turn.reply for turn in turns[1:] if "?" in turn.reply]


def test_silence_is_kept_company(chooser):
    assert chooser.choose([], "...").act == "silent_or_unsure"


@pytest.mark.parametrize("source", SOURCES)
def test_one_source_alone_gives_replies_of_that_source_or_safe_ones(source):
    turns = ["my boyfriend left me", "he took the car and the dog", "what should i do"]
    alone = Chooser(sources=(source,), threshold=0)
    choices = [alone.choose([], text) for text in turns]
    assert {choice.source for choice in choices} <= {source, "safe"} and source in {c.source for c in choices}


def test_a_corrupt_encoder_is_one_clear_line(tmp_path, monkeypatch):
    for path in ("encoders.yaml", "dual.onnx"):
        shutil.copy(str(encoder.DATA / path), tmp_path / path)
    with open(tmp_path / "dual.onnx", "r+b") as file:
        file.write(b"\0\0\0\0")
    monkeypatch.setattr(encoder, "DATA", tmp_path)
    with pytest.raises(Problem, match="SHA-256"):
        encoder.Encoder("dual")
    (tmp_path / "dual.onnx").unlink()
    with pytest.raises(Problem, match="missing"):
        encoder.Encoder("dual")


def test_replies_that_changed_are_indexed_again(tmp_path, monkeypatch, capsys):
    reader = candidates.Reader()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(candidates, "DATA", tmp_path)
    for reply in ("The cat will be hungry.", "Where did the cat sleep?", "Where did the cat sleep?"):
        (tmp_path / "replies.jsonl").write_text(
            f'{{"turn": "my cat is gone", "reply": "{reply}", "strategy": "Others"}}\n')
        found = candidates.Fetcher(reader.encoder).fetch(reader.read("my cat is gone").vector)
        assert [candidate.reply for candidate in found] == [reply]
    assert capsys.readouterr().err.count("indexing 1 replies") == 2


def test_the_past_is_read_newest_first_and_only_with_what_there_is():
    assert encoder.in_context("hi", []) == "hi" and encoder.with_reply("hi", [], "Hello.") == ("hi", "Hello.")
    assert encoder.in_context("he left", ["my son is ill", "Since when?"]) == ("he left", "Since when? | my son is ill")
    before = ["my son is ill", "Since when?", "may", "That is long."]
    assert encoder.with_reply("he left", before, "Oh.") == ("he left | That is long. | may | my son is ill", "Oh.")


def test_the_same_words_are_read_otherwise_after_other_words(chooser):
    encode = chooser._reader.encoder
    first, second, alone = (encode([encoder.in_context("yes", before)])[0][0] for before in (
        ["my dog died", "Do you miss her?"], ["i got the job", "Will you take it?"], []))
    assert first @ second < 0.95 and first @ alone < 0.99


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(chooser):
    encode = chooser._reader.encoder
    alone, together = encode(["hello"])[0], encode(["hello", "my landlord has sold the house and we must leave"])[0]
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4) and np.allclose(alone[0], together[0], atol=1e-3)
