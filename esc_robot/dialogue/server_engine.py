"""The engine of a server that speaks OpenAI's chat protocol: vLLM, SGLang, llama.cpp, transformers serve.

This is how several robots share one GPU: each names its adapter as the model.
"""

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from threading import Event
from time import perf_counter
from urllib.parse import urlsplit

from esc_robot.dialogue.background import Stalled, background
from esc_robot.dialogue.engine import Generation, Sampling, check_fits
from esc_robot.errors import Problem

CONNECT_SECONDS = 3.0
FIRST_SECONDS = 10.0    # until the first token: the prompt, and whoever is served before
STALL_SECONDS = 5.0     # between two tokens
BACK_OFF = (0.25, 0.75, 1.5)   # waits before another attempt, in seconds: a user can bear no longer silence
BUSY = (429, 500, 502, 503, 504)
BYTES_A_TOKEN = 3       # English has 4 to 4.5 with the tokenizers of config/models.yaml; less keeps the budget


class _Unavailable(Exception):
    """Nobody answers, or it is too busy: worth another attempt."""


class ServerEngine:
    """``url``: the server, with or without /v1. ``model``: the name under which it serves the base, "default": its own.

    ``adapter``: the name under which it serves an adapter; for llama.cpp, whose adapters have no names, the adapter
    file's name without ending. A key is taken from OPENAI_API_KEY. The server may be away when the engine is made.
    Raises Problem in ``generate`` when it is gone, stalls or refuses; the next call tries afresh.
    """

    def __init__(self, url: str, model: str = "default", adapter: str | None = None,
                 sampling: Sampling | None = None, context_length: int = 4096):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Problem("server_url", url, "is no address; give one like http://gpu-host:8000/v1")
        self.url = url
        self._parts, self._root = parts, parts.path.rstrip("/").removesuffix("/v1")
        self.model, self.adapter = model, adapter and str(adapter)
        self.sampling = sampling or Sampling()
        self.context_length = context_length
        self.last = Generation()

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, estimated from its length and rather too many."""
        return -(-len(text.encode()) // BYTES_A_TOKEN)

    def set_adapter(self, adapter: str | None) -> None:
        """Another adapter by the name under which the server has it; None: the base."""
        self.adapter = adapter and str(adapter)

    def generate(self, messages: list[dict], seed: int | None = None, cancel: Event | None = None,
                 begun: str = "") -> Iterator[str]:
        """Text of the reply to ``messages`` (``role``, ``content``), in the pieces that the server sends; what follows
        after ``begun`` in it where the server goes on with an assistant's last message, as llama.cpp's does.

        The same ``seed`` gives the same reply where the server keeps its promise; None draws afresh. Once ``cancel``
        is set the connection is closed, and the server stops. Raises Problem when the server is gone or stalls.
        """
        cancel = cancel or Event()
        messages = [*messages, {"role": "assistant", "content": begun}] if begun else messages
        # Only what is surely too long is refused here; the server counts exactly.
        check_fits(sum(self.count_tokens(message["content"]) for message in messages) * 2 // 3, self.sampling,
                   self.context_length)
        start = perf_counter()
        self.last = run = Generation()
        request = {"messages": messages, "stream": True, "stream_options": {"include_usage": True},
                   "max_tokens": self.sampling.max_new_tokens, "temperature": self.sampling.temperature,
                   "top_p": self.sampling.top_p, "top_k": self.sampling.top_k}
        if seed is not None:
            request["seed"] = seed
        with contextlib.closing(self._attempts(request, cancel)) as events:
            for event in events:
                if usage := event.get("usage"):
                    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
                    run.prompt_tokens, run.computed_tokens = usage["prompt_tokens"], usage["prompt_tokens"] - cached
                for choice in event.get("choices", ()):
                    run.finished = run.finished or choice.get("finish_reason") == "stop"
                    if text := choice["delta"].get("content"):
                        run.new_tokens += 1
                        run.seconds = perf_counter() - start
                        run.first_token_seconds = run.first_token_seconds or run.seconds
                        yield text

    def logprobs(self, messages: list[dict], reply: str) -> list[float]:
        """Natural logarithm of the probability of each token of ``reply``, its end not counted; llama.cpp's only.

        OpenAI's protocol has no such request. llama.cpp is led along the reply by a grammar of its tokens; Problem
        with any other server.
        """
        try:
            tokens = self._call("POST", "/tokenize", {"content": reply})["tokens"]
            if not tokens:
                return []
            answer = self._call("POST", "/v1/chat/completions", {
                **self._named({"messages": messages}), "max_tokens": len(tokens), "temperature": 0, "logprobs": True,
                "top_logprobs": 1, "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in tokens)})
            steps = answer["choices"][0]["logprobs"]["content"]
            if [step["id"] for step in steps] != tokens:
                raise KeyError
        except (KeyError, TypeError):
            raise Problem("server", self.url, "gives no probabilities of a given reply; evaluate with engine "
                                              "transformers or llama") from None
        except (_Unavailable, OSError, http.client.HTTPException, ValueError):
            raise self._gone() from None
        return [step["logprob"] for step in steps]

    def _attempts(self, request: dict, cancel: Event) -> Iterator[dict]:
        """Events of the first attempt that the server answers; one that it broke off is not repeated."""
        for wait in (*BACK_OFF, None):
            begun = False
            connection = self._connection()
            work = background(lambda put, stopped: self._stream(connection, request, put, stopped), cancel,  # noqa: B023
                              CONNECT_SECONDS + FIRST_SECONDS, STALL_SECONDS)
            try:
                with contextlib.closing(work) as events:
                    for event in events:
                        begun = True
                        yield event
                return
            except (Stalled, TimeoutError):
                raise Problem("server", self.url, "does not answer in time; see whether it is overloaded") from None
            except (_Unavailable, OSError, http.client.HTTPException, ValueError):
                if begun:
                    raise Problem("server", self.url, "broke off in the middle of a reply; see whether it runs"
                                  ) from None
            finally:
                _hang_up(connection)
            if wait is None:
                raise self._gone()
            if cancel.wait(wait):
                return

    def _stream(self, connection, request: dict, put, stopped) -> None:
        """Server-sent events of one request, until the reply's end."""
        response = self._send(connection, "POST", "/v1/chat/completions", self._named(request))
        while not stopped():
            line = response.readline()
            if not line:
                raise _Unavailable
            if line.startswith(b"data:"):
                if line[5:].strip() == b"[DONE]":
                    return
                event = json.loads(line[5:])
                if "error" in event:
                    raise _Unavailable
                put(event)

    def _named(self, request: dict) -> dict:
        """The request with the adapter's name as the model's; llama.cpp wants its number instead."""
        if self.adapter is None and self.model != "default":
            return request | {"model": self.model}
        try:
            adapters = self._call("GET", "/lora-adapters")
        except Problem:
            adapters = None     # not llama.cpp
        if isinstance(adapters, list):
            return request | {"model": self.model, "lora": self._numbered(adapters)}
        served = [entry["id"] for entry in self._call("GET", "/v1/models")["data"]]
        if self.adapter is not None and self.adapter not in served:
            raise self._unknown_adapter(served)
        return request | {"model": self.adapter or served[0]}

    def _numbered(self, adapters: list[dict]) -> list[dict]:
        names = [entry["path"].rsplit("/", 1)[-1].removesuffix(".gguf") for entry in adapters]
        if self.adapter is not None and self.adapter not in names:
            raise self._unknown_adapter(names)
        return [{"id": entry["id"], "scale": float(name == self.adapter)}
                for entry, name in zip(adapters, names, strict=True)]

    def _call(self, method: str, path: str, body: dict | None = None):
        with contextlib.closing(self._connection()) as connection:
            return json.loads(self._send(connection, method, path, body).read())

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname, self._parts.port, timeout=CONNECT_SECONDS)

    def _send(self, connection, method: str, path: str, body: dict | None) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        connection.connect()
        connection.sock.settimeout(FIRST_SECONDS)
        connection.request(method, self._root + path, body and json.dumps(body), headers)
        response = connection.getresponse()
        if response.status in BUSY:
            raise _Unavailable
        if response.status != 200:
            raise Problem("server", self.url, f"refuses {path} with status {response.status}; {_advice(response)}")
        return response

    def _gone(self) -> Problem:
        return Problem("server", self.url, "does not answer; start it, or see whether the address is right")

    def _unknown_adapter(self, served: list[str]) -> Problem:
        return Problem("adapter", self.adapter, f"is not served by {self.url}; it has {', '.join(served) or 'none'}")


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """Closes a connection even while another thread waits on it; the server stops to write."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def _advice(response: http.client.HTTPResponse) -> str:
    """What to do; the server's own words stay out, for they may repeat the user's."""
    if response.status in (401, 403):
        return "set OPENAI_API_KEY to its key"
    if b"context" in response.read(4096):
        return "the prompt is longer than its window: lower the token budget of the history"
    return "see its log"
