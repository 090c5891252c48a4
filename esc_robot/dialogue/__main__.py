"""The mind in a terminal.

    python -m esc_robot.dialogue [--adapter FOLDER] [--country US] [--view NAME]

    /view NAME    shows the model the history in another way; /view alone lists the ways
    /why          how the last reply was found: candidates, scores, strategy; tokens, those from the cache, times
    /quit         ends, as Ctrl-D does; Ctrl-C breaks a reply off
"""

import argparse
import sys
import threading
from collections.abc import Callable
from itertools import count

from esc_robot.care.crisis import CrisisProtocol
from esc_robot.dialogue.engine import ENGINES, make_engine
from esc_robot.dialogue.memory import memory_in
from esc_robot.dialogue.mind import Mind, reasons
from esc_robot.dialogue.models import adapter_of
from esc_robot.dialogue.prompt import SYSTEM_PROMPT
from esc_robot.dialogue.selector import REPLIES, chooser_for
from esc_robot.dialogue.views import DEFAULT_VIEW, VIEWS
from esc_robot.errors import Problem


class Terminal:
    """A conversation line by line; what the mind does between turns it does while the user types."""

    def __init__(self, mind: Mind, view: str):
        self.mind, self.view = mind, view
        self._turns = count(1)
        self._idle = threading.Thread(target=mind.between_turns, daemon=True)
        self._idle.start()

    def run(self) -> None:
        """Until /quit or the end of the input."""
        while True:
            try:
                line = input("> " if sys.stdin.isatty() else "")
            except (EOFError, KeyboardInterrupt):
                break
            self._stop_idle()
            if line.startswith("/"):
                command, _, argument = line[1:].partition(" ")
                if command == "quit":
                    break
                self._obey(command, argument.strip())
            else:
                self._answer(line)
        self._stop_idle()

    def _answer(self, line: str) -> None:
        try:
            for sentence in self.mind.respond(str(next(self._turns)), line):
                print(sentence.text, flush=True)
        except KeyboardInterrupt:
            self.mind.cancel()
            print()
        self._idle = threading.Thread(target=self.mind.between_turns, daemon=True)
        self._idle.start()

    def _obey(self, command: str, argument: str) -> None:
        if command == "why":
            print(*(f"{what}: {why}" for what, why in reasons(self.mind).items()), sep="\n")
        elif command == "view" and argument:
            try:
                self.mind.view, self.view = view_named(argument), argument
            except Problem as problem:
                print(f"error: {problem}", file=sys.stderr)
        elif command == "view":
            print(", ".join(f"{name} (now)" if name == self.view else name for name in VIEWS))
        else:
            print(f"error: {Problem('command', f'/{command}', 'unknown; use /view, /why or /quit')}", file=sys.stderr)

    def _stop_idle(self) -> None:
        self.mind.wake()
        self._idle.join()


def view_named(name: str) -> Callable:
    """Raises Problem on an unknown view."""
    if name not in VIEWS:
        raise Problem("view", name, f"unknown; use {', '.join(VIEWS)}")
    return VIEWS[name]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m esc_robot.dialogue", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="a model of config/models.yaml, a folder or a hub name")
    parser.add_argument("--engine", default="auto", choices=ENGINES)
    parser.add_argument("--server-url", default="", help="an OpenAI-compatible server, such as http://host:8000/v1")
    parser.add_argument("--adapter", default="", help="a PEFT adapter's folder, or its name on the server; empty: the "
                        "one that ships for the model; none: no adapter")
    parser.add_argument("--country", default="default", help="whose crisis line: a key of config/care/lines.yaml")
    parser.add_argument("--replies", default="auto", choices=REPLIES, help="chosen, or written by the model")
    parser.add_argument("--view", default=DEFAULT_VIEW, help=f"one of {', '.join(VIEWS)}")
    parser.add_argument("--memory", default="default", help="folder of what is remembered of you, where you agree; "
                        "default: in the XDG data folder; empty: nothing ever is")
    parser.add_argument("--seed", type=int, help="repeats a conversation")
    given = parser.parse_args(arguments)
    try:
        care, view = CrisisProtocol(given.country), view_named(given.view)
        adapter = adapter_of(given.model, given.adapter, given.server_url)
        engine = make_engine(given.model, given.engine, adapter, server_url=given.server_url)
        chooser = chooser_for(given.replies, given.model, given.server_url, given.country)
        memory = memory_in(given.memory)
        if memory and memory.problem:
            print(f"warning: {memory.problem}", file=sys.stderr)
        mind = Mind(engine, view, care, SYSTEM_PROMPT, seed=given.seed, chooser=chooser, memory=memory)
        Terminal(mind, given.view).run()
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
