"""Evaluators: what is measured or drawn during training, behind one small interface.

An experiment lists them in `config.evaluators`: {name: {"type": "module:Class", "every_kimg": N, other
fields: keyword arguments}}; its figures are then named name/figure. Every process calls every evaluator
with arrays of its own, so that an evaluator needs no collectives; the first process writes what it returns.
"""

import dataclasses
import importlib
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxderm.data.exemplars import Bank
from jaxderm.errors import InputError
from jaxderm.models.layers import evidence, space_to_depth
from jaxderm.models.refiner import EVIDENCE, EXEMPLAR, LOOK
from jaxderm.models.spec import ModelSpec
from jaxderm.train import augment, grids, losses, refine
from jaxderm.train.step import decode, encode

Value = float | np.ndarray  # a figure, or a picture [H,W,3] uint8


@dataclasses.dataclass(frozen=True)
class Subject:
    """What an evaluator is given: networks by name (EMA), trained parameters, sizes, stage, batches.

    Arrays are whole and on one device of this process. held_out: a fixed batch of the validation split; probe: one of the training split, both on the host.
    """

    networks: dict[str, Any]
    params: dict[str, Any]
    spec: ModelSpec
    stage: str
    held_out: dict[str, np.ndarray]
    probe: dict[str, np.ndarray] | None = None


class Evaluator(Protocol):
    """Anything callable with a Subject that returns figures and pictures by name."""

    def __call__(self, subject: Subject) -> dict[str, Value]:
        """{"name": float} for metrics.jsonl and TensorBoard, {"name": uint8 [H,W,3]} for a PNG."""
        ...


def load_evaluators(config) -> dict[str, tuple[float, Evaluator]]:
    """{name: (every_kimg, evaluator)} of `config.evaluators`; InputError names what cannot be loaded."""
    loaded = {}
    for name, entry in config.get("evaluators", {}).items():
        options = dict(entry)
        where, every = str(options.pop("type", "")), float(options.pop("every_kimg", 10.0))
        module, _, attribute = where.partition(":")
        try:
            kind = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise InputError(
                f"config.evaluators.{name}.type '{where}' cannot be loaded ({error}); write "
                "'module:Class'."
            ) from None
        loaded[name] = (every, kind(**options))
    return loaded


class HeldOut:
    """Held-out figures of a stage: reconstruction, or the discriminator's view of real and fake."""

    def __init__(self) -> None:
        self.measure = jax.jit(_figures, static_argnums=(0, 1))

    def __call__(self, subject: Subject) -> dict[str, Value]:
        """Figures named held_out/..."""
        values = self.of(subject, subject.held_out)
        return {f"held_out/{name}": value for name, value in values.items()}

    def of(self, subject: Subject, batch: dict[str, np.ndarray]) -> dict[str, float]:
        """The same figures of another batch, by short name."""
        values = self.measure(subject.spec, subject.stage, subject.networks, subject.params, batch)
        return {name: float(value) for name, value in jax.device_get(values).items()}


def _figures(spec: ModelSpec, stage: str, networks, params, batch) -> dict[str, jax.Array]:
    image = batch["image"].astype(jnp.float32) / 127.5 - 1
    if stage in ("autoencoder", "decoder"):
        y, _ = spec.autoencoder().apply({"params": networks["autoencoder"]}, image)
        return {"psnr": losses.psnr(y, image)}
    if stage == "refine":
        return _refined_figures(spec, networks, params, batch, image)
    real = encode(spec, networks, image)
    seen = evidence(image, batch["mask"], batch["landmarks"])
    z, codes = grids.grid_noise(image.shape[0], spec.z_size, spec.code_size)
    mean, _ = spec.posterior().apply({"params": networks["posterior"]}, real, batch["condition"])
    rec, fake = spec.generator().apply(
        {"params": networks["generator"]},
        seen, mean, z, codes, batch["condition"], method="both",
    )  # fmt: skip
    values = {"vae_mse": jnp.square(rec - real).mean()}
    if stage == "gan":
        folded = space_to_depth(seen, spec.reduction)
        for name, latent in (("real", real), ("fake", fake)):
            logits, attributes, _ = spec.discriminator().apply(
                {"params": params["discriminator"]}, latent, folded, batch["condition"]
            )
            values[name] = logits.mean()
            values[f"attribute_{name}"] = losses.attribute_loss(attributes, batch["condition"])
    return values


def _refined_figures(spec: ModelSpec, networks, params, batch, image) -> dict[str, jax.Array]:
    seen = refine.seen_of(batch, image, batch["condition"])
    fake, kept = _refined(spec, networks, seen, batch["condition"]), batch["mask"][..., None]
    values = {"moved": jnp.abs(fake - seen[..., EXEMPLAR]).mean()}
    fake = kept * image + (1 - kept) * fake
    for name, frames in (("real", image), ("fake", fake)):
        logits, attributes, _ = spec.discriminator().apply(
            {"params": params["discriminator"]},
            frames * seen[..., LOOK], seen[..., :EVIDENCE], batch["condition"],
        )  # fmt: skip
        values[name] = logits.mean()
        values[f"attribute_{name}"] = losses.attribute_loss(attributes, batch["condition"])
    return values


def _refined(spec: ModelSpec, networks, seen, condition) -> jax.Array:
    z, codes = grids.grid_noise(seen.shape[0], spec.z_size, spec.code_size)
    network = {"params": networks["generator"]}
    return spec.generator().apply(network, seen, z, codes, condition)


class Grids:
    """Pictures: held-out evidence above its versions, and every site by skin type."""

    def __init__(self, count: int = 24, bank: Bank | None = None) -> None:
        self.count, self.bank = count, bank
        self.draw = jax.jit(_draw, static_argnums=(0, 1))

    def __call__(self, subject: Subject) -> dict[str, Value]:
        """{"held_out": picture, "sites": picture}; the autoencoder's stage has no sites."""
        part = {name: value[: self.count] for name, value in subject.held_out.items()}
        frames = np.asarray(self.draw(subject.spec, subject.stage, subject.networks, part))
        real = part["image"].astype(np.float32) / 127.5 - 1
        mask = part["mask"][..., None].astype(np.float32)
        adversarial = subject.stage != "autoencoder"
        above = [real * mask + (mask - 1) * 0.2 if adversarial else real]
        if "exemplar" in part:
            above.append(part["exemplar"].astype(np.float32) / 127.5 - 1)
        frames = np.stack([*above, frames], 1)
        pictures = {
            "held_out": grids.tile(frames.reshape(-1, *frames.shape[2:]), 4 * frames.shape[1])
        }
        if adversarial:
            batch = grids.grid_batch(subject.spec.size)
            if self.bank is not None:
                batch = grids.with_exemplars(batch, self.bank)
            drawn = self.draw(subject.spec, subject.stage, subject.networks, batch)
            pictures["sites"] = grids.tile(np.asarray(drawn), 6)
        return pictures


def _draw(spec: ModelSpec, stage: str, networks, batch) -> jax.Array:
    image = batch["image"].astype(jnp.float32) / 127.5 - 1
    if stage == "autoencoder":
        return spec.autoencoder().apply({"params": networks["autoencoder"]}, image)[0]
    if stage == "refine":  # as a release asks: faces as photographs
        photographs = augment.asked(jax.random.key(0), batch["condition"], 1.0, 0.0)
        return _refined(spec, networks, refine.seen_of(batch, image, photographs), photographs)
    z, codes = grids.grid_noise(image.shape[0], spec.z_size, spec.code_size)
    seen = evidence(image, batch["mask"], batch["landmarks"])
    latent = spec.generator().apply(
        {"params": networks["generator"]}, seen, z, codes, batch["condition"]
    )
    return decode(spec, networks, latent)
