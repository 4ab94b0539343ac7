"""What a batch set out to do: the state beside its releases that makes it resumable after any kill.

What is finished is told by the releases themselves: the manifest is written last, each file whole or not at
all. The journal adds what they cannot tell: from which row of the cases file and with which settings. It is
one file a share (`--shard`), written before the first release: a release that appears later is of that row.
"""

import dataclasses
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from typing import Any

from jaxderm.errors import InputError
from jaxderm.release.batch import UNUSED, Row
from jaxderm.storage import Folder

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Shard:
    """Share `index` of `count`: every count-th row of the file, beginning with row index (from 0)."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> "Shard":
        """The share that "i/n" names; the whole without a text."""
        if not text:
            return cls()
        try:
            index, count = (int(word) for word in text.split("/"))
        except ValueError:
            index, count = -1, 0
        if not 0 <= index < count:
            raise InputError(
                f"shard '{text}' is not \"i/n\" with i from 0 to n-1, for example 0/4 to 3/4."
            )
        return cls(index, count)

    @property
    def tag(self) -> str:
        """Part of the names of this share's own files; empty for the whole."""
        return "" if self.count == 1 else f"-{self.index}-of-{self.count}"

    def of(self, rows: list[Row]) -> list[Row]:
        """The rows of this share."""
        return rows[self.index :: self.count]


class Journal:
    """The journals in a folder: all are read, one is this share's own and is written."""

    def __init__(self, folder: Folder, shard: Shard, key: bytes | None = None) -> None:
        self.folder, self.key = folder, key
        self.name = f"journal{shard.tag}.json"
        self._files: dict[str, dict[str, Any]] = {}
        for name in sorted(folder.names(Folder.WORK)):
            if name.startswith("journal") and name.endswith(".json"):
                self._files[name] = self._read(name)

    def _read(self, name: str) -> dict[str, Any]:
        path = f"{Folder.WORK}/{name}"
        try:
            document = json.loads(self.folder.read(path))
            if document["version"] == VERSION and {"salt", "runs", "rows"} <= set(document):
                return document
            reason = f"is of version {document['version']}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"cannot be read ({type(error).__name__})"
        raise InputError(
            f"journal '{self.folder}/{path}' {reason}: delete it, the releases stay and count as finished."
        )

    def _digest(self, row: Row, salt: str) -> str:
        """Keyed by the identity key, which alone makes the patient matter, else by the journal's salt."""
        unread = {*UNUSED, "timepoint", *([] if self.key else ["patient", "case_id"])}
        # An empty cell says what a missing column says, but for the skin type (missing: measured).
        cells = {
            name: cell
            for name, cell in row.cells.items()
            if name not in unread and (cell or name == "skin_type")
        }
        text = json.dumps(cells, sort_keys=True).encode()
        return hmac.new(self.key or b"", salt.encode() + text, hashlib.sha256).hexdigest()[:16]

    def made_from(self, row: Row) -> tuple[bool, dict[str, Any]] | None:
        """(whether a finished release is of the row as it is now, its settings); None if not known."""
        found: tuple[int, str, str, dict[str, Any]] | None = None
        for file in self._files.values():
            if row.id in file["rows"]:
                digest, run = file["rows"][row.id]
                number = file["runs"][run]["number"]
                if found is None or number > found[0]:
                    found = number, digest, file["salt"], file["runs"][run]["settings"]
        if found is None:
            return None
        _, digest, salt, settings = found
        return digest == self._digest(row, salt), settings

    def removed(self, rows: Iterable[Row]) -> list[str]:
        """Ids that an earlier run had and the cases file no longer has."""
        present = {row.id for row in rows}
        return sorted({id for file in self._files.values() for id in file["rows"]} - present)

    def plan(self, rows: list[Row], settings: dict[str, Any]) -> None:
        """Put down, before the first release, which rows are to be done with which settings."""
        own = self._files.get(self.name)
        own = own or {"version": VERSION, "salt": secrets.token_hex(8), "runs": [], "rows": {}}
        last = [run["number"] for file in self._files.values() for run in file["runs"]]
        own["runs"].append({"number": max(last, default=0) + 1, "settings": settings})
        for row in rows:
            own["rows"][row.id] = [self._digest(row, own["salt"]), len(own["runs"]) - 1]
        self._files[self.name] = own
        self.folder.write(f"{Folder.WORK}/{self.name}", json.dumps(own).encode())
