"""Models of the four architectures, tiny, with random weights, tokenizer and chat template: made in a second."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Phi3Config

WORDS = ("you listen to me and i lost my job so i am sad today but we could talk about the sea or a walk with the dog "
         "that must hurt how long has it been like this tell me more of your family work sleep rest breathe slowly ")
CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
INST = ("{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{% set told = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
        "{% else %}{% set rest = messages %}{% set told = '' %}{% endif %}"
        "{% for m in rest %}{% if m['role'] == 'user' %}"
        "{{ '[INST] ' + (told if loop.first else '') + m['content'] + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}")
INST_WITHOUT_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}"
    "{% else %}{{ raise_exception('only user and assistant roles') }}{% endif %}{% endfor %}")
PHI = ("{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
       "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}")
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.2,
         "tie_word_embeddings": False}
KINDS = {   # config, template, beginning and end of a text, other markers, layers that LoRA changes
    "smollm": (LlamaConfig, CHATML, "<|im_start|>", "<|im_end|>", [],
               ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    "llama2": (LlamaConfig, INST, "<s>", "</s>", [], ["q_proj", "k_proj", "v_proj", "o_proj"]),
    "mistral": (MistralConfig, INST_WITHOUT_SYSTEM, "<s>", "</s>", [], ["q_proj", "k_proj", "down_proj"]),
    "phi3": (Phi3Config, PHI, "<s>", "<|end|>", ["<|user|>", "<|assistant|>", "<|system|>"], ["qkv_proj", "o_proj"]),
}


def build(kind: str, folder: Path) -> Path:
    """A Hugging Face model folder of one architecture, in fp32."""
    config_class, template, begin, end, others, _ = KINDS[kind]
    folder.mkdir(parents=True)
    tokenizer = _tokenizer(kind, ["<unk>", begin, end, *others])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"unk_token": "<unk>", "bos_token": begin, "eos_token": end, "additional_special_tokens": others}
    (folder / "tokenizer_config.json").write_text(json.dumps(
        special | {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}))
    (folder / "chat_template.jinja").write_text(template)
    torch.manual_seed(5)
    config = config_class(vocab_size=tokenizer.get_vocab_size(), bos_token_id=1, eos_token_id=2, pad_token_id=0,
                          **SIZES)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    readable = [token.strip("\u2581\u0120").isalpha() and token.isprintable() and token.strip("\u2581\u0120").isascii()
                for token in map(tokenizer.id_to_token, range(config.vocab_size))]
    # Greedy text is then made of words: no half characters and no early end.
    model.lm_head.weight.data[~torch.tensor(readable)] = 0
    model.save_pretrained(folder)
    return folder


def adapter(base: Path, kind: str, folder: Path, seed: int = 1, **options) -> Path:
    """A LoRA adapter with random weights for the model of a folder, saved by peft."""
    torch.manual_seed(seed)
    lora = LoraConfig(**({"r": 4, "lora_alpha": 8, "target_modules": KINDS[kind][-1], "init_lora_weights": False,
                          "task_type": "CAUSAL_LM"} | options))
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), lora)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


def _tokenizer(kind: str, special: list[str]) -> Tokenizer:
    pieces = kind != "smollm"   # SentencePiece's way, against bytes
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=pieces))
    if pieces:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                                               decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        trainer = trainers.BpeTrainer(vocab_size=520, special_tokens=[*special, *(f"<0x{i:02X}>" for i in range(256))])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([WORDS] * 4, trainer)
    if pieces:  # bytes are tokens, but not markers of a template
        data = json.loads(tokenizer.to_str())
        data["added_tokens"] = [added for added in data["added_tokens"] if not added["content"].startswith("<0x")]
        tokenizer = Tokenizer.from_str(json.dumps(data))
    return tokenizer
