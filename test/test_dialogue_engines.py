"""Every engine on every architecture: tiny models through the same code as the big ones."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
import tiny_models
import torch

from esc_robot.dialogue.adapter import LoraAdapter
from esc_robot.dialogue.engine import Sampling
from esc_robot.dialogue.gguf_adapter import write_gguf_adapter
from esc_robot.dialogue.gguf_model import F32, write_gguf
from esc_robot.dialogue.llama_engine import LlamaEngine
from esc_robot.dialogue.server_engine import ServerEngine
from esc_robot.dialogue.transformers_engine import TransformersEngine
from esc_robot.errors import Problem

ASKED = [{"role": "user", "content": "i lost my job and i am sad today"}]
LONGER = [*ASKED, {"role": "assistant", "content": "that must hurt"},
          {"role": "user", "content": "how long has it been"}]
OTHER = [{"role": "user", "content": "tell me about the sea"}]
REPLY = "we could talk about the dog"
GREEDY = Sampling(temperature=0, max_new_tokens=16)
WARM = Sampling(temperature=1.0, top_p=1.0, top_k=200, max_new_tokens=16)


@dataclass
class Tiny:
    kind: str
    folder: Path
    file: Path
    adapters: dict[str, Path]
    url: str


@pytest.fixture(scope="module", autouse=True)
def cache_of_its_own(tmp_path_factory):
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


def start_server(file: Path, *adapters: Path, port: int = 0) -> tuple[subprocess.Popen, str]:
    """A real server process on the loopback interface, and its address once it listens."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, Path(__file__).parent / "openai_server.py", file, str(port), *adapters],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, f"http://127.0.0.1:{port}/v1"
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module", params=tiny_models.KINDS)
def tiny(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    folder = tiny_models.build(request.param, root / "base")
    write_gguf(folder, root / "base.gguf", F32)
    adapters = {name: tiny_models.adapter(folder, request.param, root / name, seed)
                for seed, name in enumerate(("warm", "calm"))}
    for name, path in adapters.items():
        write_gguf_adapter(LoraAdapter(path), folder, root / f"{name}.gguf")
    process, url = start_server(root / "base.gguf", root / "warm.gguf", root / "calm.gguf")
    yield Tiny(request.param, folder, root / "base.gguf", adapters, url)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def local(tiny):
    return TransformersEngine(tiny.folder), LlamaEngine(tiny.file, tiny.folder)


@pytest.fixture(params=["transformers", "llama", "server"])
def engine(request, tiny, local):
    chosen = {"transformers": local[0], "llama": local[1]}.get(request.param) or ServerEngine(tiny.url)
    chosen.sampling = GREEDY
    chosen.adapters = {name: name if request.param == "server" else path for name, path in tiny.adapters.items()}
    yield chosen
    chosen.set_adapter(None)


def said(engine, messages=ASKED, **options) -> str:
    return "".join(engine.generate(messages, **options))


def test_a_reply_comes_in_pieces(engine):
    pieces = list(engine.generate(ASKED))
    assert len(pieces) > 8 and all(pieces)
    assert engine.last.new_tokens == 16 and not engine.last.finished
    assert 0 < engine.last.first_token_seconds < engine.last.seconds


def test_only_what_is_new_is_computed(engine):
    said(engine, OTHER)
    said(engine)
    said(engine)
    assert engine.last.computed_tokens == 1
    whole = engine.last.prompt_tokens
    said(engine, LONGER)
    assert engine.last.prompt_tokens > whole and engine.last.computed_tokens < engine.last.prompt_tokens - whole // 2


def test_the_cached_path_gives_the_probabilities_of_a_fresh_one(engine):
    said(engine, OTHER)
    fresh = engine.logprobs(LONGER, REPLY)
    said(engine, ASKED)
    assert engine.logprobs(LONGER, REPLY) == pytest.approx(fresh, abs=2e-2)
    stream = engine.generate(LONGER)
    next(stream)
    stream.close()
    assert engine.logprobs(LONGER, REPLY) == pytest.approx(fresh, abs=2e-2)


def test_probabilities_depend_on_what_was_asked(engine):
    here, elsewhere = engine.logprobs(LONGER, REPLY), engine.logprobs(OTHER, REPLY)
    assert len(here) == len(elsewhere) > 3 and all(value < 0 for value in here)
    assert max(abs(one - other) for one, other in zip(here, elsewhere, strict=True)) > 0.1
    assert engine.logprobs(LONGER, "") == []


def test_a_reply_that_is_begun_is_gone_on_with(engine):
    fresh = said(engine)
    asked = engine.last.prompt_tokens
    rest = said(engine, begun=REPLY)
    assert asked < engine.last.prompt_tokens <= asked + engine.count_tokens(REPLY)
    assert rest != fresh and not rest.startswith(REPLY) and rest == said(engine, begun=REPLY)


def test_cancel_stops_before_the_next_piece(engine):
    cancel = Event()
    pieces = []
    for piece in engine.generate(ASKED, cancel=cancel):
        cancel.set()
        pieces.append(piece)
    assert len(pieces) == 1 and engine.last.new_tokens <= 2 and not engine.last.finished


def test_a_cancel_before_the_start_says_nothing(engine):
    cancel = Event()
    cancel.set()
    assert list(engine.generate(ASKED, cancel=cancel)) == []


def test_a_seed_repeats_a_reply_and_another_one_does_not(engine):
    engine.sampling = WARM
    replies = [said(engine, seed=seed) for seed in (1, 1, 2)]
    assert replies[0] == replies[1] != replies[2]
    assert said(engine) != said(engine)


def test_adapters_are_swapped_and_the_base_is_as_before(engine):
    base, chances = said(engine), engine.logprobs(ASKED, REPLY)
    replies = []
    for name in ("warm", "calm", "warm"):
        engine.set_adapter(engine.adapters[name])
        replies.append(said(engine))
    assert len({base, *replies}) == 3 and replies[0] == replies[2]
    engine.set_adapter(None)
    assert said(engine) == base
    assert engine.logprobs(ASKED, REPLY) == pytest.approx(chances, abs=2e-2)


def test_a_context_longer_than_the_window_is_one_clear_line_and_the_next_turn_works(engine):
    with pytest.raises(Problem, match="lower the token budget") as problem:
        said(engine, [{"role": "user", "content": "sea " * 2000}])
    assert "\n" not in str(problem.value) and "sea" not in str(problem.value)
    assert said(engine)


def test_both_local_engines_say_the_same(tiny, local):
    for adapter in (None, *tiny.adapters.values()):
        replies, chances = [], []
        for engine in local:
            engine.sampling = GREEDY
            engine.set_adapter(adapter)
            replies.append(said(engine, LONGER))
            chances.append(engine.logprobs(LONGER, REPLY))
            engine.set_adapter(None)
        assert replies[0] == replies[1]
        assert chances[0] == pytest.approx(chances[1], abs=3e-2)


def test_a_template_without_a_system_role_gives_the_system_s_words_to_the_user(tiny, local):
    text = local[0].chat.tokenizer.decode(local[0].chat.encode([{"role": "system", "content": "you listen"}, *ASKED]))
    assert "you listen" in text and text.index("you listen") < text.index("i lost my job")


def test_the_base_is_bit_equal_after_an_adapter(tiny, local):
    engine = local[0]
    before = {name: weight.clone() for name, weight in engine.model.state_dict().items()}
    engine.set_adapter(tiny.adapters["warm"])
    assert not all(before[name].equal(weight) for name, weight in engine.model.state_dict().items())
    engine.set_adapter(None)
    assert all(before[name].equal(weight) for name, weight in engine.model.state_dict().items())


@pytest.mark.parametrize("options", [
    {"use_rslora": True},
    {"rank_pattern": {"(q|qkv)_proj": 2}, "alpha_pattern": {"(q|qkv)_proj": 3}}])
def test_scaling_by_rank_and_by_layer_is_the_same_in_llama_cpp(tiny, local, tmp_path, options):
    adapter = tiny_models.adapter(tiny.folder, tiny.kind, tmp_path / "adapter", seed=3, **options)
    chances = []
    for engine in local:
        engine.set_adapter(adapter)
        chances.append(engine.logprobs(ASKED, REPLY))
        engine.set_adapter(None)
    assert chances[0] == pytest.approx(chances[1], abs=0.2)


def test_an_unfit_adapter_is_named_and_the_engine_goes_on(tiny, local, tmp_path):
    other = "phi3" if tiny.kind != "phi3" else "llama2"
    unfit = tiny_models.adapter(tiny_models.build(other, tmp_path / "base"), other, tmp_path / "unfit")
    for engine in local:
        engine.sampling = GREEDY
        before = said(engine)
        with pytest.raises(Problem, match="another base"):
            engine.set_adapter(unfit)
        assert said(engine) == before


def test_an_adapter_that_the_server_has_not_is_named(tiny):
    with pytest.raises(Problem, match="it has warm, calm"):
        said(ServerEngine(tiny.url, adapter="nobody"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_probabilities_of_single(tiny, local, dtype):
    half = TransformersEngine(tiny.folder, adapter=tiny.adapters["warm"], dtype=dtype, sampling=GREEDY)
    local[0].set_adapter(tiny.adapters["warm"])
    whole = local[0].logprobs(ASKED, REPLY)
    local[0].set_adapter(None)
    assert half.logprobs(ASKED, REPLY) == pytest.approx(whole, abs=1.0)
    assert next(half.model.parameters()).dtype == getattr(torch, dtype) and said(half)
