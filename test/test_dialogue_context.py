"""The views over a real engine: what the cache holds is right, and what a turn costs does not grow."""

from itertools import pairwise
from statistics import median

import pytest
import torch

from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.engine import Sampling
from esc_robot.dialogue.mind import Mind
from esc_robot.dialogue.models import default_model_folder
from esc_robot.dialogue.prompt import SYSTEM_PROMPT, with_prompt
from esc_robot.dialogue.summary import due, is_told, write
from esc_robot.dialogue.transformers_engine import TransformersEngine
from esc_robot.dialogue.views import VIEWS

SAID = ["i lost my job in the spring", "my sister does not call me", "we had a dog", "he was very old and tired",
        "i do not sleep much", "the nights are long here", "my mother lives far away", "she has a small garden",
        "i want to see her", "but the train is expensive"]
BUDGET = 110


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(default_model_folder(), sampling=Sampling(temperature=0, max_new_tokens=5))


@pytest.mark.parametrize("view", VIEWS)
def test_with_every_view_the_cache_gives_the_logits_of_a_fresh_prompt_and_a_turn_costs_no_more_than_its_own_words(
        engine, view):
    mind = Mind(engine, VIEWS[view], CrisisProtocol(), budget=BUDGET)
    computed, shown = [], []
    for number, text in enumerate(SAID):
        sentences = mind.respond(str(number), text)
        if number == 4:     # broken off, and nothing of it was heard
            next(sentences)
            mind.cancel()
            mind.heard_aloud(str(number), 0)
        list(sentences)
        if number != 7:     # a user who goes on at once
            mind.between_turns()
        computed.append(mind.stats.computed_tokens)
        messages = with_prompt(VIEWS[view]([*mind.conversation.turns, Turn("", "what now")], BUDGET,
                                           engine.count_tokens), SYSTEM_PROMPT)
        shown.append(len(messages))
        if number in (4, 7, 9):
            with torch.inference_mode():
                fresh = engine.model(torch.tensor([engine.chat.encode(messages)]), logits_to_keep=1).logits[0, -1]
            torch.testing.assert_close(engine.logits(messages), fresh, atol=1e-3, rtol=1e-3)
    assert any(after < before for before, after in pairwise(shown)), "nothing was trimmed"
    assert median(computed[1:]) <= 20
    assert max(computed) <= engine.count_tokens(SYSTEM_PROMPT) + BUDGET + 20


def test_work_between_turns_ends_when_the_user_speaks(engine):
    mind = Mind(engine, VIEWS["summary"], CrisisProtocol())
    for number in range(6):
        mind.conversation.add(str(number), SAID[number]).sentences = ["I hear you."]
    mind.wake()
    mind.between_turns()
    assert due(mind.conversation.turns), "a summary was written on the user's time"
    assert list(mind.respond("7", "hello"))
    mind.between_turns()
    assert not due(mind.conversation.turns)


def test_a_summary_covers_the_oldest_turns_and_holds_nothing_that_nobody_said(engine):
    turns = [Turn(str(number), text, ["I hear you."]) for number, text in enumerate(SAID)]
    write(engine, turns[:5])
    assert not any(turn.summary for turn in turns)
    write(engine, turns)
    write(engine, turns)
    assert [bool(turn.summary) for turn in turns[:6]] == [False, False, True, False, False, True]
    assert turns[5].summary.startswith("The user") and turns[5].summary != turns[2].summary


@pytest.mark.parametrize(("sentence", "told"), [
    ("The user lost their job in spring.", True), ("The user has three children.", False), ("The user.", False)])
def test_a_summary_is_made_of_what_was_said(sentence, told):
    assert is_told(sentence, "i lost my job in the spring") is told


def test_a_context_longer_than_the_models_window_is_shortened(engine):
    mind = Mind(engine, VIEWS["raw"], CrisisProtocol(), budget=None)
    for number in range(300):
        mind.conversation.add(str(number), "and so on it went all the long day " * 3).sentences = ["I hear you."]
    engine.context_length, whole = 400, engine.context_length
    try:
        assert [sentence.source for sentence in mind.respond("301", "i am sad")] == ["model"]
    finally:
        engine.context_length = whole
    assert len(mind.conversation.turns) == 301
