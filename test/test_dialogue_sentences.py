import pytest

from esc_robot.dialogue.sentences import SentenceSplitter, speakable
from esc_robot.dialogue.strategy import STRATEGIES, strategy_of, told_strategy


def split(text, complete=True, limit=9, size=1):
    splitter = SentenceSplitter(limit)
    pieces = [text[start:start + size] for start in range(0, len(text), size)]
    sentences = [sentence for piece in pieces for sentence in splitter.push(piece)]
    return sentences + splitter.finish(complete)


@pytest.mark.parametrize(("text", "sentences"), [
    ("Dr. Smith said so. It cost 3.50 dollars, e.g. a coffee. Fine!",
     ["Dr. Smith said so.", "It cost 3.50 dollars, e.g. a coffee.", "Fine!"]),
    ("I am... not sure. Wait\u2026 what? Well... Maybe", ["I am... not sure.", "Wait... what?", "Well...", "Maybe."]),
    ('She said "Why me?" and cried. "I am sad." That is hard.',
     ['She said "Why me?" and cried.', '"I am sad."', "That is hard."]),
    ("I think so do I. But U.S. law is odd. Come at 5 p.m. Then rest",
     ["I think so do I.", "But U.S. law is odd.", "Come at 5 p.m.", "Then rest."]),
    ("It was in 1999. Then no. Really?! yes", ["It was in 1999.", "Then no.", "Really?!", "Yes."]),
    ("First line\nSecond line", ["First line.", "Second line."]),
])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_sentences_are_split_where_they_end_however_the_text_arrives(text, sentences, size):
    assert split(text, size=size) == sentences


@pytest.mark.parametrize(("text", "sentences"), [
    ("*smiles warmly* I am **so** sorry. (nods) How are you? \U0001f60a\u2764\ufe0f :)",
     ["I am so sorry.", "How are you?"]),
    ("1. Take a walk.\n2. Drink water.\n- Rest", ["Take a walk.", "Drink water.", "Rest."]),
    ("# I hear you\nSee [this](http://x.y) at www.foo.com now. `Code` x",
     ["I hear you.", "See this at now.", "Code x."]),
    ("Assistant: I am here.", ["I am here."]),
    ("\U0001f60a", []),
])
def test_only_what_can_be_spoken_is_left(text, sentences):
    assert split(text) == sentences


def test_the_model_never_speaks_for_the_user():
    splitter = SentenceSplitter()
    assert splitter.push("I am here. User: my life is hard. Assistant: yes. ") == ["I am here."]
    assert splitter.done and splitter.finish(True) == []


def test_a_sentence_is_out_as_soon_as_the_next_one_begins():
    splitter = SentenceSplitter()
    assert splitter.push("I hear you.") == []
    assert splitter.push(" W") == ["I hear you."]


def test_no_more_than_three_sentences_are_said():
    assert split("One. Two. Three. Four. Five.", limit=3) == ["One.", "Two.", "Three."]


def test_a_cut_sentence_is_dropped_when_something_was_said():
    assert split("I hear you. That must be", complete=False) == ["I hear you."]


def test_a_cut_sentence_that_is_all_there_is_ends_at_its_last_clause():
    cut = "I am so sorry to hear that, and I think it would be"
    assert split(cut, complete=False) == ["I am so sorry to hear that."]


def test_a_last_sentence_that_was_finished_is_kept_at_the_limit():
    assert split("I hear you. That is hard.", complete=False) == ["I hear you.", "That is hard."]


def test_speech_has_no_control_characters():
    assert speakable("I\u200b am\x07 here\ufeff") == "I am here."


@pytest.mark.parametrize(("sentence", "strategy"), [
    ("Try to breathe out slowly.", "Stress Management"),
    ("Many people feel that way after a loss.", "Normalize Experiences"),
    ("It makes sense that you are angry.", "Emotional Validation"),
    ("That took a lot of courage.", "Affirmation"),
    ("What happened then?", "Clarification"),
    ("Hello.", "Others"),
])
def test_a_sentence_shows_its_strategy(sentence, strategy):
    assert strategy_of(sentence) == strategy and strategy in STRATEGIES and len(STRATEGIES) == 16


@pytest.mark.parametrize(("pieces", "strategy", "rest"), [
    (["[", "Clar", "ification]", " What", " now?"], "Clarification", " What now?"),
    ([" [offer hope] It will pass."], "Offer Hope", " It will pass."), (["What", " now?"], "", "What now?"),
    (["[smiles] Hello."], "", "[smiles] Hello."), (["[Clarification"], "", "[Clarification"), ([], "", ""),
])
def test_a_strategy_that_the_model_says_first_is_taken_off_its_reply(pieces, strategy, rest):
    told, words = told_strategy(iter(pieces))
    assert told == strategy and "".join(words) == rest


def test_a_reply_without_a_strategy_is_streamed_from_its_first_piece():
    pieces = iter(["It", " is", " late."])
    _, words = told_strategy(pieces)
    assert next(words) == "It" and next(pieces) == " is"
