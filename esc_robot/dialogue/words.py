"""Words of an utterance: which are function words, and each one's part of speech."""

import gzip
import json
import re
from functools import cache
from importlib.resources import files

from hibari.g2p.tagger import Tagger
from nltk.tokenize import NLTKWordTokenizer

# Function words of English by category. No negation is among them: "I do not want to die" must not be "want die".
FUNCTION_WORDS = {
    "articles": "a an the",
    "pronouns": "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself "
                "she her hers herself it its itself they them their theirs themselves this that these those "
                "who whom whose which what",
    "auxiliaries": "am is are was were be been being have has had having do does did doing will would shall should "
                   "can could may might must 'm 're 've 'll 'd 's ca wo sha ai",
    "prepositions": "about above across after against along among around as at before behind below beneath beside "
                    "between beyond by during for from in inside into near of off on onto out over past since through "
                    "to toward towards under until up upon with within",
    "conjunctions": "and but or so yet if because while although though unless whereas than whether",
    "adverbs": "then there here when where why how very too just also again once only really quite own same such",
    "quantifiers": "some any each few more most other both all",
    "particles": "oh well um uh er hmm like okay ok yeah",
}
STOPWORDS = frozenset(" ".join(FUNCTION_WORDS.values()).split())
_tokenizer = NLTKWordTokenizer()


def tokenize(text: str) -> list[str]:
    """Words and punctuation in the manner of the Penn Treebank: "don't" is "do", "n't"."""
    return _tokenizer.tokenize(re.sub(r"([.?!])(?=\s)", r" \1", text.replace("\u2019", "'")))


def tagged(text: str) -> list[tuple[str, str]]:
    """Each word with its Penn Treebank part of speech, "i" as "I".

    The tagger (averaged perceptron) and its weights are hibari's, the voice's: no corpus is fetched at run time.
    """
    tokens = ["I" if token == "i" else token for token in tokenize(text)]
    return list(zip(tokens, _tagger()(tokens), strict=True))


def without_stopwords(text: str) -> str:
    """``text`` without function words and punctuation other than sentence ends; negations stay, "n't" as "not".

    A text of nothing but function words stays as it is.
    """
    kept = []
    for token in tokenize(text):
        word = token.lower()
        ends_sentence = word in (".", "?", "!") and kept and kept[-1] not in ".?!"
        if word == "n't":
            kept.append("not")
        elif ends_sentence or (word not in STOPWORDS and any(character.isalnum() for character in word)):
            kept.append(token)
    short = " ".join(kept).replace(" .", ".").replace(" ?", "?").replace(" !", "!")
    return short if any(character.isalnum() for character in short) else text


@cache
def _tagger() -> Tagger:
    return Tagger(json.loads(gzip.decompress((files("hibari") / "assets" / "tagger.json.gz").read_bytes())))
