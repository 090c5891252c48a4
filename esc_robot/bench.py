"""Measurements of the robot on this machine, written as JSON under runs/bench.

    python -m esc_robot.bench decode      tokens a second of each engine
"""

import sys

from esc_robot.errors import Problem


def _decode() -> None:
    from esc_robot.dialogue.bench_decode import bench_decode
    bench_decode()


#: What can be measured: plain functions without arguments, each in a file of its own.
BENCHES = {"decode": _decode}


def main(arguments: list[str]) -> int:
    """Runs the named measurements, or all of them."""
    try:
        for name in arguments or BENCHES:
            if name not in BENCHES:
                raise Problem("bench", name, f"unknown; choose among {', '.join(BENCHES)}")
            BENCHES[name]()
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
