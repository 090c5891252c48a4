"""What the encoders are trained and measured on, and the blind reading of replies."""

import json
import re

import pytest

from esc_robot.errors import Problem
from training import acts, judge_replies, judge_strategies
from training.datasets import corpus, split
from training.selector import main, recall, rejected
from training.selector_data import (
    KINDS,
    act_replies,
    contradicted,
    invented,
    misattributed,
    pairs,
    renamed,
    wrong_replies,
)


def test_no_held_out_turn_is_trained_on():
    train, held = acts.labelled_turns()
    assert not {turn.text.lower() for turn in train} & {turn.text.lower() for turn in held}
    assert 0.12 < len(held) / (len(train) + len(held)) < 0.18


def test_every_act_has_turns_on_both_sides_and_replies():
    names = set(act_replies())
    train, held = acts.labelled_turns()
    assert {turn.act for turn in train} == {turn.act for turn in held} == names
    assert {turn.also for turn in train + held} - {""} <= names


def test_wrong_replies_of_held_out_dialogues_are_held_out():
    train, held = wrong_replies()
    in_training = {turn.text for dialogue in split(corpus())["train"] for turn in dialogue.turns}
    assert len(held) > 100 and not [entry for entry in held if entry.right in in_training and entry.text in in_training]
    assert all(set(entry.wrong) == set(KINDS) for entry in train + held)


def test_portable_pairs_are_some_of_all_pairs():
    dialogues = split(corpus())["valid"]
    assert 0 < len(pairs(dialogues, portable=True)) < len(pairs(dialogues))


def test_a_pair_knows_all_that_was_said_before_it_and_nothing_after():
    dialogue = split(corpus())["valid"][0]
    lines = [turn.text for turn in dialogue.turns]
    for k, pair in enumerate(pairs([dialogue])):
        assert [*pair.before, pair.text, pair.reply] == lines[:2 * k + 2]


def test_a_person_is_renamed_in_every_line_so_that_the_reply_still_follows():
    lines = ["My mother is ill", "I am sorry that your mother is ill."]
    changed = renamed(lines)
    assert changed != lines and changed[0].split()[1] == changed[1].split()[5] != "mother"
    assert renamed(["I am tired", "Rest is fair."]) is None


def test_changed_replies_differ_at_one_place():
    reply = "It is hard that your sister left."
    for changed in (contradicted(reply), misattributed(reply), invented(reply)):
        assert changed != reply and len(set(changed.split()) & set(reply.split())) >= 4
    assert contradicted("Tell me.") is None and misattributed("Tell me.") is None


def test_a_second_act_counts_as_right():
    turns = [acts.LabelledTurn("a", "greets", "robot_nature"), acts.LabelledTurn("b", "thanks")]
    assert acts.score(turns, ["robot_nature", "thanks"], [0.9, 0.4])["top_1"] == 1
    assert acts.score(turns, ["goodbye", "thanks"], [0.9, 0.4])["confident"][2] == {
        "confidence": 0.9, "share": 0.5, "right": 0.0}


def test_recall_is_full_when_every_reply_lies_on_its_context():
    torch = pytest.importorskip("torch")
    held = pairs(split(corpus())["test"])[:120]
    vectors = torch.nn.functional.normalize(torch.randn(120, 64), dim=-1)
    assert recall(held, vectors, vectors) > 0.95
    assert recall(held, vectors, vectors.roll(1, 0)) < 0.1


def test_a_check_that_knows_the_right_replies_rejects_every_other():
    held = wrong_replies()[1]
    right = {(entry.before, entry.text): entry.right for entry in held}
    turns = list(right)
    known = rejected(lambda before, text, replies: [
        1 - turns.index((before, text)) / 1e4 if reply == right[before, text] else 0.0 for reply in replies], held)
    assert known["right_kept"] == 0.8 and known["misplaced"] == 1 and all(known[kind] == 1 for kind in KINDS)


@pytest.mark.parametrize("step, lacks", [("check", "train dual first"), ("export", "missing|train them first")])
def test_a_step_without_what_it_builds_upon_is_one_clear_line(tmp_path, capsys, step, lacks):
    assert main([step, str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert re.search(lacks, error) and error.count("\n") == 1


def _played(folder, systems):
    for name in systems:
        rows = [{"system": name, "opening": 1, "turn": turn, "kind": "ordinary", "country": "IE",
                 "context": [["user", f"line {turn}"]], "reply": "Same." if turn == 0 else f"{name[::-1]} {turn}.",
                 "strategy": "Others", "source": "act"} for turn in range(3)]
        (folder / f"replies_{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_readers_see_no_system_and_the_same_reply_only_once(tmp_path, monkeypatch):
    monkeypatch.setattr(judge_replies, "openings", lambda: [{"id": 1}])
    _played(tmp_path, ("alpha", "beta"))
    judge_replies.deal(tmp_path, ["alpha", "beta"], share=1, batch=4, seed=0)
    shown = "".join(path.read_text().split("# The items")[1] for path in sorted(tmp_path.glob("batch_*.md")))
    assert shown.count("REPLY:") == 5 and "alpha" not in shown and "country: IE" in shown


def test_of_two_readers_the_lower_label_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(judge_replies, "openings", lambda: [{"id": 1}])
    monkeypatch.chdir(tmp_path)
    _played(tmp_path, ("alpha",))
    judge_replies.deal(tmp_path, ["alpha"], share=1, batch=60, seed=0)
    (tmp_path / "labels_a.txt").write_text("1 fits good\n2 fits\n3 weak generic\n")
    (tmp_path / "labels_b.txt").write_text("1 wrong invented\n2 fits\n")
    table = judge_replies.count(tmp_path)
    assert table["alpha"] == {"replies": 3, "fits": 33, "weak": 33, "wrong": 33}
    assert "| alpha | 3 | 33 | 33 | 33 |" in (tmp_path / "runs/bench/replies.md").read_text()


def test_a_line_that_is_no_label_is_refused(tmp_path):
    (tmp_path / "labels_a.txt").write_text("1 fits ok\n2 splendid\n")
    with pytest.raises(Problem, match="NUMBER LABEL REASON"):
        judge_replies.labels(tmp_path)


def test_an_unknown_system_is_named_with_those_that_are_known(tmp_path):
    with pytest.raises(Problem, match="oracle.*chooser"):
        judge_replies.play(tmp_path, ["oracle"], None)


def test_strategies_are_read_without_the_robots_own_and_counted(tmp_path):
    _played(tmp_path, ("alpha",))
    judge_strategies.deal(tmp_path, "alpha", share=1, batch=2)
    shown = "".join(path.read_text().split("# The items")[1] for path in sorted(tmp_path.glob("strategies_*.md")))
    key = json.loads((tmp_path / "strategies_key.json").read_text())
    assert shown.count("REPLY:") == len(key) == 3 and "Clarification" not in shown
    read = tmp_path / "strategies_a.txt"
    read.write_text(f"1 {key[0]} / Others\n2 Offer Hope / {key[1]}\n3 Offer Hope / Affirmation\n")
    assert judge_strategies.count(tmp_path) == {"replies": 3, "of": 3, "first": 0.333, "either": 0.667}
    read.write_text("1 Kindness / Others\n")
    with pytest.raises(Problem, match="FIRST / SECOND"):
        judge_strategies.count(tmp_path)
