"""How a run begins: sizes of a config, its loaders, and a state that is born where it will live."""

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxderm.data import pipeline
from jaxderm.errors import InputError
from jaxderm.models.spec import COMPACT, PRESETS, ModelSpec
from jaxderm.train import distributed, on_device, sharding
from jaxderm.train.state import STAGES, TrainState, create, init_networks
from jaxderm.train.warm_start import sources_of, warm_start

PENALTIES = ("double_backward", "finite_difference")


def spec_of(config) -> ModelSpec:
    """Model sizes of a config: a preset with overrides (0 = preset)."""
    if config.model.size not in PRESETS:
        raise InputError(f"config.model.size {config.model.size} is unknown; use 64, 128 or 256.")
    changes: dict[str, Any] = {"reduction": config.model.reduction, "dtype": config.model.dtype}
    sizes = ("channels", "base", "z_size", "code_size")
    changes |= {name: config.model[name] for name in sizes if config.model[name]}
    if config.model.exemplars:
        changes |= {"exemplars": True, "reduction": 1, "channels": 3}
        if config.model.base:
            changes["refiner_width"] = config.model.base
    preset = COMPACT.get((config.model.size, config.model.reduction), PRESETS[config.model.size])
    values = {**preset.as_dict(), **changes}
    try:
        return ModelSpec(**values)
    except ValueError as error:
        raise InputError(f"config.model: {error}.") from None


def check(config, devices: int) -> None:
    """InputError for a stage, a type or a batch that cannot run on so many devices."""
    if config.stage not in STAGES:
        raise InputError(
            f"config.stage '{config.stage}' is unknown; use one of: {', '.join(STAGES)}."
        )
    if config.gan.penalty not in PENALTIES:
        raise InputError(
            f"config.gan.penalty '{config.gan.penalty}' is unknown; use one of: {', '.join(PENALTIES)}."
        )
    if config.model.reduction not in (1, 8, 16):
        raise InputError(
            f"config.model.reduction {config.model.reduction} is unknown; use 8 or 16 (latent) or 1 "
            "(pixels)."
        )
    if (config.stage == "refine") != bool(config.model.exemplars and config.data.bank):
        raise InputError(
            "stage refine goes with config.model.exemplars and a bank in config.data.bank, and no other stage "
            "does; python -m jaxderm.data.bank makes one."
        )
    if config.stage in ("autoencoder", "decoder") and config.model.reduction == 1:
        raise InputError("config.model.reduction 1 has no autoencoder; use stage vae or gan.")
    if config.model.dtype not in ("float32", "bfloat16"):
        raise InputError(
            f"config.model.dtype '{config.model.dtype}' is unknown; use float32 or bfloat16."
        )
    if config.batch % devices:
        raise InputError(f"config.batch {config.batch} is not a multiple of {devices} devices.")


def total_steps(config) -> int:
    """Steps of a stage."""
    return math.ceil(1000 * config.total_kimg / config.batch)


def make_loader(
    config, spec: ModelSpec, split: str, batch: int, seed: int, shared: bool = True
) -> pipeline.Batches:
    """Batches of the config's corpora: this process's rows, or (shared=False) the same in every process."""
    return pipeline.make_loader(
        config.data.data_dir,
        dict(config.data.corpora),
        split,
        batch_size=batch,
        size=spec.size,
        seed=seed,
        face_share=config.data.face_share,
        female_share=config.data.female_share,
        young_share=config.data.young_share,
        variant_share=config.data.variant_share if split == "train" else 0.0,
        bank=config.data.bank,
        younger_share=config.data.younger_share if split == "train" else 0.0,
        workers=config.data.workers if shared else 0,
        process_index=jax.process_index() if shared else 0,
        process_count=jax.process_count() if shared else 1,
    )


def held_out_batch(config, spec: ModelSpec) -> dict[str, np.ndarray]:
    """A fixed batch of the validation split, the same at every evaluation."""
    count = 32 if spec.size > 64 else 8
    return next(make_loader(config, spec, "validation", count, 12345, shared=False))


def probe_batch(config, spec: ModelSpec, count: int) -> dict[str, np.ndarray]:
    """A fixed training batch: what D says of pictures it has seen."""
    return next(make_loader(config, spec, "train", count, 54321, shared=False))


def make_pool(config, spec: ModelSpec, mesh, number: int) -> on_device.Renewed | None:
    """Examples on the devices from step `number` on, when `config.data.on_device_mb` says so and they fit; else None."""
    data, budget = config.data, config.data.on_device_mb * 2**20
    if not budget:
        return None
    loader = make_loader(config, spec, "train", config.batch, config.seed)
    size = on_device.example_bytes(next(loader))
    records = pipeline.count_records(data.data_dir, dict(data.corpora), "train")
    batches = on_device.batches_that_fit(
        size, records, data.on_device_passes, config.batch, mesh.size, budget
    )
    if distributed.is_first():
        need = records * data.on_device_passes * size / mesh.size / 2**20
        where = f"{batches} batches live on the devices" if batches else "streamed instead"
        print(f"data: {records} pictures need {need:.0f} MB a device: {where}", flush=True)
    if not batches:
        return None
    return on_device.Renewed(loader, batches, data.on_device_renewal, mesh, number)


def state_layout(config, spec: ModelSpec, mesh) -> tuple[TrainState, TrainState]:
    """(ShapeDtypeStructs with shardings, shardings) of a stage's state; nothing is computed."""
    shapes = jax.eval_shape(
        lambda: create(config, spec, init_networks(spec, config.seed, config.stage))
    )
    shardings = sharding.state_shardings(shapes, mesh)
    return sharding.abstract(shapes, shardings), shardings


def _once(function, shardings: Any, mesh) -> Any:
    """A jitted function that runs once. On a CPU, LLVM would take a minute over what runs for a second."""
    cpu = mesh.devices.flat[0].platform == "cpu"
    options = {"xla_backend_optimization_level": 0} if cpu else None
    return jax.jit(function, out_shardings=shardings, compiler_options=options)


def fresh_state(config, spec: ModelSpec, mesh, shardings: TrainState) -> TrainState:
    """State of a run from nothing: initialised by every device for its own part."""
    return _once(
        lambda: create(config, spec, init_networks(spec, config.seed, config.stage)),
        shardings,
        mesh,
    )()


def start_state(config, spec: ModelSpec, folder: Path, mesh, shardings: TrainState) -> TrainState:
    """State at step 0: warm where there is something to start from (the lines say what), else fresh."""
    if not sources_of(folder, config.stage, config.init_from):
        if config.stage != "autoencoder" and spec.reduction > 1:
            raise InputError(
                f"stage {config.stage} needs a trained autoencoder: run --config.stage=autoencoder in "
                "this workdir first, or give --config.init_from."
            )
        return fresh_state(config, spec, mesh, shardings)
    fresh = _once(
        lambda: init_networks(spec, config.seed, config.stage), sharding.replicated(mesh), mesh
    )()
    networks = jax.tree.map(lambda v: np.asarray(v.addressable_data(0)), fresh)
    networks, lines = warm_start(
        folder,
        config.stage,
        config.init_from,
        networks,
        names=dict(config.init_names),
        partial=config.init_partial,
    )
    if distributed.is_first():
        print("\n".join(lines), flush=True)
        (folder / config.stage / "warm_start.txt").write_text("\n".join(lines) + "\n")
    latent = config.stage != "autoencoder" and spec.reduction > 1
    if latent and np.all(np.asarray(networks["latent"]["std"]) == 1):
        networks["latent"] = _latent_statistics(config, spec, networks)
    placed = sharding.put(networks, sharding.state_shardings(networks, mesh))
    return _once(lambda n: create(config, spec, n), shardings, mesh)(placed)


def _latent_statistics(config, spec: ModelSpec, networks) -> dict[str, np.ndarray]:
    """Mean and standard deviation a channel over 32 training batches of 32."""
    model = spec.autoencoder()
    apply = jax.jit(lambda p, x: model.apply({"params": p}, x, method="encode"))
    loader = make_loader(config, spec, "train", 32, config.seed + 1, shared=False)
    latents = []
    for _ in range(32 if spec.size > 64 else 2):
        image = jnp.asarray(next(loader)["image"], jnp.float32) / 127.5 - 1
        latents.append(np.asarray(apply(networks["autoencoder"], image)))
    stacked = np.concatenate(latents).reshape(-1, spec.channels)
    return {"mean": stacked.mean(0), "std": stacked.std(0) + np.float32(1e-4)}
