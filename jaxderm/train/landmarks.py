"""Train the landmark head on portraits and rendered faces.

    python -m jaxderm.train.landmarks --data_dir data --output landmarks.safetensors --images 150000

Twenty minutes on two CPU cores. Every picture is cut at random (place, size, turn, mirror), relit, blurred and
occluded, and half of them get a painted lesion, since that is what the head will see; other body sites
and cuts without a face teach it to say so.
"""

import argparse
import concurrent.futures
import os
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image, ImageFilter
from safetensors.numpy import save

from jaxderm.data import lesions, masks, prepare
from jaxderm.data.features import Record
from jaxderm.models.landmark_head import GRID, POINTS, SIZE, LandmarkHead, expected_points
from jaxderm.models.weights import flatten

BATCH = 64
_FLIPPED = [1, 0, 2, 4, 3]


def example(record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """picture [128,128,3] uint8, points [5,2] in [0,1] (NaN unknown or outside), face in {0,1}."""
    has_face = not np.isnan(record.landmarks).any()
    height, width = record.image.shape[:2]
    if has_face:
        points = record.landmarks.astype(np.float64)
        eyes, mouth = points[:2].mean(0), points[3:].mean(0)
        size = max(np.linalg.norm(mouth - eyes), np.linalg.norm(points[1] - points[0]))
        side = size * np.exp(rng.uniform(np.log(2.2), np.log(7.0)))
        spread = 0.5 * (side - 1.5 * size)
        middle = (eyes + mouth) / 2 + rng.uniform(-1, 1, 2) * max(spread, 0.1 * size)
    else:
        side = min(height, width) * rng.uniform(0.5, 1.2)
        middle = np.array([width, height]) * rng.uniform(0.25, 0.75, 2)
        points = np.full((POINTS, 2), np.nan)
    angle = np.radians(rng.normal(0, 12))
    c, s = np.cos(angle) * side / SIZE, np.sin(angle) * side / SIZE
    flip = -1 if rng.random() < 0.5 else 1
    a = np.array([[flip * c, -s], [flip * s, c]])
    b = middle - a @ np.full(2, SIZE / 2)
    pad = int(0.75 * side)
    padded = np.pad(record.image, [(pad, pad), (pad, pad), (0, 0)], "edge")
    factor = max(1, int(side / SIZE))
    moved = np.array([*a[0], b[0] + pad, *a[1], b[1] + pad]) / factor
    picture = Image.fromarray(padded)
    picture = picture.reduce(factor) if factor > 1 else picture
    picture = picture.transform(
        (SIZE, SIZE), Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR
    )
    points = (points - b) @ np.linalg.inv(a).T / SIZE
    points = points[_FLIPPED] if flip < 0 else points
    outside = ((points < 0) | (points > 1)).any(-1)
    face = float(has_face and outside.sum() <= 1)
    points[outside] = np.nan
    return {
        "picture": _disturbed(picture, points, rng),
        "points": points.astype(np.float32),
        "face": np.float32(face),
    }


def _disturbed(picture: Image.Image, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Picture [128,128,3] uint8 relit, blurred, occluded, with a lesion."""
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    pixels = np.asarray(picture)
    if rng.random() < 0.5:
        skin = masks.face_region(points * SIZE, (SIZE, SIZE))
        pixels = lesions.paint(rng, pixels, masks.draw_mask(rng, skin))
    x = pixels.astype(np.float32) / 255
    x = x ** np.exp(rng.normal(0, 0.35))  # exposure, and skin of another tone
    x *= np.exp(rng.normal(0, 0.06, 3)) * rng.uniform(0.6, 1.1)
    if rng.random() < 0.2:
        x = x.mean(-1, keepdims=True) + 0 * x
    slope = rng.normal(0, 0.25, 2)
    grid = np.linspace(-1, 1, SIZE, dtype=np.float32)
    x *= np.clip(1 + slope[0] * grid[:, None] + slope[1] * grid, 0.4, 1.8)[..., None]
    x += rng.normal(0, rng.uniform(0, 0.04), x.shape)
    if rng.random() < 0.25:
        size, place = rng.integers(8, 48, 2), rng.integers(0, SIZE - 8, 2)
        x[place[0] : place[0] + size[0], place[1] : place[1] + size[1]] = rng.random(3)
    return np.round(255 * np.clip(x, 0, 1)).astype(np.uint8)


def loss_of(params, batch: dict[str, jax.Array]) -> jax.Array:
    """Cross-entropy of heat maps against bells around the points, and of the face logit: scalar."""
    maps, face = LandmarkHead().apply({"params": params}, batch["picture"] / 127.5 - 1.0)
    known = jnp.isfinite(batch["points"]).all(-1)
    points = jnp.where(known[..., None], batch["points"], 0.5)
    centres = (jnp.arange(GRID) + 0.5) / GRID
    bell = jax.nn.softmax(-0.5 * jnp.square((centres - points[..., None]) * GRID / 0.9), -1)
    target = (bell[:, :, 1, :, None] * bell[:, :, 0, None, :]).reshape(*known.shape, -1)
    logits = jnp.moveaxis(maps, -1, 1).reshape(target.shape)
    error = optax.softmax_cross_entropy(logits, target) * known
    presence = optax.sigmoid_binary_cross_entropy(face, batch["face"]).mean()
    return error.sum() / jnp.maximum(known.sum(), 1) + presence


def batches(records: list[Record], weights: np.ndarray, seed: int):
    """Endless batches; batch n is a function of (records, seed, n)."""

    def make(number: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([seed, number])
        chosen = rng.choice(len(records), BATCH, p=weights)
        rows = [example(records[i], rng) for i in chosen]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(make, n) for n in range(4)]
        number = len(ahead)
        while True:
            yield ahead.pop(0).result()
            ahead.append(pool.submit(make, number))
            number += 1


def error_of(params, records: list[Record], seed: int = 1) -> tuple[float, float]:
    """(median distance of points as a share of eyes to mouth, share of right face answers) on records."""
    look = jax.jit(lambda p, x: LandmarkHead().apply({"params": p}, x / 127.5 - 1.0))
    distances, right = [], []
    for i, record in enumerate(records):
        rng = np.random.default_rng([seed, i])
        row = example(record, rng)
        maps, face = look(params, row["picture"][None].astype(np.float32))
        right.append((float(face[0]) > 0) == bool(row["face"]))
        points = row["points"]
        if row["face"] and np.isfinite(points).all():
            found = np.asarray(expected_points(maps))[0]
            size = np.linalg.norm(points[:2].mean(0) - points[3:].mean(0))
            distances.append(np.linalg.norm(found - points, axis=-1).mean() / size)
    return float(np.median(distances)), float(np.mean(right))


def _all(data_dir: str, corpus: str, split: str) -> list[Record]:
    source = prepare.load(data_dir, corpus, split)
    return [source[i] for i in range(len(source))]


def main() -> None:
    """Train, print the error on held-out people, write the head in half precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--corpora", default="portraits,rendered_people_v0")
    parser.add_argument("--output", required=True)
    parser.add_argument("--images", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    records, weights, held_out = [], [], []
    for name in given.corpora.split(","):
        own = _all(given.data_dir, name, "train")
        faces = np.array([not np.isnan(r.landmarks).any() for r in own])
        # A quarter of what a corpus gives is no face, where it has such pictures.
        share = np.where(
            faces, (0.75 if (~faces).any() else 1.0) / faces.sum(), 0.25 / max((~faces).sum(), 1)
        )
        records += own
        weights += list(share)
        held_out += _all(given.data_dir, name, "validation")
    weights = np.array(weights) / np.sum(weights)
    steps = given.images // BATCH
    optimizer = optax.adamw(
        optax.warmup_cosine_decay_schedule(0, 2e-3, min(200, steps // 10), steps, 1e-5),
        weight_decay=1e-4,
    )
    params = LandmarkHead().init(jax.random.key(given.seed), jnp.zeros((1, SIZE, SIZE, 3)))[
        "params"
    ]
    state, started = optimizer.init(params), time.time()

    @jax.jit
    def step(params, state, batch):
        loss, gradient = jax.value_and_grad(loss_of)(params, batch)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, loss

    for number, batch in zip(range(steps), batches(records, weights, given.seed)):
        batch["picture"] = batch["picture"].astype(np.float32)
        params, state, loss = step(params, state, batch)
        if number % 200 == 199 or number == steps - 1:
            distance, right = error_of(params, held_out[::3])
            print(
                f"{(number + 1) * BATCH} images, loss {float(loss):.3f}, {time.time() - started:.0f} s; held out: "
                f"median error {100 * distance:.1f} % of eyes to mouth, face or not right in {100 * right:.1f} %",
                flush=True,
            )
            flat = {name: np.asarray(v, np.float16) for name, v in flatten(params).items()}
            temporary = Path(f"{given.output}.tmp")
            temporary.write_bytes(save(flat))
            os.replace(temporary, given.output)


if __name__ == "__main__":
    main()
