"""Is the generated surround as detailed as the real skin beside the lesion? High-frequency power, release over photograph.

    python benchmarks/detail.py --cases CASES.csv --releases DIR

Each release and the same rectangle of its photograph, 1,000 px wide, are high-passed (luminance less its Gaussian
blur of 1.5 px: structures below about 6 px). Power is the squared median absolute value, so that a few hairs or edges
do not count, over a ring of half the lesion's diameter around kept, skin colours only, the same pixels in both.
Two ratios: the ring of the release to the same ring of the photograph, and to the photograph's own kept margin.
Asked for: 0.7 to 1.4.
"""

import argparse

import numpy as np
from PIL import Image
from released import released
from scipy import ndimage

from jaxderm.attributes import rgb_to_lab
from jaxderm.frame import lesion_diameter
from jaxderm.release.skin import skin_like

WIDTH = 1000
SIGMA = 1.5
LEAST = 200  # pixels of a region that is judged


def power(detail: np.ndarray, where: np.ndarray) -> float | None:
    """Robust power of a high-passed luminance [h,w] in a region; None where it is too small."""
    return float(np.median(np.abs(detail[where])) ** 2) if where.sum() >= LEAST else None


def measure(photo: np.ndarray, release: np.ndarray, kept: np.ndarray, drawn: np.ndarray):
    """(release's ring, photograph's ring, photograph's kept margin): power or None; all [h,w] alike."""
    size = (WIDTH, round(WIDTH * kept.shape[0] / kept.shape[1]))
    at = lambda m: np.asarray(Image.fromarray(m).resize(size, Image.Resampling.NEAREST))  # noqa: E731
    kept, drawn = at(kept), at(drawn)
    details, skins = [], []
    for picture in (release, photo):
        pixels = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
        luminance = pixels @ np.array([0.299, 0.587, 0.114])
        details.append(luminance - ndimage.gaussian_filter(luminance, SIGMA))
        skins.append(skin_like(rgb_to_lab(pixels)))
    distance = ndimage.distance_transform_edt(~kept)
    ring = (distance > 4) & (distance <= 0.5 * lesion_diameter(drawn)) & skins[0] & skins[1]
    margin = ndimage.binary_erosion(kept, iterations=4)
    margin &= ~ndimage.binary_dilation(drawn, iterations=4)
    return power(details[0], ring), power(details[1], ring), power(details[1], margin)


def line(name: str, ratios: list[float]) -> str:
    """Median, quartiles and the share within 0.7 to 1.4."""
    if not ratios:
        return f"{name}: not measurable"
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    within = sum(0.7 <= r <= 1.4 for r in ratios)
    return f"{name}: median {middle:.2f} ({low:.2f} to {high:.2f}), {within} of {len(ratios)} within 0.7 to 1.4"


def main() -> None:
    """Print two lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", required=True)
    parser.add_argument("--releases", required=True)
    given = parser.parse_args()
    rings, margins = [], []
    for _, photo, release, kept, drawn in released(given.cases, given.releases):
        ours, real, margin = measure(photo, release, kept, drawn)
        if ours and real:
            rings.append(ours / real)
        if ours and margin:
            margins.append(ours / margin)
    print(line("ring of the release to the photograph's", rings))
    print(line("ring of the release to the kept margin", margins))


if __name__ == "__main__":
    main()
