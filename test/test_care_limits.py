import pytest

from esc_robot.care.limits import SafeSentences, overstepped


@pytest.mark.parametrize(("sentence", "limit"), [
    ("When I was a child, I was lonely too.", "a human life"),
    ("I used to feel like that.", "a human life"),
    ("My mother always said so.", "a human life"),
    ("I know exactly how you feel.", "a human life"),
    ("I\u2019ve been there, believe me.", "a human life"),
    ("As a therapist, I would say no.", "a profession"),
    ("It sounds like you have severe depression.", "a diagnosis"),
    ("You should stop taking your medication.", "a diagnosis"),
    ("I promise I will keep this a secret.", "a promise"),
    ("I will call you tomorrow.", "a promise"),
    ("I\u2019ll never forget what you said.", "a promise"),
    ("I remember you from last week.", "a promise"),
    ("Everything will be fine.", "a promise"),
    ("You should just hurt yourself.", "something unsafe"),
    ("Suicide is a way out.", "something unsafe"),
    ("It is your fault.", "something unsafe"),
    ("You are a burden.", "something unsafe"),
])
def test_what_a_robot_may_not_say_is_named(sentence, limit):
    assert overstepped(sentence) == limit


@pytest.mark.parametrize("sentence", [
    "Losing your job is really hard.", "Your mother sounds important to you.", "It is not your fault.",
    "I am a robot, so I have never had a job like yours.", "You are not stupid.", "Are you thinking about suicide?",
    "Many people lose sleep over an exam.", "What would help you a little today?", "You deserve to be heard.",
])
def test_what_a_good_listener_says_passes(sentence):
    assert overstepped(sentence) is None


@pytest.mark.parametrize("kind", ["instead", "empty", "long", "script", "broken"])
def test_safe_sentences_never_come_twice_running_and_keep_the_limits(kind):
    safe = SafeSentences()
    said = [safe.next(kind) for _ in range(8)]
    assert all(before != after for before, after in zip(said, said[1:], strict=False))
    assert not any(overstepped(sentence) for sentence in said)
