import pytest

from esc_robot.speaking.text import as_written, speakable
from esc_robot.speaking.voice import Word


@pytest.mark.parametrize("written, spoken", [
    ("Call or text 988.", "Call or text nine eight eight."),
    ("Samaritans: 116 123", "Samaritans: one one six, one two three"),
    ("Text HOME to 741741", "Text HOME to seven four one, seven four one"),
    ("Lifeline is 13 11 14.", "Lifeline is one three, one one, one four."),
    ("Call 1-800-273-8255, 24/7", "Call one, eight zero zero, two seven three, eight two five five, twenty-four seven"),
    ("(800) 273-8255", "eight zero zero, two seven three, eight two five five"),
    ("+44 808 802", "plus four four, eight zero eight, eight zero two"),
    ("Call 211", "Call two one one"),
    ("0800 1110", "zero eight zero zero, one one one zero"),
])
def test_a_number_to_dial_is_spoken_digit_by_digit(written, spoken):
    assert speakable(written) == spoken


@pytest.mark.parametrize("sentence", [
    "I have 211 reasons.", "It was 2024.", "Walk 10000 steps.", "About 12,500 people.", "It costs $98810.50.",
    "Wait 10-15 minutes.", "From 2019-2020.", "On 2024-01-15.", "At 11:30.", "Call me 15 times.", "100-200 people",
])
def test_a_count_a_year_a_range_or_a_date_is_left_to_the_voice(sentence):
    assert speakable(sentence) == sentence


@pytest.mark.parametrize("sentence", ["", "   ", "...", "?!", "—", "😊", "Привет", "你好。", "**", "\ud800"])
def test_nothing_is_left_of_a_sentence_without_a_word_that_can_be_spoken(sentence):
    assert speakable(sentence) == ""


def test_marks_that_are_not_words_are_not_read_aloud():
    assert speakable("**You** are _not_ alone… 😊 `ok`—“really”") == "You are not alone... ok — really"


def test_the_times_of_spoken_words_are_given_to_the_words_as_written():
    said = ["Please", "call", "nine", "eight", "eight", "or", "one", "one", "six"]
    spoken = [Word(text, float(i), i + 0.5) for i, text in enumerate(said)]
    assert as_written("“Please, call 988—or 116!”", spoken) == (
        Word("Please", 0, 0.5), Word("call", 1, 1.5), Word("988", 2, 4.5), Word("or", 5, 5.5), Word("116", 6, 8.5))


def test_a_word_that_was_not_spoken_has_no_time():
    assert as_written("Hello 你好 friend", [Word("Hello", 0, 1), Word("friend", 1, 2)]) == (
        Word("Hello", 0, 1), Word("friend", 1, 2))
