"""Statistics of dialogues, counted by hand on two."""

from training.datasets import Dialogue, Turn
from training.statistics import history_tokens, scenes, strategies, turns, utterance_words, write


def dialogue(scene, *said):
    return Dialogue(scene, "x", tuple(
        Turn(("user", "assistant")[at % 2], text, "Clarification" if at % 2 else "") for at, text in enumerate(said)))


TWO = [dialogue("a", "I lost the job", "When was it?"), dialogue("b", "hi", "Hello.", "I lost it", "What happened?")]


def test_counts_are_those_of_the_dialogues():
    assert scenes(TWO) == {"a": 1, "b": 1}
    assert strategies(TWO) == {"Clarification": 3}
    assert turns(TWO) == {2: 1, 4: 1}
    assert utterance_words(TWO) == {"user": {4: 1, 1: 1, 3: 1}, "assistant": {3: 1, 1: 1, 2: 1}}


def test_history_grows_with_turns_and_is_shorter_without_stopwords():
    rows = history_tokens(TWO, lambda text: len(text.split()))
    assert [row[:3] for row in rows] == [(1, 2, 2.5), (2, 2, 4.5), (3, 1, 5.0), (4, 1, 7.0)]
    assert rows[0][3] == 1.5 and all(short <= raw for _, _, raw, short in rows)


def test_the_table_and_every_plot_are_written(tmp_path):
    table = write(["rich"], tmp_path / "out").read_text()
    assert "Breakups or Divorce" in table and "Emotional Validation" in table
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "statistics.md", "scenes.png", "strategies.png", "turns.png", "words.png", "history.png"}
