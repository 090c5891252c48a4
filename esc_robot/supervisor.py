"""One process a node: restarts what dies, ends everything at one Ctrl-C, leaves no orphan."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque

#: A node that dies this often within WINDOW_S is not coming back.
MOST_DEATHS = 5
WINDOW_S = 60.0
#: What a node has to end in after SIGTERM, before SIGKILL.
GRACE_S = 8.0
#: Exit code of a node that says why it cannot run: starting it again would say the same.
CANNOT_RUN = 2

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """In the child, before its program: the kernel ends it when the supervisor dies, however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs commands by name until one Ctrl-C, SIGTERM, or the end of the command called ``ends_with``."""

    def __init__(self, commands: dict[str, list[str]], ends_with: str = ""):
        self.commands = commands
        self.ends_with = ends_with
        self.processes: dict[str, subprocess.Popen] = {}
        self._deaths = {name: deque(maxlen=MOST_DEATHS) for name in commands}
        self._asked_to_end = False

    def run(self) -> int:
        """0 after Ctrl-C or SIGTERM; else the exit code of the command that ended it all."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            for name in self.commands:
                self._start(name)
            while not self._asked_to_end:
                for name, process in self.processes.items():
                    code = process.poll()
                    if code is not None and (verdict := self._on_end(name, code)) is not None:
                        return verdict
                time.sleep(0.1)
            return 0
        finally:
            self._end_all()

    def _on_signal(self, *_):
        self._asked_to_end = True

    def _start(self, name: str) -> None:
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which ends the nodes in order.
        self.processes[name] = subprocess.Popen(self.commands[name], start_new_session=True,
                                                preexec_fn=_end_with_parent, env=environment())

    def _on_end(self, name: str, code: int) -> int | None:
        """Start the node again (None), or give the exit code with which everything ends."""
        if self._asked_to_end:
            return 0
        if name == self.ends_with or code == CANNOT_RUN:
            return code
        deaths = self._deaths[name]
        deaths.append(time.monotonic())
        if len(deaths) == MOST_DEATHS and deaths[-1] - deaths[0] < WINDOW_S:
            print(f"error: node '{name}' died {MOST_DEATHS} times within {WINDOW_S:.0f} s, last with exit code {code}; "
                  "see its messages above", file=sys.stderr, flush=True)
            return 1
        print(f"node '{name}' died with exit code {code}; starting it again", file=sys.stderr, flush=True)
        self._start(name)
        return None

    def _end_all(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            alive = [process for process in self.processes.values() if process.poll() is None]
            for process in alive:
                process.send_signal(number)
            until = time.monotonic() + GRACE_S
            while any(process.poll() is None for process in alive) and time.monotonic() < until:
                time.sleep(0.02)


def environment() -> dict[str, str]:
    """What the nodes' processes run in: DDS on this host and no model hub unless the user says otherwise."""
    defaults = {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        # The engines share two cores: a thread that waits must not spin, and numpy needs no threads of its own.
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return defaults | os.environ
