"""Trains the attribute reader on a prepared rendered corpus and reports it on people it never saw.

    python benchmarks/attribute_reader.py --data_dir data --corpus rendered_people --output reader.safetensors
    python benchmarks/attribute_reader.py ... --gallery FOLDER --cases cases.csv     # and on real faces

Prints the share of sites, sexes of adult faces and ages of faces read rightly and the error of ITA on the corpus's
validation and test people. Labels are true by construction; the figures on photographs measure the gap from
render to photograph.
"""

import argparse
import csv
import functools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image

from jaxderm import attributes as attr
from jaxderm.attributes import BodySite, Field, Sex
from jaxderm.data import prepare
from jaxderm.evaluate import reader
from jaxderm.photo import read_photo

TARGETS = {"site": 0.97, "sex": 0.90, "age": 0.80, "ita": 6.0}


def load(data_dir: str, corpus: str, splits: list[str], size: int, limit: int) -> dict:
    """Pictures [N,S,S,3] uint8 and labels of splits, at most `limit`."""
    images, labels = [], []
    for split in splits:
        records = prepare.load(data_dir, corpus, split)
        records.room = 0
        for k in range(min(len(records), limit - len(images))):
            record = records[k]
            picture = Image.fromarray(record.image).resize((size, size), Image.Resampling.BICUBIC)
            facts = record.attributes
            images.append(np.asarray(picture))
            nan = float("nan")
            labels.append((
                {Sex.MALE: 1.0, Sex.FEMALE: 0.0}.get(facts.sex, nan),
                nan if facts.age is None else facts.age,
                nan if facts.ita is None else facts.ita,
                reader.SITES.index(facts.site) if facts.site is not BodySite.UNSPECIFIED else -1,
                facts.field is not Field.CLOSE_UP,
            ))  # fmt: skip
    if not images:
        raise SystemExit(f"corpus '{corpus}' in '{data_dir}' has no pictures in {splits}.")
    return {"images": np.stack(images), "labels": np.array(labels, np.float32)}


def loss_of(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean loss; unknown labels and what a part cannot show (age of a close-up) count little."""
    sex, age, tone, site, whole = labels.T
    face = (site == reader.SITES.index(BodySite.FACE)) & (whole > 0)
    weight = jnp.where(face, 1.0, 0.1)
    known = lambda x: jnp.where(jnp.isnan(x), 0.0, 1.0)  # noqa: E731
    filled = lambda x: jnp.nan_to_num(x)  # noqa: E731
    adult = jnp.where(filled(age) >= 18, 1.0, 0.1)
    sexes = optax.sigmoid_binary_cross_entropy(outputs[:, 0], filled(sex)) * known(sex) * adult
    ages = optax.huber_loss(
        outputs[:, 1], (filled(age) - 40) / reader.AGE_SCALE, delta=0.4
    ) * known(age)
    tones = optax.huber_loss(outputs[:, 2], filled(tone) / reader.ITA_SCALE, delta=0.2) * known(
        tone
    )
    sites = optax.softmax_cross_entropy_with_integer_labels(
        outputs[:, 3:], jnp.maximum(site, 0).astype(int)
    ) * (site >= 0)
    return (weight * (sexes + 3 * ages) + 4 * tones + sites).mean()


def augmented(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirrored, shifted, blurred by chance, in [-1,1]; never recoloured: tone is a label."""
    size, pad = images.shape[1], max(2, images.shape[1] // 16)
    wide = np.pad(images, [(0, 0), (pad, pad), (pad, pad), (0, 0)], "edge")
    out = np.empty(images.shape, np.float32)
    for k, picture in enumerate(wide):
        y, x = rng.integers(0, 2 * pad + 1, 2)
        cut = picture[y : y + size, x : x + size]
        out[k] = cut[:, ::-1] if rng.random() < 0.5 else cut
        if rng.random() < 0.3:
            out[k] = (out[k] + np.roll(out[k], 1, 0) + np.roll(out[k], 1, 1)) / 3
    return out / 127.5 - 1


def train(data: dict, spec: reader.ReaderSpec, minutes: float, epochs: int, batch: int, seed: int):
    """Parameters (averaged over the last steps) after `epochs`, or earlier when the minutes are over."""
    network = reader.ReaderNetwork(spec)
    shape = jax.ShapeDtypeStruct((1, spec.size, spec.size, 3), jnp.float32)
    params = jax.jit(network.init)(jax.random.key(seed), jnp.zeros(shape.shape))["params"]
    count = len(data["images"])
    steps = max(1, epochs * count // batch)
    # The schedule follows the clock, so that a slow machine still ends at a small rate.
    optimizer = optax.inject_hyperparams(optax.adamw)(learning_rate=2e-3, weight_decay=1e-3)
    state, average = optimizer.init(params), params

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, state, average, images, labels, rate):
        state.hyperparams["learning_rate"] = rate
        value, gradient = jax.value_and_grad(
            lambda p: loss_of(network.apply({"params": p}, images), labels)
        )(params)
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda a, p: 0.99 * a + 0.01 * p, average, params)
        return params, state, average, value

    rng, start, order, losses = np.random.default_rng(seed), time.time(), np.array([], int), []
    average = jax.tree.map(jnp.copy, params)
    for k in range(steps):
        spent = max(k / steps, (time.time() - start) / (60 * minutes))
        if spent >= 1:
            break
        if len(order) < batch:
            order = np.concatenate([order, rng.permutation(count)])
        chosen, order = order[:batch], order[batch:]
        rate = 2e-3 * min(1.0, (k + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * spent)))
        params, state, average, value = step(
            params, state, average, augmented(data["images"][chosen], rng), data["labels"][chosen],
            jnp.float32(rate),
        )  # fmt: skip
        losses.append(value)
        if (k + 1) % 100 == 0:
            recent = float(np.mean([float(v) for v in losses[-100:]]))
            print(f"step {k + 1}: loss {recent:.3f}, {time.time() - start:.0f} s", flush=True)
    return jax.tree.map(np.asarray, average), len(losses)


def report(found: list[dict], labels: np.ndarray) -> dict[str, float]:
    """Figures of answers against labels [N,5]: shares, and the mean error of ITA in degrees."""
    sex, age, tone, site, whole = labels.T
    said = {k: np.array([f[k] for f in found]) for k in ("male", "age", "ita")}
    sites = np.array([reader.SITES.index(BodySite(f["site"])) for f in found])
    face = (site == reader.SITES.index(BodySite.FACE)) & (whole > 0)
    adult = face & (age >= 18) & ~np.isnan(sex)
    right = (said["male"] > 0.5) == (sex > 0.5)
    known = ~np.isnan(tone)
    figures = {
        "site": float((sites == site)[site >= 0].mean()),
        "site of whole sites": float((sites == site)[(site >= 0) & (whole > 0)].mean()),
        "sex": float(right[adult].mean()),
        "sex of men": float(right[adult & (sex == 1)].mean()),
        "sex of women": float(right[adult & (sex == 0)].mean()),
        "age": float((np.abs(said["age"] - age) <= 10)[face].mean()),
        "age error": float(np.abs(said["age"] - age)[face].mean()),
        "ita": float(np.abs(said["ita"] - tone)[known].mean()),
        "faces": float(face.sum()),
        "pictures": float(len(found)),
    }
    for k, kind in enumerate(reader.SITES):
        here = site == k
        if here.any():
            figures[f"site {kind.value}"] = float((sites == site)[here].mean())
    return figures


def real_faces(params: dict, spec: reader.ReaderSpec, gallery: str, cases: str) -> None:
    """Prints what is read off photographs of known people: FOLDER/<id>.jpg, or a case's own photo."""
    with open(cases, newline="") as file:
        rows = list(csv.DictReader(file))
    paths, known = [], []
    for row in rows:
        path = Path(gallery) / f"{row['id']}.jpg"
        if path.is_file():
            paths.append(path)
            known.append((row["sex"], attr.parse_age(row["age"])))
    if not paths:
        paths = sorted(Path(gallery).glob("*.jpg"))
    pictures = [read_photo(path).pixels for path in paths]
    found = reader.read_pictures(params, spec, pictures)
    faces = np.mean([f["site"] == "face" for f in found])
    print(f"photographs of {gallery}: {len(paths)}; read as a face: {faces:.1%}")
    if known:
        sexes = np.array([f["sex"] == sex for f, (sex, _) in zip(found, known)])
        ages = np.array([abs(f["age"] - a) for f, (_, a) in zip(found, known) if a is not None])
        for sex in ("female", "male"):
            of = np.array([s == sex for s, _ in known])
            if of.any():
                print(f"  sex right of {sex}: {sexes[of].mean():.1%} of {of.sum()}")
        print(f"  age within 10 years {np.mean(ages <= 10):.1%}, mean error {ages.mean():.1f}")
    else:
        print(f"  read as men: {np.mean([f['sex'] == 'male' for f in found]):.1%}")


def main() -> None:
    """Parses flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--corpus", default="rendered_people")
    parser.add_argument("--output", help="weights to write (half precision)")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--limit", type=int, default=20000, help="training pictures at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gallery", help="folder of photographs of faces")
    parser.add_argument("--cases", help="cases.csv with sex and age of the gallery's people")
    args = parser.parse_args()
    spec = reader.ReaderSpec()
    data = load(args.data_dir, args.corpus, ["train"], spec.size, args.limit)
    held = load(args.data_dir, args.corpus, ["validation", "test"], spec.size, 4000)
    params, steps = train(data, spec, args.minutes, args.epochs, args.batch, args.seed)
    # As it ships: rounded to half precision.
    params = jax.tree.map(lambda p: p.astype(np.float16).astype(np.float32), params)
    size = sum(p.size for p in jax.tree.leaves(params))
    print(f"{size / 1e6:.2f} M parameters, {steps} steps on {len(data['images'])} pictures")
    figures = report(reader.read_pictures(params, spec, list(held["images"])), held["labels"])
    for name, value in figures.items():
        target = f"  (target {TARGETS[name]:g})" if name in TARGETS else ""
        print(f"{name:24s} {value:8.3f}{target}")
    if args.output:
        reader.save_reader(args.output, params, spec, corpus=args.corpus, figures=figures)
    if args.gallery:
        real_faces(params, spec, args.gallery, args.cases)


if __name__ == "__main__":
    main()
