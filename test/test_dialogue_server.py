"""Conversations through a real server process on the loopback interface, and what happens when it goes away."""

import os
import signal
import time
from threading import Event, Timer

import pytest
from test_dialogue_engines import start_server

from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue import server_engine
from esc_robot.dialogue.engine import Sampling, make_engine
from esc_robot.dialogue.mind import Mind
from esc_robot.dialogue.models import find, gguf_file
from esc_robot.dialogue.server_engine import ServerEngine
from esc_robot.dialogue.views import raw
from esc_robot.errors import Problem

ASKED = [{"role": "user", "content": "Tell me a long story of the sea."}]


class Server:
    """A server that can be killed, frozen and started again on its port."""

    def __init__(self):
        self.process, self.url = start_server(gguf_file(find("default")))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def start(self):
        self.process, _ = start_server(gguf_file(find("default")), port=int(self.url.split(":")[2].split("/")[0]))

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)


@pytest.fixture(scope="module")
def one_server():
    server = Server()
    yield server
    server.kill()


@pytest.fixture
def server(one_server):
    if one_server.process.poll() is not None:
        one_server.start()
    yield one_server
    if one_server.process.poll() is None:
        os.kill(one_server.process.pid, signal.SIGCONT)


def test_a_conversation_survives_the_server_s_death_and_comes_back_with_it(server):
    engine = make_engine(server_url=server.url, sampling=Sampling(max_new_tokens=24))
    mind = Mind(engine, raw, CrisisProtocol("US"), seed=1)
    first = list(mind.respond("1", "i lost my job yesterday"))
    assert {sentence.source for sentence in first} == {"model"}
    server.kill()
    start = time.monotonic()
    apology, = mind.respond("2", "my boss never liked me")
    assert apology.source == "care" and time.monotonic() - start < 10
    server.start()
    assert {sentence.source for sentence in mind.respond("3", "what should i do now")} == {"model"}
    assert [turn.user for turn in mind.conversation.turns] == ["i lost my job yesterday", "my boss never liked me",
                                                              "what should i do now"]
    assert engine.last.prompt_tokens > 60


def test_a_server_that_comes_back_within_the_back_off_is_not_noticed(server):
    engine = ServerEngine(server.url, sampling=Sampling(max_new_tokens=4))
    server.kill()
    Timer(0.1, server.start).start()
    before, server_engine.BACK_OFF = server_engine.BACK_OFF, (1.0, 2.0, 4.0)
    try:
        assert "".join(engine.generate(ASKED))
    finally:
        server_engine.BACK_OFF = before


def test_a_server_that_dies_in_the_middle_of_a_reply_ends_it_with_one_clear_line(server):
    engine = ServerEngine(server.url, sampling=Sampling(max_new_tokens=300))
    stream = engine.generate(ASKED)
    next(stream)
    server.kill()
    with pytest.raises(Problem, match="broke off in the middle") as problem:
        list(stream)
    assert "\n" not in str(problem.value) and "sea" not in str(problem.value)


def test_a_server_that_stalls_in_the_middle_of_a_reply_ends_it_in_time(server, monkeypatch):
    monkeypatch.setattr(server_engine, "STALL_SECONDS", 1.0)
    engine = ServerEngine(server.url, sampling=Sampling(max_new_tokens=300))
    stream = engine.generate(ASKED)
    next(stream)
    server.freeze()
    start = time.monotonic()
    with pytest.raises(Problem, match="in time"):
        list(stream)
    assert time.monotonic() - start < 5


def test_a_server_that_takes_the_question_and_says_nothing_ends_in_time(server, monkeypatch):
    monkeypatch.setattr(server_engine, "FIRST_SECONDS", 1.0)
    monkeypatch.setattr(server_engine, "CONNECT_SECONDS", 0.5)
    server.freeze()
    start = time.monotonic()
    with pytest.raises(Problem, match="in time"):
        list(ServerEngine(server.url).generate(ASKED))
    assert time.monotonic() - start < 5


def test_a_cancel_is_heard_while_nobody_answers(server):
    server.kill()
    cancel = Event()
    Timer(0.2, cancel.set).start()
    start = time.monotonic()
    assert list(ServerEngine(server.url).generate(ASKED, cancel=cancel)) == []
    assert time.monotonic() - start < 2


def test_a_cancelled_reply_leaves_the_server_free(server):
    engine = ServerEngine(server.url, sampling=Sampling(max_new_tokens=300))
    cancel = Event()
    for _ in engine.generate(ASKED, cancel=cancel):
        cancel.set()
    engine.sampling = Sampling(max_new_tokens=2)
    start = time.monotonic()
    assert "".join(engine.generate(ASKED)) and time.monotonic() - start < 5


def test_nobody_at_the_address_is_one_clear_line():
    engine = ServerEngine("http://127.0.0.1:9/v1")      # discard: nobody listens there
    with pytest.raises(Problem, match="does not answer") as problem:
        list(engine.generate(ASKED))
    with pytest.raises(Problem, match="does not answer"):
        engine.logprobs(ASKED, "Yes.")
    assert "\n" not in str(problem.value)
