"""The memory of a person: what is kept, where, sealed, and gone again."""

import json
import os
import sqlite3
import stat

import pytest

from esc_robot.dialogue import memory as memory_module
from esc_robot.dialogue.conversation import Turn
from esc_robot.dialogue.facts import speaks_of, told_in
from esc_robot.dialogue.memory import Memory
from esc_robot.errors import Problem

SISTER, JOB = "My sister Ottilie lives in Bristol.", "I lost my job in May."


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "data", tmp_path / "keys"


@pytest.fixture
def kept(folders):
    """Two turns, kept with the person's consent."""
    memory = Memory(*folders)
    memory.agree()
    memory.remember(Turn("1", SISTER))
    memory.remember(Turn("2", JOB))
    return memory


def files(*folders) -> dict:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def reopened(memory: Memory, folders) -> Memory:
    memory.close()
    return Memory(*folders)


@pytest.mark.parametrize("text, told", [
    ("My sister has cancer.", ["sister has cancer"]), ("We moved to Leeds last year", ["we moved to Leeds"]),
    ("I have two kids. What should I do?", ["user have two kids"]),
    ("My boss never liked me", ["boss never liked user"]),
    ("I don\u2019t see my son", ["user not see son"])])
def test_what_is_told_of_ones_life_is_a_fact(text, told):
    assert [str(triple) for _, triples in told_in(text) for triple in triples][:len(told)] == told


@pytest.mark.parametrize("text", [
    "hello", "Do you think my sister is right?", "If I lost my job I would cry", "You told me about the sea",
    "she left me", "I don't know", "I feel so useless", "I am sad today", "I wish my mother was here", "It is hard",
    "other people have dogs", ""])
def test_what_is_no_fact_of_ones_life_is_not_kept(text):
    assert told_in(text) == []


def test_nothing_is_written_before_the_person_agrees(folders):
    memory = Memory(*folders)
    assert memory.remember(Turn("1", JOB)) == [] and memory.state == "off"
    assert memory.forget_last() == [] and not any(folder.exists() for folder in folders)


def test_facts_have_their_sentence_and_date_and_outlive_the_process(kept, folders):
    again = reopened(kept, folders)
    assert again.state == "on" and again.problem is None
    assert [fact.source for fact in again.facts()] == [SISTER, JOB]
    assert str(again.facts()[1].triples[0]) == "user lost job"
    assert again.facts() == kept.facts() and again.facts()[0].told > 1.7e9


def test_without_the_key_no_word_can_be_read_in_the_files(kept, folders):
    words = [b"sister", b"Ottilie", b"Bristol", b"job", b"user", b"lost", b"source", b"told"]
    for path, content in files(*folders).items():
        assert [word for word in words if word in content] == [], path
    assert len(files(folders[0])) >= 1


def test_file_and_key_are_their_owners_alone_and_lie_apart(kept, folders):
    for path in files(*folders):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (key,) = folders[1].iterdir()
    assert len(key.read_bytes()) == 32 and key.read_bytes() not in b"".join(files(folders[0]).values())


def test_what_is_forgotten_is_in_no_file_and_its_key_is_gone(kept, folders):
    rows = sealed_rows(kept)
    (old_key,) = files(folders[1]).values()
    assert [fact.source for fact in kept.forget_last()] == [JOB]
    left = b"".join(files(*folders).values())
    assert not any(row in left or row[:24] in left for row in rows) and old_key not in left
    assert [fact.source for fact in reopened(kept, folders).facts()] == [SISTER]


def sealed_rows(memory: Memory) -> list[bytes]:
    return [sealed for sealed, in memory._database.execute("SELECT sealed FROM facts")]


def test_what_took_the_place_of_a_file_overwrote_it(kept, folders):
    """The old file, held open as an undelete would find it, holds zeros."""
    (old,) = [path for path in files(folders[0]) if path.name == "memory.db"]
    with old.open("rb") as held:
        kept.forget("sister")
        assert set(held.read()) == {0}


def test_forgetting_by_words_takes_what_speaks_of_them(kept, folders):
    assert kept.forget("my brother") == [] and kept.forget("the") == []
    assert [fact.source for fact in kept.forget("my sisters")] == [SISTER]
    number = kept.facts()[0].number
    assert kept.forget_number(number + 1) == [] and [fact.source for fact in kept.forget_number(number)] == [JOB]
    assert kept.state == "on" and reopened(kept, folders).state == "on"
    assert speaks_of(SISTER, "Ottilie in Bristol") and not speaks_of(SISTER, "Ottilie in Leeds")


def test_forget_everything_leaves_no_file_and_no_consent(kept, folders):
    (folders[0] / "memory.db.unreadable-20261123-101500").write_bytes(b"old")
    kept.forget_all()
    assert files(*folders) == {} and kept.facts() == [] and kept.state == "off"
    assert kept.remember(Turn("3", JOB)) == [] and Memory(*folders).state == "off"
    kept.agree()
    kept.remember(Turn("4", JOB))
    assert [fact.source for fact in reopened(kept, folders).facts()] == [JOB]


def test_stopped_it_adds_nothing_and_keeps_what_it_has_until_told_to_forget(kept, folders):
    kept.stop()
    assert kept.remember(Turn("3", "I have a dog.")) == []
    again = reopened(kept, folders)
    assert again.state == "stopped" and len(again.facts()) == 2
    again.forget("sister")
    assert again.state == "stopped"
    again.forget("job")
    assert again.state == "off" and files(*folders) == {}


def test_a_stop_with_nothing_kept_leaves_nothing(folders):
    memory = Memory(*folders)
    memory.stop()
    memory.agree()
    memory.stop()
    assert memory.state == "off" and files(*folders) == {}


def test_a_sentence_told_twice_is_kept_once_with_the_newer_date(kept):
    first = kept.facts()[0]
    again = SISTER.replace("My", "my")
    kept.remember(Turn("3", again))
    assert [fact.source for fact in kept.facts()] == [JOB, again] and kept.facts()[1].told > first.told


def test_the_oldest_leave_when_there_are_too_many(kept, monkeypatch, folders):
    monkeypatch.setattr(memory_module, "MOST", 2)
    kept.remember(Turn("3", "I have a dog."))
    assert [fact.source for fact in reopened(kept, folders).facts()] == [JOB, "I have a dog."]


def test_asked_to_a_whole_sentence_is_kept(kept):
    assert kept.remember(Turn("3", "The blue door."), whole=True)[0].source == "The blue door."


def half(path, folders):
    path.write_bytes(path.read_bytes()[:len(path.read_bytes()) // 2])


def other_key(path, folders):
    next(folders[1].iterdir()).write_bytes(bytes(32))


def short_key(path, folders):
    next(folders[1].iterdir()).write_bytes(b"short")


def no_key(path, folders):
    next(folders[1].iterdir()).unlink()


def no_database(path, folders):
    path.write_bytes(b"not a database at all, but some text" * 20)


def empty(path, folders):
    path.write_bytes(b"")


def a_row_changed(path, folders):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE facts SET sealed = zeroblob(60) WHERE id = 1")
    database.close()


@pytest.mark.parametrize("harm, said", [
    (half, "damaged"), (other_key, "another key"), (short_key, "key that is damaged"), (no_key, "lost its key"),
    (no_database, "damaged"), (empty, "damaged"), (a_row_changed, "another key")],
    ids=lambda value: getattr(value, "__name__", ""))
def test_a_file_that_cannot_be_read_is_set_aside_with_one_line(kept, folders, harm, said):
    kept.close()
    path = folders[0] / "memory.db"
    harm(path, folders)
    content = path.read_bytes()
    memory = Memory(*folders)
    line = str(memory.problem)
    assert said in line and "\n" not in line and "set aside as memory.db.unreadable-" in line
    assert memory.state == "off" and memory.facts() == [] and not path.exists()
    (aside,) = folders[0].glob("memory.db.unreadable-*")
    assert aside.read_bytes() == content or harm is empty
    memory.agree()
    memory.remember(Turn("1", JOB))
    assert len(reopened(memory, folders).facts()) == 1


@pytest.mark.parametrize("size", range(0, 12288, 777))
def test_wherever_writing_broke_off_the_robot_goes_on(kept, folders, size):
    kept.close()
    path = folders[0] / "memory.db"
    os.truncate(path, min(size, path.stat().st_size - 1))
    memory = Memory(*folders)
    assert memory.state == "off" and memory.problem and list(folders[0].glob("memory.db.unreadable-*"))


def test_a_file_in_another_process_hands_stays_where_it_is(kept, folders):
    second = Memory(*folders)
    assert second.state == "unreachable" and "one robot" in str(second.problem)
    with pytest.raises(Problem, match="cannot be used"):
        second.agree()
    assert second.remember(Turn("3", JOB)) == [] and len(kept.facts()) == 2
    kept.remember(Turn("3", "I have a dog."))
    assert len(reopened(kept, folders).facts()) == 3


def test_a_key_that_cannot_be_read_now_leaves_everything_in_place(kept, folders):
    kept.close()
    (key,) = folders[1].iterdir()
    content = key.read_bytes()
    key.unlink()
    key.mkdir()     # a folder cannot be read as a key, not even by root
    memory = Memory(*folders)
    assert memory.state == "unreachable" and (folders[0] / "memory.db").exists()
    key.rmdir()
    key.write_bytes(content)
    assert len(Memory(*folders).facts()) == 2


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("no folder")
    memory = Memory(tmp_path / "file" / "data", tmp_path / "keys")
    with pytest.raises(Problem, match="cannot be written") as problem:
        memory.agree()
    assert "\n" not in str(problem.value) and memory.state == "off"


def test_by_default_data_and_key_lie_in_the_xdg_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    Memory().agree()
    assert (tmp_path / "share" / "esc_robot" / "memory.db").exists()
    assert list((tmp_path / "config" / "esc_robot").glob("memory-*.key"))


def test_a_fact_is_sealed_differently_each_time(kept):
    first, second = sealed_rows(kept)
    assert first[:12] != second[:12] and json.dumps(SISTER).encode() not in first
