"""The situations of config/care/situations: each is known by its examples, and what is said to it keeps the rules."""

import re

import pytest
import yaml

from esc_robot.assets import config
from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue.acts import act_replies
from esc_robot.dialogue.moves import moves, situations
from esc_robot.dialogue.strategy import STRATEGIES
from training.corpus_check import banned

FILES = sorted(config("care/situations").glob("*.yaml"))
RULES = [rule for file in FILES for rule in yaml.safe_load(file.read_text())["situations"]]
REPLIES = [(rule["name"], reply) for rule in RULES for reply in rule["replies"]]


def test_no_two_situations_share_a_name():
    names = [rule["name"] for rule in RULES]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("rule", RULES, ids=[rule["name"] for rule in RULES])
def test_a_situation_is_known_by_its_examples_before_any_other_rule(rule):
    protocol = CrisisProtocol("US")
    assert len(rule["examples"]) >= 2 and rule["act"] in act_replies()
    for text in rule["examples"]:
        assert protocol.check(text) is None and moves(text, 1) == []
        assert situations(text, 1)[0].name == rule["name"], text


def test_what_is_said_to_a_situation_is_short_asks_one_thing_at_most_and_claims_nothing():
    for name, reply in REPLIES:
        text = re.sub(r"{\w+}", "them", reply["text"])
        assert set(reply) == {"strategy", "text"} and reply["strategy"] in STRATEGIES, name
        assert text.isascii() and text[-1] in ".?" and len(text.split()) <= 28, f"{name}: {text}"
        assert len(re.findall(r"[.?!](?= |$)", text)) <= 3 and text.count("?") <= 1 and not banned(text), text


def test_no_reply_is_written_twice():
    texts = [reply["text"] for _, reply in REPLIES]
    assert sorted(texts) == sorted(set(texts))
