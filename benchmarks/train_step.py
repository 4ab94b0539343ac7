"""How fast is a training step, and of what? Images/s, model FLOP/s, share of the measured peak, input stall.

    python benchmarks/train_step.py --config configs/people_128.py:gan [--batch 64] [--dtype bfloat16]
        [--data_dir data] [--workers 4] [--steps 24] [--convolutions] [--peer_dir DIR] [--minutes 10]

Everything is measured in one run on the devices that are there. --data_dir adds the input pipeline: the stall
is the share of time that a step waits beyond what it takes with its batch at hand. --convolutions times
each distinct convolution of the step alone (CPU: the claim is at least 60 % of their rate). --peer_dir runs
the public StyleGAN2 trainer (a checkout of NVlabs/stylegan3) on pictures of the same size for comparison,
where PyTorch and CUDA exist. On an accelerator the claims are: latent stage 10 times the peer's images/s and, at
batch 512 or more, 25 % of the bf16 matmul peak; input stall under 2 %.
"""

import argparse
import importlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

sys.path.insert(0, os.getcwd())

from jaxderm.train import flops, loop, plan, setup, sharding  # noqa: E402
from jaxderm.train.state import ADVERSARIAL  # noqa: E402
from jaxderm.train.step import is_penalized, make_step  # noqa: E402

# Of that network with channel base 16384, counted on a re-creation of the same size; GFLOP an image.
PEER_GFLOP = {64: 27, 128: 42, 256: 60}


def seconds(call, repeats: int = 5) -> float:
    """Shortest of some calls, after one to warm up."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return min(times)


def matmul_peak(dtype: str) -> float:
    """FLOP/s of a large square matrix product on one device."""
    n = 1024 if jax.default_backend() == "cpu" else 8192
    a = jnp.ones((n, n), dtype)
    product = jax.jit(lambda x: x @ x)
    return 2 * n**3 / seconds(lambda: product(a), 10)


def batch_of(spec, count: int) -> dict[str, np.ndarray]:
    """Random pictures, for a step that needs no data set."""
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (count, spec.size, spec.size, 3)).astype(np.uint8),
        "mask": (rng.random((count, spec.size, spec.size)) < 0.1).astype(np.float32),
        "landmarks": rng.random((count, 5, 2)).astype(np.float32),
        "condition": rng.random((count, spec.condition_size)).astype(np.float32),
    }
    if spec.exemplars:
        batch["exemplar"] = batch["image"]
    return batch


def timed_steps(config, step, state, next_batch, steps: int) -> tuple[object, float]:
    """(state, seconds a step) over whole penalty cycles, the queue of the device kept full."""
    for number in range(config.gan.penalty_every):  # compile, warm up
        state, metrics = step(state, next_batch(), is_penalized(config, number))
    jax.block_until_ready(metrics)
    start = time.perf_counter()
    for number in range(steps):
        state, metrics = step(state, next_batch(), is_penalized(config, number))
    jax.block_until_ready(metrics)
    return state, (time.perf_counter() - start) / steps


def model_flops(config, spec, mesh) -> float:
    """FLOPs of a mean step of the whole batch: convolutions and products of what is written."""
    abstract, _ = setup.state_layout(config, spec, mesh)
    batch = plan.abstract_batch(config, spec, mesh)
    step = make_step(config, spec)
    every = config.gan.penalty_every if config.stage in ADVERSARIAL else 1
    plain = flops.count(lambda s, b: step(s, b, False), abstract, batch)
    full = flops.count(lambda s, b: step(s, b, True), abstract, batch) if every > 1 else plain
    return (full + (every - 1) * plain) / every


def convolution_seconds(config, spec, mesh) -> tuple[float, float]:
    """(seconds, FLOPs) of the plain step's convolutions, each distinct one timed alone."""
    abstract, _ = setup.state_layout(config, spec, mesh)
    batch = plan.abstract_batch(config, spec, mesh)
    step = make_step(config, spec)
    jaxpr = jax.make_jaxpr(lambda s, b: step(s, b, False))(abstract, batch).jaxpr
    total, work = 0.0, 0.0
    for equation, times in flops.distinct(jaxpr, "conv_general_dilated"):
        a, b = (jnp.ones(v.aval.shape, v.aval.dtype) for v in equation.invars)
        run = jax.jit(lambda x, y, e=equation: e.primitive.bind(x, y, **e.params))
        total += times * seconds(lambda r=run, x=a, y=b: r(x, y), 3)
        work += times * flops.of_equation(equation)
    return total, work


def peer(folder: str, size: int, batch: int, minutes: float) -> float | None:
    """Images/s of the public trainer on random pictures of the size; None where it cannot run."""
    try:
        import torch

        there = torch.cuda.is_available()
    except ModuleNotFoundError:
        there = False
    if not there or not (Path(folder) / "train.py").is_file():
        print("peer: not measured (needs PyTorch with CUDA and train.py in --peer_dir)")
        return None
    with tempfile.TemporaryDirectory() as work:
        archive = Path(work) / "pictures.zip"
        rng = np.random.default_rng(0)
        with zipfile.ZipFile(archive, "w") as file:
            for number in range(256):
                stream = io.BytesIO()
                pixels = rng.integers(0, 256, (size, size, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(stream, "PNG")
                file.writestr(f"{number:04d}.png", stream.getvalue())
        command = [
            sys.executable, "train.py", f"--outdir={work}", "--cfg=stylegan2", f"--data={archive}",
            "--gpus=1", f"--batch={batch}", "--gamma=1", "--cbase=16384", "--aug=noaug", "--mirror=0",
            "--metrics=none", "--tick=1", "--snap=1000000", "--kimg=1000000",
        ]  # fmt: skip
        log = Path(work) / "log"
        with open(log, "w") as file:
            running = subprocess.Popen(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT)
            try:
                running.wait(timeout=60 * minutes)
            except subprocess.TimeoutExpired:
                running.terminate()
                running.wait()
        found = re.findall(r"sec/kimg\s+([\d.]+)", log.read_text())
        if len(found) < 2:
            print(f"peer: not measured (it ended with: {log.read_text()[-300:]!r})")
            return None
        return 1000 / float(np.median([float(v) for v in found[1:]]))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/people_128.py:gan")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"])
    parser.add_argument("--reduction", type=int, choices=[1, 8], help="1: pixel space (ablation)")
    parser.add_argument("--data_dir")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--convolutions", action="store_true")
    parser.add_argument("--peer_dir")
    parser.add_argument("--minutes", type=float, default=3.0, help="of the peer's run")
    given = parser.parse_args()

    path, _, argument = given.config.partition(":")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    config = module.get_config(argument) if argument else module.get_config()
    config.batch = given.batch or config.batch
    config.model.dtype = given.dtype or config.model.dtype
    if given.reduction:
        config.model.reduction = given.reduction
        config.model.channels = 3 if given.reduction == 1 else 0
    mesh = sharding.make_mesh(config.mesh.fsdp)
    setup.check(config, mesh.size)
    spec = setup.spec_of(config)
    _, shardings = setup.state_layout(config, spec, mesh)
    state = setup.fresh_state(config, spec, mesh, shardings)
    step = loop.compiled_step(config, spec, mesh, shardings)
    device = jax.devices()[0]
    print(
        f"{mesh.size} x {device.device_kind}, jax {jax.__version__}; {config.stage} {spec.size} px, "
        f"reduction {spec.reduction}, batch {config.batch}, {spec.dtype}"
    )

    every = config.gan.penalty_every
    steps = max(given.steps // every, 1) * every
    resident = sharding.put_batch(batch_of(spec, config.batch), mesh)
    state, alone = timed_steps(config, step, state, lambda: resident, steps)
    work = model_flops(config, spec, mesh)
    peak = matmul_peak("float32" if jax.default_backend() == "cpu" else "bfloat16")
    rate = work / alone / mesh.size
    print(f"images/s: {config.batch / alone:.1f} ({1e3 * alone:.1f} ms a step, batch at hand)")
    print(
        f"model FLOP: {work / config.batch / 1e9:.2f} G an image, {rate / 1e9:.1f} GFLOP/s a device"
    )
    print(
        f"share of the matmul peak ({peak / 1e9:.0f} GFLOP/s measured): {100 * rate / peak:.1f} %"
    )

    if given.convolutions:
        # The convolutions of the plain step against a plain step: alternate, since the machine drifts.
        calls = []
        for _ in range(3):
            start = time.perf_counter()
            state, metrics = step(state, resident, False)
            jax.block_until_ready(metrics)
            calls.append(time.perf_counter() - start)
        total, conv_work = convolution_seconds(config, spec, mesh)
        print(
            f"convolutions alone: {1e3 * total:.1f} ms, {conv_work / total / 1e9:.1f} GFLOP/s; the plain "
            f"step of {1e3 * min(calls):.1f} ms runs at {100 * total / min(calls):.0f} % of their rate"
        )
    if given.data_dir:
        config.data.data_dir, config.data.workers = given.data_dir, given.workers
        loader = setup.make_loader(config, spec, "train", config.batch, 0)
        state, with_input = timed_steps(
            config, step, state, lambda: sharding.put_batch(next(loader), mesh), steps
        )
        stall = max(1 - alone / with_input, 0.0)
        print(f"input stall: {100 * stall:.1f} % of the time (workers {given.workers})")
    else:
        print("input stall: not measured (give --data_dir)")
    if given.peer_dir:
        other = peer(given.peer_dir, spec.size, config.batch, given.minutes)
        if other:
            print(
                f"peer: {other:.1f} images/s at about {PEER_GFLOP.get(spec.size, float('nan'))} GFLOP an "
                f"image; ours {config.batch / alone / other:.1f} times at {work / config.batch / 1e9:.1f}"
            )
    print(
        "Frechet distance after equal minutes: not measured here (benchmarks of jaxderm/evaluate)"
    )


if __name__ == "__main__":
    main()
