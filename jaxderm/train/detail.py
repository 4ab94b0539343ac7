"""Training of the detail head: frames of the refiner shall have the fine contrast of portraits (Shrivastava 2017, in luma).

Crops of frames are judged against crops of portraits at the same place of the face, of people of the same sex and about
the same age; the same head restores portraits that were made soft, so that what it adds lies where it belongs.
`commands/train_detail.py` is the program.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from safetensors.numpy import save

from jaxderm.models import detail_head
from jaxderm.models.weights import flatten
from jaxderm.photo import write_atomic
from jaxderm.train import losses
from jaxderm.train.detail_pictures import BATCH, CROP, PAIRS, Picture, batches

RESTORED = 0.3  # weight of the adversary where portraits are restored
# Weights of absolute differences: of a restored portrait from what it was, and of a frame.
RESTORE, STAY = 1.0, 0.3
GAMMA, EVERY = 1.0, 4  # of the zero-centred penalties (Huang 2024), and steps from one to the next
# Of Adam: step at its highest and at the end; how many steps it rises.
RATE, LAST, WARM = 5e-4, 5e-5, 100
AVERAGE = 0.998  # of weights, a step
EACH = 200  # steps from one line and one file to the next


def optimizer_of(steps: int) -> optax.GradientTransformation:
    """Of both players."""
    rate = optax.warmup_cosine_decay_schedule(0.0, RATE, min(WARM, steps // 2), steps, LAST)
    return optax.adam(rate, b1=0.0, b2=0.99)


def initial(seed: int) -> dict[str, dict]:
    """Parameters of both players."""
    key = jax.random.key(seed)
    seen = jnp.zeros((1, CROP, CROP, detail_head.CHANNELS))
    place, facts = seen[..., :2], jnp.zeros((1, 2))
    judge = detail_head.DetailDiscriminator().init(key, seen[..., 0], place, facts)
    return {
        "head": detail_head.DetailHead().init(key, seen)["params"],
        "judge": judge["params"],
    }


def _judged(params, contrast, seen, facts):
    network = {"params": params}
    return detail_head.DetailDiscriminator().apply(network, contrast, seen[..., 2:], facts)


def head_loss(head, judge, crops, noise):
    """(loss, (contrast of frames [B,H,W], metrics)) of the head."""
    frames, portraits, softer, facts = crops
    soft, whose = softer[:PAIRS], facts[:PAIRS]
    both = jnp.concatenate([frames, soft])
    told = jnp.concatenate([facts, whose])
    made = both[..., 0] + detail_head.change(head, both, told, noise)
    made, restored = made[: len(frames)], made[len(frames) :]
    real = _judged(judge, portraits[..., 0], portraits, facts)
    adversary = losses.relativistic(_judged(judge, made, frames, facts), real)
    again = losses.relativistic(_judged(judge, restored, soft, whose), real[:PAIRS])
    apart = jnp.abs(restored - portraits[:PAIRS, ..., 0]).mean()
    moved = jnp.abs(made - frames[..., 0]).mean()
    loss = adversary + RESTORED * again + RESTORE * apart + STAY * moved
    return loss, (made, {"adversary": adversary, "restored": apart, "moved": moved})


def judge_loss(judge, made, crops):
    """(loss, metrics) of the discriminator."""
    frames, portraits, _, facts = crops
    real = _judged(judge, portraits[..., 0], portraits, facts)
    fake = _judged(judge, made, frames, facts)
    return losses.relativistic(real, fake), {"gap": (real - fake).mean()}


def penalty(judge, made, crops, key):
    """Zero-centred penalties of the discriminator, on portraits and on frames: scalar."""
    frames, portraits, _, facts = crops

    def of(contrast, seen, key):
        def logits_of(x):
            said = _judged(judge, x[..., 0], seen, facts)
            # With random signs the squares add up, in expectation: a mean square a logit.
            signs = jax.random.rademacher(key, said.shape, said.dtype)
            return (signs * said).sum(1) / jnp.sqrt(1.0 * said.shape[1])

        return losses.gradient_penalty(logits_of, contrast[..., None])

    real, fake = jax.random.split(key)
    total = of(portraits[..., 0], portraits, real) + of(made, frames, fake)
    return 0.5 * GAMMA * EVERY * total


def step_of(optimizer: optax.GradientTransformation):
    """Compiled (state, crops, step number) -> (state, metrics); state: params, average and optimizers' states."""

    @jax.jit
    def step(state, crops, number):
        params = state["params"]
        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), number))
        noise = jax.random.normal(keys[0], (BATCH + PAIRS, CROP, CROP))
        of_head = jax.value_and_grad(head_loss, has_aux=True)
        (_, (made, metrics)), head = of_head(params["head"], params["judge"], crops, noise)
        of_judge = jax.value_and_grad(judge_loss, has_aux=True)
        (_, more), judge = of_judge(params["judge"], made, crops)
        extra = jax.lax.cond(
            number % EVERY == 0,
            lambda: jax.grad(penalty)(params["judge"], made, crops, keys[1]),
            lambda: jax.tree.map(jnp.zeros_like, params["judge"]),
        )
        gradient = {"head": head, "judge": jax.tree.map(jnp.add, judge, extra)}
        updates, optimizers = optimizer.update(gradient, state["optimizers"], params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(
            lambda a, b: AVERAGE * a + (1 - AVERAGE) * b, state["average"], params["head"]
        )
        state = {"params": params, "average": average, "optimizers": optimizers}
        return state, {**metrics, **more}

    return step


def write(head: dict, path: str) -> None:
    """The head in half precision, whole or not at all."""
    flat = {name: np.asarray(value, np.float16) for name, value in flatten(head).items()}
    write_atomic(path, save(flat))


def fit(
    frames: list[Picture], portraits: list[Picture], steps: int, seed: int, output: str
) -> None:
    """Train a head and write its average, every EACH steps and at the end."""
    optimizer, params, started = optimizer_of(steps), initial(seed), time.time()
    state = {"params": params, "average": params["head"], "optimizers": optimizer.init(params)}
    step = step_of(optimizer)
    for number, crops in zip(range(steps), batches(frames, portraits, seed)):
        state, metrics = step(state, crops, number)
        if number % EACH == EACH - 1 or number == steps - 1:
            said = ", ".join(f"{name} {float(value):.3f}" for name, value in metrics.items())
            print(f"{number + 1} steps, {said}, {time.time() - started:.0f} s", flush=True)
            write(state["average"], output)
