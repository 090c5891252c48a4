import pytest

from esc_robot.listening.endpointing import EndpointerParameters
from esc_robot.listening.turn_taking import Patience, takes_the_floor, unfinished

PARAMETERS = EndpointerParameters(shortest_silence=0.5, silence=1.0, longest_silence=2.3)


@pytest.mark.parametrize("words", ["I lost my job.", "Yes.", "Can you hear me?", "i am so alone", "I know that."])
def test_a_sentence_that_is_over_is_not_taken_for_one_that_goes_on(words):
    assert not unfinished(words)


@pytest.mark.parametrize("words", ["I was sad and.", "It is because", "Well, um", "I was there...", "So,", "my", "..."])
def test_a_connecting_word_a_filler_or_a_trailing_partial_goes_on(words):
    assert unfinished(words)


def test_the_silence_depends_on_the_words():
    patience = Patience(PARAMETERS)
    assert patience.needed("I lost my job.") == 0.5
    assert patience.needed("i lost my job") == 1.0
    assert patience.needed("I wanted to tell you that") == 2.3
    assert patience.needed("I lost my job because") == 2.3
    assert patience.needed(None) == patience.needed("") == 2.3


def test_the_speakers_own_pace_is_learned_and_forgotten_within_the_bounds():
    patience = Patience(PARAMETERS)
    patience.bridged(1.2)
    patience.ended()
    assert 1.2 < patience.needed("I lost my job.") <= 2.3
    patience.bridged(5.0)
    assert patience.needed("I lost my job.") == 2.3
    for _ in range(4):
        patience.ended()
    assert patience.needed("I lost my job.") == 0.5


@pytest.mark.parametrize("words", ["Mhm.", "m h m", "Uh-huh", "Yeah, right.", "I see.", "Ha ha ha", "All right.", ""])
def test_a_listeners_words_do_not_want_the_floor(words):
    assert not takes_the_floor(words)


@pytest.mark.parametrize("words", ["No.", "Stop.", "Yeah, but I", "Yeah I do not think so", "Wait.", "My brother"])
def test_other_words_do(words):
    assert takes_the_floor(words)
