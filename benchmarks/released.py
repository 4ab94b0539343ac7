"""Releases beside their photographs, for the benchmarks that compare them."""

from collections.abc import Iterator

import numpy as np

from jaxderm.errors import InputError
from jaxderm.evaluate.cases import published_of
from jaxderm.photo import read_mask, read_photo
from jaxderm.release.batch import read_cases


def released(cases: str, folder: str) -> Iterator[tuple[str, np.ndarray, np.ndarray, ...]]:
    """(id, photograph's part [h,w,3], release [h,w,3], kept [h,w], drawn mask [h,w]) of every released case.

    A case without a release is named in a line.
    """
    for row in read_cases(cases):
        whole = read_photo(row.path("photo")).pixels
        try:
            release = published_of(folder, row.id, whole.shape[:2])
        except InputError as error:
            print(f"{row.id}: {error}")
            continue
        x0, y0, x1, y1 = release.rectangle
        part = np.s_[y0:y1, x0:x1]
        drawn = read_mask(row.path("mask"), whole.shape[:2])[part]
        kept = read_mask(f"{folder}/{row.id}.mask.png", release.pixels.shape[:2])
        yield row.id, whole[part], release.pixels, kept, drawn
