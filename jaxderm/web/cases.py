"""The page's memory: photographs, masks and releases of open cases, held in memory only and forgotten.

Nothing here is ever written to disk. A case ends when the page is closed, or after 15 idle minutes.
"""

import dataclasses
import secrets
import threading
import time
from collections.abc import Callable

import numpy as np

from jaxderm.photo import Photo
from jaxderm.release.output import Release
from jaxderm.web.guard import Refusal

IDLE_SECONDS = 15 * 60
MAX_BYTES = 2 * 10**9  # of pixels in all open cases


@dataclasses.dataclass
class OpenCase:
    """A photograph that a page works on; `lock` orders the requests that change it."""

    id: str
    photo: Photo
    mask: np.ndarray | None = None
    releases: list[Release] = dataclasses.field(default_factory=list)
    used: float = 0.0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels held."""
        held = self.photo.pixels.nbytes + (0 if self.mask is None else self.mask.nbytes)
        return held + sum(release.pixels.nbytes for release in list(self.releases))


class Cases:
    """The open cases by their id, which is random: it cannot be guessed by another case's page."""

    def __init__(
        self,
        idle_seconds: float = IDLE_SECONDS,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle_seconds, self.max_bytes, self.clock = idle_seconds, max_bytes, clock
        self.open_cases: dict[str, OpenCase] = {}
        self.lock = threading.Lock()

    def open(self, photo: Photo) -> OpenCase:
        """A new case; Refusal where the memory set aside for cases is full."""
        self.sweep()
        with self.lock:
            held = sum(case.nbytes for case in self.open_cases.values())
            if held + photo.pixels.nbytes > self.max_bytes:
                raise Refusal(
                    503, "Too many large photographs are open; close another page of jaxderm first."
                )
            case = OpenCase(secrets.token_urlsafe(16), photo, used=self.clock())
            self.open_cases[case.id] = case
        return case

    def get(self, name: str) -> OpenCase:
        """An open case, which counts as used; Refusal where there is none of that id."""
        self.sweep()
        with self.lock:
            case = self.open_cases.get(name)
            if case is None:
                raise Refusal(
                    410,
                    "This photograph is no longer in memory (15 idle minutes, or closed); open the file "
                    "again, the painted mask is kept in the page.",
                )
            case.used = self.clock()
            return case

    def close(self, name: str) -> None:
        """Forget a case; nothing happens where it is forgotten already."""
        with self.lock:
            self.open_cases.pop(name, None)

    def sweep(self) -> None:
        """Forget the cases that nobody has used for long."""
        with self.lock:
            limit = self.clock() - self.idle_seconds
            for name in [n for n, case in self.open_cases.items() if case.used < limit]:
                del self.open_cases[name]

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.open_cases.clear()
