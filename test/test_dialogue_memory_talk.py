"""Two days with the robot: what is told on one and agreed to be remembered is known on the next, until it is forgotten.

The chooser answers, a tiny model of random weights reads the messages.
"""

import logging
from datetime import date, datetime

import pytest
import tiny_models
import yaml

from esc_robot.assets import config
from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue import memory as memory_module
from esc_robot.dialogue.memory import Memory
from esc_robot.dialogue.memory_talk import NEUTRAL, day
from esc_robot.dialogue.mind import Mind, reasons
from esc_robot.dialogue.selector import Chooser
from esc_robot.dialogue.transformers_engine import TransformersEngine
from esc_robot.dialogue.views import VIEWS

SISTER = "My sister Ottilie lives in Bristol."
SAYS = yaml.safe_load(config("care/memory.yaml").read_text())


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return TransformersEngine(tiny_models.build("smollm", tmp_path_factory.mktemp("model") / "smollm"))


@pytest.fixture(scope="module")
def chooser():
    return Chooser()


@pytest.fixture
def begin(engine, chooser, tmp_path):
    """begin() -> the mind of another day, on the same memory."""
    memories = []

    def made(memory=True, view="stopwords", **options) -> Mind:
        for old in memories:
            old.close()
        if memory:
            memories.append(Memory(tmp_path / "data", tmp_path / "keys"))
        return Mind(engine, VIEWS[view], CrisisProtocol("US"), memory=memories[-1] if memory else None,
                    **{"chooser": chooser} | options)

    yield made
    for old in memories:
        old.close()


def say(mind: Mind, *lines: str) -> str:
    """What the robot says to the last of them."""
    for line in lines:
        turn = f"{len(mind.conversation.turns)} {line[:9]}"
        reply = " ".join(sentence.text for sentence in mind.respond(turn, line))
    return reply


def agreed(mind: Mind) -> Mind:
    say(mind, "You may remember me.", "Yes, please.")
    assert mind.memory_talk.state == "on"
    return mind


def prompt(mind: Mind) -> str:
    return "\n".join(message["content"] for message in mind._messages(mind.conversation.turns))


def everything(folder) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("view", VIEWS)
def test_a_fact_told_on_one_day_is_used_on_the_next_and_gone_after_forget_that(begin, view, tmp_path):
    first = agreed(begin(view=view))
    say(first, SISTER)
    assert b"Ottilie" not in everything(tmp_path) and b"sister" not in everything(tmp_path)

    second = begin(view=view)
    reply = say(second, "What do you remember of me?")
    assert reply == "I have kept one thing. Today you told me: your sister Ottilie lives in Bristol."
    assert "The user told on other days: sister Ottilie lives in Bristol" in prompt(second)
    reply = say(second, "Forget that.")
    assert reply.startswith("I have erased the last thing") and "Ottilie" not in prompt(second)

    third = begin(view=view)
    say(third, "hello")
    assert "Ottilie" not in prompt(third)
    assert say(third, "What do you remember of me?") == SAYS["list"]["empty"]


def test_the_model_that_writes_its_replies_reads_what_is_remembered(begin, engine):
    say(agreed(begin()), SISTER)
    mind = begin(chooser=None, seed=1)
    without = begin(memory=False, chooser=None, seed=1)
    say(mind, "hello"), say(without, "hello")
    assert mind.stats.prompt_tokens - without.stats.prompt_tokens == engine.count_tokens(
        "\n\nThe user told on other days: sister Ottilie lives in Bristol")


@pytest.mark.parametrize("budget", [20, 200, 512, None])
def test_the_newest_facts_that_fit_are_shown(begin, budget):
    mind = agreed(begin())
    say(mind, *(f"My {name} has a dog." for name in ("aunt", "boss", "cousin", "doctor", "editor", "father")))
    mind = begin(budget=budget)
    say(mind, "hello")
    shown = [name for name in ("aunt", "boss", "cousin", "doctor", "editor", "father") if name in prompt(mind)]
    assert shown == ["aunt", "boss", "cousin", "doctor", "editor", "father"][6 - len(shown):]
    assert (len(shown) == 0) == (budget == 20) and (budget != 200 or 0 < len(shown) < 6)


def test_why_says_what_is_remembered_of_a_turn(begin):
    mind = begin()
    say(mind, SISTER)
    assert "remembered" not in reasons(mind)
    say(agreed(mind), SISTER)
    assert reasons(mind)["remembered"] == SISTER
    say(mind, "hello")
    assert reasons(mind)["remembered"] == "nothing of this turn"


def test_what_is_told_in_this_conversation_stands_only_in_its_history(begin):
    mind = agreed(begin())
    say(mind, SISTER)
    assert "other days" not in prompt(mind) and "My sister Ottilie" in prompt(mind)


def test_nothing_is_kept_without_a_clear_yes(begin, tmp_path):
    mind = begin()
    say(mind, SISTER)
    assert say(mind, "You may remember me.") == SAYS["ask"]
    assert say(mind, "Okay") == SAYS["ask_again"]
    assert say(mind, "No, thank you") == SAYS["refused"]
    say(mind, "yes", "You may remember me.", "my job is hard", "yes", SISTER)
    assert mind.memory_talk.state == "off" and not any(tmp_path.rglob("*.db")) and not any(tmp_path.rglob("*.key"))


def test_a_yes_to_a_question_that_was_not_heard_is_asked_again(begin):
    mind = begin()
    list(mind.respond("1", "You may remember me."))
    mind.heard_aloud("1", 1)
    assert say(mind, "yes") == SAYS["ask_again"] and mind.memory_talk.state == "off"
    assert say(mind, "yes") == SAYS["agreed"] and mind.memory_talk.state == "on"


def test_after_a_silence_a_yes_still_counts(begin):
    mind = begin()
    say(mind, "You may remember me.", "")
    assert say(mind, "You may remember me.") == SAYS["agreed"]


def test_remember_this_keeps_what_was_said_before_it(begin):
    mind = begin()
    say(mind, "The blue door in Leeds.", "Please remember this.")
    assert say(mind, "Yes") == SAYS["agreed_and_kept"]
    assert [fact.source for fact in mind.memory_talk.memory.facts()] == ["The blue door in Leeds."]
    assert say(mind, "My name is Tom. Remember that.") == SAYS["kept"]
    assert say(mind, "Remember that I have two daughters.") == SAYS["kept"]
    assert say(mind, "You may remember me.") == SAYS["already"]
    assert [fact.source for fact in mind.memory_talk.memory.facts()][1:] == ["My name is Tom.", "I have two daughters"]
    assert say(begin(), "Do you remember my name?") == "Today you told me: your name is Tom."


def test_forget_that_takes_the_turn_out_of_the_conversation_too(begin):
    mind = agreed(begin())
    say(mind, "I have a dog.", SISTER)
    assert say(mind, "Please forget that.") == SAYS["erased"]["last"]
    assert "Ottilie" not in prompt(mind) and "dog" in prompt(mind)
    assert [fact.source for fact in mind.memory_talk.memory.facts()] == ["I have a dog."]
    assert mind.conversation.turns[-1].user == NEUTRAL


def test_forget_my_takes_what_speaks_of_it_and_says_when_there_is_nothing(begin):
    mind = agreed(begin())
    say(mind, SISTER, "I have a dog.")
    assert say(mind, "Forget my brother.") == SAYS["erased"]["about_nothing"]
    assert say(mind, "Forget my sister.") == SAYS["erased"]["about"]
    assert "sister" not in prompt(mind).lower() and "Ottilie" not in prompt(mind)
    assert [fact.source for fact in mind.memory_talk.memory.facts()] == ["I have a dog."]


def test_forget_everything_ends_it_and_empties_the_conversation(begin, tmp_path):
    mind = agreed(begin())
    say(mind, SISTER)
    assert say(mind, "Forget everything.") == SAYS["erased"]["all"]
    assert mind.memory_talk.state == "off" and not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert "Ottilie" not in prompt(mind)
    assert say(mind, SISTER, "Forget everything.") == SAYS["erased"]["all_none"]
    assert say(mind, "What do you remember of me?") == SAYS["list"]["off"]


def test_without_a_memory_forget_that_still_empties_the_conversation(begin):
    mind = begin(memory=False)
    assert say(mind, SISTER, "Forget that.") == SAYS["erased"]["talk"] and "Ottilie" not in prompt(mind)
    assert say(mind, "You may remember me.") == SAYS["none"]
    assert say(mind, "What do you remember of me?") == SAYS["list"]["none"]
    assert say(begin(memory=False), "Forget that.") == SAYS["erased"]["nothing"]


def test_stop_remembering_uses_nothing_and_says_what_it_still_has(begin):
    mind = agreed(begin())
    say(mind, SISTER)
    assert say(mind, "Stop remembering.") == SAYS["stopped"]
    mind = begin()
    say(mind, "I have a dog.")
    assert "Ottilie" not in prompt(mind)
    reply = say(mind, "What do you remember of me?")
    assert reply.startswith(SAYS["list"]["unused"]) and "Ottilie" in reply and "dog" not in reply


def test_a_long_memory_is_told_in_parts(begin):
    mind = agreed(begin())
    say(mind, *(f"My {name} has a dog." for name in ("aunt", "boss", "cousin", "doctor", "editor", "father")))
    reply = say(mind, "What do you remember of me?")
    assert reply.startswith("I have kept 6 things.") and reply.endswith(SAYS["list"]["more"]) and "boss" not in reply
    reply = say(mind, "What else do you remember?")
    assert "boss" in reply and "aunt" in reply and "father" not in reply
    assert say(mind, "What else do you remember?") == SAYS["list"]["no_more"]


def test_what_the_crisis_protocol_answers_is_never_kept(begin):
    mind = agreed(begin())
    say(mind, "My sister Ottilie left and I want to kill myself.", "My father has a gun at home.")
    assert mind.stats.level and mind.memory_talk.memory.facts() == []
    assert len(mind.conversation.turns) == 4


def test_in_a_crisis_forgetting_is_done_and_the_protocol_goes_on(begin):
    mind = agreed(begin())
    say(mind, SISTER, "I want to kill myself.")
    reply = say(mind, "Forget everything.")
    assert reply.startswith(SAYS["erased"]["all"]) and len(reply) > len(SAYS["erased"]["all"]) + 10
    assert mind.memory_talk.state == "off" and mind.stats.level == "followup"


def test_in_a_crisis_no_consent_is_taken(begin):
    mind = begin()
    say(mind, "You may remember me.", "I want to kill myself.", "yes")
    assert mind.memory_talk.state == "off"


def test_a_crisis_is_not_kept_on_request_either(begin):
    mind = agreed(begin())
    say(mind, "my friend killed himself last year")
    while mind.care.active:
        say(mind, "I see.")
    turn = mind.conversation.turns[-1]
    mind.memory_talk._barred.add(turn.id)
    assert say(mind, "Remember this.") == SAYS["never_kept"] and mind.memory_talk.memory.facts() == []


@pytest.mark.parametrize("state", ["none", "off", "on", "stopped", "unreachable"])
@pytest.mark.parametrize("text", ["Will you remember our talk next week?", "Do you record what I say?"])
def test_what_the_robot_says_of_its_memory_is_what_is_true_of_its_state(chooser, state, text):
    lines = yaml.safe_load(config("care/robot.yaml").read_text())
    choice = chooser.choose([], text, state)
    assert choice.source == "robot" and choice.reply in [reply["text"] for reply in lines[choice.act][state]]


def test_a_memory_that_cannot_be_used_is_said_so_and_the_talk_goes_on(begin, tmp_path, caplog):
    first = agreed(begin())
    say(first, SISTER)
    mind = begin()
    second = Mind(mind.engine, mind.view, CrisisProtocol(), chooser=mind.chooser,
                  memory=Memory(tmp_path / "data", tmp_path / "keys"))      # another process would have it like this
    assert say(second, "What do you remember of me?") == SAYS["unreachable"]
    assert say(second, "Forget that.") == SAYS["unreachable"] and say(second, "I have a dog.")
    assert "Ottilie" in say(mind, "What do you remember of me?")


def test_a_disk_that_refuses_is_one_line_and_no_lie(begin, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    mind = agreed(begin())
    say(mind, SISTER)
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    (tmp_path / "keys").write_text("in the way")
    assert say(mind, "Forget that.") == SAYS["failed"]
    assert [record for record in caplog.records if record.name == "esc_robot.dialogue.memory_talk"]
    assert len(mind.memory_talk.memory.facts()) == 1
    assert all(word not in caplog.text for word in ("Ottilie", "sister", "Bristol"))


def test_no_fact_stands_in_a_log(begin, caplog):
    caplog.set_level(logging.DEBUG)
    mind = agreed(begin())
    say(mind, SISTER, "What do you remember of me?", "Forget my sister.")
    assert all(word not in caplog.text for word in ("Ottilie", "sister", "Bristol"))


def test_a_fact_of_another_day_is_told_with_its_day(begin, monkeypatch):
    mind = agreed(begin())
    monkeypatch.setattr(memory_module.time, "time", lambda: datetime(2026, 3, 3, 12).timestamp())
    say(mind, SISTER)
    monkeypatch.undo()
    assert say(mind, "What do you remember of me?").startswith("I have kept one thing. On the 3rd of March")
    assert "You told it to me on the 3rd of March" in say(mind, "Forget that.")


def test_days_are_said_as_people_say_them():
    today = date(2026, 11, 23)
    days = [day(datetime(*parts, 12).timestamp(), today) for parts in [
        (2026, 11, 23), (2026, 11, 22), (2026, 11, 18), (2026, 11, 12), (2026, 5, 1), (2025, 12, 22)]]
    assert days == ["Today", "Yesterday", "On Wednesday", "On the 12th of November", "On the 1st of May",
                    "On the 22nd of December 2025"]


def test_after_a_long_silence_what_was_told_before_it_is_knowledge(begin, monkeypatch):
    mind = agreed(begin())
    say(mind, SISTER)
    mind.memory_talk._latest -= 3600
    say(mind, "hello again")
    assert "The user told on other days: sister Ottilie" in prompt(mind)
