"""Requests of many threads, gathered into the engine's microbatches."""

import collections
import threading
from concurrent.futures import Future

import numpy as np

from jaxderm.release.engine import IN_FLIGHT, Engine, Generated

LEADERS = 2  # groups under way at once: one runs while the next is put together


class Microbatches:
    """An engine behind a queue that any thread may use.

    There is no thread of its own: of the threads that wait, one takes what all of them have asked for
    so far and runs it. The queue is therefore never longer than what the waiting threads asked for.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._capacity = engine.microbatch * len(engine.devices) * IN_FLIGHT
        self._waiting: collections.deque[tuple[dict[str, np.ndarray], Future]] = collections.deque()
        self._lock = threading.Lock()
        self._leading = threading.BoundedSemaphore(LEADERS)

    def __call__(self, rows: list[dict[str, np.ndarray]]) -> list[Generated]:
        """Frames of inputs without the leading axis, in their order; raises what the engine raises."""
        futures: list[Future[Generated]] = [Future() for _ in rows]
        with self._lock:
            self._waiting.extend(zip(rows, futures))
        while not all(future.done() for future in futures):
            with self._leading:
                group = self._take()
                if group:
                    self._run(group)
            if not group:  # other threads have ours under way
                break
        return [future.result() for future in futures]

    def _take(self) -> list[tuple[dict[str, np.ndarray], Future]]:
        with self._lock:
            count = min(self._capacity, len(self._waiting))
            return [self._waiting.popleft() for _ in range(count)]

    def _run(self, group: list[tuple[dict[str, np.ndarray], Future]]) -> None:
        try:
            inputs = {
                name: np.stack([row[name] for row, _ in group]) for name in self.engine.shapes
            }
            for (_, future), generated in zip(group, self.engine.generate(inputs)):
                future.set_result(generated)
        except BaseException as error:
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
