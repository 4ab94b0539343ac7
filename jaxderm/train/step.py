"""One jitted step a stage: autoencoder, conditional VAE in the latent, adversary (D and G fused)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxderm.models.layers import evidence, space_to_depth
from jaxderm.models.spec import ModelSpec
from jaxderm.train import augment, losses, schedules
from jaxderm.train.state import PLAYERS, TrainState, optimizer

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
KEY_NAMES = ("latent", "posterior", "prior", "codes", "augment", "penalty_real", "penalty_fake")


def make_step(config, spec: ModelSpec) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """The step of `config.stage`: (state, batch) -> (state, metrics of scalars)."""
    gradients_of = {
        "autoencoder": _autoencoder_gradients,
        "vae": _vae_gradients,
        "gan": _gan_gradients,
    }[config.stage](config, spec)
    opt = optimizer(config, config.batch)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        images = state.step * 1.0 * config.batch
        key = jax.random.fold_in(jax.random.key(config.seed), state.step)
        keys = dict(zip(KEY_NAMES, jax.random.split(key, len(KEY_NAMES))))
        image = batch["image"].astype(jnp.float32) / 127.5 - 1.0
        gradients, metrics = gradients_of(state, {**batch, "image": image}, keys, images)
        params, opt_state = dict(state.params), {}
        for player, names in PLAYERS[config.stage].items():
            own = {name: state.params[name] for name in names}
            updates, opt_state[player] = opt.update(gradients[player], state.opt_state[player])
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

    def gradients(state, batch, keys, images):
        del images
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

    def gradients(state, batch, keys, images):
        del images
        value = jax.grad(loss_of, has_aux=True)(state.params, state.frozen, batch, keys)
        return {"generator": value[0]}, value[1]

    return gradients


def _gan_gradients(config, spec: ModelSpec) -> Callable:
    c = config.gan

    def gradients(state, batch, keys, images):
        condition = batch["condition"]
        b = condition.shape[0]
        own = {name: state.params[name] for name in PLAYERS["gan"]["generator"]}
        judge = {"discriminator": state.params["discriminator"]}
        real = encode(spec, state.frozen, batch["image"])
        seen = evidence(batch["image"], batch["mask"], batch["landmarks"])
        codes = _draw_codes(spec, keys["codes"], b)
        prior = jax.random.normal(keys["prior"], (b, spec.z_size))
        change = augment.draw(keys["augment"], b, spec.grid, state.augment_p)
        folded = augment.apply(space_to_depth(seen, spec.reduction), change)

        def discriminate(params, latent):
            return spec.discriminator().apply(
                {"params": params["discriminator"]}, latent, folded, condition
            )

        def generate(params):
            """(fake, VAE loss, its metrics); without the VAE's share only the fake is drawn."""
            network = {"params": params["generator"]}
            if not c.vae_weight:
                fake = spec.generator().apply(network, seen, prior, codes, condition)
                return fake, 0.0, {}
            z, kl = _sample_posterior(spec, params, real, condition, keys["posterior"])
            rec, fake = spec.generator().apply(
                network, seen, z, prior, codes, condition, method="both"
            )
            return fake, *_vae_loss(config.vae, real, rec, kl)

        def generator_loss(params):
            fake, vae, metrics = generate(params)
            logits, attributes, guessed = discriminate(judge, augment.apply(fake, change))
            real_logits = discriminate(judge, augment.apply(real, change))[0]
            adversary = losses.relativistic(logits, real_logits)
            attribute = losses.attribute_loss(attributes, condition)
            information = jnp.square(guessed - codes).mean()
            loss = adversary + c.attribute_weight * attribute + c.code_weight * information
            metrics |= {
                "generator/adversary": adversary,
                "generator/attribute": attribute,
                "generator/codes": information,
            }
            return loss + c.vae_weight * vae, (fake, metrics)

        def discriminator_loss(params, fake):
            real_seen, fake_seen = augment.apply(real, change), augment.apply(fake, change)
            real_logits, attributes, _ = discriminate(params, real_seen)
            fake_logits, _, guessed = discriminate(params, fake_seen)
            attribute = losses.attribute_loss(attributes, condition)
            loss = losses.relativistic(real_logits, fake_logits)
            loss += c.attribute_weight * attribute
            loss += c.code_weight * jnp.square(guessed - codes).mean()
            gamma = schedules.cosine(images, c.gamma_start, c.gamma_end, 1000 * config.total_kimg)

            def penalty_of(x, key):
                def logits_of(v):
                    return discriminate(params, v)[0]

                if c.penalty == "finite_difference":
                    return losses.finite_difference_penalty(logits_of, x, key)
                return losses.gradient_penalty(logits_of, x)

            # Lazy (Karras 2020): every k-th step, weighted by k. Zero in between.
            r1, r2 = jax.lax.cond(
                state.step % c.penalty_every == 0,
                lambda: (
                    penalty_of(real_seen, keys["penalty_real"]),
                    penalty_of(fake_seen, keys["penalty_fake"]),
                ),
                lambda: (jnp.zeros(()), jnp.zeros(())),
            )
            loss += 0.5 * gamma * c.penalty_every * (r1 + r2)
            gap = (real_logits - fake_logits).mean()
            return loss, {
                "loss": loss,
                "discriminator/gap": gap,
                "discriminator/attribute": attribute,
                "discriminator/r1": r1,
                "discriminator/r2": r2,
                "discriminator/real": real_logits.mean(),
                "discriminator/fake": fake_logits.mean(),
            }

        g_gradient, (fake, g_metrics) = jax.grad(generator_loss, has_aux=True)(own)
        fake = jax.lax.stop_gradient(fake)
        d_gradient, d_metrics = jax.grad(discriminator_loss, has_aux=True)(judge, fake)
        return (
            {"generator": g_gradient, "discriminator": d_gradient},
            {**g_metrics, **d_metrics, "augment_p": state.augment_p},
        )

    return gradients
