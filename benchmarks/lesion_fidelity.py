"""Is the lesion still the lesion? One segmentation, run alike on photo and release, of every case.

    jaxderm deidentify --cases CASES.csv --output_dir DIR
    python benchmarks/lesion_fidelity.py --cases CASES.csv --releases DIR

Prints kept bytes that differ (must be 0), Dice and area of the two segmentations (`evaluate.lesion`),
and the worst cases. Required (DESIGN, contract 5): Dice >= 0.95 in 46 of 51, area within 5 %. Two controls put
the figures in place: kept on plain skin of its own margin's colour, which adds nothing and fails only
where the photograph's own segmentation goes beyond kept, and the same with the lesion's colour painted
12 % of its diameter outwards, which must fail.
`jaxderm audit` reports the same beside everything else, but needs a gallery and dlib.
"""

import argparse

import numpy as np
from released import released
from scipy import ndimage

from jaxderm.evaluate import lesion as lesions
from jaxderm.frame import lesion_diameter


def _controls(
    photo: np.ndarray, drawn: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Kept on plain skin, and with the lesion's colour painted outwards around kept: [h,w,3] uint8."""
    diameter = lesion_diameter(drawn)
    margin = kept & ~ndimage.binary_dilation(drawn, iterations=max(1, int(0.04 * diameter)))
    margin = margin if margin.sum() >= 30 else kept & ~drawn
    weight = ndimage.gaussian_filter(margin.astype(float), 0.5 * diameter) + 1e-6
    near = np.stack(
        [
            ndimage.gaussian_filter(np.where(margin, photo[..., i], 0.0), 0.5 * diameter) / weight
            for i in range(3)
        ],
        -1,
    )
    distance = ndimage.distance_transform_edt(~kept)
    far = np.clip(distance / (2 * diameter), 0, 1)[..., None]
    plain = near * (1 - far) + np.median(photo[margin], axis=0) * far
    plain += np.random.default_rng(0).normal(0, 2, kept.shape)[..., None]
    painted = plain.copy()
    ring = distance <= 0.12 * diameter
    painted[ring] = 0.8 * np.median(photo[drawn], axis=0) + 0.2 * plain[ring]
    pictures = [np.clip(picture, 0, 255).astype(np.uint8) for picture in (plain, painted)]
    for picture in pictures:
        picture[kept] = photo[kept]
    return pictures[0], pictures[1]


def main() -> None:
    """Print the table's summary and its worst rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", required=True)
    parser.add_argument("--releases", required=True)
    given = parser.parse_args()
    rows, differing, faint = [], 0, []
    controls = {"plain skin": [], "lesion painted outwards": []}
    for name, photo, release, kept, drawn in released(given.cases, given.releases):
        differing += int((photo[kept] != release[kept]).sum()) + int((drawn & ~kept).sum())
        outline = lesions.outline(photo, release, drawn, kept)
        if outline is None:
            faint.append(name)
            continue
        for control, picture in zip(controls, _controls(photo, drawn, kept)):
            controls[control].append(lesions.outline(photo, picture, drawn, kept))
        halo = lesions.halo(photo, release, drawn, kept)
        rows.append(
            (
                outline.dice,
                outline.area,
                outline.same,
                outline.added,
                halo,
                outline.drawn_dice,
                name,
            )
        )
    dice, area, same, added = (np.array([row[i] for row in rows]) for i in range(4))
    print(f"{len(rows) + len(faint)} releases, kept bytes that differ: {differing}")
    print(f"too faint or without surround to be segmented: {len(faint)} {' '.join(faint)}")
    print(
        f"Dice: median {np.median(dice):.3f}, >= 0.95 in {(dice >= 0.95).sum()}; area within 5 % in "
        f"{(np.abs(area) <= 0.05).sum()}; both in {same.sum()} of {len(rows)}"
    )
    print(
        f"lesion colour that only the release shows: at most 5 % of the lesion in "
        f"{(added <= 0.05).sum()} of {len(rows)}"
    )
    for control, outlines in controls.items():
        print(
            f"control, kept on {control}: Dice >= 0.95 in "
            f"{sum(o.dice >= lesions.DICE_GOAL for o in outlines)}; both in {sum(o.same for o in outlines)}"
        )
    for value, ratio, _, extra, halo, trust, name in sorted(rows)[:12]:
        print(
            f"  {name}: Dice {value:.3f}, area {100 * ratio:+.0f} %, added {100 * extra:.0f} %, halo "
            f"{float('nan') if halo is None else halo:.1f} Delta-E; Dice of the photo's own "
            f"segmentation with the drawn mask {trust:.2f}"
        )


if __name__ == "__main__":
    main()
