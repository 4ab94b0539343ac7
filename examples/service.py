"""A service that releases many photos at once: one Deidentifier, any number of threads, asyncio around them.

    python examples/service.py cases.csv releases

The model is loaded once. `asyncio.to_thread` carries each request through decoding, drawing and composing, all of
which leave Python's lock free; what waits at the same time is drawn together. The semaphore bounds how many photos are in
memory. In a web framework, `release` is the body of the request handler.
"""

import asyncio
import csv
import sys
from pathlib import Path

from jaxderm import Attributes, Deidentifier
from jaxderm.attributes import BodySite
from jaxderm.errors import InputError
from jaxderm.photo import read_mask, read_photo

AT_ONCE = 4
model = Deidentifier.load("default")


def release_now(photo_file: Path, mask_file: Path, site: str, output: Path) -> None:
    """Release one photo; runs in a thread."""
    photo = read_photo(photo_file)
    mask = read_mask(mask_file, photo.pixels.shape[:2])
    model(photo, mask, Attributes(site=BodySite(site)))[0].save(output)


async def release(turns: asyncio.Semaphore, *request) -> str:
    """What became of one request: a sentence."""
    async with turns:
        try:
            await asyncio.to_thread(release_now, *request)
        except InputError as error:
            return f"refused: {error}"
    return f"{request[-1]}"


async def main(cases: Path, folder: Path) -> None:
    """Release all rows of a cases file (id, photo, mask, site) that need no landmarks."""
    with open(cases, newline="") as file:
        rows = list(csv.DictReader(file))
    folder.mkdir(parents=True, exist_ok=True)
    turns = asyncio.Semaphore(AT_ONCE)
    requests = [
        release(turns, cases.parent / row["photo"], cases.parent / row["mask"], row["site"], folder / f"{row['id']}.png")
        for row in rows
    ]  # fmt: skip
    for done in asyncio.as_completed(requests):
        print(await done)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
