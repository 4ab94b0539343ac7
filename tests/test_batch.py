"""Batches: resumable from any point, split and merged, each failure its own; memory bounded."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_model import deidentifier, photo_and_mask, weight_file

from jaxderm import storage
from jaxderm.attributes import Attributes, BodySite
from jaxderm.cli import main
from jaxderm.errors import InputError
from jaxderm.photo import read_mask, read_photo
from jaxderm.release.job import Batch
from jaxderm.release.journal import Shard
from jaxderm.release.pool import Memory, Pool
from jaxderm.release.synthesize import Deidentifier

COUNT = 5


@pytest.fixture
def folder(tmp_path):
    """Photos, masks and cases.csv of COUNT cases."""
    rows = []
    for i in range(COUNT):
        photo, mask = photo_and_mask(60, 70, i)
        Image.fromarray(photo).save(tmp_path / f"photo{i}.png")
        Image.fromarray(mask).save(tmp_path / f"mask{i}.png")
        rows.append([f"c{i}", f"photo{i}.png", f"mask{i}.png", "arm", "40"])
    write_cases(tmp_path, rows)
    return tmp_path


def write_cases(folder: Path, rows: list[list[str]]) -> None:
    with open(folder / "cases.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "photo", "mask", "site", "age"], *rows])


def read_rows(folder: Path) -> list[list[str]]:
    with open(folder / "cases.csv", newline="") as file:
        return list(csv.reader(file))[1:]


def command(folder: Path, output, *flags: str) -> int:
    argv = ["jaxderm", "deidentify", f"--cases={folder / 'cases.csv'}", f"--output_dir={output}"]
    return main([*argv, f"--model={weight_file()}", "--noprogress", *flags])


def files(output: Path) -> dict[str, bytes]:
    """What a run leaves, without the journal."""
    return {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}


def report(output: Path, name: str = "report.csv") -> dict[str, tuple[str, str]]:
    with open(output / name, newline="") as file:
        return {row["id"]: (row["status"], row["reason"]) for row in csv.DictReader(file)}


class Killed(BaseException):
    """Stands for SIGKILL: nothing is written or deleted any more."""


def release_row(job: Batch):
    deidentifier()  # made once, before threads ask for it

    def release(row, names) -> None:
        photo = read_photo(row.path("photo"))
        mask = read_mask(row.path("mask"), photo.pixels.shape[:2])
        facts = Attributes(site=BodySite.ARM, age=float(row.cells["age"]))
        for number, name in enumerate(names):
            case = deidentifier().resolve(photo, mask, facts)
            deidentifier().release(case, 0, number).save_to(job.folder, name)

    return release


def run(folder: Path, output: Path, seen=lambda _: None, **options) -> Batch:
    job = Batch(str(folder / "cases.csv"), str(output), say=seen, **options)
    job.open({"seed": 0})
    job.summary = job.run(release_row(job), threads=2)
    return job


def test_a_kill_after_any_write_loses_and_doubles_nothing(folder, monkeypatch):
    """Every prefix of the writes of a run is a state that the next run completes to the same bytes."""
    run(folder, folder / "whole", candidates=2)
    expected, real = files(folder / "whole"), storage.LocalFolder.write
    assert len(expected) == COUNT * 2 * 4 + 1
    for allowed in (0, 1, 3, 5, 9, 23, len(expected) - 1, len(expected)):
        output, count, lock = folder / f"killed{allowed}", [0], threading.Lock()

        def write(self, name, data, count=count, allowed=allowed, lock=lock):
            with lock:
                count[0] += 1
                if count[0] > allowed:
                    raise Killed
            real(self, name, data)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(storage.LocalFolder, "write", write)
            run(folder, output, candidates=2)
        before = files(output) if output.is_dir() else {}
        for name in before:
            if name.endswith(".json"):  # it looks finished: then it is
                assert before[name] == expected[name]
                stem = name.removesuffix(".json")
                assert {f"{stem}.png", f"{stem}.mask.png", f"{stem}.legend.txt"} <= set(before)
        done = {row for row in range(COUNT) if {f"c{row}.json", f"c{row}-1.json"} <= set(before)}
        job = run(folder, output, candidates=2)
        assert set(files(output)) == set(expected)
        for name, data in files(output).items():
            assert data.splitlines() == expected[name].splitlines(), name
        assert job.summary.there == len(done) and job.summary.released == COUNT - len(done)


def test_sigkill_in_the_middle_of_the_command(folder, capsys):
    rows = [
        [f"x{i}", f"photo{i % COUNT}.png", f"mask{i % COUNT}.png", "arm", str(20 + i)]
        for i in range(60)
    ]
    write_cases(folder, rows)
    output = folder / "out"
    argv = [sys.executable, "-m", "jaxderm.cli", "deidentify", f"--cases={folder / 'cases.csv'}"]
    argv += [f"--output_dir={output}", f"--model={weight_file()}", "--noprogress"]
    environment = {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(output.glob("*.json"))) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not (output / "report.csv").exists()
    stamps = {path: path.stat().st_mtime_ns for path in output.glob("*.json")}
    (output / ".jaxderm" / "temporary-share" / ".jaxderm-left.tmp").write_bytes(b"half")
    assert command(folder, output) == 0
    assert f"{60 - len(stamps)} released, {len(stamps)} were there" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert command(folder, folder / "whole") == 0
    assert files(output) == files(folder / "whole")
    assert [p.name for p in (output / ".jaxderm").rglob("*")] == ["journal.json"]


def test_a_finished_folder_is_left_alone_without_the_model(folder, monkeypatch, capsys):
    assert command(folder, folder / "out") == 0
    before = {p: p.stat().st_mtime_ns for p in (folder / "out").iterdir() if p.name != "report.csv"}
    monkeypatch.setattr(Deidentifier, "load", lambda *_: pytest.fail("loaded"))
    assert command(folder, folder / "out") == 0
    assert f"0 released, {COUNT} were there" in capsys.readouterr().out
    for path, stamp in before.items():
        assert path.name == ".jaxderm" or path.stat().st_mtime_ns == stamp


def test_shards_are_disjoint_complete_and_the_same_bytes(folder):
    assert command(folder, folder / "whole") == 0
    for i in (2, 0, 1):
        assert command(folder, folder / "split", f"--shard={i}/3") == 0
    whole, split = files(folder / "whole"), files(folder / "split")
    reports = [split.pop(f"report-{i}-of-3.csv").decode().splitlines() for i in range(3)]
    merged = [line for text in reports for line in text[1:]]
    assert sorted(merged) == sorted(whole.pop("report.csv").decode().splitlines()[1:])
    assert split == whole
    assert (
        command(folder, folder / "split") == 0
    )  # one run over what shards have done: nothing to do


@pytest.mark.parametrize("text", ["3/3", "-1/2", "1", "a/b", "0/0", "1/2/3"])
def test_bad_shards_are_one_sentence(text):
    with pytest.raises(InputError, match="i from 0 to n-1"):
        Shard.parse(text)


def test_shard_without_cases(folder, capsys):
    assert (
        main(["jaxderm", "deidentify", "--shard=0/2", "--photo=a", "--mask=b", "--output=c.png"])
        == 2
    )
    assert "--cases" in capsys.readouterr().err


def test_a_changed_cases_file_names_the_rows(folder, capsys):
    rows = read_rows(folder)
    assert command(folder, folder / "out") == 0
    before = files(folder / "out")
    # A column that says nothing changes nothing.
    with open(folder / "cases.csv", "w", newline="") as file:
        header = ["id", "photo", "mask", "site", "age", "view"]
        csv.writer(file).writerows([header, *([*row, ""] for row in rows)])
    assert command(folder, folder / "out") == 0
    rows[1][4], rows[3] = "61", ["new", *rows[3][1:]]
    write_cases(folder, rows[:4][::-1])  # one changed, one renamed, one gone, another order
    assert command(folder, folder / "out") == 1
    output = capsys.readouterr()
    assert "(c1): the row has changed" in output.err and "c0" not in output.err
    assert "no longer has c3, c4" in output.err and "1 rows changed" in output.out
    after = files(folder / "out")
    assert report(folder / "out")["c1"][0] == "changed"
    assert {n: d for n, d in before.items() if n != "report.csv"}.items() <= after.items()
    assert command(folder, folder / "out", "--overwrite") == 0
    assert json.loads((folder / "out" / "c1.json").read_text())["facts"]["age"]["value"] == 61


def test_a_release_that_came_after_a_change_is_of_the_new_row(folder, monkeypatch):
    """Killed before c4 was reached, then its row changed: what is made then is of the new row."""
    rows = read_rows(folder)
    write_cases(folder, [rows[4]])
    with monkeypatch.context() as patch, pytest.raises(Killed):

        def write(self, name, data, real=storage.LocalFolder.write):
            if name.startswith("c4"):
                raise Killed
            real(self, name, data)

        patch.setattr(storage.LocalFolder, "write", write)
        run(folder, folder / "out")
    rows[4][4] = "77"
    write_cases(folder, rows)
    assert run(folder, folder / "out").summary.status == 0
    assert run(folder, folder / "out").summary.changed == 0


def test_other_settings_are_told(folder, capsys):
    assert command(folder, folder / "out") == 0
    capsys.readouterr()
    assert command(folder, folder / "out", "--seed=3") == 0
    assert (
        f"{COUNT} finished releases were made otherwise (seed 0, now 3)" in capsys.readouterr().err
    )


def test_neither_patient_nor_key_nor_file_names_stand_in_the_journal(folder):
    rows = [[*row, "SECRETname"] for row in read_rows(folder)]
    with open(folder / "cases.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "photo", "mask", "site", "age", "patient"], *rows])
    (folder / "key").write_bytes(b"0123456789abcdefSECRET")
    assert command(folder, folder / "out", f"--identity_key={folder / 'key'}") == 0
    for path in (folder / "out").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert (
                b"SECRET" not in data and b"photo1" not in data and str(folder).encode() not in data
            )


def test_poisoned_cases_cost_only_themselves(folder, capsys):
    rows = read_rows(folder)
    good = [f"c{i}" for i in range(COUNT)]
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes((folder / "photo0.png").read_bytes()[:500])
    head = bytearray((folder / "photo0.png").read_bytes())
    head[16:24] = (20_000).to_bytes(4, "big") + (15_000).to_bytes(4, "big")
    import zlib

    head[29:33] = zlib.crc32(bytes(head[12:29])).to_bytes(4, "big")
    (folder / "large.png").write_bytes(head)
    words = {"empty": "empty", "cut": "damaged", "large": "megapixels", "absent": "does not exist"}
    bad = [[name, f"{name}.png", "mask0.png", "arm", "40"] for name in words]
    write_cases(folder, [row for pair in zip(bad, rows) for row in pair] + rows[len(bad) :])
    assert command(folder, folder / "out") == 1
    err = capsys.readouterr().err
    found = report(folder / "out")
    assert {name for name, (status, _) in found.items() if status == "released"} == set(good)
    for name, sentence in words.items():
        assert found[name][0] == "failed" and sentence in found[name][1] and f"({name})" in err
    assert {p.name.partition(".")[0] for p in (folder / "out").glob("*.png")} == set(good)


def test_an_unexpected_error_costs_only_its_row(folder):
    job = Batch(str(folder / "cases.csv"), str(folder / "out"), say=lambda _: None)
    job.open({})
    good = release_row(job)

    def release(row, names):
        if row.id == "c2":
            raise ZeroDivisionError("a defect of ours")
        good(row, names)

    summary = job.run(release)
    assert (summary.released, summary.failed, summary.status) == (COUNT - 1, 1, 1)
    assert report(folder / "out")["c2"] == ("failed", "ZeroDivisionError: a defect of ours")


def test_a_full_disk_stops_cleanly_and_the_next_run_does_the_rest(folder, monkeypatch, capsys):
    import errno

    assert command(folder, folder / "whole") == 0
    real, count = os.fsync, [0]

    def fsync(handle):
        count[0] += 1
        if count[0] > 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert command(folder, folder / "out") == 1
    err = capsys.readouterr().err
    assert "stopped: " in err and "disk is full" in err and "same command again" in err
    assert "Traceback" not in err and err.count("disk is full") == 1
    assert not list((folder / "out").rglob("*.tmp"))
    assert command(folder, folder / "out") == 0
    assert files(folder / "out") == files(folder / "whole")


def test_a_disk_that_is_full_from_the_start_starts_nothing(folder, monkeypatch, capsys):
    import errno

    def fsync(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert command(folder, folder / "out") == 2
    assert "disk is full" in capsys.readouterr().err and not (folder / "out").exists()


def test_two_runs_of_one_share_exclude_each_other(folder, capsys):
    held = storage.folder(folder / "out", "share")
    held.create()
    assert command(folder, folder / "out") == 2
    assert "another run works on" in capsys.readouterr().err
    held.close()
    assert command(folder, folder / "out") == 0


def test_a_damaged_journal_is_one_sentence(folder, capsys):
    assert command(folder, folder / "out") == 0
    (folder / "out" / ".jaxderm" / "journal.json").write_text("{")
    assert command(folder, folder / "out") == 2
    assert "delete it" in capsys.readouterr().err


def test_output_that_is_a_file(folder, capsys):
    (folder / "file").write_text("")
    assert command(folder, folder / "file") == 2 and "is a file" in capsys.readouterr().err


def test_object_storage_gives_the_same_bytes(folder, capsys):
    """Cases, photos and releases all behind fsspec, in shards, twice."""
    import fsspec

    system = fsspec.filesystem("memory")
    system.rm("/bucket", recursive=True) if system.exists("/bucket") else None
    for path in folder.iterdir():
        system.pipe_file(f"/bucket/in/{path.name}", path.read_bytes())
    assert command(folder, folder / "out") == 0
    argv = ["jaxderm", "deidentify", "--cases=memory://bucket/in/cases.csv", "--noprogress"]
    argv += ["--output_dir=memory://bucket/out", f"--model={weight_file()}"]
    for shard in ("0/2", "1/2"):
        assert main([*argv, f"--shard={shard}"]) == 0
    capsys.readouterr()
    assert main(argv) == 0 and f"0 released, {COUNT} were there" in capsys.readouterr().out
    names = {path.rsplit("/", 1)[-1] for path in system.ls("/bucket/out", detail=False)}
    expected = files(folder / "out")
    assert set(expected) <= names and ".jaxderm" in names
    for name, data in expected.items():
        assert system.cat_file(f"/bucket/out/{name}") == data
    one = [
        "jaxderm",
        "deidentify",
        "--photo=memory://bucket/in/photo1.png",
        "--site=arm",
        "--age=40",
    ]
    one += ["--mask=memory://bucket/in/mask1.png", "--output=memory://bucket/one/c1.png"]
    assert main([*one, f"--model={weight_file()}"]) == 0
    assert system.cat_file("/bucket/one/c1.png") == expected["c1.png"]
    assert main([*one, f"--model={weight_file()}"]) == 2 and "exists" in capsys.readouterr().err
    assert main([word.replace("photo1", "none") for word in one] + ["--overwrite"]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_photo_beyond_memory_is_tried_again_alone(folder):
    """What ran out of memory beside others gets all of it; only what still does not fit fails."""
    job = Batch(str(folder / "cases.csv"), str(folder / "out"), say=lambda _: None)
    job.open({})
    under_way, lock, good = [], threading.Lock(), release_row(job)

    def release(row, names):
        with lock:
            under_way.append(row.id)
        try:
            if row.id == "c3" or (row.id == "c1" and (len(under_way) > 1 or not tried)):
                tried.append(row.id)
                raise MemoryError
            good(row, names)
        finally:
            with lock:
                under_way.remove(row.id)

    tried: list[str] = []
    summary = job.run(release, threads=3)
    assert (summary.released, summary.failed) == (COUNT - 1, 1)
    assert "too small for the photo, even alone" in report(folder / "out")["c3"][1]
    assert sorted(tried)[-2:] == ["c3", "c3"]


def test_the_pipeline_is_bounded():
    """Items are asked for as they can be worked on, and never more than the budget is under way."""
    lock, state = threading.Lock(), {"asked": 0, "ended": 0, "used": 0}
    sizes = np.random.default_rng(0).integers(1, 60, 200).tolist()

    def items():
        for size in sizes:
            state["asked"] += 1
            assert state["asked"] - state["ended"] <= 2 * 3 + 3
            yield size

    def work(size: int) -> int:
        with lock:
            state["used"] += min(size * 40, 2000)
            assert state["used"] <= 2000
        time.sleep(0.0005)
        with lock:
            state["used"] -= min(size * 40, 2000)
            state["ended"] += 1
        return size

    outcomes = list(Pool(work, lambda size: size, threads=3, budget=2000).run(items()))
    assert sorted(item for item, _ in outcomes) == sorted(sizes)
    assert all(item == outcome for item, outcome in outcomes)


def test_what_exceeds_the_budget_goes_alone_and_in_turn():
    memory, order = Memory(100), []
    first = memory.take(80)
    assert memory.take(10) == 10

    def large() -> None:
        amount = memory.take(10**12)
        order.append("large")
        memory.give(amount)

    thread = threading.Thread(target=large)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    memory.give(10)
    memory.give(first)
    thread.join(5)
    assert order == ["large"] and memory.take(100) == 100
