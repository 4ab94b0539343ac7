"""A cases file: rows in, releases out, one bad row costs only itself; a second run does the rest."""

import csv
import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxderm.errors import InputError

REQUIRED = ("id", "photo", "mask", "site")
OPTIONAL = (
    "sex", "age", "skin_type", "subsite", "view", "field", "pixels_per_cm", "landmarks", "margin",
    "frame", "patient", "case_id", "timepoint",
)  # fmt: skip
UNUSED = ("ethnicity", "lesion", "diagnosis")  # accepted, never read
ID = re.compile(r"[A-Za-z0-9._-]+")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a cases file: its number in the file, id, and cells by column."""

    number: int
    id: str
    cells: dict[str, str]
    folder: Path

    def path(self, column: str) -> str:
        """A file named in a cell, relative to the cases file."""
        if not self.cells[column]:
            raise InputError(f"column {column} is empty; name a file.")
        return str(self.folder / self.cells[column])

    def get(self, column: str) -> str | None:
        """A cell, None where the file has no such column."""
        return self.cells.get(column)


def read_cases(path: str, more: tuple[str, ...] = ()) -> list[Row]:
    """Rows of a cases file (CSV with a header); InputError names what is wrong with the header.

    more: columns that are known besides.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            raw = [(reader.line_num, cells) for cells in reader if any(c.strip() for c in cells)]
    except OSError as error:
        raise InputError(f"cases '{path}' cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"cases '{path}' is not CSV text in UTF-8.") from None
    missing = [name for name in REQUIRED if name not in header]
    known = (*REQUIRED, *OPTIONAL, *more, *UNUSED)
    unknown = [name for name in header if name not in known]
    if missing or unknown or len(set(header)) != len(header):
        wrong = (
            f"lacks the column '{missing[0]}'"
            if missing
            else f"has an unknown column '{unknown[0]}'"
            if unknown
            else "names a column twice"
        )
        raise InputError(f"cases '{path}' {wrong}; known columns: {', '.join(known)}.")
    if not raw:
        raise InputError(f"cases '{path}' has a header and no rows.")
    rows = []
    for number, cells in raw:
        padded = {name: cell.strip() for name, cell in zip(header, cells)}
        if len(cells) != len(header):
            padded["id"] = ""  # told below, by row
        rows.append(Row(number, padded.get("id", ""), padded, Path(path).parent))
    return rows


def check_id(row: Row, seen: set[str]) -> None:
    """InputError for an id that is missing, not a file name, or used before."""
    if not ID.fullmatch(row.id) or row.id in (".", ".."):
        raise InputError(
            f"id '{row.id}' is not letters, digits, '.', '_' and '-' (or the row has too few or "
            "too many cells)."
        )
    if row.id in seen:
        raise InputError(f"id '{row.id}' stands twice in the file.")
    seen.add(row.id)


def is_finished(outputs: list[Path]) -> bool:
    """Whether every release of a case is there: the manifest is written last."""
    return all(path.is_file() and path.with_suffix(".json").is_file() for path in outputs)


def run(
    rows: list[Row],
    outputs_of: Callable[[Row], list[Path]],
    release: Callable[[Row, list[Path]], None],
) -> Iterator[tuple[Row, str, str]]:
    """(row, "done" | "skipped" | "failed", reason) of each row in turn; failures are contained."""
    seen: set[str] = set()
    for row in rows:
        try:
            check_id(row, seen)
            outputs = outputs_of(row)
            if is_finished(outputs):
                yield row, "skipped", ""
                continue
            release(row, outputs)
            yield row, "done", ""
        except InputError as error:
            yield row, "failed", str(error)
        except (MemoryError, OSError) as error:
            yield row, "failed", f"{type(error).__name__}: {error}"
