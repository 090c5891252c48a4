"""The one kind of error a user sees."""


class Problem(Exception):
    """Something the user gave, or lacks, that stops the work: one line with the thing, the value and the remedy.

    >>> print(Problem("adapter", "/tmp/x", "the folder has no adapter_config.json; give a PEFT adapter folder"))
    adapter '/tmp/x': the folder has no adapter_config.json; give a PEFT adapter folder
    """

    def __init__(self, thing: str, value: object, remedy: str):
        super().__init__(f"{thing} '{value}': {remedy}")
        self.thing, self.value, self.remedy = thing, value, remedy
