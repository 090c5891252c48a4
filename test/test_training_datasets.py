"""Loaders of our corpus, ESConv and ExTES: one shape out of many forms."""

import json

import pytest

from esc_robot.errors import Problem
from training.datasets import Turn, alternate, corpus, part_of, read_dialogues, split

OURS = {"scene": "Breakups or Divorce", "description": "He left.", "turns": [
    {"role": "user", "text": "he left"},
    {"role": "assistant", "strategy": "Clarification", "text": "When did he leave?", "portable": True}]}
ESCONV_RAW = {"problem_type": "breakup", "situation": "He left.", "dialog": [
    {"speaker": "supporter", "annotation": {"strategy": "Question"}, "content": "Hello, how are you?\n"},
    {"speaker": "seeker", "annotation": {}, "content": "Hi"},
    {"speaker": "seeker", "annotation": {"feedback": "5"}, "content": " he left  me"},
    {"speaker": "supporter", "annotation": {"strategy": "Reflection of feelings"}, "content": "You are sad."},
    {"speaker": "supporter", "annotation": {"strategy": "Question"}, "content": "When was it?"},
    {"speaker": "seeker", "annotation": {}, "content": "bye"}]}
ESCONV_LINE = {"problem_type": "breakup", "situation": "He left.", "dialog": [
    {"text": "he left me", "speaker": "usr"}, {"text": "You are sad.", "speaker": "sys", "strategy": "Information"}]}
EXTES = {"scene": "Grief", "description": "A loss.", "content": [
    {"User": "hey"}, {"AI Strategy": "Emotional Validation (EV)", "AI": "That hurts."},
    {"User": "yes"}, {"AI Strategy": "", "AI": "I am here."}]}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def texts(dialogue):
    return [turn.text for turn in dialogue.turns]


def test_raw_esconv_is_merged_into_alternation_with_the_user_first_and_a_reply_last(tmp_path):
    dialogue, = read_dialogues(write(tmp_path / "ESConv.json", [ESCONV_RAW]))
    assert texts(dialogue) == ["Hi he left me", "You are sad. When was it?"]
    assert dialogue.replies[0].strategy == "Empathetic Statements"
    assert (dialogue.scene, dialogue.description) == ("breakup", "He left.")


def test_esconv_one_object_a_line_reads_as_the_raw_list_does(tmp_path):
    lines = "\n".join(json.dumps(ESCONV_LINE) for _ in range(2))
    dialogues = read_dialogues(write(tmp_path / "train.jsonl", lines))
    assert [texts(dialogue) for dialogue in dialogues] == [["he left me", "You are sad."]] * 2
    assert dialogues[0].replies[0].strategy == "Share Information"


@pytest.mark.parametrize("rename", [
    {}, {"User": "user", "AI": "ai", "AI Strategy": "strategy"}, {"User": "Seeker", "AI": "Supporter"},
    {"AI Strategy": "AI_strategy", "User": " User "}])
def test_extes_is_read_under_every_variant_of_its_keys(tmp_path, rename):
    record = EXTES | {"content": [{rename.get(key, key): value for key, value in entry.items()}
                                  for entry in EXTES["content"]]}
    dialogue, = read_dialogues(write(tmp_path / "ExTES.json", [record]))
    assert texts(dialogue) == ["hey", "That hurts.", "yes", "I am here."]
    assert [reply.strategy for reply in dialogue.replies] == ["Emotional Validation", ""]


def test_extes_in_instruction_form_becomes_the_same_turns(tmp_path):
    record = {"instruction": "yes", "input": "", "output": "I am here.", "history": [["hey", "That hurts."]]}
    dialogue, = read_dialogues(write(tmp_path / "aptness.json", [record]))
    assert texts(dialogue) == ["hey", "That hurts.", "yes", "I am here."]


def test_our_own_record_keeps_its_strategy_and_mark(tmp_path):
    dialogue, = read_dialogues(write(tmp_path / "plain.jsonl", OURS))
    assert dialogue.turns[1] == Turn("assistant", "When did he leave?", "Clarification", True)


def test_a_turn_is_never_empty_and_speakers_always_alternate():
    said = [Turn("assistant", "hello"), Turn("user", " "), Turn("user", "a"), Turn("user", "b"),
            Turn("assistant", "c"), Turn("assistant", "d", "Clarification"), Turn("user", "e")]
    assert alternate(said) == (Turn("user", "a b"), Turn("assistant", "c d", "Clarification"))


@pytest.mark.parametrize("content, thing", [
    ("{broken", "line 1"), ([{"scene": "x"}], "record 1"),
    ([{"dialog": [{"speaker": "dog", "text": "x"}]}], "record 1"),
    ([3], "record 1"), ([], "holds no dialogue")])
def test_a_file_of_an_unknown_form_is_one_clear_line(tmp_path, content, thing):
    with pytest.raises(Problem, match=thing) as caught:
        read_dialogues(write(tmp_path / "bad.json", content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(Problem, match="cannot be read"):
        read_dialogues(tmp_path / "none.json")


def test_the_parts_share_no_dialogue_and_held_out_scenes_stand_in_no_other_part():
    everything = corpus()
    parts = split(everything)
    assert sum(map(len, parts.values())) == len(everything)
    assert min(map(len, parts.values())) > 30 and len(parts["train"]) > 0.85 * len(everything)
    scenes = {name: {dialogue.scene for dialogue in part} for name, part in parts.items()}
    assert len(scenes["scenes"]) == 3
    assert not scenes["scenes"] & (scenes["train"] | scenes["valid"] | scenes["test"])
    openings = {name: {(d.scene, d.turns[0].text.lower()) for d in part} for name, part in parts.items()}
    assert not openings["train"] & (openings["valid"] | openings["test"])


def test_mending_a_reply_does_not_move_its_dialogue_to_another_part():
    dialogue = corpus()[0]
    mended = dialogue.__class__(dialogue.scene, dialogue.description, (*dialogue.turns[:-1], Turn("assistant", "x")))
    assert part_of(mended) == part_of(dialogue)
