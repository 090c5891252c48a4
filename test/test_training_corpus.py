"""The corpus and the program that checks it."""

import json
import subprocess
import sys

import pytest

from training.corpus_check import banned, check_file, check_wrong, copied, main, near_duplicates, reading_grade
from training.datasets import CORPUS, corpus, read_dialogues
from training.portability import mark


def record(*replies, scene="Breakups or Divorce"):
    turns = []
    for at, reply in enumerate(replies):
        turns += [{"role": "user", "text": f"i was left on day {at}"},
                  {"role": "assistant", "strategy": "Clarification", "text": reply, "portable": True}]
    return {"scene": scene, "description": "He left.", "turns": turns}


def problems(tmp_path, *records, register="plain"):
    path = tmp_path / "plain_9.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in records), encoding="utf-8")
    return list(check_file(path, register))


def test_a_sound_record_has_no_problem(tmp_path):
    assert problems(tmp_path, record("That sounds hard. When did he leave?")) == []


def broken(**changes):
    return record("That sounds hard. When did he leave?") | changes


@pytest.mark.parametrize("bad, said", [
    (broken(scene="Weather"), "unknown scene"),
    (broken(extra=1), "keys"),
    (broken(description=" "), "no description"),
    (broken(turns=[]), "pairs"),
    (broken(turns=record("Oh. That is hard.")["turns"][::-1]), "must be user's"),
    (broken(turns=[{"role": "user", "text": "a"}, {"role": "assistant", "text": "b c d e", "strategy": "X"}]),
     "unknown strategy"),
    (record("Yes."), "1 words"),
    (record("That is hard. Why?", "That is hard. When?"), "opens as the reply before"),
    (record("I know how you feel, it is hard."), "claim to know"),
    (record("Professional psychological counselling facilitates considerable emotional recovery."), "grade"),
])
def test_what_is_wrong_with_a_record_is_named(tmp_path, bad, said):
    found = problems(tmp_path, bad)
    assert any(said in problem for problem in found), found
    assert all(problem.startswith("plain_9.jsonl:1 ") for problem in found)


@pytest.mark.parametrize("reply", [
    "I know exactly how you feel.", "My mother said the same.", "I used to have a friend.", "As a human, I get it.",
    "I will keep this secret.", "It stays between us.", "You have depression.", "Stop taking your pills.",
    "I promise it gets better.", "At least you have a job.", "Just try to relax.", "I can hold your hand.",
    "Breathe (slowly).", "You are strong 😊"])
def test_a_banned_claim_is_found(reply):
    assert banned(reply)


@pytest.mark.parametrize("reply", [
    "I am a robot, so I cannot hug you.", "You are not your illness.", "What did your mother say?",
    "I do not know how you feel. Tell me more.", "Being told to calm your voice is annoying."])
def test_an_honest_reply_is_not_banned(reply):
    assert banned(reply) == []


def test_the_reading_grade_rises_with_long_words_and_long_sentences():
    plain = reading_grade(["That is hard. I am here."])
    assert plain < 2 < reading_grade(["Considerable uncertainty regarding employment generates anxiety."])


def test_a_dialogue_written_twice_and_one_taken_from_elsewhere_are_found(tmp_path):
    ours = corpus()[:200]
    twin = ours[3].__class__(ours[3].scene, "x", ours[3].turns, "twin")
    assert any("twin" in problem for problem in near_duplicates([*ours, twin]))
    assert any(ours[3].source in problem for problem in copied(ours[:10], [twin]))


def test_wrong_replies_need_four_different_texts(tmp_path):
    path = tmp_path / "wrong.jsonl"
    same = "That is hard for you."
    path.write_text(json.dumps({"context": [{"role": "user", "text": "a"}], "right": same, "contradicting": same,
                                "wrong_person": same, "invented": same}), encoding="utf-8")
    assert "four different" in next(check_wrong(path))


def test_a_reply_that_leans_on_what_was_said_before_is_not_portable(tmp_path):
    path = tmp_path / "plain_9.jsonl"
    one = record("That sounds hard. How do you feel?", "You said he left. How do you feel?",
                 "She must hurt you.", "That sounds hard. How do you feel?")
    path.write_text(json.dumps(one), encoding="utf-8")
    dialogues = read_dialogues(path)
    assert mark(dialogues, corpus()) == [[True, False, False, True]]


def test_marking_writes_only_what_lacks_a_mark(tmp_path, monkeypatch, capsys):
    path = tmp_path / "short_9.jsonl"
    one = record("That sounds hard.", "You said he left. What now?")
    one["turns"][1]["portable"] = False
    del one["turns"][3]["portable"]
    path.write_text(json.dumps(one) + "\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["corpus_check", "--mark", str(path)])
    main()
    marked = json.loads(path.read_text())
    assert [turn["portable"] for turn in marked["turns"][1::2]] == [False, False]
    for turn in one["turns"][3:]:
        turn["portable"] = False
    assert marked == one


def test_a_missing_file_is_one_line_and_no_traceback():
    ended = subprocess.run([sys.executable, "-m", "training.corpus_check", "/nowhere/x.jsonl"],
                           capture_output=True, text=True, cwd=CORPUS.parent.parent)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: corpus file '/nowhere/x.jsonl'") and ended.stderr.count("\n") == 1


def test_the_corpus_that_ships_is_complete_and_sound(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["corpus_check"])
    assert main() == 0, capsys.readouterr().out
