"""Measurements of the robot on this machine, written as JSON under runs/bench.

    python -m esc_robot.bench decode      tokens a second of each engine
    python -m esc_robot.bench context     perplexity and length of the prompt in each context view
    python -m esc_robot.bench turns       time to the first token as a conversation grows
    python -m esc_robot.bench speech      words, ends of turns, own voice and barge-in of the ears
    python -m esc_robot.bench latency     time to each stage of an answer over 30 turns
"""

import sys

from esc_robot.errors import Problem


def _decode() -> None:
    from esc_robot.dialogue.bench_decode import bench_decode
    bench_decode()


def _context() -> None:
    from esc_robot.dialogue.bench_context import bench_context
    bench_context()


def _turns() -> None:
    from esc_robot.dialogue.bench_turns import bench_turns
    bench_turns()


def _speech() -> None:
    from esc_robot.bench_speech import bench_speech
    bench_speech()


def _latency() -> None:
    from esc_robot.bench_conversation import bench_latency
    bench_latency()


#: What can be measured: plain functions without arguments, each in a file of its own.
BENCHES = {"decode": _decode, "context": _context, "turns": _turns, "speech": _speech, "latency": _latency}


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
