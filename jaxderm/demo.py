"""`make demo`: a public-domain photograph with a painted lesion, released four times by the shipped model.

The photograph is scikit-image's `astronaut` (NASA, public domain); the lesion is painted, so nobody's
skin disease is shown.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from jaxderm.cli import main
from jaxderm.errors import InputError
from jaxderm.photo import encode_png

LANDMARKS = "203,101 246,103 226,126 205,141 242,142"
CHEEK = (250.0, 126.0)  # x, y of the lesion on the image's right cheek
SEED = 5


def photo_and_mask() -> tuple[np.ndarray, np.ndarray]:
    """Photograph [512,512,3] uint8 with a painted pigmented lesion, and its mask [512,512] bool."""
    try:
        from skimage.data import astronaut
    except ModuleNotFoundError:
        raise InputError("the demo needs scikit-image: pip install 'jaxderm[dev]'.") from None
    photo = astronaut()
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32)
    dx, dy = x - CHEEK[0], y - CHEEK[1]
    theta = np.arctan2(dy, dx)
    outline = (
        5.2 + 0.8 * np.cos(2 * theta + 0.6) + 0.5 * np.cos(3 * theta) + 0.3 * np.cos(5 * theta)
    )
    depth = outline - np.hypot(dx, dy)
    alpha = np.clip(depth / 1.2 + 0.5, 0, 1)
    speckle = np.random.default_rng(SEED).normal(1.0, 0.12, photo.shape[:2])
    pigment = (
        np.array([0.42, 0.33, 0.30]) * np.clip(speckle + 0.08 * np.sin(dx), 0.6, 1.4)[..., None]
    )
    painted = photo * (1 - alpha[..., None] * (1 - pigment))
    return np.clip(np.round(painted), 0, 255).astype(np.uint8), depth > 0


def run(output: str) -> int:
    """Write photo and mask, release them and say where the picture is; the exit status."""
    folder = Path(output)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "release").mkdir(parents=True)
    photo, mask = photo_and_mask()
    (folder / "photo.png").write_bytes(encode_png(photo))
    (folder / "mask.png").write_bytes(encode_png(mask))
    sheet = folder / "contact_sheet.png"
    start = time.perf_counter()
    status = main(
        [
            "jaxderm", "deidentify",
            "--photo", str(folder / "photo.png"), "--mask", str(folder / "mask.png"),
            "--site", "face", "--sex", "female", "--age", "42", "--skin_type", "measured",
            "--landmarks", LANDMARKS, "--margin", "3", "--candidates", "4", "--sheet", str(sheet),
            "--sheet_with_original", "--output", str(folder / "release" / "lesion.png"),
        ]
    )  # fmt: skip
    if status == 0:
        print(f"released four candidates in {time.perf_counter() - start:.1f} s")
        print(f"look at {sheet}: photo, kept pixels, mask, releases")
        print(f"the release, its legend and its manifest: {folder / 'release'}")
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="demo")
    try:
        sys.exit(run(parser.parse_args().output))
    except InputError as error:
        sys.exit(f"jaxderm demo: {error}")
