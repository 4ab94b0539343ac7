"""Is the lesion still the lesion? One segmentation, run alike on photo and release, of every case.

    jaxderm deidentify --cases CASES.csv --output_dir DIR
    python benchmarks/lesion_fidelity.py --cases CASES.csv --releases DIR

Prints kept bytes that differ (must be 0), Dice and area ratio of the two segmentations, and the worst
cases. Required (DESIGN, contract 5): Dice >= 0.95 and area within 5 % in 46 of 51.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import ndimage

from jaxderm.attributes import rgb_to_lab
from jaxderm.frame import bounding_box, grow_mask, lesion_diameter
from jaxderm.photo import read_mask, read_photo
from jaxderm.release.batch import read_cases

AROUND = 0.2  # of the lesion's diameter: how far around it the segmentation looks


def segment(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The lesion in a picture [H,W,3] uint8 that a mask [H,W] bool points at: [H,W] bool.

    Pixels whose colour (CIELAB) is nearer to the lesion's median than to the surrounding ring's, along
    the line between the two, in the pieces that touch the mask. The ring is the picture's own, so
    lesion colour painted outwards shows, and so does a surround of another tone. Shadows, brows and
    beards further away are not looked at.
    """
    reach = AROUND * lesion_diameter(mask) + 2
    x0, y0, x1, y1 = bounding_box(grow_mask(mask, reach))
    box = np.s_[y0:y1, x0:x1]
    inside, lab = mask[box], rgb_to_lab(picture[box])
    sigma = 0.01 * max(lab.shape[:2])
    lab = np.stack([ndimage.gaussian_filter(lab[..., i], sigma) for i in range(3)], -1)
    distance = ndimage.distance_transform_edt(~inside)
    near = distance <= reach
    skin, lesion = (np.median(lab[at], axis=0) for at in (near & (distance > reach / 4), inside))
    line = lesion - skin
    nearer = near & ((lab - skin) @ line > 0.5 * line @ line)
    pieces, _ = ndimage.label(nearer)
    touching = np.unique(pieces[inside])
    found = np.zeros(mask.shape, bool)
    found[box] = np.isin(pieces, touching[touching > 0])
    return found


def main() -> None:
    """Print the table's summary and its worst rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--releases", required=True)
    given = parser.parse_args()
    rows, differing = [], 0
    for row in read_cases(given.cases):
        path = Path(given.releases) / f"{row.id}.png"
        if not path.is_file():
            print(f"{row.id}: no release")
            continue
        frame = json.loads(path.with_suffix(".json").read_text())["frame"]
        part = np.s_[
            frame["y"] : frame["y"] + frame["height"], frame["x"] : frame["x"] + frame["width"]
        ]
        whole = read_photo(row.path("photo")).pixels
        mask = read_mask(row.path("mask"), whole.shape[:2])[part]
        photo, release = whole[part], read_photo(path).pixels
        kept = read_mask(path.with_suffix(".mask.png"), release.shape[:2])
        differing += int((photo[kept] != release[kept]).sum()) + int((mask & ~kept).sum())
        before, after = segment(photo, mask), segment(release, mask)
        total = before.sum() + after.sum()
        dice = 2 * (before & after).sum() / total if total else 1.0
        rows.append((float(dice), after.sum() / max(before.sum(), 1), row.id))
    dice, area = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    good = (dice >= 0.95) & (np.abs(area - 1) <= 0.05)
    print(f"{len(rows)} releases, kept bytes that differ: {differing}")
    print(
        f"Dice: median {np.median(dice):.3f}, >= 0.95 in {(dice >= 0.95).sum()}; area within 5 % in "
        f"{(np.abs(area - 1) <= 0.05).sum()}; both in {good.sum()} of {len(rows)}"
    )
    for value, ratio, name in sorted(rows)[:10]:
        print(f"  {name}: Dice {value:.3f}, area x {ratio:.2f}")


if __name__ == "__main__":
    main()
