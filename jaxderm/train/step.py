"""One jitted step a stage: autoencoder, conditional VAE in the latent, adversary (D and G fused), decoder.

The stage `refine` has a file of its own.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxderm.models.layers import evidence, space_to_depth
from jaxderm.models.spec import ModelSpec
from jaxderm.train import adversary, augment, losses, refine, schedules, sharding
from jaxderm.train.state import ADVERSARIAL, PLAYERS, TrainState, optimizer

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
KEY_NAMES = (
    "latent", "posterior", "prior", "codes", "augment", "penalty_real", "penalty_fake", "other", "asked",
)  # fmt: skip


def make_gradients(
    config, spec: ModelSpec, mesh: Mesh | None = None
) -> Callable[[TrainState, Batch, bool], tuple[dict[str, Any], Metrics]]:
    """Gradients of `config.stage` by player: (state, batch, penalize) -> (gradients, metrics).

    mesh: where parameters lie over `fsdp` (sharding.py); not needed on one device.
    """
    gradients_of = {
        "autoencoder": _autoencoder_gradients,
        "vae": _vae_gradients,
        "gan": _gan_gradients,
        "decoder": _decoder_gradients,
        "refine": refine.gradients_of,
    }[config.stage](config, spec)

    def gradients(state: TrainState, batch: Batch, penalize: bool = False):
        images = state.step * 1.0 * config.batch
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        keys = dict(zip(KEY_NAMES, jax.random.split(key, len(KEY_NAMES))))
        image = batch["image"].astype(jnp.float32) / 127.5 - 1.0
        whole = {name: sharding.gather(getattr(state, name), mesh) for name in ("params", "frozen")}
        found, metrics = gradients_of(
            state.replace(**whole), {**batch, "image": image}, keys, images, penalize
        )
        return sharding.scatter(found, mesh), metrics

    return gradients


def make_step(
    config, spec: ModelSpec, mesh: Mesh | None = None
) -> Callable[[TrainState, Batch, bool], tuple[TrainState, Metrics]]:
    """The step of `config.stage`: (state, batch, penalize) -> (state, metrics of scalars).

    penalize is static: see `is_penalized`. mesh: see `make_gradients`.
    """
    gradients_of = make_gradients(config, spec, mesh)
    opt = optimizer(config, config.batch)

    def step(state: TrainState, batch: Batch, penalize: bool = False) -> tuple[TrainState, Metrics]:
        images = state.step * 1.0 * config.batch
        gradients, metrics = gradients_of(state, batch, penalize)
        params, opt_state = dict(state.params), {}
        for player, names in PLAYERS[config.stage].items():
            own = {name: state.params[name] for name in names}
            updates, opt_state[player] = opt.update(gradients[player], state.opt_state[player])
            pace = schedules.pace(config, player, images)
            if pace is not None:
                updates = optax.tree.scale(pace, updates)
            params.update(optax.apply_updates(own, updates))
            metrics[f"gradient_norm/{player}"] = optax.global_norm(gradients[player])
        decay = schedules.ema_decay(
            images, config.batch, 1000 * config.ema.half_life_kimg, config.ema.fraction
        )
        ema = jax.tree.map(lambda a, b: a * decay + b * (1 - decay), state.ema_params, params)
        new = state.replace(step=state.step + 1, params=params, ema_params=ema, opt_state=opt_state)
        return new, metrics

    return step


def encode(spec: ModelSpec, frozen: dict[str, Any], image: jax.Array) -> jax.Array:
    """Normalised latent of frames, by the frozen autoencoder."""
    latent = spec.autoencoder().apply({"params": frozen["autoencoder"]}, image, method="encode")
    return (latent - frozen["latent"]["mean"]) / frozen["latent"]["std"]


def decode(spec: ModelSpec, networks: dict[str, Any], latent: jax.Array) -> jax.Array:
    """Frames of normalised latents."""
    latent = latent * networks["latent"]["std"] + networks["latent"]["mean"]
    return spec.autoencoder().apply({"params": networks["autoencoder"]}, latent, method="decode")


def _autoencoder_gradients(config, spec: ModelSpec) -> Callable:
    model, c = spec.autoencoder(), config.autoencoder

    def loss_of(params, image, key):
        shape = (image.shape[0], spec.grid, spec.grid, spec.channels)
        noise = c.latent_noise * jax.random.normal(key, shape)
        y, latent = model.apply({"params": params["autoencoder"]}, image, noise)
        loss = losses.reconstruction(y, image, c.gradient_weight, c.feature_weight)
        loss += c.latent_weight * jnp.square(latent).mean()
        return loss, {"loss": loss, "psnr": losses.psnr(y, image)}

    def gradients(state, batch, keys, *_):
        value = jax.grad(loss_of, has_aux=True)(state.params, batch["image"], keys["latent"])
        return {"autoencoder": value[0]}, value[1]

    return gradients


def _sample_posterior(spec: ModelSpec, params, real, condition, key):
    mean, log_variance = spec.posterior().apply({"params": params["posterior"]}, real, condition)
    z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    return z, losses.kl_to_normal(mean, log_variance).mean()


def _vae_loss(c, real: jax.Array, rec: jax.Array, kl: jax.Array) -> tuple[jax.Array, Metrics]:
    error = rec - real
    fit = jnp.abs(error).mean() + 0.5 * jnp.square(error).mean()
    fit += c.gradient_weight * losses.gradient_difference(rec, real)
    loss = fit + c.kl_weight * kl / real[0].size
    return loss, {"vae/fit": fit, "vae/kl": kl, "vae/mse": jnp.square(error).mean()}


def _draw_codes(spec: ModelSpec, key: jax.Array, batch: int) -> jax.Array:
    return jax.random.uniform(key, (batch, spec.code_size), minval=-1.0, maxval=1.0)


def _vae_gradients(config, spec: ModelSpec) -> Callable:
    def loss_of(params, frozen, batch, keys):
        real = jax.lax.stop_gradient(encode(spec, frozen, batch["image"]))
        z, kl = _sample_posterior(spec, params, real, batch["condition"], keys["posterior"])
        seen = evidence(batch["image"], batch["mask"], batch["landmarks"])
        codes = _draw_codes(spec, keys["codes"], z.shape[0])
        args = (seen, z, codes, batch["condition"])
        rec = spec.generator().apply({"params": params["generator"]}, *args)
        loss, metrics = _vae_loss(config.vae, real, rec, kl)
        return loss, {"loss": loss, **metrics}

    def gradients(state, batch, keys, *_):
        value = jax.grad(loss_of, has_aux=True)(state.params, state.frozen, batch, keys)
        return {"generator": value[0]}, value[1]

    return gradients


def _gan_gradients(config, spec: ModelSpec) -> Callable:
    c = config.gan
    # bfloat16 loses the differences that a penalty consists of: those passes run in float32.
    exact = dataclasses.replace(spec, dtype="float32") if spec.dtype == "bfloat16" else spec

    def gradients(state, batch, keys, images, penalize):
        condition = batch["condition"]
        asked = augment.asked(keys["asked"], condition, c.photograph_share, c.age_share)
        b = condition.shape[0]
        own = {name: state.params[name] for name in PLAYERS["gan"]["generator"]}
        judge = {"discriminator": state.params["discriminator"]}
        real = encode(spec, state.frozen, batch["image"])
        seen = evidence(batch["image"], batch["mask"], batch["landmarks"])
        codes = _draw_codes(spec, keys["codes"], b)
        prior = jax.random.normal(keys["prior"], (b, spec.z_size))
        change = augment.draw(keys["augment"], b, spec.grid, state.augment_p)
        folded = augment.apply(space_to_depth(seen, spec.reduction), change)

        def discriminate(params, latent, facts, sizes=spec):
            latent = augment.apply(latent, change)
            return sizes.discriminator().apply(
                {"params": params["discriminator"]}, latent, folded, facts
            )

        def generate(params):
            """((fake, what compares it with the real), metrics); z of the prior draws the fake."""
            network = {"params": params["generator"]}
            if c.diversity_weight:
                other = jax.random.normal(keys["other"], prior.shape)
                fake, stranger = spec.generator().apply(
                    network, seen, prior, other, codes, asked, method="both"
                )
                same = losses.sameness(fake, stranger, c.diversity_distance)
                return with_evidence(fake, c.diversity_weight * same, {"generator/sameness": same})
            if not c.vae_weight:
                fake = spec.generator().apply(network, seen, prior, codes, asked)
                return with_evidence(fake, jnp.zeros(()), {})
            z, kl = _sample_posterior(spec, params, real, condition, keys["posterior"])
            rec, fake = spec.generator().apply(
                network, seen, z, prior, codes, condition, method="both"
            )
            vae, metrics = _vae_loss(config.vae, real, rec, kl)
            return with_evidence(fake, c.vae_weight * vae, metrics)

        def with_evidence(fake, loss, metrics):
            kept = losses.evidence_difference(fake, real, batch["mask"])
            metrics = {**metrics, "generator/evidence": kept}
            return (fake, loss + c.evidence_weight * kept), metrics

        fake, g_gradient, d_gradient, metrics = adversary.turn(
            c, generate, own, discriminate, judge, real, condition, asked, codes
        )
        metrics["augment_p"] = state.augment_p
        if penalize:
            gamma = schedules.cosine(images, c.gamma_start, c.gamma_end, 1000 * config.total_kimg)

            def penalty(params):
                def of_real(latent):
                    return discriminate(params, latent, condition, exact)[0]

                def of_fake(latent):
                    return discriminate(params, latent, asked, exact)[0]

                if c.penalty == "finite_difference":
                    penalty_of = losses.finite_difference_penalty
                    r1 = penalty_of(of_real, real, keys["penalty_real"])
                    r2 = penalty_of(of_fake, fake, keys["penalty_fake"])
                else:
                    r1 = losses.gradient_penalty(of_real, real)
                    r2 = losses.gradient_penalty(of_fake, fake)
                # Lazy (Karras 2020): every k-th step, weighted by k.
                return 0.5 * gamma * c.penalty_every * (r1 + r2), (r1, r2)

            extra, (r1, r2) = jax.grad(penalty, has_aux=True)(judge)
            d_gradient = jax.tree.map(jnp.add, d_gradient, extra)
            metrics |= {"discriminator/r1": r1, "discriminator/r2": r2}
        return {"generator": g_gradient, "discriminator": d_gradient}, metrics

    return gradients


def _decoder_gradients(config, spec: ModelSpec) -> Callable:
    """The decoder sharpens against a critic of patches; encoder, generator and latent stay as they are.

    It paints latents of pictures, which it must also reproduce, and latents that the generator drew.
    """
    c = config.decoder
    exact = dataclasses.replace(spec, dtype="float32") if spec.dtype == "bfloat16" else spec

    def judge(params, frames, sizes=spec):
        return sizes.critic().apply({"params": params["critic"]}, frames)

    def gradients(state, batch, keys, images, penalize):
        real = batch["image"]
        b = real.shape[0]
        own = {"autoencoder": state.params["autoencoder"]}
        critic = {"critic": state.params["critic"]}
        frozen = state.frozen
        latent = encode(spec, {**frozen, **own}, real)
        latent += c.latent_noise * jax.random.normal(keys["latent"], latent.shape)
        drawn = spec.generator().apply(
            {"params": frozen["generator"]},
            evidence(real, batch["mask"], batch["landmarks"]),
            jax.random.normal(keys["prior"], (b, spec.z_size)),
            _draw_codes(spec, keys["codes"], b),
            batch["condition"],
        )
        # Constant: the encoder gets no gradient, so that the generator's latents keep their meaning.
        latents = jax.lax.stop_gradient(
            # Neighbours, not halves: a batch that lies over devices stays where it is.
            jnp.stack([latent, drawn], 1).reshape(2 * b, *latent.shape[1:])
        )

        def paint(params):
            return decode(spec, {**frozen, **params}, latents)

        def fidelity(frames):
            rec = frames[::2]
            loss = losses.reconstruction(rec, real, c.gradient_weight, c.feature_weight)
            return loss, {"decoder/fit": loss, "psnr": losses.psnr(rec, real)}

        def critic_loss(real_out, fake_out):
            return losses.relativistic(jnp.repeat(real_out, 2, 0), fake_out)

        def decoder_loss(real_out, fake_out):
            return losses.relativistic(fake_out, jnp.repeat(real_out, 2, 0))

        frames, pull_decoder = jax.vjp(paint, own)
        real_out, pull_real = jax.vjp(lambda p: judge(p, real), critic)
        fake_out, pull_fake = jax.vjp(judge, critic, frames)
        sharpness, to_frames = jax.value_and_grad(decoder_loss, 1)(real_out, fake_out)
        loss, (to_real, to_fake) = jax.value_and_grad(critic_loss, (0, 1))(real_out, fake_out)
        true, metrics = jax.grad(fidelity, has_aux=True)(frames)
        sharp = pull_fake(to_frames)[1]
        # The ratio of the gradients that reach the frames (Esser 2021, eq. 7), here as a limit: as a factor
        # it would make much of a critic that knows nothing yet.
        ratio = optax.global_norm(true[::2]) / (optax.global_norm(sharp[::2]) + 1e-8)
        weight = jnp.minimum(c.adversary_weight, c.adversary_limit * ratio)
        (d_gradient,) = pull_decoder(true + weight * sharp)
        c_gradient = jax.tree.map(jnp.add, pull_real(to_real)[0], pull_fake(to_fake)[0])
        metrics |= {
            "loss": loss,
            "decoder/adversary": sharpness,
            "decoder/ratio": ratio,
            "discriminator/gap": real_out.mean() - fake_out.mean(),
        }
        if penalize:

            def penalty(params):
                def logits_of(frames):  # a mean square a patch
                    out = judge(params, frames, exact)
                    return out.sum((1, 2)) / jnp.sqrt(1.0 * out[0].size)

                r1, r2 = (losses.gradient_penalty(logits_of, x) for x in (real, frames))
                return 0.5 * c.gamma * config.gan.penalty_every * (r1 + r2), (r1, r2)

            extra, (r1, r2) = jax.grad(penalty, has_aux=True)(critic)
            c_gradient = jax.tree.map(jnp.add, c_gradient, extra)
            metrics |= {"discriminator/r1": r1, "discriminator/r2": r2}
        return {"decoder": d_gradient, "critic": c_gradient}, metrics

    return gradients


def is_penalized(config, number: int) -> bool:
    """Whether step `number` (from 0) computes the gradient penalties: every k-th adversarial one.

    Two programs rather than a `lax.cond`: XLA on the CPU runs a branch on one thread, which made
    the whole step five times slower.
    """
    return config.stage in ADVERSARIAL and number % config.gan.penalty_every == 0
