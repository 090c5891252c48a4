import pytest
import yaml

from esc_robot.assets import config
from esc_robot.body.gestures import library, read_gesture
from esc_robot.errors import Problem

STRATEGIES = ("Reflective Statements", "Clarification", "Emotional Validation", "Empathetic Statements", "Affirmation",
              "Offer Hope", "Avoid Judgment And Criticism", "Suggest Options", "Collaborative Planning",
              "Provide Different Perspectives", "Reframe Negative Thoughts", "Share Information",
              "Normalize Experiences", "Promote Self-Care Practices", "Stress Management", "Others")
GOOD = {"when": "Now.", "size": "small", "intensity": 0.5,
        "keyframes": [{"phase": "stroke", "seconds": 1.0, "head_pitch": 10}, {"phase": "retraction", "seconds": 1.0}]}


def test_there_are_at_least_24_gestures_and_each_says_when_to_use_it():
    gestures = library().gestures
    assert len(gestures) >= 24
    assert {"nod", "open_hands", "hand_on_heart", "head_tilt", "greeting", "rest"} <= set(gestures)
    assert all(len(gesture.when.split()) >= 4 for gesture in gestures.values())
    assert all(sum(keyframe.phase == "retraction" for keyframe in gesture.keyframes) for gesture in gestures.values())


def test_no_gesture_is_written_twice():
    names = [name for path in config("gestures").glob("*.yaml")
             for name in yaml.safe_load(path.read_text()).get("gestures", {})]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_has_at_least_two_gestures_so_that_none_need_repeat(strategy):
    first = library().choose(strategy, "Qqq.")
    second = library().choose(strategy, "Qqq.", previous=first.name)
    assert strategy in first.strategies
    assert strategy in second.strategies
    assert first.name != second.name


@pytest.mark.parametrize("sentence, name", [
    ("Hello, it is good to see you.", "greeting"), ("I am so sorry.", "hand_on_heart"), ("Goodbye for today.", "wave"),
    ("Let us breathe for a moment.", "breathe"), ("It is not your fault.", "shake"), ("I hear you.", "slow_nod")])
def test_what_is_said_chooses_the_gesture(sentence, name):
    assert library().choose("Qqq", sentence).name == name


def test_a_strategy_is_known_however_it_is_written():
    assert library().choose("stress_management", "Qqq.") == library().choose("Stress Management", "Qqq.")


def test_nothing_large_moves_on_grief_or_crisis():
    for sentence in ("Hello. I am sorry that your father died.", "Goodbye, take care after the funeral."):
        for previous in (None, "hand_on_heart", "lower_gaze", "nod"):
            assert library().choose("Empathetic Statements", sentence, previous).size != "large"
    assert library().choose("Others", "Hello, welcome.").size == "large"
    for previous in (None, "hand_on_heart", "nod"):
        assert library().choose("Others", "Hello, welcome.", previous, gentle=True).size != "large"


def test_words_of_grief_and_crisis_are_told_from_others():
    assert library().is_gentle("My grandmother passed away last week.")
    assert library().is_gentle("I want to KILL MYSELF")
    for line in ("I buried my mother in May.", "We lost our baby.", "Our daughter was stillborn.", "I am a widow now.",
                 "He is no longer with us.", "We had to have my dog put down."):
        assert library().is_gentle(line), line
    assert not library().is_gentle("I moved house and I cannot find the kettle.")
    assert not library().is_gentle("The deadline is on Friday.")


def test_where_nothing_fits_the_robot_nods_and_then_tilts_its_head():
    assert library().choose("Qqq", "Qqq.").name == "nod"
    assert library().choose("Qqq", "Qqq.", previous="nod").name == "head_tilt"


def test_the_cue_is_a_whole_word_and_its_place_is_known():
    heart = library()["hand_on_heart"]
    assert heart.cue_in("I am so sorry.").start() == 8
    assert heart.cue_in("The carer sorrily felt.") is None


def test_a_gesture_as_in_the_examples_is_read():
    assert read_gesture("good", GOOD).stroke_index == 0


@pytest.mark.parametrize("change", [
    {"size": "huge"}, {"intensity": 2}, {"keyframes": GOOD["keyframes"][:1]}, {"keyframes": GOOD["keyframes"][1:]},
    {"keyframes": [{"phase": "dance", "seconds": 1.0}]}, {"keyframes": [{"phase": "stroke", "seconds": 0}]},
    {"keyframes": [{"phase": "stroke", "seconds": 1, "tail": 3}]}, {"keyframes": 5}, {"keyframes": [{"seconds": 1}]}])
def test_a_malformed_gesture_is_refused_by_name(change):
    with pytest.raises(Problem, match="odd"):
        read_gesture("odd", {**GOOD, **change})


def test_an_unknown_gesture_is_refused():
    with pytest.raises(Problem, match="cartwheel.*nod"):
        library()["cartwheel"]
