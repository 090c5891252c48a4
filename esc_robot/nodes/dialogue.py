"""What to say: each utterance, spoken or typed, is answered sentence by sentence."""

import itertools
import json
import queue
import sys
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue.engine import ENGINES, Sampling, make_engine
from esc_robot.dialogue.memory import memory_in
from esc_robot.dialogue.mind import Mind, reasons
from esc_robot.dialogue.models import adapter_of
from esc_robot.dialogue.prompt import PLAIN_MODEL_PROMPT, SYSTEM_PROMPT
from esc_robot.dialogue.selector import REPLIES, chooser_for
from esc_robot.dialogue.views import DEFAULT_VIEW, VIEWS
from esc_robot.errors import Problem
from esc_robot.nodes.base import BadMessage, Node, decode_event, decode_pair, run, stamped

BETWEEN_TURNS = ("", "")    # in the queue: a turn is over and nobody has spoken yet


class Dialogue(Node):
    """The model writes in a thread of its own; an interruption reaches it within one token."""

    def __init__(self):
        super().__init__("dialogue")
        model = self.parameter("model", "default", "a model of models.yaml, a Hugging Face folder or a hub name")
        kind = self.parameter("engine", "auto", "what computes it; auto: server, GPU or llama.cpp", choices=ENGINES)
        given = self.parameter("adapter", "", "folder of a PEFT adapter, or its name on the server; empty: the model's "
                               "own, where one ships; none: no adapter")
        server_url = self.parameter("server_url", "", "an OpenAI-compatible server: http://host:8000/v1")
        bits = self.parameter("quantization", "", "on a GPU: 4bit, 8bit or empty", choices=("", "4bit", "8bit"))
        view = self.parameter("view", DEFAULT_VIEW, "how the history is shown to the model", choices=tuple(VIEWS))
        replies = self.parameter("replies", "auto", "chosen among prepared ones, or written by the model; auto: what "
                                 "models.yaml says of the model", choices=REPLIES)
        explain = self.parameter("explain", False, "true: say on /dialogue/why how each reply was found")
        memory = memory_in(self.parameter("memory", "default", "folder of what is remembered of the person, where they "
                                          "agree; default: in the XDG data folder; empty: nothing ever is"))
        if memory and memory.problem:
            self.get_logger().warning(str(memory.problem))
        country = self.parameter("country", "default", "whose crisis line: a key of care/lines.yaml")
        care = CrisisProtocol(country)
        sampling = Sampling(
            temperature=self.parameter("temperature", 0.7, "sampling temperature; 0: the likeliest token", 0.0, 2.0),
            top_p=self.parameter("top_p", 0.95, "nucleus sampling: share of probability kept", 0.01, 1.0),
            top_k=self.parameter("top_k", 50, "tokens to choose among", 1, 1000),
            max_new_tokens=self.parameter("max_new_tokens", 128, "longest reply, in tokens", 8, 1024))
        threads = self.parameter("threads", 2, "processor threads of the model", 1, 64)
        seed = self.parameter("seed", -1, "seed of the choices, to repeat a run; -1: another each time", -1, 2**31 - 1)
        adapter = adapter_of(model, given, server_url)
        engine = make_engine(model, kind, adapter, threads, sampling, server_url, bits)
        try:
            chooser = chooser_for(replies, model, server_url, country)
        except Problem as problem:
            self.get_logger().error(f"{problem}; the model writes its replies itself")
            chooser = None
        self.mind = Mind(engine, VIEWS[view], care, SYSTEM_PROMPT if adapter else PLAIN_MODEL_PROMPT,
                         seed=None if seed < 0 else seed, chooser=chooser, memory=memory)
        self._reply = self.publisher("/dialogue/reply")
        self._strategy = self.publisher("/dialogue/strategy")
        self._end = self.publisher("/dialogue/end")
        self._interrupt = self.publisher("/conversation/interrupt")
        self._why = self.publisher("/dialogue/why") if explain else None
        self._forget, self._memory = self.publisher("/conversation/forget"), self.publisher("/memory/state")
        self._memory_said = None
        self._queue: queue.Queue = queue.Queue()
        self._chat_number = itertools.count(1)
        self._current = ""      # the turn that is written or still sounds
        self.listen("/speech/text", self._on_utterance, decode_pair)
        self.listen("/chat/text", lambda text: self._on_utterance((self._chat_id(), text)), decode_line)
        self.listen("/conversation/event", self._on_event, decode_event)
        self.listen("/conversation/interrupt", self._on_interrupt)
        self.listen("/memory/forget", lambda number: self._change(lambda talk: talk.forget_number(number.data)))
        self.serve("/memory/consent", lambda request, response: self._change(
            lambda talk: talk.agree(request.data), response))
        self.serve("/memory/list", self._on_list)
        self.serve("/memory/forget_last", lambda request, response: self._change(
            lambda talk: talk.forget_last(), response))
        self.serve("/memory/forget_everything", lambda request, response: self._change(
            lambda talk: talk.forget_all(), response))
        self._queue.put(BETWEEN_TURNS)      # the system prompt is computed before anyone speaks
        self._thread = self.work(self._answer)
        self.ready()
        self._tell_memory()

    def _chat_id(self) -> str:
        return f"chat-{int(time.time())}-{next(self._chat_number)}"

    def _on_utterance(self, pair) -> None:
        if self._current:       # the user goes on before the robot has finished: what it was saying is dropped
            self._interrupt.publish(KeyValue(key=self._current, value="the user went on"))
            self.mind.cancel(self._current)
        self.mind.wake()
        self._queue.put(pair)

    def _on_interrupt(self, message) -> None:
        if not message.key or message.key == self._current:
            self.mind.cancel(self._current)

    def _on_event(self, event) -> None:
        if event.name == "turn_interrupted":
            self.mind.heard_aloud(event.turn, int(event.values.get("spoken", 0)))
        if event.name in ("turn_finished", "turn_interrupted") and event.turn == self._current:
            self._current = ""
            self._queue.put(BETWEEN_TURNS)
        if event.name == "long_silence" and not self._current:
            self._queue.put((event.turn, ""))      # nothing was said, and the mind has gentle words for that

    def _change(self, change, response=None) -> None:
        """Change the memory by ``change(MemoryTalk)``; the service's response tells whether it was done."""
        done = "done"
        try:
            with self.mind.silent() as talk:
                change(talk)
        except Problem as problem:
            done = str(problem)
            self.get_logger().warning(done)
        if response is not None:
            response.success, response.message = done == "done", done
        self._tell_memory()

    def _on_list(self, request, response) -> None:
        talk = self.mind.memory_talk
        facts = [vars(fact) | {"triples": list(map(str, fact.triples))}
                 for fact in (talk.memory.facts() if talk.memory else [])]
        response.success, response.message = True, json.dumps({"state": talk.state, "facts": facts})

    def _tell_memory(self, turn: str = "") -> None:
        """What has changed; ``turn``: the one in which the user asked for it."""
        talk = self.mind.memory_talk
        dropped, talk.dropped = talk.dropped, []
        for gone in dropped:
            self._forget.publish(KeyValue(key=gone, value=turn))
        facts = [fact.number for fact in talk.memory.facts()] if talk.memory else []
        if (talk.state, facts) != self._memory_said:
            self._memory_said = talk.state, facts
            self._memory.publish(KeyValue(key=talk.state, value=str(len(facts))))

    def _answer(self) -> None:
        while (job := self._queue.get()) is not None:
            if job is BETWEEN_TURNS:
                self.mind.between_turns()
                continue
            turn, text = job
            self._current = turn
            count = 0
            for sentence in self.mind.respond(turn, text):
                if count == 0:
                    stats = self.mind.stats     # fixed words have no first token: they are there all at once
                    waited = stats.first_token_seconds or stats.first_sentence_seconds
                    self.event("first_token", turn, stats.started + waited)
                    self._strategy.publish(KeyValue(key=turn, value=sentence.strategy))
                self._reply.publish(KeyValue(key=turn, value=sentence.text))
                count += 1
            self._end.publish(KeyValue(key=turn, value=str(count)))
            self._tell_memory(turn)
            if self._why:
                found = DiagnosticStatus(name="why", hardware_id=turn)
                found.values = [KeyValue(key=key, value=value) for key, value in reasons(self.mind).items()]
                self._why.publish(stamped(time.time(), found))

    def close(self) -> None:
        self.mind.cancel(self._current)
        self.mind.wake()
        self._queue.put(None)
        self._thread.join(timeout=3)
        if memory := self.mind.memory_talk.memory:
            memory.close()


def decode_line(message) -> str:
    if not message.data.strip():
        raise BadMessage("the line is empty")
    return message.data


def main() -> int:
    return run(Dialogue)


if __name__ == "__main__":
    sys.exit(main())
