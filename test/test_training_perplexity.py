"""Per-word perplexity with and without an adapter."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from esc_robot.dialogue.models import default_model_folder
from training.datasets import corpus
from training.perplexity import measure, perplexity


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(default_model_folder())


@pytest.fixture
def model():
    torch.manual_seed(0)
    tiny = AutoModelForCausalLM.from_config(LlamaConfig(
        vocab_size=49152, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4))
    return get_peft_model(tiny, LoraConfig(target_modules=["q_proj"], init_lora_weights=False)).eval()


def test_a_model_that_knows_nothing_is_as_perplexed_as_the_vocabulary_is_large(model, tokenizer):
    torch.nn.init.zeros_(model.get_output_embeddings().weight)
    dialogues = corpus()[:3]
    row = perplexity(model, tokenizer, dialogues, "raw")
    replies = [reply.text for dialogue in dialogues for reply in dialogue.replies[1:]]
    tokens = sum(len(tokenizer.encode(f"{reply}<|im_end|>\n")) for reply in replies)
    words = sum(len(reply.split()) for reply in replies)
    assert (row["replies"], row["words"]) == (len(replies), words)
    assert row["perplexity"] == pytest.approx(math.exp(tokens * math.log(49152) / words), rel=1e-3)


def test_base_and_adapter_are_measured_on_every_set_and_view(model, tokenizer):
    rows = measure(model, tokenizer, {"a": corpus()[:1], "b": corpus()[1:2]}, ["raw", "stopwords"])
    assert [(row["part"], row["view"], row["model"]) for row in rows] == [
        (part, view, who) for part in "ab" for view in ("raw", "stopwords") for who in ("adapter", "base")]
    assert rows[0]["perplexity"] != rows[1]["perplexity"] and rows[0]["perplexity"] != rows[2]["perplexity"]
