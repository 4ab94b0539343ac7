"""Seconds and memory of one release on this machine: warm, at 768x768 and 12 megapixels, and cold.

    python benchmarks/release.py [--model NAME|PATH] [--repeat 5]

Targets (two CPU cores): weights read and checked in 0.5 s; 768x768 warm 0.35 s; 12 megapixels warm 4 s; a cold
command with a warm compile cache 6 s; peak memory of a 12-megapixel command 1.5 GB. "Warm" is everything from decoded
arrays to the four files on disk.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from jaxderm.attributes import Attributes, BodySite, Sex
from jaxderm.models import weights
from jaxderm.photo import encode_png
from jaxderm.release import artefact, loading
from jaxderm.release.engine import check_finite
from jaxderm.release.synthesize import Deidentifier

LANDMARKS = np.array(
    [[0.36, 0.42], [0.64, 0.42], [0.49, 0.55], [0.40, 0.70], [0.61, 0.70]], np.float32
)
FACTS = Attributes(sex=Sex.FEMALE, age=40.0, ita=35.0, site=BodySite.FACE)
# Runs a command and prints its peak memory (resident, in kB on Linux) as the last line.
CHILD = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def face_like(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photo [H,W,3] of skin-coloured noise with a dark lesion, its mask, and landmarks of a face."""
    rng = np.random.default_rng(0)
    photo = np.clip(rng.normal(170, 8, (height, width, 1)) + [30, -10, -35], 0, 255)
    side = min(height, width)
    y, x = np.ogrid[:height, :width]
    mask = np.hypot(y - 0.5 * height, x - width / 2 - 0.15 * side) < 0.04 * side
    photo[mask] *= 0.5
    offset = np.array([(width - side) / 2, (height - side) / 2])
    return photo.astype(np.uint8), mask, (LANDMARKS * side + offset).astype(np.float32)


def warm(model: Deidentifier, height: int, width: int, folder: Path, repeat: int) -> list[float]:
    """Seconds of each of `repeat` releases to files, after one that is not counted."""
    photo, mask, landmarks = face_like(height, width)
    seconds = []
    for number in range(repeat + 1):
        start = time.perf_counter()
        release = model(photo, mask, FACTS, landmarks=landmarks, seed=number)[0]
        release.save(folder / f"warm-{height}-{number}.png")
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def read(model: str) -> float:
    """Seconds until the weights of a file are in memory, checked and named by their hash."""
    start = time.perf_counter()
    networks, _, _ = weights.load_weights(weights.find_model(model))
    check_finite(networks, model)
    loading.identity(model)
    return time.perf_counter() - start


def cold(model: str, height: int, width: int, folder: Path) -> tuple[float, float]:
    """(seconds, peak memory in GB) of the command on one photo, the compile cache being warm."""
    photo, mask, landmarks = face_like(height, width)
    (folder / "photo.png").write_bytes(encode_png(photo))
    (folder / "mask.png").write_bytes(encode_png(mask))
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in landmarks)
    command = [
        sys.executable, "-m", "jaxderm.cli", "deidentify",
        "--photo", str(folder / "photo.png"), "--mask", str(folder / "mask.png"),
        "--site", "face", "--sex", "female", "--age", "40", "--skin_type", "III",
        "--landmarks", points, "--model", model, "--overwrite",
        "--output", str(folder / "cold.png"),
    ]  # fmt: skip
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *command], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, int(done.stdout.split()[-1]) / 2**20


def main() -> None:
    """Print one line a figure beside its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()

    def line(what: str, value: float, unit: str, target: float) -> None:
        word = "met" if value <= target else "MISSED"
        print(f"{what:46s}{value:8.2f} {unit:2s}  target {target:g} {unit}: {word}")

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} cores, load {load:.1f} before the run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not artefact.is_artefact(weights.find_model(given.model)):
            line("weights read and checked", read(given.model), "s", 0.5)
        start = time.perf_counter()
        model = Deidentifier.load(given.model)
        print(f"{'load and compile':46s}{time.perf_counter() - start:8.2f} s")
        for height, width, target in ((768, 768, 0.35), (3000, 4000, 4.0)):
            seconds = warm(model, height, width, folder, given.repeat)
            line(f"warm {width}x{height}, median", float(np.median(seconds)), "s", target)
        cold(given.model, 768, 768, folder)  # fills the compile cache
        seconds, _ = cold(given.model, 768, 768, folder)
        line("cold command 768x768", seconds, "s", 6.0)
        seconds, memory = cold(given.model, 3000, 4000, folder)
        print(f"{'cold command 4000x3000':46s}{seconds:8.2f} s")
        line("peak memory of it", memory, "GB", 1.5)


if __name__ == "__main__":
    main()
