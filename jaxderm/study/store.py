"""Answers of a study: one append-only file a reader, each line on the disk before the next picture is shown."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from jaxderm.errors import InputError
from jaxderm.storage import write_atomic
from jaxderm.study import design
from jaxderm.web.guard import Refusal

DAY = 86400.0
CONFIDENCE = range(1, 6)
QUALITY = range(1, 6)


class Store:
    """What readers have answered, and what comes next for each; safe to use from threads."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder, self.clock, self.lock = folder, clock, threading.Lock()
        self.settings, self.orders = design.load(folder)
        self.answers = {reader: self._read(reader) for reader in self.settings.readers}

    def _path(self, reader: str) -> Path:
        return self.folder / "answers" / f"{reader}.jsonl"

    def _read(self, reader: str) -> list[dict]:
        path, rows = self._path(reader), []
        if not path.exists():
            return rows
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not line.endswith(b"\n") or not isinstance(row, dict):
                # A line that a power cut tore: it was never confirmed to the reader.
                whole = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
                write_atomic(path, whole)
                break
            rows.append(row)
        return rows

    def check(self, reader: str) -> None:
        """Refusal for somebody who is not a reader of this study."""
        if reader not in self.answers:
            raise Refusal(404, "This reader's code is not part of the study; check it for a slip.")

    def next(self, reader: str) -> dict:
        """{"done", "total", "picture" (None: nothing now), "wait_days"} of a reader."""
        self.check(reader)
        with self.lock:
            rows, sittings = self.answers[reader], self.orders[reader]
            done, total = len(rows), sum(map(len, sittings))
            told = {"done": done, "total": total, "picture": None, "wait_days": 0.0}
            if done >= total:
                return told
            first = len(sittings[0])
            if done >= first and rows:
                # The wash-out counts from the last answer of the first sitting.
                left = self.settings.washout_days - (self.clock() - rows[first - 1]["time"]) / DAY
                if left > 0:
                    return {**told, "wait_days": round(left, 2)}
            told["picture"] = (sittings[0] + sittings[1])[done]
            return told

    def answer(self, reader: str, given: dict) -> dict:
        """Keep an answer to the picture that is due; what comes next. Refusal, InputError for anything else."""
        due = self.next(reader)
        if due["picture"] is None:
            raise Refusal(409, "No picture is due now.")
        if given.get("picture") != due["picture"]:
            raise Refusal(409, "This picture was answered already; the next one is shown.")
        row = {
            "picture": due["picture"],
            "real": given.get("real"),
            "confidence": given.get("confidence"),
            "diagnosis": given.get("diagnosis"),
            "quality": given.get("quality"),
            "seconds": given.get("seconds"),
            "time": self.clock(),
        }
        if not isinstance(row["real"], bool):
            raise InputError("say whether the picture is real or generated.")
        if row["confidence"] not in CONFIDENCE or isinstance(row["confidence"], bool):
            raise InputError("say how sure you are, from 1 to 5.")
        if row["diagnosis"] not in self.settings.diagnoses:
            raise InputError("choose a diagnosis of the list.")
        if row["quality"] not in QUALITY or isinstance(row["quality"], bool):
            raise InputError("say how good the picture is, from 1 to 5.")
        seconds = row["seconds"]
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 <= seconds < 1e6
        ):
            row["seconds"] = None
        with self.lock:
            if len(self.answers[reader]) != due["done"]:
                raise Refusal(409, "This picture was answered already; the next one is shown.")
            try:
                with open(self._path(reader), "ab") as file:
                    file.write(json.dumps(row).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise Refusal(
                    507,
                    f"The answer could not be saved ({error.strerror}); nothing was lost but this one.",
                ) from None
            self.answers[reader].append(row)
        return self.next(reader)
