"""Real processes: ends, deaths, restarts, orphans."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from esc_robot.supervisor import Supervisor

ROOT = Path(__file__).parent.parent
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def supervise(commands: dict) -> subprocess.Popen:
    """A supervisor in a process of its own, that prints its children's ids."""
    code = ("import sys, json\nfrom esc_robot.supervisor import Supervisor\n"
            f"supervisor = Supervisor(json.loads({json.dumps(json.dumps(commands))}))\n"
            "start = supervisor._start\n"
            "def told(name):\n    start(name); print(supervisor.processes[name].pid, flush=True)\n"
            "supervisor._start = told\nsys.exit(supervisor.run())")
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_the_end_of_the_leading_command_ends_all_with_its_code():
    supervisor = Supervisor({"a": SLEEPER, "lead": python("raise SystemExit(7)")}, ends_with="lead")
    assert supervisor.run() == 7
    assert all(process.poll() is not None for process in supervisor.processes.values())


def test_a_node_that_says_it_cannot_run_is_not_started_again(tmp_path):
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x'); raise SystemExit(2)"
    assert Supervisor({"a": SLEEPER, "b": python(code)}).run() == 2
    assert count.read_text() == "x"


def test_a_node_that_keeps_dying_ends_all_after_five_deaths(tmp_path, capfd):
    count = tmp_path / "count"
    code = f"open({str(count)!r}, 'a').write('x'); raise SystemExit(1)"
    assert Supervisor({"b": python(code)}).run() == 1
    assert count.read_text() == "xxxxx"
    assert "node 'b' died 5 times" in capfd.readouterr().err


def test_a_killed_node_is_started_again_and_one_signal_ends_all():
    supervisor = supervise({"a": SLEEPER, "b": SLEEPER})
    first, second = (int(supervisor.stdout.readline()) for _ in range(2))
    os.kill(second, signal.SIGKILL)
    third = int(supervisor.stdout.readline())
    assert third != second and alive(first) and alive(third)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(timeout=15) == 0
    assert not alive(first) and not alive(third)


def test_a_killed_supervisor_leaves_no_orphan():
    supervisor = supervise({"a": SLEEPER, "b": SLEEPER})
    children = [int(supervisor.stdout.readline()) for _ in range(2)]
    supervisor.kill()
    supervisor.wait()
    assert wait_for(lambda: not any(alive(child) for child in children))


def test_a_node_deaf_to_signals_is_killed_in_the_end():
    code = ("import signal, time\n"
            "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
            "time.sleep(600)")
    supervisor = Supervisor({"deaf": python(code), "lead": python("import time; time.sleep(2)")}, ends_with="lead")
    assert supervisor.run() == 0
    assert supervisor.processes["deaf"].poll() == -signal.SIGKILL
