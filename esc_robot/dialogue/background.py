"""Work in a thread whose results are iterated here, so that a cancel is heard while the work still waits."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from threading import Event

POLL = 0.02  # s


class Stalled(Exception):
    """Nothing came in time."""


def background(work: Callable, cancel: Event, first: float | None = None, between: float | None = None) -> Iterator:
    """What ``work(put, stopped)`` puts, until it returns, or ``cancel`` is set, or this iterator is closed.

    ``stopped() -> bool`` tells the work to end. Stalled is raised when the first thing takes longer than ``first``
    seconds, or another one longer than ``between``. An exception of the work is raised here.
    """
    results: queue.SimpleQueue = queue.SimpleQueue()
    stop = Event()

    def run() -> None:
        try:
            work(lambda item: results.put((item, None)), lambda: stop.is_set() or cancel.is_set())
            results.put((None, StopIteration()))
        except Exception as error:
            results.put((None, error))

    # Not a daemon: a thread that Python ends at exit inside llama.cpp takes the process down with it.
    thread = threading.Thread(target=run, daemon=False)
    thread.start()
    limit, since = first, time.monotonic()
    try:
        while not cancel.is_set():
            try:
                item, end = results.get(timeout=POLL)
            except queue.Empty:
                if limit is not None and time.monotonic() - since > limit:
                    raise Stalled from None
                continue
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
            yield item
            limit, since = between, time.monotonic()
    finally:
        stop.set()
