"""A folder of rendered people: written in parallel, resumed after any interruption, the same for any number of workers.

    000000/0000012.webp  0000012_skin.png  0000012_lesion.png  0000012.json    labels.jsonl  render.json

A picture counts as done when its .json row exists, which is written last; labels.jsonl is merged from the rows.
"""

import io
import json
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from jaxderm.attributes import ADULT_AGE, BodySite, parse_enum
from jaxderm.errors import InputError
from jaxderm.photo import encode_png, write_atomic
from jaxderm.render.sampler import (
    AGE_BANDS,
    EVERYTHING,
    IMAGES_PER_PERSON,
    MINOR_SITES,
    SITES,
    TONES,
    Wanted,
)

# Raise it when the same seed would give other pictures.
VERSION = "1.3.3"
SIZES = (64, 128, 256, 512)
PER_FOLDER = 1000
# What a folder holds whose note says nothing of it.
EARLIER = {"calm": False, "ages": [], "tones": [], "per_person": IMAGES_PER_PERSON}
CHUNK = 4  # the pictures of one person share a body


def parse_sites(names: list[str]) -> tuple[BodySite, ...] | None:
    """Body sites of their names, None for no name."""
    sites = tuple(parse_enum(BodySite, name, "site") for name in names)
    for site in sites:
        if site not in SITES:
            allowed = ", ".join(s.value for s in SITES)
            raise InputError(f"site '{site.value}' cannot be rendered; use one of: {allowed}.")
    return sites or None


def stem_of(number: int) -> str:
    """Name of a picture below the corpus folder, without extension."""
    return f"{number // PER_FOLDER:06d}/{number:07d}"


def render_corpus(
    output: str | Path,
    count: int,
    size: int,
    seed: int,
    wanted: Wanted = EVERYTHING,
    workers: int | None = None,
    progress: bool = True,
) -> int:
    """Pictures 0 to count - 1 of (seed, size, wanted) in a folder; returns how many were made now.

    Finished pictures are left as they are. InputError for a wrong value, a folder of another corpus, a
    full disk or a missing package.
    """
    if count <= 0:
        raise InputError(f"--count {count} asks for no picture; give a number from 1 on.")
    if size not in SIZES:
        raise InputError(f"--size {size} is not offered; use one of: {', '.join(map(str, SIZES))}.")
    if seed < 0:
        raise InputError(f"--seed {seed} is negative; give a number from 0 on.")
    _check(wanted)
    from jaxderm.render import assets, scene

    assets.data_folder()
    scene.mitsuba()
    folder = Path(output)
    _claim(folder, {
        "version": VERSION, "seed": seed, "size": size,
        "sites": [s.value for s in wanted.sites or ()], "calm": wanted.calm,
        "ages": list(wanted.ages or ()), "tones": list(wanted.tones or ()), "per_person": wanted.per_person,
    })  # fmt: skip
    missing = [k for k in range(count) if not (folder / f"{stem_of(k)}.json").is_file()]
    for sub in sorted({stem_of(k).split("/")[0] for k in missing}):
        _make_folder(folder / sub)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min(workers or cores or 1, max(1, math.ceil(len(missing) / CHUNK)))
    made = 0
    try:
        with tqdm(total=count, initial=count - len(missing), unit="picture", disable=not progress,
                  file=sys.stderr) as bar:  # fmt: skip
            for done in _run(folder, missing, size, seed, wanted, workers):
                made += done
                bar.update(done)
    finally:
        merge_labels(folder)
    return made


def _check(wanted: Wanted) -> None:
    for name, bounds, (least, most) in (
        ("ages", wanted.ages, (AGE_BANDS[0][0], AGE_BANDS[-1][1])),
        ("tones", wanted.tones, TONES),
    ):
        if bounds and not least <= bounds[0] < bounds[1] <= most:
            low, high = bounds
            raise InputError(
                f"--{name} {low:g},{high:g} cannot be rendered; give a smaller and a larger number from {least:g} to {most:g}."
            )
    if wanted.per_person < 1:
        raise InputError(f"--per_person {wanted.per_person} asks for no picture; give 1 or more.")
    adults_only = not set(wanted.sites or MINOR_SITES) & set(MINOR_SITES)
    if wanted.ages and wanted.ages[0] < ADULT_AGE and adults_only:
        raise InputError(
            f"--ages from {wanted.ages[0]:g} asks for children at sites where none are rendered; give {ADULT_AGE:g} or more."
        )


def _run(folder, missing, size, seed, wanted, workers) -> Iterator[int]:
    chunks = [missing[i : i + CHUNK] for i in range(0, len(missing), CHUNK)]
    if workers <= 1:
        for chunk in chunks:
            yield _render_chunk(folder, chunk, size, seed, wanted)
        return
    # Spawned: Mitsuba's threads do not survive a fork.
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupts
    )
    try:
        waiting = [
            pool.submit(_render_chunk, folder, chunk, size, seed, wanted) for chunk in chunks
        ]
        for future in as_completed(waiting):
            yield future.result()
    except BrokenProcessPool:
        raise InputError(
            "a rendering process was killed (memory?); run the same command again to resume, "
            "with fewer --workers."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C is the main process's to handle: workers finish their picture."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _render_chunk(folder: Path, numbers: list[int], size: int, seed: int, wanted: Wanted) -> int:
    from jaxderm.render.picture import render_number

    for number in numbers:
        picture = render_number(seed, number, size, wanted)
        stem = stem_of(number)
        row = {"file": f"{stem}.webp", **picture.labels}
        write_atomic(folder / f"{stem}_skin.png", encode_png(picture.skin, level=6))
        if picture.lesion.any():
            write_atomic(folder / f"{stem}_lesion.png", encode_png(picture.lesion, level=6))
        stream = io.BytesIO()
        Image.fromarray(picture.image).save(stream, "WEBP", quality=95, method=4)
        write_atomic(folder / f"{stem}.webp", stream.getvalue())
        write_atomic(folder / f"{stem}.json", json.dumps(row).encode())
    return len(numbers)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"folder '{path}' cannot be made: {error.strerror}; choose another."
        ) from None


def _claim(folder: Path, what: dict) -> None:
    """Writes what the folder holds, or checks that it is the same."""
    note = folder / "render.json"
    _make_folder(folder)
    if note.is_file():
        try:
            found = {**EARLIER, **json.loads(note.read_text())}
        except ValueError:
            raise InputError(
                f"'{note}' cannot be read; delete it or choose another --output."
            ) from None
        for key, value in what.items():
            if found.get(key) != value:
                raise InputError(
                    f"'{folder}' holds a corpus with {key} {found.get(key)}, not {value}; give the same "
                    "flags to resume it, or another --output."
                )
    elif any(folder.iterdir()):
        raise InputError(
            f"'{folder}' is not empty and no rendered corpus; choose another --output."
        )
    else:
        write_atomic(note, json.dumps(what, indent=1).encode())


def merge_labels(folder: str | Path) -> int:
    """Writes labels.jsonl from the rows of all finished pictures, in their order; returns how many."""
    rows = [path.read_text().strip() for path in sorted(Path(folder).glob("[0-9]*/[0-9]*.json"))]
    if rows:
        write_atomic(Path(folder) / "labels.jsonl", ("\n".join(rows) + "\n").encode())
    return len(rows)
