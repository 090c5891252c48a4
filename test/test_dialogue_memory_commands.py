"""What a person says about the robot's memory, and what only sounds like it."""

import pytest

from esc_robot.dialogue.memory_commands import Command, command, consent


@pytest.mark.parametrize("text, kind", [
    ("You may remember me.", "remember"), ("remember this", "remember_this"),
    ("Please remember that!", "remember_this"),
    ("can you remember me next time?", "remember"), ("I want you to remember me", "remember"),
    ("I'd like you to remember what I told you", "remember_this"), ("Don't forget me, please.", "remember"),
    ("It's okay if you remember things about me.", "remember"),
    ("you can remember this for next time", "remember_this"),
    ("What do you remember of me?", "tell"), ("what do you know about me", "tell"),
    ("do you still remember me", "tell"),
    ("Do you remember what I told you last time?", "tell"), ("what do you remember", "tell"), ("Remember me?", "tell"),
    ("Can you tell me what you remember about me?", "tell"), ("what have you kept about me", "tell"),
    ("what else do you remember", "tell_more"),
    ("Stop remembering.", "stop"), ("please stop remembering what I say", "stop"),
    ("Don't remember me any more.", "stop"),
    ("you may not remember me", "stop"), ("I don't want you to remember anything", "stop"),
    ("Forget that.", "forget_last"), ("okay, please forget that", "forget_last"),
    ("can you forget that please?", "forget_last"),
    ("Please forget what I just said.", "forget_last"), ("I want you to forget this", "forget_last"),
    ("delete it", "forget_last"), ("Forget I said that", "forget_last"),
    ("forget the last thing I said", "forget_last"),
    ("don't remember that", "forget_last"), ("No, forget that.", "forget_last"),
    ("Forget everything.", "forget_all"), ("Please forget everything I told you", "forget_all"),
    ("erase everything you know about me", "forget_all"), ("delete my data", "forget_all"), ("forget me", "forget_all"),
    ("clear your memory please", "forget_all"), ("I want you to forget everything about me.", "forget_all")])
def test_a_request_is_understood(text, kind):
    assert command(text) == Command(kind)


@pytest.mark.parametrize("text, kind, about", [
    ("Forget my sister.", "forget_about", "my sister"), ("please forget about my job", "forget_about", "my job"),
    ("Forget what I told you about Tom.", "forget_about", "tom"),
    ("delete everything you know about my mother", "forget_about", "my mother"),
    ("Forget that my sister is ill", "forget_about", "my sister is ill"),
    ("can you forget my birthday please", "forget_about", "my birthday"),
    ("what do you remember about my sister?", "tell_about", "my sister"),
    ("Do you remember my name?", "tell_about", "my name"),
    ("Please remember that my sister is called Anna.", "remember_that", "my sister is called Anna"),
    ("don't forget that I have a dog", "remember_that", "I have a dog")])
def test_a_request_says_of_what(text, kind, about):
    assert command(text) == Command(kind, about)


@pytest.mark.parametrize("text", [
    "I forgot that", "I can't forget him", "remember when we were small", "Remember when?", "I will never forget that",
    "forget it", "oh forget it", "I want to forget everything", "I'd like to forget everything that happened",
    "help me forget that", "help me to forget", "I wish I could forget that day", "he told me to forget everything",
    "she wants me to forget that", "don't forget to breathe", "they forget me", "everybody forgets my birthday",
    "Will you forget me?", "would you forget everything?", "Can you forget everything?", "how do I forget her",
    "Just forget me.", "you'll forget me when I'm gone", "they will forget me", "I try to forget my father",
    "do you remember when I was ill", "I don't remember", "I do not remember that", "I can't remember anything",
    "what do you know about depression", "what do you remember from school", "what do you know", "I remember my mother",
    "my mother does not remember me", "nobody remembers me", "I want to erase everything", "delete him from my life",
    "erase my past", "what should I remember", "remember I told you about my sister?", "remember that time in Leeds",
    "I can't stop remembering", "I want to stop remembering that night", "you forget that I am here",
    "you always forget my name", "we should forget that", "let's forget that ever happened", "forget him",
    "Nobody will remember me", "to forget that is hard", "I said forget that to my boss", "she forgot everything",
    "Do you remember that?", "remember that?", "my grandmother forgets everything", "I keep forgetting my keys", "",
    "forget about it", "I could not forget that", "never forget that", "he will not forget my mistake"])
def test_what_only_sounds_like_a_request_is_none(text):
    assert command(text) is None


def test_a_request_among_other_sentences_is_heard_and_the_rest_kept_apart():
    assert command("My sister is ill. Please forget that. Thank you.") == Command(
        "forget_last", rest="My sister is ill. Thank you.")


@pytest.mark.parametrize("text, answer", [
    ("Yes.", "yes"), ("yes please", "yes"), ("Yeah, sure", "yes"), ("of course you may", "yes"),
    ("Yes, remember me.", "yes"),
    ("please do", "yes"), ("okay yes", "yes"), ("I agree", "yes"),
    ("No.", "no"), ("no thank you", "no"), ("I'd rather not", "no"), ("not now", "no"), ("please don't", "no"),
    ("okay", "unclear"), ("maybe", "unclear"), ("I don't know", "unclear"), ("why not", "unclear"), ("hmm", "unclear"),
    ("yes but not everything", "other"), ("yes and no", "other"), ("my sister said yes", "other"),
    ("what does that mean", "other"), ("yeah right", "other"), ("", "other"), ("sure as hell not", "other"),
    ("no my sister is ill", "other"), ("You may remember me.", "yes"), ("No, never.", "no")])
def test_only_a_clear_yes_is_a_yes(text, answer):
    assert consent(text) == answer
