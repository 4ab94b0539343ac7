"""Gradients of stage `refine`: a refiner of exemplars against a discriminator of patches (Shrivastava 2017).

The refined exemplar shall pass for what is asked, a photograph where one is asked for, and stay close to the
exemplar, whose shape, tone and age are the facts'.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxderm.models.layers import evidence
from jaxderm.models.refiner import CODES, EVIDENCE, EXEMPLAR, LOOK, inner_face, seen
from jaxderm.models.spec import ModelSpec
from jaxderm.train import adversary, augment, losses, schedules

ALIKE = 0.2  # of what is of a face's colour: standard deviation, of values in [-1,1]


def seen_of(batch: dict[str, jax.Array], image: jax.Array, condition: jax.Array) -> jax.Array:
    """What a refiner sees (`refiner.seen`) of image [B,S,S,3] in [-1,1] and a batch, under what is asked."""
    exemplar = batch["exemplar"].astype(jnp.float32) / 127.5 - 1
    landmarks = batch["landmarks"]
    return seen(evidence(image, batch["mask"], landmarks), exemplar, landmarks, condition)


def face_coloured(exemplar: jax.Array, landmarks: jax.Array) -> jax.Array:
    """Where an exemplar [B,S,S,3] is an inner face or of its colour, [B,S,S] in [0,1]; nowhere without landmarks."""
    face = inner_face(landmarks, exemplar.shape[1])
    area = face.sum((1, 2))[:, None]
    mean = (face[..., None] * exemplar).sum((1, 2)) / (area + 1e-6)
    square = jnp.square(exemplar - mean[:, None, None]).sum(-1)
    alike = jnp.exp(-0.5 * square / ALIKE**2) * (area > 0)[..., None]
    return jnp.maximum(face, alike)


def gradients_of(config, spec: ModelSpec) -> Callable:
    """(state, batch, keys, images, penalize) -> (gradients by player, metrics)."""
    c, r = config.gan, config.refine
    exact = dataclasses.replace(spec, dtype="float32") if spec.dtype == "bfloat16" else spec

    def gradients(state, batch, keys, images, penalize):
        real, condition = batch["image"], batch["condition"]
        asked = augment.asked(keys["asked"], condition, c.photograph_share, 0.0)
        # With codes_only a refiner that is trained learns to hear them, and draws as before where they are 0.
        whole = state.params["generator"]
        own = {"generator": {CODES: whole[CODES]} if r.codes_only else whole}
        judge = {"discriminator": state.params["discriminator"]}
        shown = seen_of(batch, real, asked)
        exemplar, look = shown[..., EXEMPLAR], shown[..., LOOK]
        kept = batch["mask"][..., None]
        z = jax.random.normal(keys["prior"], (real.shape[0], spec.z_size))
        codes = jax.random.uniform(
            keys["codes"], (real.shape[0], spec.code_size), minval=-1.0, maxval=1.0
        )
        change = augment.draw(keys["augment"], real.shape[0], spec.size, state.augment_p)
        beside = augment.apply(shown[..., :EVIDENCE], change)

        def discriminate(params, frames, facts, sizes=spec):
            frames = augment.apply(frames * look, change)
            network = {"params": params["discriminator"]}
            return sizes.discriminator().apply(network, frames, beside, facts)

        def generate(params):
            network = {"params": {**whole, **params["generator"]}}
            fake, sown = spec.generator().apply(
                network, shown, z, codes, asked, mutable="intermediates"
            )
            sown = sown["intermediates"]
            (coded,), (each,) = sown["coded"], sown["each"]
            overlap, unseen = losses.overlap(each), losses.unseen(each, r.code_change)
            skin = (jnp.abs(coded).mean(-1) * face_coloured(exemplar, batch["landmarks"])).mean()
            moved = jnp.abs(fake - exemplar).mean()
            shape = losses.gradient_difference(fake, exemplar)
            loss = r.exemplar_weight * moved + r.shape_weight * shape
            loss += r.code_skin_weight * skin + r.code_overlap_weight * overlap
            loss += r.code_change_weight * unseen
            # Judged where it is refined, and as it is released, kept pixels put back: nothing asks for them to be
            # painted, and what spreads beyond them shows.
            fake = kept * real + (1 - kept) * fake
            return (fake, loss), {
                "generator/moved": moved,
                "generator/shape": shape,
                "generator/coded": jnp.abs(coded).mean(),
                "generator/coded_skin": skin,
                "generator/code_overlap": overlap,
                "generator/code_unseen": unseen,
            }

        fake, g_gradient, d_gradient, metrics = adversary.turn(
            c, generate, own, discriminate, judge, real, condition, asked, codes
        )
        metrics["augment_p"] = state.augment_p
        if penalize:
            gamma = schedules.cosine(images, c.gamma_start, c.gamma_end, 1000 * config.total_kimg)

            def penalty(params):
                def logits_of(facts, key):
                    def of(frames):
                        # With random signs the squares add up, in expectation: a mean square a logit.
                        out = discriminate(params, frames, facts, exact)[0]
                        signs = jax.random.rademacher(key, out.shape, out.dtype)
                        return (signs * out).sum(1) / jnp.sqrt(1.0 * out.shape[1])

                    return of

                r1 = losses.gradient_penalty(logits_of(condition, keys["penalty_real"]), real)
                r2 = losses.gradient_penalty(logits_of(asked, keys["penalty_fake"]), fake)
                return 0.5 * gamma * c.penalty_every * (r1 + r2), (r1, r2)

            extra, (r1, r2) = jax.grad(penalty, has_aux=True)(judge)
            d_gradient = jax.tree.map(jnp.add, d_gradient, extra)
            metrics |= {"discriminator/r1": r1, "discriminator/r2": r2}
        if r.codes_only:
            still = jax.tree.map(jnp.zeros_like, whole)
            g_gradient = {"generator": {**still, **g_gradient["generator"]}}
        return {"generator": g_gradient, "discriminator": d_gradient}, metrics

    return gradients
