import subprocess
import sys

import pytest
import tiny_models

from esc_robot.dialogue.chat_tokenizer import ChatTokenizer
from esc_robot.dialogue.engine import Sampling, make_engine
from esc_robot.dialogue.gguf_model import linear_modules, write_gguf
from esc_robot.dialogue.models import catalogue, find, folder
from esc_robot.dialogue.transformers_engine import DTYPES
from esc_robot.errors import Problem

KINDS = {"default": "smollm", "laptop": "smollm", "mistral-7b": "mistral", "llama2-7b": "llama2", "phi3-mini": "phi3"}
ASKED = [{"role": "system", "content": "you listen"}, {"role": "user", "content": "i am sad"}]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/esc_robot"


def test_every_model_of_the_catalogue_has_what_an_engine_needs():
    assert set(catalogue()) == set(KINDS)
    for model in catalogue().values():
        assert model.dtype in DTYPES and model.context_length >= 4096 and model.licence
        assert model.wheel or (len(model.revision) == 40 and model.megabytes)


@pytest.mark.parametrize("name", KINDS)
def test_the_catalogue_s_template_and_lora_layers_are_the_architecture_s(name, tmp_path):
    made = tiny_models.build(KINDS[name], tmp_path / "base")
    chat = ChatTokenizer(made)
    text = chat.tokenizer.decode(chat.encode(ASKED))
    assert find(name).template in text and "you listen" in text
    modules = {module.rsplit(".")[-1] for module in linear_modules(chat.config)}
    assert set(find(name).targets) <= modules


def test_a_model_that_is_not_here_is_never_fetched_silently():
    with pytest.raises(Problem, match="models fetch laptop") as problem:
        make_engine("laptop")
    assert "3420 MB" in str(problem.value)


def test_fetching_without_a_network_is_one_clear_line():
    done = subprocess.run([sys.executable, "-m", "esc_robot.dialogue.models", "fetch", "laptop"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "fetching HuggingFaceTB/SmolLM2-1.7B-Instruct (3420 MB" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: model 'laptop': cannot be fetched")


@pytest.mark.parametrize("kind", ["llama", "transformers"])
def test_any_model_folder_is_a_model(cache, tmp_path, kind):
    made = tiny_models.build("mistral", tmp_path / "base")
    engine = make_engine(str(made), kind, sampling=Sampling(max_new_tokens=4))
    assert "".join(engine.generate(ASKED, seed=1))
    assert any(cache.rglob("model.gguf")) == (kind == "llama")


def test_a_hub_name_with_a_revision_is_looked_for_in_the_hub_s_cache():
    model = find("someone/some-model@abc")
    assert (model.base, model.revision) == ("someone/some-model", "abc")
    with pytest.raises(Problem, match="not on this machine"):
        folder(model)


def test_an_architecture_that_llama_cpp_is_not_given_is_named(tmp_path):
    made = tiny_models.build("smollm", tmp_path / "base")
    config = (made / "config.json").read_text()
    (made / "config.json").write_text(config.replace('"model_type": "llama"', '"model_type": "gpt2"'))
    with pytest.raises(Problem, match="take engine transformers"):
        write_gguf(made, tmp_path / "out.gguf")
