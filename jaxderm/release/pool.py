"""A bounded pipeline: cases overlap in threads, no more at once than memory allows.

Decoding, framing, composing and encoding are numpy, scipy, pillow and zlib, which release Python's lock;
the networks run where the engine puts them. So threads that each carry a case through overlap all of it.
"""

import collections
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

MAX_THREADS = 16
BYTES_A_PIXEL = 40  # of a photo, at the peak of its release: photo, mask, float surround, PNG
BUDGET = 1_000_000_000  # bytes of photos under way at once
UNKNOWN_PIXELS = 12_000_000  # of a photo whose header does not tell


def thread_count() -> int:
    """One thread a core that this process may use and one more, since a case also waits for disk and device."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(cores + 1, MAX_THREADS)


class Memory:
    """A budget of bytes that waits its turn: first come, first served; what exceeds it goes alone."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._used = 0
        self._queue: collections.deque[object] = collections.deque()
        self._changed = threading.Condition()

    def take(self, amount: int) -> int:
        """Wait until the amount fits; what was taken, for `give`."""
        amount = min(amount, self.budget)
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(
                lambda: self._queue[0] is ticket and self._used + amount <= self.budget
            )
            self._queue.popleft()
            self._used += amount
            self._changed.notify_all()
        return amount

    def give(self, amount: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._used -= amount
            self._changed.notify_all()


class Pool(Generic[Item, Outcome]):
    """Runs `work` on items in threads. `pixels` tells an item's size before it is decoded."""

    def __init__(
        self,
        work: Callable[[Item], Outcome],
        pixels: Callable[[Item], int],
        threads: int | None = None,
        budget: int = BUDGET,
    ) -> None:
        self.work, self.pixels = work, pixels
        self.threads = threads or thread_count()
        self.memory = Memory(budget)
        self._stopped = threading.Event()

    def run(self, items: Iterable[Item]) -> Iterator[tuple[Item, Outcome | Exception]]:
        """(item, what work returned or raised) of all items, as they end.

        An item that ran out of memory is tried once more, alone, after all others. At most two items a
        thread are waiting or under way. Leaving the loop early ends the items under way, starts no more.
        """
        alone: list[Item] = []
        for item, outcome in self._overlapping(iter(items)):
            if isinstance(outcome, MemoryError):
                alone.append(item)
            else:
                yield item, outcome
        for item in alone:
            yield item, self._guarded(item)

    def _overlapping(self, items: Iterator[Item]) -> Iterator[tuple[Item, Outcome | Exception]]:
        waiting: dict[Future, Item] = {}
        executor = ThreadPoolExecutor(self.threads, thread_name_prefix="jaxderm")
        try:
            more = True
            while more or waiting:
                while more and len(waiting) < 2 * self.threads:
                    try:
                        item = next(items)
                    except StopIteration:
                        more = False
                    else:
                        waiting[executor.submit(self._guarded, item)] = item
                if waiting:
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield waiting.pop(future), future.result()
        finally:
            self._stopped.set()
            executor.shutdown(wait=True, cancel_futures=True)
            self._stopped.clear()

    def _guarded(self, item: Item) -> Outcome | Exception:
        taken = self.memory.take(BYTES_A_PIXEL * (self.pixels(item) or UNKNOWN_PIXELS))
        try:
            if self._stopped.is_set():
                return RuntimeError("stopped")
            return self.work(item)
        except Exception as error:
            # The traceback would hold the case's arrays until the outcome is read.
            return error.with_traceback(None)
        finally:
            self.memory.give(taken)
