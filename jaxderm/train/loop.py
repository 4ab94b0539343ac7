"""The training loop: restore, step, log, evaluate, checkpoint; a stop at any image resumes bit-equal."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter
from tqdm import tqdm

from jaxderm.data import pipeline
from jaxderm.errors import InputError
from jaxderm.models.layers import evidence, space_to_depth
from jaxderm.models.spec import PRESETS, ModelSpec
from jaxderm.train import augment, checkpoints, grids, losses, sharding
from jaxderm.train.state import STAGES, TrainState, create, init_networks, release_networks
from jaxderm.train.step import decode, encode, is_penalized, make_step


class TrainingStopped(RuntimeError):
    """A guard stopped the run: a non-finite loss or a discriminator that ran away."""


def spec_of(config) -> ModelSpec:
    """Model sizes of a config: a preset with overrides (0 = preset)."""
    if config.model.size not in PRESETS:
        raise InputError(f"config.model.size {config.model.size} is unknown; use 64, 128 or 256.")
    changes: dict[str, Any] = {"reduction": config.model.reduction, "dtype": config.model.dtype}
    changes |= {name: config.model[name] for name in ("channels", "base") if config.model[name]}
    values = {**PRESETS[config.model.size].as_dict(), **changes}
    try:
        return ModelSpec(**values)
    except ValueError as error:
        raise InputError(f"config.model: {error}.") from None


def train(config, workdir: str, progress: bool = True) -> TrainState:
    """Run `config.stage` in `workdir` up to `config.total_kimg` and return the final state.

    SIGTERM and SIGINT save a checkpoint and return; the same call resumes. Raises TrainingStopped when
    a guard fires and InputError for a config that cannot run.
    """
    if config.stage not in STAGES:
        raise InputError(
            f"config.stage '{config.stage}' is unknown; use one of: {', '.join(STAGES)}."
        )
    spec, folder = spec_of(config), Path(workdir)
    mesh = sharding.make_mesh(config.mesh.fsdp)
    if config.batch % mesh.size:
        raise InputError(f"config.batch {config.batch} is not a multiple of {mesh.size} devices.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / config.stage).mkdir(exist_ok=True)
    (folder / config.stage / "config.json").write_text(config.to_json_best_effort(indent=1))
    loader = iter(_loader(config, spec, "train", config.batch, config.seed))
    held_out = _held_out(config, spec)

    manager = checkpoints.Checkpoints(folder, config.stage)
    shapes = jax.eval_shape(lambda: create(config, spec, init_networks(spec, config.seed)))
    shardings = sharding.state_shardings(shapes, mesh)
    abstract = jax.tree.map(
        lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), shapes, shardings
    )
    state = manager.restore(abstract, loader)
    if state is None:
        state = _start(config, spec, folder, shardings, held_out)
    batch_like = sharding.batch_sharding(mesh)
    step = jax.jit(
        make_step(config, spec),
        in_shardings=(shardings, batch_like),
        out_shardings=(shardings, None),
        static_argnums=2,
        donate_argnums=0,
    )
    runner = _Runner(config, spec, folder, mesh, held_out, manager)
    try:
        return runner.run(state, step, loader, progress)
    finally:
        manager.close()
        runner.writer.close()


def _loader(config, spec: ModelSpec, split: str, batch: int, seed: int):
    return pipeline.make_loader(
        config.data.data_dir,
        dict(config.data.corpora),
        split,
        batch_size=batch,
        size=spec.size,
        seed=seed,
        face_share=config.data.face_share,
        workers=config.data.workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


def _held_out(config, spec: ModelSpec) -> dict[str, np.ndarray]:
    """A fixed batch of the validation split, the same at every evaluation."""
    return next(iter(_loader(config, spec, "validation", 32 if spec.size > 64 else 8, 12345)))


def _start(config, spec: ModelSpec, folder: Path, shardings, held_out) -> TrainState:
    networks = init_networks(spec, config.seed)
    networks, lines = checkpoints.warm_start(folder, config.stage, config.init_from, networks)
    for line in lines:
        print(line, flush=True)
    if config.stage == "autoencoder":
        pass
    elif not lines and spec.reduction > 1:
        raise InputError(
            f"stage {config.stage} needs a trained autoencoder: run --config.stage=autoencoder in "
            "this workdir first, or give --config.init_from."
        )
    elif spec.reduction > 1 and np.all(np.asarray(networks["latent"]["std"]) == 1):
        networks["latent"] = _latent_statistics(config, spec, networks)
    return jax.jit(lambda n: create(config, spec, n), out_shardings=shardings)(networks)


def _latent_statistics(config, spec: ModelSpec, networks) -> dict[str, jax.Array]:
    """Mean and standard deviation a channel over 32 training batches of 32."""
    model = spec.autoencoder()
    apply = jax.jit(lambda p, x: model.apply({"params": p}, x, method="encode"))
    loader = iter(_loader(config, spec, "train", 32, config.seed + 1))
    latents = []
    for _ in range(32 if spec.size > 64 else 2):
        image = jnp.asarray(next(loader)["image"], jnp.float32) / 127.5 - 1
        latents.append(np.asarray(apply(networks["autoencoder"], image)))
    stacked = np.concatenate(latents).reshape(-1, spec.channels)
    return {"mean": jnp.asarray(stacked.mean(0)), "std": jnp.asarray(stacked.std(0) + 1e-4)}


class _Runner:
    """Book-keeping around the step: everything here happens every so many images."""

    def __init__(self, config, spec, folder, mesh, held_out, manager) -> None:
        self.config, self.spec, self.mesh = config, spec, mesh
        self.folder, self.manager, self.held_out = folder, manager, held_out
        self.writer = SummaryWriter(str(folder / config.stage / "summaries"))
        self.stopping = False
        self.evaluate = jax.jit(self._evaluate)
        self.draw = jax.jit(self._draw)

    def run(self, state: TrainState, step, loader, progress: bool) -> TrainState:
        c, total = self.config, math.ceil(1000 * self.config.total_kimg / self.config.batch)
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                signal.signal(number, self._stop)
            except ValueError:  # not the main thread: the caller stops the run
                break
        number, pending = int(state.step), None
        if number >= total:
            return state
        bar = tqdm(total=total, initial=number, unit="step", disable=not progress, mininterval=5)
        while number < total and not self.stopping:
            batch = sharding.put_batch(next(loader), self.mesh)
            state, metrics = step(state, batch, is_penalized(c, number))
            number += 1
            bar.update()
            if self._due(number, c.log_kimg):
                # Read the metrics of an earlier step: the device is never waited for.
                if pending:
                    self._log(*pending, bar)
                pending = (number, metrics)
            last = number == total or self.stopping
            if self._due(number, c.evaluate_kimg) or last:
                state = self._evaluate_and_adapt(number, state)
            if self._due(number, c.grid_kimg) or last:
                self._grid(number, state)
            if c.snapshot_kimg and self._due(number, c.snapshot_kimg):
                checkpoints.save_snapshot(self.folder, c.stage, state, self.spec)
            if self._due(number, c.checkpoint_kimg) or last:
                if pending:
                    self._log(*pending, bar)
                    pending = None
                self.manager.save(state, loader)
                checkpoints.save_networks(self.folder, c.stage, state, self.spec)
        if self.stopping:
            self.manager.save(state, loader)
            checkpoints.save_networks(self.folder, c.stage, state, self.spec)
        bar.close()
        return state

    def _stop(self, *_) -> None:
        self.stopping = True

    def _due(self, number: int, kimg: float) -> bool:
        every = max(round(1000 * kimg / self.config.batch), 1)
        return number % every == 0

    def _log(self, number: int, metrics, bar) -> None:
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        kimg = number * self.config.batch / 1000
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise TrainingStopped(f"step {number}: {', '.join(bad)} not finite; lower the rate.")
        gap = values.get("discriminator/gap", 0.0)
        if gap > self.config.gan.guard_gap:
            raise TrainingStopped(
                f"step {number}: D(real) - D(fake) is {gap:.1f}, above config.gan.guard_gap "
                f"{self.config.gan.guard_gap}; raise gamma or augmentation."
            )
        self._write(number, values)
        shown = {
            k: f"{values[k]:.3g}" for k in ("loss", "psnr", "discriminator/gap") if k in values
        }
        bar.set_postfix(kimg=f"{kimg:.1f}", **shown, refresh=False)

    def _write(self, number: int, values: dict[str, float]) -> None:
        if jax.process_index():
            return
        for name, value in values.items():
            self.writer.add_scalar(name, value, number * self.config.batch)
        with open(self.folder / self.config.stage / "metrics.jsonl", "a") as file:
            row = {
                "images": number * self.config.batch,
                **{k: round(v, 6) for k, v in values.items()},
            }
            file.write(json.dumps(row) + "\n")

    def _evaluate(self, networks, params, batch) -> dict[str, jax.Array]:
        """Held-out figures of a stage: reconstruction, or the discriminator's view of real and fake."""
        spec, image = self.spec, batch["image"].astype(jnp.float32) / 127.5 - 1
        if self.config.stage == "autoencoder":
            y, _ = spec.autoencoder().apply({"params": networks["autoencoder"]}, image)
            return {"held_out/psnr": losses.psnr(y, image)}
        real = encode(spec, networks, image)
        seen = evidence(image, batch["mask"], batch["landmarks"])
        z, codes = grids.grid_noise(image.shape[0], spec.z_size, spec.code_size)
        mean, _ = spec.posterior().apply(
            {"params": networks["posterior"]}, real, batch["condition"]
        )
        rec, fake = spec.generator().apply(
            {"params": networks["generator"]},
            seen, mean, z, codes, batch["condition"], method="both",
        )  # fmt: skip
        values = {"held_out/vae_mse": jnp.square(rec - real).mean()}
        if self.config.stage == "gan":
            folded = space_to_depth(seen, spec.reduction)
            for name, latent in (("real", real), ("fake", fake)):
                logits, attributes, _ = spec.discriminator().apply(
                    {"params": params["discriminator"]}, latent, folded, batch["condition"]
                )
                values[f"held_out/{name}"] = logits.mean()
                values[f"held_out/attribute_{name}"] = losses.attribute_loss(
                    attributes, batch["condition"]
                )
        return values

    def _evaluate_and_adapt(self, number: int, state: TrainState) -> TrainState:
        values = self.evaluate(release_networks(state), state.params, self.held_out)
        values = {name: float(value) for name, value in jax.device_get(values).items()}
        self._write(number, values)
        if self.config.stage != "gan":
            return state
        a, kimg = self.config.augment, number * self.config.batch / 1000
        if kimg < a.p_ramp_kimg:
            p = a.p_start + (a.p_ramp - a.p_start) * kimg / a.p_ramp_kimg
        else:
            train = self.evaluate(release_networks(state), state.params, self._train_probe())
            top, real, fake = (
                float(train["held_out/real"]),
                values["held_out/real"],
                float(train["held_out/fake"]),
            )
            overfit = (top - real) / max(top - fake, 1e-3)
            p = augment.adapted(float(state.augment_p), overfit, a.target, a.rate, a.p_max)
            self._write(number, {"augment/overfit": overfit})
        return state.replace(augment_p=jax.device_put(np.float32(p), state.augment_p.sharding))

    def _train_probe(self) -> dict[str, np.ndarray]:
        """A fixed training batch: what D says of pictures it has seen."""
        if not hasattr(self, "probe"):
            count = len(self.held_out["image"])
            self.probe = next(iter(_loader(self.config, self.spec, "train", count, 54321)))
        return self.probe

    def _draw(self, networks, batch) -> jax.Array:
        image = batch["image"].astype(jnp.float32) / 127.5 - 1
        if self.config.stage == "autoencoder":
            return self.spec.autoencoder().apply({"params": networks["autoencoder"]}, image)[0]
        z, codes = grids.grid_noise(image.shape[0], self.spec.z_size, self.spec.code_size)
        seen = evidence(image, batch["mask"], batch["landmarks"])
        latent = self.spec.generator().apply(
            {"params": networks["generator"]}, seen, z, codes, batch["condition"]
        )
        return decode(self.spec, networks, latent)

    def _grid(self, number: int, state: TrainState) -> None:
        """PNG and TensorBoard image: sites by skin types, then held-out pictures above their versions."""
        if jax.process_index():
            return
        networks, c = release_networks(state), self.config
        pictures = {}
        n = min(24, len(self.held_out["image"]))
        part = {name: value[:n] for name, value in self.held_out.items()}
        frames = np.asarray(self.draw(networks, part))
        real = part["image"].astype(np.float32) / 127.5 - 1
        mask = part["mask"][..., None].astype(np.float32)
        if c.stage != "autoencoder":
            frames = np.stack([real * mask + (mask - 1) * 0.2, frames], 1)
        else:
            frames = np.stack([real, frames], 1)
        pictures["held_out"] = grids.tile(frames.reshape(-1, *frames.shape[2:]), 8)
        if c.stage != "autoencoder":
            batch = grids.grid_batch(self.spec.size)
            pictures["sites"] = grids.tile(np.asarray(self.draw(networks, batch)), 6)
        for name, picture in pictures.items():
            path = self.folder / c.stage / f"{name}-{number * c.batch:09d}.png"
            Image.fromarray(picture).save(path)
            self.writer.add_image(name, picture, number * c.batch, dataformats="HWC")
