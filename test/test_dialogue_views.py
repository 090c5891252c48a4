from itertools import pairwise

import pytest

from esc_robot.dialogue.conversation import Conversation, Turn
from esc_robot.dialogue.prompt import SYSTEM_PROMPT, with_prompt
from esc_robot.dialogue.views import (
    RECENT,
    VIEWS,
    head_nouns,
    personal_graph,
    raw,
    recent_stopwords,
    stopwords,
    summary,
)
from esc_robot.dialogue.words import STOPWORDS, without_stopwords

NOTING = ["head-nouns", "personal-graph", "summary"]
PEOPLE = ["sister", "mother", "boss", "neighbor", "teacher", "cousin", "doctor", "uncle", "landlord", "friend"]


def count(text):
    return len(text.split())


def talk(length):
    """A conversation of ``length`` turns with a last utterance; summaries where the model would have written them."""
    turns = []
    for number in range(length):
        turn = Turn(str(number), f"I am so tired and my {PEOPLE[number % 10]} called me on day {number}",
                    ["That sounds heavy for you.", "What did they say?"])
        if number % RECENT == RECENT - 1 and number < length - RECENT:
            turn.summary = f"The user had calls up to day {number}."
        turns.append(turn)
    return [*turns, Turn("last", "and what do I do about it")]


def tokens(messages):
    return sum(count(message["content"]) + 5 for message in messages)


def flat(messages):
    return "\n".join(f"<{message['role']}>{message['content']}" for message in with_prompt(messages, SYSTEM_PROMPT))


def shared(first, second):
    return next((at for at, (one, two) in enumerate(zip(first, second, strict=False)) if one != two), len(first))


def test_raw_shows_every_word_when_there_is_no_budget():
    messages = raw(talk(10), None, count)
    assert len(messages) == 21
    assert messages[0] == {"role": "user", "content": "I am so tired and my sister called me on day 0"}
    assert messages[-1]["content"] == "and what do I do about it"


def test_stopwords_go_from_what_the_user_said_before_and_the_robots_replies_stay_whole():
    messages = stopwords(talk(10), None, count)
    assert messages[0]["content"] == "tired sister called day 0"
    assert messages[1]["content"] == "That sounds heavy for you. What did they say?"
    assert messages[-1]["content"] == "and what do I do about it"


def test_the_last_turns_stay_whole_and_what_the_user_said_before_loses_its_stopwords():
    messages = recent_stopwords(talk(10), None, count)
    said = [message["content"] for message in messages if message["role"] == "user"][:-1]
    whole = [text for text in said if text.startswith("I am so tired and my")]
    assert RECENT <= len(whole) < 2 * RECENT and said[-len(whole):] == whole
    assert said[0] == "tired sister called day 0"
    assert messages[1]["content"] == "That sounds heavy for you. What did they say?"


def test_head_nouns_are_each_noted_once():
    turns = talk(8)
    turns[1].user = "my sister has no job and my sister has two dogs"
    assert head_nouns(turns, None, count)[0]["content"] == "The user spoke before of: sister, day, no job, dogs, boss"


def test_the_personal_graph_notes_subject_predicate_and_object():
    turns = talk(8)
    turns[0].user, turns[1].user = "I don't want to die.", "My boss fired me, and I moved to Spain"
    turns[2].user = "Hm."
    assert personal_graph(turns, None, count)[0]["content"] == (
        "The user told before: user not want to die; boss fired user; user moved to Spain")


def test_utterances_without_noun_or_verb_add_nothing_and_break_nothing():
    empty = ["so so", "...", "?", "12", "no", "", "\u4f60\u597d", "oh well", "ooooh", "-", "yes", "'", "\"", "a", "n't"]
    turns = [Turn(str(number), text, ["I hear you."]) for number, text in enumerate(empty * 2)]
    messages = personal_graph([*turns, Turn("last", "hm")], 200, count)
    assert messages[-1] == {"role": "user", "content": "hm"}


def test_a_summary_stands_for_the_turns_it_covers_and_the_others_stay_whole():
    notes, *rest = summary(talk(10), None, count)
    assert notes["content"] == ("What was said before: The user had calls up to day 2. The user had calls up to day 5.")
    assert rest[0]["content"].endswith("day 6")


@pytest.mark.parametrize("view", [*NOTING, "recent+stopwords"])
def test_a_short_conversation_is_shown_whole(view):
    assert VIEWS[view](talk(3), 1000, count) == raw(talk(3), 1000, count)


@pytest.mark.parametrize(("text", "short"), [
    ("I do not want to die", "not want die"),
    ("I don't want to die.", "not want die."),
    ("I can't sleep and nobody cares", "not sleep nobody cares"),
    ("I've never been without him", "never without"),
    ("I cannot go on", "not go"),
    ("He hit me. Then he left me.", "hit. left."),
])
def test_a_negation_is_never_removed(text, short):
    assert without_stopwords(text) == short


def test_no_negation_is_a_stopword():
    assert not STOPWORDS & {"no", "not", "n't", "never", "none", "nobody", "nothing", "nor", "neither", "nowhere",
                            "without", "hardly", "cannot"}


def test_words_that_are_all_stopwords_stay_as_they_are():
    assert without_stopwords("I am here") == "I am here"


@pytest.mark.parametrize("view", ["recent+stopwords", "personal-graph", "stopwords"])
def test_a_wish_not_to_die_stays_one_in_every_compressed_history(view):
    turns = talk(10)
    turns[0].user = "I do not want to die"
    assert "not want" in flat(VIEWS[view](turns, None, count))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("budget", [0, 20, 64, 128, 256, 10000])
@pytest.mark.parametrize("length", [0, 1, 7, 40])
def test_every_view_keeps_to_its_budget_and_to_the_latest_utterance(view, budget, length):
    messages = VIEWS[view](talk(length), budget, count)
    start = 1 if messages[0]["role"] == "system" else 0
    assert len(messages) == 1 or tokens(messages) <= budget
    assert messages[-1] == {"role": "user", "content": "and what do I do about it"}
    assert [message["role"] for message in messages[start:]] == (
        ["user", "assistant"] * len(messages))[:len(messages) - start]


@pytest.mark.parametrize("view", VIEWS)
def test_a_full_budget_is_used(view):
    used = [tokens(VIEWS[view](talk(length), 128, count)) for length in range(30, 40)]
    assert max(used) > 0.7 * 128 or view == "head-nouns"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("budget", [None, 512])
def test_a_prompt_begins_like_the_one_before_in_most_turns(view, budget):
    """Past the latest utterance; in the turns left over a block of turns becomes notes or is dropped."""
    kept = 0
    for length in range(20, 40):
        before, after = (VIEWS[view](talk(end), budget, count)[:-1] for end in (length, length + 1))
        kept += after[:len(before)] == before
    assert kept == 20 if budget is None and view in ("raw", "stopwords") else kept >= 10


@pytest.mark.parametrize("view", NOTING)
def test_notes_only_grow_at_their_end(view):
    notes = [VIEWS[view](talk(length), None, count)[0]["content"] for length in range(12, 40)]
    assert all(after.startswith(before) for before, after in pairwise(notes)) and notes[0] != notes[-1]


@pytest.mark.parametrize("view", VIEWS)
def test_roles_alternate_even_after_a_turn_that_was_never_answered(view):
    turns = talk(10)
    turns[3].sentences = turns[9].sentences = []
    roles = [message["role"] for message in with_prompt(VIEWS[view](turns, None, count), SYSTEM_PROMPT)]
    assert all(first != second for first, second in pairwise(roles))


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


def test_the_system_prompt_comes_first_and_a_views_notes_below_it():
    hi = {"role": "user", "content": "hi"}
    first, *rest = with_prompt([hi], SYSTEM_PROMPT)
    assert first == {"role": "system", "content": SYSTEM_PROMPT} and rest == [hi]
    first, *rest = with_prompt([{"role": "system", "content": "Notes: dog"}, hi], SYSTEM_PROMPT)
    assert first["content"] == f"{SYSTEM_PROMPT}\n\nNotes: dog" and rest == [hi]
