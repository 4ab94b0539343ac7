"""Speed of compiled inference on this machine, in ratios that one run measures.

    python benchmarks/inference.py [--model default] [--dtype bfloat16] [--photos 40] [--quick]
    python benchmarks/inference.py --peer_dir stylegan3 --peer_python venv/bin/python

Images/s of generator and decoder by size and microbatch, their share of the measured peak of a matrix product, the
whole pipeline on photographs, the share of its time in which the generator does not run, peak memory, the time from
process start to the first release. --peer_dir is a checkout of github.com/NVlabs/stylegan3, whose StyleGAN2 generator
then runs in PyTorch (by --peer_python, which has torch, requests and setuptools<80) on the same device; without it
the ratio is taken against its times on another, quiet two-core machine. Sizes other than the model's run with random weights.

Targets. Two CPU cores: generator and decoder at least 8 times the peer; 768x768 at least 3 photos/s, at most 30 % of
the time outside the generator; 12 megapixels at least 0.4 photos/s; memory under 2 GB. One H200-class GPU: 10,000 frames/s at
128 px in bfloat16 and 10 times the peer: not measured, no GPU has run this program yet.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import batch
import jax
import jax.numpy as jnp
import numpy as np
import release

from jaxderm.compilation import use_compilation_cache
from jaxderm.models.spec import COMPACT, PRESETS, ModelSpec
from jaxderm.photo import read_mask, read_photo
from jaxderm.release import engine as engines
from jaxderm.release import loading
from jaxderm.release.engine import Engine
from jaxderm.release.pool import Pool, thread_count
from jaxderm.release.synthesize import Deidentifier
from jaxderm.storage import LocalFolder
from jaxderm.train import flops

# (seconds, GFLOP) an image of NVlabs StyleGAN2 (PyTorch 2.13, float32) on two quiet CPU cores, 2026-11-23.
RECORDED = {64: (0.20, "15.3"), 128: (0.29, "22.7"), 256: (0.38, "30.1")}
PEER = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from torch.utils.flop_counter import FlopCounterMode
from training.networks_stylegan2 import Generator
device = torch.device("cuda" if sys.argv[2] == "gpu" else "cpu")
half = sys.argv[3] == "bfloat16" and device.type == "cuda"  # its own half precision is float16
found = {}
for size in json.loads(sys.argv[4]):
    torch.manual_seed(0)
    model = Generator(z_dim=512, c_dim=0, w_dim=512, img_resolution=size, img_channels=3, channel_base=16384,
                      channel_max=512, num_fp16_res=4 if half else 0).eval().requires_grad_(False).to(device)
    best, counted = None, None
    for count in json.loads(sys.argv[5]):
        z = torch.randn(count, 512, device=device)
        def run():
            model(z, None, noise_mode="const", force_fp32=not half)
            torch.cuda.synchronize() if device.type == "cuda" else None
        run()
        if counted is None:
            with FlopCounterMode(display=False) as counter:
                run()
            counted = counter.get_total_flops() / count
        times = []
        for _ in range(5):
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) / count)
        best = min(sorted(times)[2], best or 1e9)
    found[size] = {"seconds": best, "flops": counted, "parameters": sum(p.numel() for p in model.parameters())}
print(json.dumps(found))
"""


def line(what: str, value: str, target: str = "", met: bool | None = None) -> None:
    """One figure beside its target."""
    word = "" if met is None else "met" if met else "MISSED"
    print(f"{what:58s}{value:>26s}  {target:28s}{word}", flush=True)


def median_seconds(call, repeat: int = 5) -> float:
    """Median seconds of a call, after one that is not counted."""
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def matmul_peak(dtype: str) -> float:
    """FLOP/s of the best of three square matrix products: what this device really gives."""
    best = 0.0
    for side in (1024, 2048) if jax.default_backend() == "cpu" else (4096, 8192, 16384):
        a = jnp.ones((side, side), dtype)
        product = jax.jit(lambda x: x @ x)
        best = max(
            best, 2 * side**3 / median_seconds(lambda p=product, x=a: p(x).block_until_ready())
        )
    return best


def random_networks(spec: ModelSpec) -> dict:
    """Networks of a size with small random weights: speed does not depend on them."""
    from jaxderm.train.state import init_networks

    shapes, rng = jax.eval_shape(lambda: init_networks(spec, 0)), np.random.default_rng(0)
    networks = {
        name: jax.tree.map(
            lambda leaf: rng.normal(0, 0.02, leaf.shape).astype(np.float32), shapes[name]
        )
        for name in ("autoencoder", "generator")
    }
    ones = np.ones(spec.channels, np.float32)
    return {**networks, "latent": {"mean": 0 * ones, "std": ones}}


def generator(
    networks: dict, spec: ModelSpec, counts: list[int], peak: float
) -> tuple[dict[int, float], float]:
    """({microbatch: seconds an image}, FLOPs an image), with a line for each microbatch."""
    one = engines.input_shapes(spec, 1)
    work = flops.count(lambda n, x: engines.frames(spec, n, x), engines.needed(networks), one)
    found = {}
    for count in counts:
        engines.MICROBATCH[jax.default_backend()] = count
        engine = Engine(networks, spec, devices=jax.local_devices()[:1])
        rng = np.random.default_rng(0)
        images = count if count > 1 else engines.IN_FLIGHT
        inputs = {
            name: rng.normal(size=(images, *like.shape[1:])).astype(np.float32)
            for name, like in engine.shapes.items()
        }
        seconds = median_seconds(lambda e=engine, x=inputs: e(x), 9) / images
        found[count] = seconds
        share = f"{100 * work / seconds / peak:.0f} % of matmul peak"
        line(
            f"{spec.size} px, latent 1/{spec.reduction}, {spec.dtype}, microbatch {count}",
            f"{1 / seconds:.1f} images/s",
            share,
        )
    return found, work


def peer(given: argparse.Namespace, sizes: list[int], counts: list[int]) -> dict[int, dict] | None:
    """What the PyTorch generator does here, None without a checkout; exits when it does not run."""
    if not given.peer_dir:
        return None
    done = subprocess.run(
        [given.peer_python, "-c", PEER, given.peer_dir, jax.default_backend(), given.dtype or "float32",
         json.dumps(sizes), json.dumps(counts)], capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(
            f"the peer in '{given.peer_dir}' does not run: {done.stderr.strip().splitlines()[-1]}"
        )
    return {
        int(size): figures for size, figures in json.loads(done.stdout.splitlines()[-1]).items()
    }


class Busy:
    """Wraps an engine's `generate` and adds up the time in which at least one call is under way."""

    def __init__(self, engine: Engine) -> None:
        self.seconds, self._count, self._since = 0.0, 0, 0.0
        self._lock, self._generate = threading.Lock(), engine.generate
        engine.generate = self

    def __call__(self, inputs):
        """Generate, with the clock on."""
        with self._lock:
            self._since = time.perf_counter() if self._count == 0 else self._since
            self._count += 1
        try:
            return self._generate(inputs)
        finally:
            with self._lock:
                self._count -= 1
                self.seconds += time.perf_counter() - self._since if self._count == 0 else 0


def pipeline(
    model: Deidentifier, height: int, width: int, photos: int, folder: Path
) -> tuple[float, float]:
    """(photos/s, share of the time in which the generator does not run): files in, files out."""
    photo, mask, landmarks = release.face_like(height, width)
    (folder / "p.jpg").write_bytes(batch.jpeg(photo))
    (folder / "m.png").write_bytes(batch.encode_png(mask))
    output = LocalFolder(folder / "out", "share")
    output.create()

    def work(number: int) -> None:
        pixels = read_photo(folder / "p.jpg")
        kept = read_mask(folder / "m.png", (height, width))
        (result,) = model(pixels, kept, release.FACTS, landmarks=landmarks, seed=number)
        result.save_to(output, f"{number}.png")

    pool = Pool(work, lambda _: height * width)
    list(pool.run(range(thread_count())))  # not counted
    busy = Busy(model.engine)
    start = time.perf_counter()
    failed = [outcome for _, outcome in pool.run(range(photos)) if isinstance(outcome, Exception)]
    seconds = time.perf_counter() - start
    model.engine.generate = busy._generate
    output.close()
    if failed:
        raise failed[0]
    return photos / seconds, 1 - busy.seconds / seconds


def first_release(model: str, folder: Path) -> float:
    """Seconds from the start of the process to the first finished release, the compile cache warm."""
    batch.write_corpus(folder, 3, 768)
    for _ in range(2):  # the first fills the cache
        output = folder / f"out-{time.monotonic_ns()}"
        start = time.perf_counter()
        process = subprocess.Popen(batch.command(folder, output, model), stdout=subprocess.DEVNULL)
        while process.poll() is None and not list(output.glob("*.json")):
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        process.wait()
    return seconds


def main() -> None:
    """Print one line a figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default")
    parser.add_argument("--dtype", choices=engines.DTYPES)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--microbatches")
    parser.add_argument("--peer_dir")
    parser.add_argument("--peer_python", default=sys.executable)
    parser.add_argument("--quick", action="store_true", help="only the model's own size")
    given = parser.parse_args()
    cpu = jax.default_backend() == "cpu"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    device = "CPU" if cpu else f"{len(jax.local_devices())} x {jax.devices()[0].device_kind}"
    print(
        f"{device}, {os.cpu_count()} cores, load {load:.1f} before the run, jax {jax.__version__}"
    )
    use_compilation_cache()
    canonical = engines.MICROBATCH.get(jax.default_backend(), engines.DEFAULT_MICROBATCH)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = Deidentifier.load(given.model, given.dtype)
        for height, width, photos, least in ((768, 768, given.photos, 3.0), (3000, 4000, 8, 0.4)):
            speed, outside = pipeline(model, height, width, photos, folder)
            target = (f"target {least:g}", speed >= least) if cpu else ("", None)
            line(f"whole pipeline {width}x{height}", f"{speed:.2f} photos/s", *target)
            if height == 768:
                target = ("target 30 %", outside <= 0.3) if cpu else ("", None)
                line("  share of its time without the generator", f"{100 * outside:.0f} %", *target)
        first = folder / "first"
        first.mkdir()
        line(
            "process start to first release, 768x768", f"{first_release(given.model, first):.1f} s"
        )
        many = folder / "many"
        many.mkdir()
        batch.write_corpus(many, given.photos, 768)
        _, seconds, peak, _ = batch.finish(many, many / "out", given.model)
        line(
            f"command, {given.photos} photos of 768x768, with start",
            f"{given.photos / seconds:.2f} photos/s",
        )
        line("  peak memory of it", f"{peak:.2f} GB", "target 2 GB", peak < 2)
    spec = loading.read_spec(given.model)
    spec = dataclasses.replace(spec, dtype=given.dtype or spec.dtype)
    peak = matmul_peak(spec.dtype)
    line(f"matmul peak, {spec.dtype}", f"{peak / 1e9:.0f} GFLOP/s")
    counts = [1, 4, 16] if cpu else [1, 16, 64, 256]
    if given.microbatches:
        counts = [int(word) for word in given.microbatches.split(",")]
    others = [] if given.quick else [*PRESETS.values(), *COMPACT.values()]
    others = [dataclasses.replace(s, dtype=spec.dtype) for s in others if s.size != spec.size]
    own_sizes = sorted([spec, *others], key=lambda s: (s.size, s.reduction))
    theirs = peer(given, sorted({s.size for s in own_sizes}), [1, 8] if cpu else [1, 64, 256])
    for own in own_sizes:
        size = own.size
        ours, work = generator(random_networks(own), own, counts, peak)
        if theirs is not None:
            reference, words = theirs[size]["seconds"], f"{theirs[size]['flops'] / 1e9:.1f}"
            line(f"{size} px: the peer, measured now", f"{1 / reference:.2f} images/s")
        elif cpu and size in RECORDED:
            reference, words = RECORDED[size]
            line(
                f"{size} px: the peer, recorded on another quiet run",
                f"{1 / reference:.2f} images/s",
            )
        else:
            line(f"{size} px: the peer", "not measured", "give --peer_dir")
            continue
        least = 8 if cpu else 10
        # What releases use, and the fastest.
        for count in sorted({canonical, min(ours, key=ours.get)} & set(ours)):
            ratio = reference / ours[count]
            target = f"target {least}", ratio >= least
            line(f"{size} px: microbatch {count} against the peer", f"{ratio:.1f} times", *target)
        print(f"      GFLOP an image: ours {work / 1e9:.1f}, the peer's {words}")
    engines.MICROBATCH[jax.default_backend()] = canonical
    if cpu:
        line("GPU: frames/s at 128 px in bfloat16", "not measured", "target 10,000")
        line("GPU: against the peer", "not measured", "target 10 times")


if __name__ == "__main__":
    main()
