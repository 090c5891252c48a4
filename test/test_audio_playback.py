import threading

import numpy as np

from esc_robot.audio.playback import FADE_S, LONGEST_HOLD_S, Playback, PlaybackEvent

RATE = 16_000


def tone(seconds: float, level: int = 8000) -> np.ndarray:
    return np.full(int(seconds * RATE), level, np.int16)


def pull_all(playback: Playback, samples: int, frames: int) -> tuple[np.ndarray, list[PlaybackEvent]]:
    """Frames one after the other; events with their offset in the whole."""
    sound, events = [], []
    for index in range(frames):
        frame, happened = playback.pull(samples)
        sound.append(frame)
        events += [PlaybackEvent(event.name, event.turn, event.sentence, event.offset + index * samples)
                   for event in happened]
    return np.concatenate(sound), events


def test_nothing_queued_sounds_as_silence():
    frame, events = Playback(RATE).pull(320)
    assert frame.tolist() == [0] * 320 and events == []


def test_sentences_and_the_end_of_a_turn_are_told_at_their_sample():
    playback = Playback(RATE)
    playback.push("a", 0, tone(0.1, 1000), RATE)
    playback.push("a", 1, tone(0.1, 2000), RATE)
    playback.end("a")
    sound, events = pull_all(playback, 500, 8)
    assert events == [PlaybackEvent("sentence_started", "a", 0, 0), PlaybackEvent("sentence_started", "a", 1, 1600),
                      PlaybackEvent("turn_finished", "a", 2, 3200)]
    assert np.array_equal(sound[:3200], np.concatenate([tone(0.1, 1000), tone(0.1, 2000)])) and not sound[3200:].any()


def test_a_sentence_in_pieces_starts_once():
    playback = Playback(RATE)
    playback.push("a", 0, tone(0.05), RATE)
    playback.push("a", 0, tone(0.05), RATE)
    _, events = pull_all(playback, 320, 10)
    assert [event.name for event in events] == ["sentence_started"]


def test_a_turn_is_finished_when_its_end_comes_after_its_sound():
    playback = Playback(RATE)
    playback.push("a", 0, tone(0.02), RATE)
    assert [event.name for event in playback.pull(640)[1]] == ["sentence_started"]
    playback.end("a")
    assert playback.pull(320)[1] == [PlaybackEvent("turn_finished", "a", 1, 0)]


def test_another_rate_is_resampled():
    playback = Playback(RATE)
    playback.push("a", 0, np.full(24_000, 5000, np.int16), 24_000)
    playback.end("a")
    sound, events = pull_all(playback, 320, 60)
    assert events[-1].name == "turn_finished" and abs(events[-1].offset - RATE) <= 1
    assert abs(int(sound[8000]) - 5000) < 50


def test_an_interrupted_turn_fades_within_ten_milliseconds_and_counts_only_whole_sentences():
    playback = Playback(RATE)
    for sentence in range(3):
        playback.push("a", sentence, tone(0.1), RATE)
    playback.pull(2000)
    playback.interrupt("a")
    sound, events = pull_all(playback, 100, 10)
    assert events == [PlaybackEvent("turn_interrupted", "a", 1, 160)]
    assert not sound[160:].any()
    assert np.abs(np.diff(np.concatenate([[8000], sound]).astype(int))).max() < 100


def test_late_sound_of_an_interrupted_turn_is_dropped():
    playback = Playback(RATE)
    playback.push("a", 0, tone(0.1), RATE)
    playback.interrupt("a")
    playback.push("a", 1, tone(0.1), RATE)
    playback.end("a")
    sound, events = pull_all(playback, 320, 10)
    assert not sound.any() and [(event.name, event.sentence) for event in events] == [("turn_interrupted", 0)]


def test_a_turn_interrupted_before_its_first_sound_never_sounds():
    playback = Playback(RATE)
    playback.interrupt("a")
    playback.push("a", 0, tone(0.1), RATE)
    sound, events = pull_all(playback, 320, 10)
    assert not sound.any() and events == [PlaybackEvent("turn_interrupted", "a", 0, 0)]


def test_one_interrupted_turn_leaves_the_next_one_whole():
    playback = Playback(RATE)
    playback.push("a", 0, tone(0.1), RATE)
    playback.push("b", 0, tone(0.1, 3000), RATE)
    playback.pull(320)
    playback.interrupt("a")
    sound, events = pull_all(playback, 320, 10)
    assert [(event.name, event.turn) for event in events] == [("turn_interrupted", "a"), ("sentence_started", "b")]
    assert np.count_nonzero(sound == 3000) >= 1600


def test_interrupting_any_turn_empties_the_queue_but_not_the_turns_to_come():
    playback = Playback(RATE)
    playback.push("a", 0, tone(0.1), RATE)
    playback.push("b", 0, tone(0.1), RATE)
    playback.interrupt("")
    playback.push("c", 0, tone(0.02, 3000), RATE)
    sound, events = pull_all(playback, 320, 5)
    assert [(event.name, event.turn) for event in events] == [
        ("turn_interrupted", "a"), ("turn_interrupted", "b"), ("sentence_started", "c")]
    assert np.count_nonzero(sound) == 320


def test_a_finished_turn_cannot_be_interrupted():
    playback = Playback(RATE)
    playback.push("a", 0, tone(0.02), RATE)
    playback.end("a")
    pull_all(playback, 320, 2)
    playback.interrupt("a")
    assert playback.pull(320)[1] == []


def test_pushing_pulling_and_interrupting_at_once_ends_every_turn_exactly_once():
    playback = Playback(RATE)
    turns = [f"turn {index}" for index in range(50)]

    def speak():
        for turn in turns:
            for sentence in range(3):
                playback.push(turn, sentence, tone(0.005), RATE)
            playback.end(turn)

    def interrupt():
        for turn in turns[::3]:
            playback.interrupt(turn)

    threads = [threading.Thread(target=target) for target in (speak, interrupt)]
    for thread in threads:
        thread.start()
    events = []
    while any(thread.is_alive() for thread in threads):
        events += playback.pull(160)[1]
    for _ in range(2000):
        events += playback.pull(160)[1]
    ended = [event.turn for event in events if event.name != "sentence_started"]
    assert sorted(ended) == sorted(turns)


def test_held_sound_stops_within_the_fade_and_goes_on_where_it_was():
    playback, sound = Playback(RATE), np.full(RATE, 1000, np.int16)
    playback.push("t1", 0, sound, RATE)
    playback.end("t1")
    playback.pull(RATE // 2)
    playback.hold(True)
    frame, events = playback.pull(RATE)
    assert not frame[int(FADE_S * RATE):].any() and frame[:10].any() and events == []
    playback.hold(False)
    frame, events = playback.pull(RATE // 2)
    assert (frame == 1000).all() and [event.name for event in events] == ["sentence_resumed", "turn_finished"]
    assert (events[0].turn, events[0].sentence, events[0].offset, events[0].sounded) == ("t1", 0, 0, RATE // 2)


def test_a_hold_between_two_sentences_resumes_none():
    playback = Playback(RATE)
    for sentence in (0, 1):
        playback.push("t1", sentence, np.full(RATE, 1000, np.int16), RATE)
    playback.pull(RATE)
    playback.hold(True)
    playback.pull(RATE)
    playback.hold(False)
    assert [event.name for event in playback.pull(RATE)[1]] == ["sentence_started"]


def test_an_interruption_ends_the_hold_without_another_sound():
    playback = Playback(RATE)
    playback.push("t1", 0, np.full(RATE, 1000, np.int16), RATE)
    playback.pull(100)
    playback.hold(True)
    playback.pull(RATE)
    playback.interrupt("t1")
    frame, events = playback.pull(100)
    assert not frame.any() and [event.name for event in events] == ["turn_interrupted"]
    playback.push("t2", 0, np.full(100, 5, np.int16), RATE)
    assert (playback.pull(100)[0] == 5).all()


def test_a_hold_that_nobody_ends_ends_by_itself():
    playback = Playback(RATE)
    playback.push("t1", 0, np.full(RATE, 1000, np.int16), RATE)
    playback.hold(True)
    assert not playback.pull(int(LONGEST_HOLD_S * RATE))[0].any()
    assert playback.pull(100)[0].any()
