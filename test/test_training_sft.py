"""Fine-tuning, on every architecture made tiny with random weights, and on the real tokenizer."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, MistralConfig, Phi3Config

from esc_robot.dialogue.models import default_model_folder
from esc_robot.dialogue.strategy import told_strategy
from esc_robot.errors import Problem
from training import sft
from training.datasets import corpus
from training.sft_config import load
from training.sft_data import IGNORED, collate, encode, examples, pack, whole, with_strategies
from training.sft_model import Anchor, add_lora, token_losses

CONFIGS = Path(sft.__file__).parent / "config"
TINY = {"vocab_size": 49152, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048, "pad_token_id": 2,
        "bos_token_id": 1, "eos_token_id": 2}
ARCHITECTURES = {"default": LlamaConfig, "llama2-7b": LlamaConfig, "mistral-7b": MistralConfig,
                 "phi3-mini": Phi3Config, "wide": LlamaConfig}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(default_model_folder())


def tiny(name):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(ARCHITECTURES[name](**TINY))


@pytest.fixture(scope="module")
def base(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("tiny")
    tiny("default").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def settings(path, base, **changes):
    values = {"run": "tiny", "model": str(base), "dialogues": 12, "views": {"raw": 1.0}, "learning_rate": 0.01,
              "schedule": "constant", "epochs": 2, "evaluate_every": 2, "row_tokens": 512, "batch_rows": 2,
              "dropout": 0.1, "precision": "fp32", "threads": 1} | changes
    path.write_text(yaml.safe_dump(values))
    return path


def read_curve(folder):
    with open(folder / "curve.csv") as handle:
        return [(int(row["step"]), row["loss"], row["eval_loss"]) for row in csv.DictReader(handle)]


def program(*arguments, cwd, launcher=("-m",)):
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *launcher, "training.sft", *map(str, arguments)], cwd=cwd,
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_labels_are_the_replies_and_their_ends_and_nothing_else(tokenizer):
    dialogue = corpus()[0]
    example, = whole(dialogue, tokenizer, 2048)
    taught = [token for token, label in zip(example.ids, example.labels, strict=True) if label != IGNORED]
    assert tokenizer.decode(taught) == "".join(f"{reply.text}<|im_end|>\n" for reply in dialogue.replies)
    assert all(label in (IGNORED, token) for token, label in zip(example.ids, example.labels, strict=True))


def test_a_strategy_is_taught_before_its_reply_and_read_back_by_the_mind(tokenizer):
    dialogue = corpus()[0]
    example, = whole(with_strategies(dialogue), tokenizer, 2048)
    taught = tokenizer.decode([token for token in example.labels if token != IGNORED])
    for reply, said in zip(dialogue.replies, taught.split("<|im_end|>\n"), strict=False):
        strategy, words = told_strategy(iter(said))
        assert (strategy, "".join(words)) == (reply.strategy, f" {reply.text}")


def test_a_dialogue_too_long_is_cut_after_a_reply(tokenizer):
    dialogue = max(corpus()[:200], key=lambda one: len(one.turns))
    example, = whole(dialogue, tokenizer, 200)
    assert len(example.ids) <= 200 and tokenizer.decode(example.ids).endswith("<|im_end|>\n")


def test_a_compressed_view_teaches_its_last_reply_only_and_the_same_seed_mixes_the_same(tokenizer):
    dialogues = corpus()[:30]
    mix = {"raw": 1.0, "stopwords": 0.5, "none": 1.0}
    made = examples(dialogues, tokenizer, mix, 2048, seed=1)
    assert made == examples(dialogues, tokenizer, mix, 2048, seed=1)
    assert made != examples(dialogues, tokenizer, mix, 2048, seed=2)
    replies = {reply.text for dialogue in dialogues for reply in dialogue.replies}
    alone = examples(dialogues, tokenizer, {"stopwords": 1.0}, 2048, seed=1)
    assert len(alone) == sum(len(dialogue.replies) - 1 for dialogue in dialogues)
    for example in alone:
        taught = tokenizer.decode([token for token in example.labels if token != IGNORED])
        assert taught.removesuffix("<|im_end|>\n") in replies


def test_no_history_is_taught_only_for_portable_replies(tokenizer):
    dialogues = corpus()[:60]
    made = examples(dialogues, tokenizer, {"none": 1.0}, 2048, seed=1)
    assert len(made) == sum(bool(reply.portable) for dialogue in dialogues for reply in dialogue.replies[1:])


def test_a_chat_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    rewriting = AutoTokenizer.from_pretrained(default_model_folder())
    rewriting.chat_template = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]
    with pytest.raises(Problem, match="rewrites earlier turns"):
        encode(messages, rewriting)


@pytest.mark.parametrize("name", ["default", "mistral-7b", "phi3-mini"])
def test_packed_examples_do_not_see_each_other(name, tokenizer):
    model = tiny(name).eval()
    rows = pack(examples(corpus()[:6], tokenizer, {"raw": 1.0}, 1024, 0), 1024, seed=0)
    row = max(rows, key=len)
    assert len(row) > 1
    with torch.no_grad():
        together = token_losses(model, collate([row]))
        apart = torch.cat([token_losses(model, collate([[example]])) for example in row])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_rows_hold_every_example_once_and_stay_within_their_length(tokenizer):
    made = examples(corpus()[:80], tokenizer, {"raw": 1.0, "stopwords": 1.0}, 512, 0)
    rows = pack(made, 512, seed=3)
    assert sorted(example.ids for row in rows for example in row) == sorted(example.ids for example in made)
    lengths = sorted(sum(len(example.ids) for example in row) for row in rows)
    assert lengths[-1] <= 512 and lengths[0] + lengths[1] > 512


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_target_gets_a_lora_loss_falls_and_the_frozen_base_stays_bit_identical(name, tokenizer):
    config = load(str(CONFIGS / f"{name}.yaml"), ["four_bit=false"])
    model = tiny(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    targets = [key for key, module in model.named_modules() if isinstance(module, torch.nn.Linear)
               and (config.targets == ["all-linear"] or key.rsplit(".", 1)[-1] in config.targets)
               and not key.endswith("lm_head")]
    model = add_lora(model, config)
    adapted = [key.removeprefix("base_model.model.").removesuffix(".lora_A.default")
               for key, _ in model.named_modules() if key.endswith("lora_A.default")]
    assert sorted(adapted) == sorted(targets) and len(targets) >= 2 * len(set(config.targets) - {"all-linear"})
    inputs = collate(pack(examples(corpus()[:2], tokenizer, {"raw": 1.0}, 512, 0), 512, 0))
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(8):
        loss = token_losses(model, inputs).mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0] - 0.05
    after = {key.removeprefix("base_model.model.").replace(".base_layer", ""): value
             for key, value in model.state_dict().items() if "lora_" not in key}
    assert after.keys() == before.keys() and all(torch.equal(after[key], before[key]) for key in before)


def test_an_anchor_holds_what_is_learned_near_the_base(tokenizer):
    inputs = collate(pack(examples(corpus()[:1], tokenizer, {"raw": 1.0}, 512, 0), 512, 0))

    def learned(share):
        model = tiny("default")
        # Random weights leave every word as likely as any other; a base worth staying near has opinions.
        model.get_output_embeddings().weight.data.mul_(30)
        model = add_lora(model, load(str(CONFIGS / "wide.yaml"), []))
        anchor, distance = Anchor(share, tokenizer), Anchor(1.0, tokenizer)
        with torch.no_grad():
            untaught = token_losses(model, inputs).mean()
            assert distance.losses(model, model, inputs).median() < 1e-3, "a fresh adapter changes nothing"
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.003)
        for _ in range(12):
            anchor.losses(model, model, inputs).mean().backward()
            optimiser.step()
            optimiser.zero_grad()
        with torch.no_grad():
            assert token_losses(model, inputs).mean() < untaught - 1
            return distance.losses(model, model, inputs).median()

    assert learned(0.5) < learned(0.0) / 2


def test_the_base_has_no_say_where_the_robot_speaks_of_itself(tokenizer):
    anchor = Anchor(1.0, tokenizer)
    said = tokenizer("Yes. If I may ask, is it late? Rest.\n", return_tensors="pt").input_ids[0]
    after = tokenizer.decode(said[anchor.speaks_of_itself(said)])
    assert after == " may ask, is it late?"
    model = add_lora(tiny("default"), load(str(CONFIGS / "wide.yaml"), []))
    inputs = collate(pack(examples(corpus()[:1], tokenizer, {"raw": 1.0}, 512, 0), 512, 0))
    with torch.no_grad():
        anchored, plain = anchor.losses(model, model, inputs), token_losses(model, inputs)
    taught = inputs["labels"][0]
    itself = anchor.speaks_of_itself(taught[taught != IGNORED])
    assert 0 < itself.sum() < len(itself)
    torch.testing.assert_close(anchored[itself], plain[itself])
    assert anchored[~itself].max() < 0.01 < plain[~itself].min()


def test_a_run_goes_on_from_an_adapter_that_fits_and_from_no_other(base, tmp_path):
    config = settings(tmp_path / "c.yaml", base, epochs=1)
    sft.train(load(str(config), []), root=tmp_path)
    before = float(read_curve(tmp_path / "tiny")[0][2])
    first = f"start={tmp_path / 'tiny' / 'adapter'}"
    learned = float(read_curve(tmp_path / "tiny")[-1][2])
    sft.train(load(str(config), ["run=second", first]), root=tmp_path)
    assert float(read_curve(tmp_path / "second")[0][2]) == pytest.approx(learned, abs=0.02) and learned < before - 0.05
    assert json.loads((tmp_path / "second" / "provenance.json").read_text())["sha256"]["start"]
    for run, change in enumerate(("r=8", "targets=[all-linear]", "start=nowhere")):
        with pytest.raises(Problem, match="training key start .*(size mismatch|layers differ|no adapter_model)"):
            sft.train(load(str(config), [f"run=other{run}", first, change]), root=tmp_path)


def test_a_target_that_matches_nothing_is_refused_with_the_names_there_are():
    with pytest.raises(Problem, match="'q_proj': matches no layer of Phi3ForCausalLM.*qkv_proj"):
        add_lora(tiny("phi3-mini"), load(str(CONFIGS / "default.yaml"), []))


def test_a_run_leaves_its_folder_and_an_adapter_that_loads_into_the_base(base, tmp_path, tokenizer, monkeypatch):
    config = load(str(settings(tmp_path / "c.yaml", base)), [])
    result = sft.train(config, root=tmp_path)
    folder = tmp_path / "tiny"
    assert {"config.yaml", "data.jsonl", "provenance.json", "curve.csv", "curve.png", "result.json", "adapter"} <= {
        path.name for path in folder.iterdir()}
    curve = read_curve(folder)
    assert float(curve[-1][2]) < float(curve[0][2])
    assert result["loss"]["scenes"] and json.loads((folder / "provenance.json").read_text())["sha256"]["plain_1.jsonl"]
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder / "adapter").eval()
    inputs = collate(pack(examples(corpus()[:2], tokenizer, {"raw": 1.0}, 512, 0), 512, 0))
    with torch.no_grad(), adapted.disable_adapter():
        plain = token_losses(adapted, inputs).mean()
    with torch.no_grad():
        assert token_losses(adapted, inputs).mean() < plain
    with pytest.raises(Problem, match="finished run"):
        sft.train(config, root=tmp_path)
    with pytest.raises(Problem, match="another configuration"):
        sft.train(load(str(tmp_path / "c.yaml"), ["seed=8"]), root=tmp_path)


def test_a_killed_run_goes_on_to_the_same_curve_and_a_seed_repeats(base, tmp_path):
    config = settings(tmp_path / "c.yaml", base, epochs=4)
    whole_run = sft.train(load(str(config), []), root=tmp_path / "whole")
    folder = tmp_path / "runs" / "sft" / "tiny"
    running = program(config, cwd=tmp_path)
    limit = time.time() + 120
    while not sft.last_checkpoint(folder) and time.time() < limit and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert not (folder / "result.json").exists(), "the run ended before it could be killed"
    resumed = program(config, cwd=tmp_path)
    output, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, output
    assert read_curve(folder) == read_curve(tmp_path / "whole" / "tiny")
    assert json.loads((folder / "result.json").read_text()) == whole_run


def test_two_processes_learn_as_one_does(base, tmp_path):
    config = settings(tmp_path / "c.yaml", base, dropout=0.0, anchor=0.3, epochs=1)
    sft.train(load(str(config), []), root=tmp_path / "one")
    running = program(config, cwd=tmp_path, launcher=(
        "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "-m"))
    output, _ = running.communicate(timeout=150)
    assert running.returncode == 0, output
    one, two = read_curve(tmp_path / "one" / "tiny"), read_curve(tmp_path / "runs" / "sft" / "tiny")
    assert len(one) == len(two) > 3
    for (step, loss, evaluated), (other_step, other_loss, other_evaluated) in zip(one, two, strict=True):
        assert step == other_step
        for here, there in ((loss, other_loss), (evaluated, other_evaluated)):
            assert (here == "") == (there == "")
            assert not here or float(here) == pytest.approx(float(there), rel=2e-4)


@pytest.mark.parametrize("change, said", [
    ("rank=3", "training key 'rank': unknown"), ("r=0", "more than nothing"), ("r=many", "must be of type int"),
    ("dropout=1.5", "below 1"), ("precision=int8", "use auto, fp32"), ("views={raw: 2}", "between 0 and 1"),
    ("broken", "cannot be read")])
def test_an_impossible_configuration_is_one_line(change, said):
    with pytest.raises(Problem, match=said) as caught:
        load(str(CONFIGS / "default.yaml"), [change])
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
@pytest.mark.parametrize("change", ["four_bit=true", "precision=fp16", "attention=flash_attention_2"])
def test_what_needs_a_gpu_says_so(change):
    with pytest.raises(Problem, match="GPU"):
        load(str(CONFIGS / "default.yaml"), [change])


def test_a_missing_model_is_one_line_and_no_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["sft", str(settings(tmp_path / "c.yaml", tmp_path / "nowhere"))])
    assert sft.main() == 2
    error, = capsys.readouterr().err.splitlines()
    assert error.startswith("error: model ") and "cannot be loaded" in error
