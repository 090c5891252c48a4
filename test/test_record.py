"""The record of a conversation, from its timeline."""

from esc_robot.record import Record


def spoken_turn(record: Record, turn: str = "a", said: str = "I am tired.", heard: str = "I'm tired") -> None:
    record.event("user_speaks", "", 10.0, {"said": said, "ends_at": "12.0"})
    record.event("speech_started", turn, 10.2, {})
    record.event("speech_ended", turn, 12.7, {"silence": "0.7"})
    record.event("text", turn, 12.8, {})
    record.turn(turn).heard.append(heard)
    record.event("first_token", turn, 13.0, {})
    record.turn(turn).strategy = "Emotional Validation"
    record.turn(turn).reply.append("That sounds tiring.")
    record.event("sentence_started", turn, 13.25, {"sentence": "0"})
    record.event("sentence_started", turn, 15.0, {"sentence": "1"})
    record.event("gesture", turn, 13.3, {"name": "nod", "word": "sounds", "word_at": "13.95", "stroke_at": "14.0"})
    record.event("turn_finished", turn, 16.0, {})


def test_latencies_count_from_the_end_of_the_users_speech_to_the_first_sound():
    record = Record()
    spoken_turn(record)
    latency = record.summary(0)["turns"][0]["latency_ms"]
    assert latency == {"endpoint": 700, "text": 800, "first_token": 1000, "first_audio": 1250}


def test_spelling_case_and_contractions_are_no_word_errors():
    record = Record()
    spoken_turn(record)
    assert record.summary(0)["wer"] == 0.0
    spoken_turn(record, "b", said="I am tired.", heard="I am fired.")
    assert record.summary(0)["wer"] == round(1 / 6, 4)


def test_a_line_taken_for_two_utterances_is_one_turn():
    record = Record()
    record.event("user_speaks", "", 10.0, {"said": "I do not know what to say.", "ends_at": "14.0"})
    record.event("speech_started", "a", 10.2, {})
    record.turn("a").heard.append("I do not know")
    record.event("turn_interrupted", "a", 13.0, {"spoken": "0"})
    record.event("speech_started", "b", 13.0, {})
    record.turn("b").heard.append("what to say")
    summary = record.summary(0)
    assert len(summary["turns"]) == 1 and summary["wer"] == 0.0


def test_a_recording_without_known_words_has_no_word_error_rate():
    record = Record()
    spoken_turn(record, said="")
    assert record.summary(0)["wer"] is None


def test_a_turn_without_an_answer_is_not_complete():
    record = Record()
    assert not record.complete()
    spoken_turn(record)
    assert record.complete()
    record.event("user_speaks", "", 20.0, {"said": "Hello?", "ends_at": "21.0"})
    assert not record.complete()


def test_the_transcript_shows_both_sides():
    record = Record()
    spoken_turn(record)
    text = record.transcript()
    assert "I am tired." in text and "That sounds tiring." in text and "nod" in text


def test_a_stroke_is_told_with_its_word_and_how_far_it_fell_from_it():
    record = Record()
    spoken_turn(record)
    record.event("gesture", "a", 15.0, {"name": "shrug", "word": "", "word_at": "", "stroke_at": "16.0"})
    first, second = record.turns[0].strokes
    first.came_at = 14.02
    summary = record.summary(0)
    assert summary["turns"][0]["gestures"][0] == {
        "name": "nod", "word": "sounds", "word_at": 13.95, "stroke_planned_at": 14.0, "stroke_at": 14.02,
        "planned_error_ms": 50, "stroke_error_ms": 70}
    assert second.as_dict()["stroke_error_ms"] is None
    assert summary["strokes"] == {"gestures": 2, "on_a_word": 1, "planned_error_ms": 50, "measured": 1, "error_ms": 70}
