"""Context views: which of the turns the model sees, and how. Each is a plain function

    view(turns, budget, count_tokens) -> messages

of the turns, oldest first, the one to answer last; ``budget`` in tokens, None for all; ``count_tokens(text) -> int``.
The messages (``role``, ``content``) alternate and begin with the user. The latest utterance is always there, and whole.
"""

from collections.abc import Callable

from nltk.tokenize import NLTKWordTokenizer

from esc_robot.dialogue.conversation import Turn

TEMPLATE_TOKENS = 5  # what a chat template adds around one message

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


def raw(turns: list[Turn], budget: int | None, count_tokens: Callable[[str], int]) -> list[dict]:
    """The newest turns that fit, word for word: plain truncation, what every other view is measured against."""
    return _newest(_messages(turns), budget, count_tokens)


def stopwords(turns: list[Turn], budget: int | None, count_tokens: Callable[[str], int]) -> list[dict]:
    """The thesis's way: stopwords are removed from all but the latest utterance, then the newest that fit."""
    *history, latest = _messages(turns)
    return _newest([message | {"content": without_stopwords(message["content"])} for message in history] + [latest],
                   budget, count_tokens)


VIEWS = {"raw": raw, "stopwords": stopwords}


def without_stopwords(text: str) -> str:
    """``text`` without function words and punctuation other than sentence ends; negations stay, "n't" as "not".

    A text of nothing but function words stays as it is.
    """
    kept = []
    for token in _tokenizer.tokenize(text.replace("\u2019", "'")):
        word = token.lower()
        ends_sentence = word in (".", "?", "!") and kept and kept[-1] not in ".?!"
        if word == "n't":
            kept.append("not")
        elif ends_sentence or (word not in STOPWORDS and any(character.isalnum() for character in word)):
            kept.append(token)
    short = " ".join(kept).replace(" .", ".").replace(" ?", "?").replace(" !", "!")
    return short if any(character.isalnum() for character in short) else text


def _messages(turns: list[Turn]) -> list[dict]:
    """One message for all that one side says without a pause: a template wants strict alternation."""
    messages: list[dict] = []
    for turn in turns:
        for role, text in (("user", turn.user), ("assistant", turn.reply)):
            if text and messages and messages[-1]["role"] == role:
                messages[-1] = {"role": role, "content": f"{messages[-1]['content']} {text}"}
            elif text:
                messages.append({"role": role, "content": text})
    return messages


def _newest(messages: list[dict], budget: int | None, count_tokens: Callable[[str], int]) -> list[dict]:
    if budget is None:
        return messages
    start = len(messages) - 1
    left = budget - count_tokens(messages[start]["content"]) - TEMPLATE_TOKENS
    # In pairs, so that what is left still begins with the user.
    while start >= 2:
        pair = messages[start - 2:start]
        left -= sum(count_tokens(message["content"]) + TEMPLATE_TOKENS for message in pair)
        if left < 0:
            break
        start -= 2
    return messages[start:]
