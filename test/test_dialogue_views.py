import pytest

from esc_robot.dialogue.conversation import Conversation
from esc_robot.dialogue.prompt import SYSTEM_PROMPT, with_prompt
from esc_robot.dialogue.views import STOPWORDS, VIEWS, raw, stopwords, without_stopwords


def count(text):
    return len(text.split())


@pytest.fixture
def turns():
    conversation = Conversation()
    for number in range(10):
        turn = conversation.add(str(number), f"I am so tired of the work number {number}")
        turn.sentences = ["It is a hard week for you."]
    conversation.add("last", "and what do I do about it")
    return conversation.turns


def test_raw_shows_every_word_when_there_is_no_budget(turns):
    messages = raw(turns, None, count)
    assert len(messages) == 21
    assert messages[0] == {"role": "user", "content": "I am so tired of the work number 0"}
    assert messages[-1]["content"] == "and what do I do about it"


def test_stopwords_go_from_all_but_the_latest_utterance(turns):
    messages = stopwords(turns, None, count)
    assert messages[0]["content"] == "tired work number 0"
    assert messages[1]["content"] == "hard week."
    assert messages[-1]["content"] == "and what do I do about it"


@pytest.mark.parametrize(("text", "short"), [
    ("I do not want to die", "not want die"),
    ("I don't want to die.", "not want die."),
    ("I can't sleep and nobody cares", "not sleep nobody cares"),
    ("I've never been without him", "never without him"),
    ("I cannot go on", "not go"),
])
def test_a_negation_is_never_removed(text, short):
    assert without_stopwords(text) == short.replace("without him", "without")


def test_no_negation_is_a_stopword():
    assert not STOPWORDS & {"no", "not", "n't", "never", "none", "nobody", "nothing", "nor", "neither", "nowhere",
                            "without", "hardly", "cannot"}


def test_words_that_are_all_stopwords_stay_as_they_are():
    assert without_stopwords("I am here") == "I am here"


@pytest.mark.parametrize("view", VIEWS.values())
@pytest.mark.parametrize("budget", [0, 20, 50, 100, 10000])
def test_the_newest_turns_that_fit_are_kept_and_begin_with_the_user(view, budget, turns):
    messages = view(turns, budget, count)
    assert messages == view(turns, None, count)[-len(messages):]
    assert messages[0]["role"] == messages[-1]["role"] == "user"
    assert len(messages) == 1 or sum(count(message["content"]) + 5 for message in messages) <= budget


@pytest.mark.parametrize("view", VIEWS.values())
def test_roles_alternate_even_after_a_turn_that_was_never_answered(view, turns):
    turns[3].sentences = []
    roles = [message["role"] for message in view(turns, None, count)]
    assert all(first != second for first, second in zip(roles, roles[1:], strict=False))


def test_only_what_was_said_aloud_is_remembered():
    conversation = Conversation()
    conversation.add("1", "hello").sentences = ["One.", "Two.", "Three."]
    conversation.heard_aloud("1", 1)
    assert conversation.turns[0].reply == "One." and conversation.turns[0].interrupted


def test_a_turn_that_was_heard_whole_was_not_interrupted():
    conversation = Conversation()
    conversation.add("1", "hello").sentences = ["One."]
    conversation.heard_aloud("1", 1)
    conversation.heard_aloud("unknown", 0)
    assert not conversation.turns[0].interrupted


def test_the_system_prompt_comes_first():
    first, *rest = with_prompt([{"role": "user", "content": "hi"}], SYSTEM_PROMPT)
    assert first == {"role": "system", "content": SYSTEM_PROMPT} and len(rest) == 1
