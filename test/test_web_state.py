"""What the page shows, fed with what happens in a conversation."""

import pytest

from esc_robot.errors import Problem
from esc_robot.web.help_lines import help_lines
from esc_robot.web.state import TURNS_KEPT, PageState


def shown(state: PageState) -> list[dict]:
    return state.snapshot()["turns"]


def spoken_turn(state: PageState, turn: str = "t1") -> None:
    """A turn up to its first sound: the user's last sound at 100.0 s."""
    state.event("speech_started", turn, 98.0, {})
    state.event("speech_ended", turn, 100.7, {"silence": "0.7"})
    state.event("text", turn, 100.9, {"confidence": "0.9"})
    state.heard(turn, "My cat is ill.")
    state.event("first_token", turn, 101.5, {})
    state.strategy(turn, "Clarification")
    state.reply(turn, "I am sorry.")
    state.reply(turn, "What is wrong with it?")
    state.event("sentence_started", turn, 102.0, {"sentence": "0"})


def awake() -> PageState:
    state = PageState()
    state.alive("dialogue", True, 1000.0)
    return state


def test_a_spoken_turn_is_shown_with_its_reply_strategy_and_gesture():
    state = awake()
    spoken_turn(state)
    state.event("gesture", "t1", 102.1, {"name": "hand_on_heart"})
    turn, = shown(state)
    assert turn["user"] == "My cat is ill."
    assert turn["sentences"] == ["I am sorry.", "What is wrong with it?"]
    assert (turn["strategy"], turn["gesture"], turn["started"]) == ("Clarification", "hand on heart", 1)


def test_latency_counts_from_the_last_sound_of_the_user():
    state = awake()
    spoken_turn(state)
    assert list(shown(state)[0]["latency"].values()) == [700, 900, 1500, 2000]


def test_latency_of_a_typed_line_counts_from_the_typing():
    state = awake()
    state.typed("Hello", 50.0)
    state.event("first_token", "chat-1", 50.4, {})
    assert shown(state)[0]["latency"] == {"First word written": 400}


def test_a_typed_line_and_its_answer_are_one_turn_though_the_dialogue_names_it():
    state = awake()
    state.typed("First", 50.0)
    state.typed("Second", 51.0)
    state.reply("chat-1", "One.")
    state.reply("chat-2", "Two.")
    assert [(turn["user"], turn["sentences"]) for turn in shown(state)] == [("First", ["One."]), ("Second", ["Two."])]


def test_a_spoken_turn_does_not_take_the_place_of_a_typed_one():
    state = awake()
    state.typed("Typed", 50.0)
    spoken_turn(state)
    state.reply("chat-1", "To the typed line.")
    assert [turn["user"] for turn in shown(state)] == ["Typed", "My cat is ill."]
    assert shown(state)[0]["sentences"] == ["To the typed line."]


def test_a_noise_without_words_is_not_shown():
    state = awake()
    state.event("speech_started", "t1", 98.0, {})
    assert shown(state) == []


def test_partial_words_are_shown_until_the_final_ones_come():
    state = awake()
    state.partial("t1", "My cat")
    assert state.snapshot()["partial"] == "My cat"
    assert {"partial": ""} in state.heard("t1", "My cat is ill.")
    assert state.snapshot()["partial"] == ""


def test_stop_ends_what_runs_and_leaves_what_is_over():
    state = awake()
    spoken_turn(state, "t1")
    state.event("turn_finished", "t1", 105.0, {})
    spoken_turn(state, "t2")
    assert state.interrupted("")[0] == {"silence": ""}
    assert [turn["over"] for turn in shown(state)] == ["finished", "interrupted"]


def test_an_interruption_of_one_turn_leaves_the_others():
    state = awake()
    spoken_turn(state, "t1")
    spoken_turn(state, "t2")
    state.interrupted("t1")
    assert [turn["over"] for turn in shown(state)] == ["interrupted", ""]


def test_the_status_follows_the_turn():
    state = PageState()
    assert state.snapshot()["status"] == "asleep"
    told = [state.alive("dialogue", False, 1000.0), state.alive("dialogue", True, 1001.0), state.listening(True),
            state.listening(False) + state.heard("t1", "Hello")]
    state.reply("t1", "Hello.")
    told += [state.event("sentence_started", "t1", 1002.0, {"sentence": "0"}), state.written("t1"),
             state.event("turn_finished", "t1", 1003.0, {})]
    statuses = [update["status"] for updates in told for update in updates if "status" in update]
    assert statuses == ["waking", "ready", "listening", "ready", "thinking", "speaking", "ready"]


def test_a_dialogue_that_falls_silent_is_asleep():
    state = awake()
    assert state.alive("web", True, 1010.0) == [{"status": "asleep"}]


def test_word_times_carry_their_age_for_a_page_whose_clock_is_another():
    state = awake()
    spoken_turn(state)
    told, = state.words("t1", 0, 102.0, [("I", 0.0, 0.2)], 102.25)
    assert told["words"]["age"] == 0.25 and told["words"]["words"] == [("I", 0.0, 0.2)]


def test_an_event_of_no_matter_to_the_page_changes_nothing():
    state = awake()
    assert state.event("user_speaks", "", 1.0, {}) == [] == state.event("script_finished", "t9", 1.0, {})
    assert shown(state) == []


def test_the_oldest_turns_leave_the_page():
    state = awake()
    for number in range(TURNS_KEPT + 5):
        state.heard(f"t{number}", f"Line {number}")
    assert len(shown(state)) == TURNS_KEPT and shown(state)[0]["user"] == "Line 5"


def test_a_forgotten_turn_leaves_the_page():
    state = awake()
    for number in range(3):
        state.heard(f"t{number}", f"Line {number}")
    assert state.forgotten("t1", "") == [{"forgotten": ["turn-2"]}]
    assert [turn["user"] for turn in shown(state)] == ["Line 0", "Line 2"]
    assert state.forgotten("t1", "")[0] == {"forgotten": []}


def test_when_everything_is_forgotten_only_the_request_stays():
    state = awake()
    spoken_turn(state)
    state.typed("Forget everything.", 103.0)
    state.reply("chat-1", "It is all erased.")
    assert state.forgotten("", "chat-1")[0] == {"forgotten": ["turn-1"]}
    assert [turn["user"] for turn in shown(state)] == ["Forget everything."]
    assert state.forgotten("", "")[0] == {"forgotten": ["turn-2"]} and shown(state) == []


def test_what_still_comes_of_a_forgotten_turn_is_not_shown_and_is_no_other_turns():
    state = awake()
    state.typed("I have a dog.", 100.0)
    state.reply("chat-1", "You have a dog.")
    state.typed("Not answered yet.", 101.0)
    state.forgotten("", "")
    state.typed("Hello.", 102.0)
    state.reply("chat-1", "What is it called?")
    state.event("turn_finished", "chat-1", 103.0, {})
    state.reply("chat-2", "All right.")
    state.reply("chat-3", "Hello to you.")
    assert [(turn["user"], turn["sentences"]) for turn in shown(state)] == [("Hello.", ["Hello to you."])]


def test_help_lines_name_the_robots_country_first_and_every_other_with_a_line():
    lines = help_lines("DE")
    assert lines["here"]["emergency"] == "112" and "0800" in lines["here"]["number"]
    elsewhere = {entry["country"] for entry in lines["elsewhere"]}
    assert {"US", "GB", "FR"} <= elsewhere and not elsewhere & {"DE", "default"}


def test_a_country_without_a_line_still_has_an_emergency_number():
    assert help_lines("default")["here"] == {"country": "default", "emergency": "your local emergency number"}


def test_an_unknown_country_is_named():
    with pytest.raises(Problem, match="country 'XX'"):
        help_lines("XX")
