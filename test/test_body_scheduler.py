import pytest

from esc_robot.body.gestures import library
from esc_robot.body.motion import State
from esc_robot.body.profile import load_profile
from esc_robot.body.scheduler import ON_TIME, Scheduler, words_of
from esc_robot.body.simulation import RATE_HZ, SimulatedRobot

SENTENCES = [
    ("Emotional Validation", "That sounds like a very heavy week, and it makes sense that you feel worn out."),
    ("Suggest Options", "We could look at two small things that might make the evenings easier."),
    ("Affirmation", "It took a lot of courage to say that out loud today."),
    ("Clarification", "Would you tell me a little more about what happened at work?"),
    ("Stress Management", "Before anything else, let us take one slow breath in and out together."),
    ("Others", "Thank you, I am listening and there is no hurry at all.")]


def scheduler(robot_name="talos"):
    return Scheduler(load_profile(robot_name), library())


def spoken(sentence, begin, seconds_a_word=0.34):
    return words_of(sentence, [begin + seconds_a_word * index for index in range(len(sentence.split()))])


def send(robot, plan, now):
    for controller, trajectory in plan.trajectories.items():
        robot.accept(controller, trajectory, now)


def test_a_word_knows_its_place_in_the_sentence():
    assert [(word.text, word.at) for word in spoken("a ba a.", 0.0)] == [("a", 0), ("ba", 2), ("a.", 5)]


@pytest.mark.parametrize("robot_name", ["talos", "tiago_pro", "generic"])
@pytest.mark.parametrize("strategy, sentence", SENTENCES)
def test_the_stroke_lands_on_its_word_within_100_ms(robot_name, strategy, sentence):
    words = spoken(sentence, 50.0)
    made = scheduler(robot_name).speak(50.0, State(), sentence, words, strategy)
    assert made.word in words
    assert abs(made.stroke_at - made.word.start) <= ON_TIME
    robot = SimulatedRobot(load_profile(robot_name), now=50.0)
    send(robot, made.plan, 50.0)
    robot.step(50.0 + made.plan.seconds + 0.1)
    assert robot.violations.total == 0


def test_a_sentence_too_short_for_any_stroke_moves_the_head_alone_and_claims_no_word():
    made = scheduler().speak(50.0, State(), "No one.", spoken("No one.", 50.0), "Others")
    assert made.word is None
    assert made.gesture == "nod"


def test_after_a_short_sentence_the_next_one_told_ahead_gets_a_gesture_in_full_size():
    body, short, following = scheduler(), "Hello.", "You can tell me anything that is on your mind."
    assert body.speak(50.0, State(), short, spoken(short, 50.0), "Others").word is None
    made = body.speak(50.02, State(), following, spoken(following, 50.9), "Others")
    assert made.word.text == "anything" and made.plan.amplitude == 1.0
    assert abs(made.stroke_at - made.word.start) <= ON_TIME


def test_a_gesture_whose_word_comes_too_soon_falls_on_a_later_word():
    sentence = "Hello, it is a real pleasure to meet you today."
    made = scheduler().speak(50.0, State(), sentence, spoken(sentence, 50.0), "Others")
    assert made.gesture == "greeting"
    assert made.word.text in ("pleasure", "meet", "today.")


def test_two_sentences_running_do_not_get_the_same_gesture():
    body = scheduler()
    names = []
    for begin in (0.0, 20.0, 40.0):
        sentence = SENTENCES[0][1]
        names.append(body.speak(begin, State(), sentence, spoken(sentence, begin), SENTENCES[0][0]).gesture)
    assert names[0] != names[1] != names[2]


def test_a_gesture_on_its_way_is_not_broken_off_by_the_next_sentence_but_its_way_back_is():
    body = scheduler()
    first = body.speak(0.0, State(), SENTENCES[0][1], spoken(SENTENCES[0][1], 0.0), SENTENCES[0][0])
    following = spoken(SENTENCES[1][1], first.plan.retraction - 0.2)
    assert body.speak(first.plan.retraction - 0.2, State(), SENTENCES[1][1], following) is None
    assert body.speak(first.plan.retraction + 0.1, State(), SENTENCES[1][1], following) is not None


def test_while_the_person_speaks_the_body_leans_to_listen_and_nods_now_and_then():
    body = scheduler()
    assert body.listen(0.0, State(), True).name == "listening"
    nods = [now for now in (step / 10 for step in range(1, 300)) if body.tick(now, State())]
    assert 4 <= len(nods) <= 9
    gaps = [later - earlier for earlier, later in zip(nods, nods[1:], strict=False)]
    assert min(gaps) >= 3.4
    assert max(gaps) - min(gaps) > 0.1


def test_after_the_person_the_gaze_leaves_them_once_while_the_answer_is_thought_of():
    body = scheduler()
    body.listen(0.0, State(), True)
    body.listen(1.0, State(), False)
    moves = [made.name for step in range(11, 60) if (made := body.tick(step / 10, State()))]
    assert moves == ["look_away"]


def test_an_answer_that_comes_at_once_leaves_no_time_to_look_away():
    body = scheduler()
    body.listen(0.0, State(), True)
    body.listen(1.0, State(), False)
    body.speak(1.3, State(), SENTENCES[5][1], spoken(SENTENCES[5][1], 1.3))
    assert [body.tick(1.3 + step / 10, State()) for step in range(20)] == [None] * 20


def test_a_body_left_alone_breathes_and_never_beyond_a_limit():
    body = scheduler()
    robot = SimulatedRobot(load_profile("talos"))
    names = []
    for step in range(20 * RATE_HZ):
        now = step / RATE_HZ
        robot.step(now)
        made = body.tick(now, robot.state) if step % 10 == 0 else None
        if made:
            names.append(made.name)
            send(robot, made, now)
    assert set(names) == {"idle_breath"}
    assert len(names) >= 2
    assert robot.violations.total == 0


def test_a_stop_in_mid_stroke_stands_within_200_ms_and_frees_the_body():
    body = scheduler()
    robot = SimulatedRobot(load_profile("talos"))
    made = body.speak(0.0, State(), SENTENCES[0][1], spoken(SENTENCES[0][1], 0.0), SENTENCES[0][0])
    send(robot, made.plan, 0.0)
    now = made.stroke_at - 0.3
    robot.step(now)
    assert max(map(abs, robot.velocities.values())) > 0.05
    send(robot, body.stop(now, robot.state), now)
    robot.step(now + 0.2)
    assert max(map(abs, robot.velocities.values())) < 1e-3
    assert body.speak(now + 0.3, robot.state, SENTENCES[1][1], spoken(SENTENCES[1][1], now + 0.3)) is not None
