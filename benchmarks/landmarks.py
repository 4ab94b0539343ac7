"""How well `--landmarks auto` finds the five points of faces with lesions.

    python benchmarks/landmarks.py --cases CASES.csv

The cases' declared landmarks are the truth; error as a share of their inter-ocular distance.
"""

import argparse
import time

import numpy as np

from jaxderm.errors import InputError
from jaxderm.frame import parse_landmarks
from jaxderm.photo import read_photo
from jaxderm.release.batch import read_cases
from jaxderm.release.detect import find_landmarks


def main() -> None:
    """Print the error by point and the worst cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", required=True)
    given = parser.parse_args()
    rows, missed, seconds = [], [], []
    for row in read_cases(given.cases):
        if not row.get("landmarks"):
            continue
        photo = read_photo(row.path("photo")).pixels
        truth = parse_landmarks(row.get("landmarks"), photo.shape[:2])
        started = time.perf_counter()
        try:
            found = find_landmarks(photo)
        except InputError:
            missed.append(row.id)
            continue
        seconds.append(time.perf_counter() - started)
        between = np.linalg.norm(truth[1] - truth[0])
        rows.append((np.linalg.norm(found - truth, axis=1) / between, row.id))
    errors = np.array([error for error, _ in rows])
    print(f"{len(rows)} faces found, {len(missed)} missed {' '.join(missed)}")
    names = ("eye on the image's left", "eye on its right", "nose", "mouth left", "mouth right")
    for name, error in zip(names, errors.T):
        print(
            f"  {name:24s} median {100 * np.median(error):5.1f} %  worst {100 * error.max():5.1f} %"
        )
    each = errors.mean(1)
    print(
        f"mean of the five, share of the inter-ocular distance: median {100 * np.median(each):.1f} %, mean "
        f"{100 * each.mean():.1f} %, 90 % within {100 * np.percentile(each, 90):.1f} %; above 10 % in "
        f"{(each > 0.1).sum()}; {1000 * np.median(seconds):.0f} ms a photo"
    )
    for error, name in sorted(((e, n) for e, (_, n) in zip(each, rows)), reverse=True)[:6]:
        print(f"  {name}: {100 * error:.1f} %")


if __name__ == "__main__":
    main()
