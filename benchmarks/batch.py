"""What a batch survives: kills, poisoned cases, any number of photos. Each mode ends with MET or MISSED.

    python benchmarks/batch.py kill   [--photos 2000] [--kills 30] [--side 512]
    python benchmarks/batch.py poison [--photos 10000] [--share 0.01] [--side 256]
    python benchmarks/batch.py memory [--photos 400,1600] [--side 768] [--megapixels 0]

kill: a run is killed with SIGKILL at random moments and started again, then left to finish; every file must
equal an undisturbed run's, no finished release may be made twice, and at no kill may a half-written one look
finished. poison: 1 % of the photos are empty, cut, bombs, 300 megapixels by their header, of another size than
their mask, or not there; all others must be released and each of these named with a reason; a second run over
the finished rows must do nothing. memory: peak resident memory for a small and a large folder, and with
--megapixels for a folder of photos of that size.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from jaxderm.photo import encode_png

POISONS = ("empty", "cut", "bomb", "300 megapixels", "other size", "not there", "not a picture")
DISTINCT = 16  # photographs that differ in every pixel; the others in the lesion's place and colour
# Runs a command and prints its peak memory (resident, in kB on Linux) as the last line.
CHILD = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def jpeg(pixels: np.ndarray) -> bytes:
    """JPEG bytes of [H,W,3]."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=92)
    return data.getvalue()


def header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has one row of nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunks + struct.pack(">I", len(data) - 4) + data


def write_corpus(
    folder: Path, count: int, side: int, poisoned: int = 0, height: int = 0
) -> set[str]:
    """`count` photos with masks and cases.csv; the ids of those that are poisoned."""
    rng = np.random.default_rng(7)
    height = height or side
    y, x = np.ogrid[:height, :side]
    bases = []
    for _ in range(min(DISTINCT, count)):
        tone = np.array([200, 150, 125]) * rng.uniform(0.5, 1.1)
        bases.append(tone + rng.normal(0, 6, (height, side, 3)))
    bad = set(rng.choice(count, poisoned, replace=False).tolist())
    ids = set()
    with open(folder / "cases.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "photo", "mask", "site", "sex", "age", "skin_type"])
        for i in range(count):
            name = f"case-{i:06d}"
            radius = min(height, side) * rng.uniform(0.04, 0.09)
            cy, cx = rng.uniform(0.35, 0.65, 2) * (height, side)
            mask = np.hypot(y - cy, x - cx) < radius
            photo = bases[i % len(bases)].copy()
            photo[mask] *= rng.uniform(0.4, 0.7)
            data = jpeg(np.clip(photo, 0, 255).astype(np.uint8))
            if i in bad:
                ids.add(name)
                kind = POISONS[len(ids) % len(POISONS)]
                if kind == "other size":
                    mask = mask[: height // 2]
                data = {
                    "empty": b"", "cut": data[: len(data) // 2], "bomb": header(60_000, 60_000),
                    "300 megapixels": header(20_000, 15_000), "not a picture": b"%PDF-1.7 a letter",
                }.get(kind, data)  # fmt: skip
            if i not in bad or kind != "not there":
                (folder / f"{name}.jpg").write_bytes(data)
            (folder / f"{name}.mask.png").write_bytes(encode_png(mask))
            site = ("arm", "hand", "lower_leg", "back", "face")[i % 5]
            table.writerow([name, f"{name}.jpg", f"{name}.mask.png", "arm" if site == "face" else site,
                            ("female", "male")[i % 2], 20 + i % 60, ("II", "IV", "measured")[i % 3]])  # fmt: skip
    return ids


def command(folder: Path, output: Path, model: str) -> list[str]:
    """The command line of a batch."""
    return [
        sys.executable, "-m", "jaxderm.cli", "deidentify", "--cases", str(folder / "cases.csv"),
        "--output_dir", str(output), "--model", model, "--noprogress",
    ]  # fmt: skip


def finish(folder: Path, output: Path, model: str) -> tuple[int, float, float, str]:
    """(exit status, seconds, peak GB, messages) of a run that is left alone."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *command(folder, output, model)],
        capture_output=True,
        text=True,
    )
    memory = int(done.stdout.split()[-1]) / 2**20
    return done.returncode, time.perf_counter() - start, memory, done.stdout + done.stderr


def digests(output: Path) -> dict[str, str]:
    """{name: SHA-256} of what a run leaves, without the journal's folder."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.iterdir()
        if path.is_file()
    }


def finished(output: Path) -> dict[str, int]:
    """{manifest: time of writing} of finished releases; every one must be whole."""
    found = {}
    for path in output.glob("*.json"):
        document = json.loads(path.read_bytes())
        picture = path.with_suffix(".png").read_bytes()
        if hashlib.sha256(picture).hexdigest() != document["output"]["sha256"]:
            sys.exit(f"MISSED: {path.stem} looks finished and is not")
        found[path.name] = path.stat().st_mtime_ns
    return found


def kill(given: argparse.Namespace, work: Path) -> bool:
    """The kill test; whether it is met."""
    random.seed(given.seed)
    photos = int(given.photos)
    write_corpus(work, photos, given.side)
    status, seconds, memory, words = finish(work, work / "undisturbed", given.model)
    print(
        f"undisturbed: status {status}, {seconds:.0f} s, {photos / seconds:.2f} photos/s, {memory:.2f} GB"
    )
    if status:
        sys.exit(words)
    expected = digests(work / "undisturbed")
    output = work / "killed"
    known: dict[str, int] = {}
    again = 0
    for number in range(given.kills):
        # Moments from the start of the process to well into its work; a third of the runs die early.
        delay = random.uniform(0.2, 2 * seconds / given.kills + 6)
        process = subprocess.Popen(
            command(work, output, given.model), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        now = finished(output) if output.is_dir() else {}
        again += sum(now.get(name) != stamp for name, stamp in known.items())
        known = now
        print(f"kill {number + 1} after {delay:.1f} s: {len(now)} of {photos} finished", flush=True)
    status, seconds, _, words = finish(work, output, given.model)
    after = finished(output)
    again += sum(after.get(name) != stamp for name, stamp in known.items())
    found = digests(output)
    same = sum(found.get(name) == digest for name, digest in expected.items())
    extra = sorted(set(found) - set(expected))
    leftovers = [p.name for p in (output / ".jaxderm").rglob("*.tmp")]
    print(f"clean finish: status {status}, {seconds:.0f} s; {same} of {len(expected)} files equal")
    print(
        f"made twice: {again}; files too many: {len(extra)}; temporary files left: {len(leftovers)}"
    )
    status_again, seconds_again, _, _ = finish(work, output, given.model)
    print(f"run over the finished folder: status {status_again}, {seconds_again:.1f} s")
    return (
        status == status_again == 0
        and same == len(expected)
        and not (extra or leftovers or again)
        and digests(output) == expected
    )


def poison(given: argparse.Namespace, work: Path) -> bool:
    """The poison test; whether it is met."""
    photos = int(given.photos)
    bad = write_corpus(work, photos, given.side, round(photos * given.share))
    status, seconds, memory, words = finish(work, work / "out", given.model)
    with open(work / "out" / "report.csv", newline="") as file:
        report = {row["id"]: row for row in csv.DictReader(file)}
    released = {path.stem for path in (work / "out").glob("*.json")}
    failed = {name for name, row in report.items() if row["status"] == "failed" and row["reason"]}
    print(
        f"{photos} photos, {len(bad)} poisoned: status {status}, {len(released)} released, {len(failed)} named "
        f"reasons, {seconds:.0f} s, {photos / seconds:.2f} photos/s, peak {memory:.2f} GB"
    )
    for reason in sorted(
        {row["reason"].split("' ")[-1] for row in report.values() if row["reason"]}
    ):
        print("   ", reason)
    before = digests(work / "out")
    status_again, seconds_again, _, _ = finish(work, work / "out", given.model)
    print(
        f"second run: status {status_again}, {seconds_again:.1f} s, nothing changed: {digests(work / 'out') == before}"
    )
    return (
        status == 1
        and "Traceback" not in words
        and failed == bad
        and len(report) == photos
        and released == set(report) - bad
        and digests(work / "out") == before
        and memory < 2
    )


def memory(given: argparse.Namespace, work: Path) -> bool:
    """Peak memory against the number of photos, or for large ones; whether all stay under 2 GB."""
    side = round((given.megapixels * 1e6 * 4 / 3) ** 0.5) if given.megapixels else given.side
    height = side * 3 // 4 if given.megapixels else side
    peaks = []
    for photos in map(int, given.photos.split(",")):
        folder = work / str(photos)
        folder.mkdir()
        write_corpus(folder, photos, side, height=height)
        status, seconds, peak, words = finish(folder, folder / "out", given.model)
        if status:
            sys.exit(words)
        peaks.append(peak)
        print(
            f"{photos} photos of {side}x{height}: {peak:.2f} GB, {photos / seconds:.2f} photos/s with start",
            flush=True,
        )
        shutil.rmtree(folder)
    print(f"largest folder against smallest: {peaks[-1] / peaks[0]:.2f}")
    return max(peaks) < 2 and peaks[-1] < 1.15 * peaks[0]


def main() -> None:
    """Run one mode; exit status 1 when it is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=("kill", "poison", "memory"))
    parser.add_argument("--photos")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--side", type=int)
    parser.add_argument("--megapixels", type=float, default=0)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    photos, side = {"kill": ("2000", 512), "poison": ("10000", 256), "memory": ("400,1600", 768)}[
        given.mode
    ]
    given.photos, given.side = given.photos or photos, given.side or side
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} cores, load {load:.1f} before the run")
    with tempfile.TemporaryDirectory() as name:
        met = {"kill": kill, "poison": poison, "memory": memory}[given.mode](given, Path(name))
    print("MET" if met else "MISSED")
    sys.exit(not met)


if __name__ == "__main__":
    main()
