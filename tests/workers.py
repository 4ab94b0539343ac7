"""Processes that train, for the tests of several devices, several processes and kills.

Each runs in a process of its own, since the number of devices is fixed when JAX starts:
`python tests/workers.py loop|gradients|program ARGUMENTS.json` (see `main`). Also: how tests start them.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(tempfile.gettempdir()) / f"jaxderm-test-programs-{os.getuid()}"


def start(
    mode: str, devices: int, process: int = 0, processes: int = 1, port: int = 0, **arguments
):
    """Popen of one worker with `devices` CPU devices."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        # Level 0 is for LLVM only, to compile in seconds: the partitioner's work stays the same.
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} "
        "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(CACHE),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    if processes > 1:
        environment |= {
            "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
            "JAX_NUM_PROCESSES": str(processes),
            "JAX_PROCESS_ID": str(process),
        }
    return subprocess.Popen(
        [sys.executable, __file__, mode, json.dumps(arguments)],
        env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def start_all(mode: str, devices: int, processes: int, **arguments) -> list[subprocess.Popen]:
    """Popen of every process of one training."""
    port = free_port()
    return [start(mode, devices, i, processes, port, **arguments) for i in range(processes)]


def finish(workers: list[subprocess.Popen], status: int | None = 0, timeout: float = 240) -> str:
    """Wait for all; their output; AssertionError with the output for another exit status."""
    texts = []
    try:
        for worker in workers:
            texts.append(worker.communicate(timeout=timeout)[0])
    finally:
        for worker in workers:
            worker.kill()
    for worker, text in zip(workers, texts):
        assert status is None or worker.returncode == status, (worker.returncode, text[-3000:])
    return "\n".join(texts)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def small_config(**changes):
    """The smallest model on the toy corpus; changes by dotted name."""
    from configs import default

    c = default.get_config()
    c.stage = "autoencoder"
    c.model.size, c.model.base = 64, 16
    c.batch = 8
    c.total_kimg = 0.048  # six steps
    c.log_kimg = c.evaluate_kimg = c.checkpoint_kimg = 0.016
    c.grid_kimg = 1.0
    c.data.corpora = {"toy": 1.0}
    c.autoencoder.feature_weight = 0.0
    for name, value in changes.items():
        with c.unlocked():
            c.update_from_flattened_dict({name: value})
    return c


def small_corpus(folder: Path, count: int = 24) -> Path:
    """A prepared corpus `toy` of coloured squares under `folder`; returns the data_dir."""
    import numpy as np
    from PIL import Image

    from jaxderm.data.photo_folder import split_of
    from jaxderm.data.prepare import prepare

    source = folder / "toy"
    source.mkdir(parents=True)
    rng = np.random.default_rng(0)
    people = {"train": [], "validation": [], "test": []}
    number = 0
    while len(people["train"]) < count or not people["validation"] or not people["test"]:
        people[split_of(f"p{number}")].append(f"p{number}")
        number += 1
    rows = ["file,sex,age,skin_type,site,person_id"]
    for person in people["train"][:count] + people["validation"][:2] + people["test"][:1]:
        pixels = np.kron(rng.integers(60, 230, (8, 8, 3)), np.ones((10, 10, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(source / f"{person}.png")
        rows.append(f"{person}.png,{'female' if len(rows) % 2 else 'male'},40,III,arm,{person}")
    (source / "labels.csv").write_text("\n".join(rows))
    prepare(str(source), str(folder / "data"), "toy")
    return folder / "data"


def synthetic_batch(spec, batch: int, seed: int = 0) -> dict:
    """A global batch on the host, the same in every process."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (batch, spec.size, spec.size, 3)).astype(np.uint8),
        "mask": (rng.random((batch, spec.size, spec.size)) < 0.1).astype(np.float32),
        "landmarks": rng.random((batch, 5, 2)).astype(np.float32),
        "condition": rng.random((batch, spec.condition_size)).astype(np.float32),
    }


def run_loop(
    workdir: str, data_dir: str, hang_at: int = -1, fsdp: int = 1, profile=None, **changes
) -> int:
    """Train as the command does; hang_at: stop for ever in the middle of that step's save."""
    from jaxderm.commands import train as command
    from jaxderm.train import distributed, loop

    if hang_at >= 0:
        _hang_in_save(hang_at)
    config = small_config(**{"data.data_dir": data_dir, "mesh.fsdp": fsdp, **changes})
    distributed.initialize(distributed.find_processes(os.environ))
    state = loop.train(config, workdir, progress=False, profile_steps=profile)
    _write_state(state, Path(workdir) / "final.npz")
    return 0 if loop.is_finished(config, state) else command.AGAIN


def _hang_in_save(step: int) -> None:
    """Everything of `step` is written, but the directory keeps its temporary name for ever."""
    import asyncio

    from orbax.checkpoint._src.path import atomicity

    original = atomicity.AtomicRenameTemporaryPath.finalize

    async def finalize(self, *args, **kwargs):
        if self.get_final().name == str(step):
            (self.get_final().parent.parent / "hanging").write_text("")
            await asyncio.sleep(3600)
        return await original(self, *args, **kwargs)

    atomicity.AtomicRenameTemporaryPath.finalize = finalize


def _write_state(state, path: Path) -> None:
    import jax
    import numpy as np

    from jaxderm.train import checkpoints

    leaves = jax.tree_util.tree_leaves_with_path(checkpoints.local(state))
    values = {jax.tree_util.keystr(where): np.asarray(leaf) for where, leaf in leaves}
    if jax.process_index() == 0:
        np.savez(path, **values)


def run_gradients(output: str, fsdp: int = 1, batch: int = 8, steps: int = 5) -> int:
    """First step's gradients in float32, then parameters after some steps in float64."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxderm.train import checkpoints, distributed, setup, sharding
    from jaxderm.train.step import make_gradients, make_step

    distributed.initialize(distributed.find_processes(os.environ))
    config = small_config(stage="gan", batch=batch, **{"augment.p_start": 0.5})
    mesh, spec = sharding.make_mesh(fsdp), smallest_spec()
    sharding.MIN_SHARDED_SIZE = 2**10  # so that fsdp has something to shard in so small a model
    _, shardings = setup.state_layout(config, spec, mesh)
    state = setup.fresh_state(config, spec, mesh, shardings)
    host = jax.tree.map(np.asarray, checkpoints.local(state))
    host = _moved(host).replace(augment_p=np.float32(0.5))
    rows = batch // jax.process_count()
    mine = slice(jax.process_index() * rows, (jax.process_index() + 1) * rows)
    data = {k: v[mine] for k, v in synthetic_batch(spec, batch).items()}
    whole = sharding.replicated(mesh)
    gradients = jax.jit(make_gradients(config, spec, mesh), static_argnums=2, out_shardings=whole)(
        sharding.put(host, shardings), sharding.put_batch(data, mesh), True
    )[0]
    found = {"gradient": jax.tree.map(np.asarray, checkpoints.local(gradients))}
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda v: v.astype(np.float64) if v.dtype == np.float32 else v, host)
        spec = dataclass_replace(spec, dtype="float64")
        state = sharding.put(wide, shardings)
        step = jax.jit(
            make_step(config, spec, mesh), static_argnums=2, out_shardings=(shardings, whole)
        )
        for number in range(steps):
            data = {k: v[mine] for k, v in synthetic_batch(spec, batch, number).items()}
            state, _ = step(state, sharding.put_batch(data, mesh), True)
        found["params"] = jax.tree.map(np.asarray, checkpoints.local(state.params))
        assert all(v.dtype == np.float64 for v in jax.tree.leaves(found["params"])), jnp.float64
    leaves = jax.tree_util.tree_leaves_with_path(found)
    if jax.process_index() == 0:
        np.savez(output, **{jax.tree_util.keystr(where): leaf for where, leaf in leaves})
    return 0


def smallest_spec(exemplars: bool = False):
    """The real networks at 32 px: every kind of layer, compiled in seconds."""
    from jaxderm.models.spec import ModelSpec

    if exemplars:
        return ModelSpec(
            size=32, reduction=1, channels=3, z_size=16, exemplars=True, refiner_width=8
        )
    return ModelSpec(size=32, encoder_width=8, decoder_width=16, base=16, z_size=16)


def dataclass_replace(spec, **changes):
    """`dataclasses.replace`."""
    import dataclasses

    return dataclasses.replace(spec, **changes)


def _moved(state):
    """Parameters away from their zeros, so that every gradient is there."""
    import jax
    import numpy as np

    rng = np.random.default_rng(3)
    move = lambda v: (v + 0.02 * rng.standard_normal(v.shape)).astype(v.dtype)  # noqa: E731
    params = jax.tree.map(move, state.params)
    return state.replace(params=params, ema_params=jax.tree.map(np.copy, params))


def run_program(output: str, fsdp: int = 1, batch: int = 16, stage: str = "gan") -> int:
    """The compiled text of a stage's step and the shapes of its state."""
    import jax

    from jaxderm.train import loop, plan, setup, sharding

    sharding.MIN_SHARDED_SIZE = 2**10
    config = small_config(stage=stage, batch=batch)
    mesh, spec = sharding.make_mesh(fsdp), smallest_spec(exemplars=stage == "refine")
    abstract, shardings = setup.state_layout(config, spec, mesh)
    step = loop.compiled_step(config, spec, mesh, shardings)
    compiled = step.lower(abstract, plan.abstract_batch(config, spec, mesh), True).compile()
    Path(output).write_text(compiled.as_text())
    shapes = [list(leaf.shape) for leaf in jax.tree.leaves(abstract)]
    Path(f"{output}.shapes").write_text(json.dumps(shapes))
    return 0


def main() -> None:
    """Run one mode with keyword arguments in JSON."""
    modes = {"loop": run_loop, "gradients": run_gradients, "program": run_program}
    sys.exit(modes[sys.argv[1]](**json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
