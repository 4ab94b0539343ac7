"""A batch: a cases file into a folder of releases, resumable, with a report of every row."""

import csv
import dataclasses
import io
from collections.abc import Callable
from typing import Any

from jaxderm import storage
from jaxderm.decode import pixel_count
from jaxderm.errors import InputError, StorageError
from jaxderm.release.batch import Row, check_id, read_cases
from jaxderm.release.journal import Journal, Shard
from jaxderm.release.pool import BUDGET, Pool

RELEASED, FAILED, CHANGED, NOT_REACHED = "released", "failed", "changed", "not reached"
NAMED = 20  # rows of a kind that are named on the terminal; the report has all


@dataclasses.dataclass
class Summary:
    """Counts of a run over a share: released now, there from before, failed, changed; why it stopped."""

    rows: int = 0
    released: int = 0
    there: int = 0
    failed: int = 0
    changed: int = 0
    stopped: str | None = None

    @property
    def status(self) -> int:
        """Exit status: 0 all released, 1 some not."""
        return 1 if self.failed or self.changed or self.stopped else 0


class Batch:
    """One share of a cases file and the folder of its releases.

    say(sentence) is told about each failed row and about what an earlier run left.
    """

    def __init__(
        self,
        cases: str,
        output_dir: str,
        *,
        shard: str | None = None,
        candidates: int = 1,
        overwrite: bool = False,
        key: bytes | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.cases, self.candidates, self.overwrite = cases, candidates, overwrite
        self.key, self.say = key, say
        self.shard = Shard.parse(shard)
        self.all_rows = read_cases(cases)
        self.rows = self.shard.of(self.all_rows)
        self.folder = storage.folder(output_dir, f"share{self.shard.tag}")
        self.report_name = f"report{self.shard.tag}.csv"
        self.outcomes: dict[int, tuple[str, str]] = {}
        self.pending: list[Row] = []

    def names(self, row: Row) -> list[str]:
        """Names of a row's releases, candidate 0 first."""
        return [f"{row.id}.png", *(f"{row.id}-{n}.png" for n in range(1, self.candidates))]

    def open(self, settings: dict[str, Any]) -> list[Row]:
        """Take the folder and find the rows that are to be done; a finished batch has none.

        settings: what releases depend on besides their row, compared with an earlier run's.
        """
        self.folder.create()
        journal = Journal(self.folder, self.shard, self.key)
        present = self.folder.names()
        # Over all rows: of two with one id the first counts, in whichever share the second lies.
        seen: set[str] = set()
        wrong: dict[int, str] = {}
        for row in self.all_rows:
            try:
                check_id(row, seen)
            except InputError as error:
                wrong[row.number] = str(error)
        other: dict[str, int] = {}
        for row in self.rows:
            if row.number in wrong:
                self.outcomes[row.number] = FAILED, wrong[row.number]
            elif self.overwrite or not self._finished(row, present):
                self.pending.append(row)
            else:
                self.outcomes[row.number] = self._earlier(row, journal, settings, other)
        self._tell(journal, other, settings)
        self._journal, self._settings, self._present = journal, settings, present
        return self.pending

    def _finished(self, row: Row, present: set[str]) -> bool:
        return all({n, f"{n.removesuffix('.png')}.json"} <= present for n in self.names(row))

    def _earlier(self, row: Row, journal: Journal, settings, other: dict[str, int]):
        made = journal.made_from(row)
        if made is None:
            return RELEASED, ""
        same, then = made
        if not same:
            return CHANGED, (
                f"the row has changed since its release was made, which stays; delete '{row.id}.png' and "
                f"'{row.id}.json', or give --overwrite, to make it anew"
            )
        for name, value in settings.items():
            if then.get(name) != value:
                words = f"{name} {then.get(name)}, now {value}"
                other[words] = other.get(words, 0) + 1
        return RELEASED, ""

    def _tell(self, journal: Journal, other: dict[str, int], settings: dict[str, Any]) -> None:
        for words, count in other.items():
            self.say(
                f"warning: {count} finished releases were made otherwise ({words}) and stay; --overwrite "
                "makes them anew."
            )
        removed = journal.removed(self.all_rows)
        if removed:
            more = f" and {len(removed) - NAMED} more" if len(removed) > NAMED else ""
            self.say(
                f"warning: the cases file no longer has {', '.join(removed[:NAMED])}{more}; what was released "
                "of them stays."
            )
        told = {FAILED: 0, CHANGED: 0}
        for row in self.rows:
            status, reason = self.outcomes.get(row.number, (RELEASED, ""))
            if status in told:
                told[status] += 1
                if told[status] <= NAMED:
                    self._say_row(row, reason)
        for status, count in told.items():
            if count > NAMED:
                self.say(
                    f"... and {count - NAMED} more rows {status}; '{self.report_name}' has all."
                )

    def _say_row(self, row: Row, reason: str) -> None:
        self.say(f"row {row.number} ({row.id or '?'}): {reason}")

    def run(
        self,
        release: Callable[[Row, list[str]], None],
        progress: Callable[[], None] = lambda: None,
        threads: int | None = None,
        budget: int = BUDGET,
    ) -> Summary:
        """Release what is pending: `release(row, names)` in threads, each failure its own row's.

        A place that cannot be written any more stops the run, which can be taken up again.
        """
        summary = Summary(
            len(self.rows), there=sum(s == RELEASED for s, _ in self.outcomes.values())
        )
        try:
            if self.pending:
                self._begin()
                pool = Pool(lambda row: release(row, self.names(row)), _pixels, threads, budget)
                outcomes = pool.run(self.pending)
                for row, outcome in outcomes:
                    if isinstance(outcome, StorageError):
                        summary.stopped = str(outcome)
                        outcomes.close()
                        break
                    if isinstance(outcome, Exception):
                        self.outcomes[row.number] = FAILED, _reason(outcome)
                        self._say_row(row, self.outcomes[row.number][1])
                    else:
                        self.outcomes[row.number] = RELEASED, ""
                        summary.released += 1
                    progress()
        except KeyboardInterrupt:
            summary.stopped = "interrupted"
            raise
        finally:
            try:
                self._report(summary)
            finally:
                self.folder.close()
        return summary

    def _begin(self) -> None:
        """From here on nothing of what is pending looks finished, and the journal knows of it."""
        if self.report_name in self._present:
            self.folder.delete(self.report_name)
        if self.overwrite:
            for row in self.pending:
                for name in self.names(row):
                    stem = name.removesuffix(".png")
                    for end in (".json", ".png", ".mask.png", ".legend.txt"):
                        if stem + end in self._present:
                            self.folder.delete(stem + end)
        self._journal.plan(self.pending, self._settings)

    def _report(self, summary: Summary) -> None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["row", "id", "status", "reason"])
        for row in self.rows:
            status, reason = self.outcomes.get(row.number, (NOT_REACHED, ""))
            table.writerow([row.number, row.id, status, reason])
            summary.failed += status == FAILED
            summary.changed += status == CHANGED
        try:
            self.folder.write(self.report_name, text.getvalue().encode())
        except InputError as error:
            summary.stopped = summary.stopped or str(error)


def _pixels(row: Row) -> int:
    try:
        return pixel_count(row.path("photo"))
    except (InputError, KeyError):
        return 0


def _reason(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory of this machine is too small for the photo, even alone; reduce it first."
    return " ".join(f"{type(error).__name__}: {error}".split())
