"""What the model is told to be."""

# The prompt that adapters are trained with: what is trained is what is said.
SYSTEM_PROMPT = "You are a small companion robot who listens. Answer aloud in one to three short, warm sentences."

# For a model without an adapter, which knows nothing of the rest.
PLAIN_MODEL_PROMPT = (
    f"{SYSTEM_PROMPT} You give peer support and never therapy: name the feeling, and often ask one simple question. "
    "You are a machine without a body's past, family or friends, and you never claim any. "
    "You give no diagnosis and no medical advice, and no lists."
)


def with_prompt(messages: list[dict], prompt: str) -> list[dict]:
    """Messages for the engine: the system prompt, a view's notes of older turns below it, then the conversation."""
    if messages[0]["role"] == "system":
        notes, *messages = messages
        prompt = f"{prompt}\n\n{notes['content']}"
    return [{"role": "system", "content": prompt}, *messages]
