"""Realism over the course of a run: every weight file of a workdir on one fixed held-out set.

A run keeps its latest weights a stage, and numbered ones with `config.snapshot_kimg`. What was
evaluated stays in WORKDIR/evaluations.jsonl, so that calls during a run add up to a curve too.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxderm.compilation import use_compilation_cache
from jaxderm.errors import InputError
from jaxderm.evaluate import realism
from jaxderm.evaluate.features import Extractor, fit, random_network
from jaxderm.evaluate.realism import METRICS
from jaxderm.models import weights
from jaxderm.release import randomness
from jaxderm.release.engine import Engine

STAGES = ("autoencoder", "vae", "gan", "decoder")
BATCH = 32


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """A weight file of a run with its stage and the images seen (None where no config says the batch)."""

    path: Path
    stage: str
    step: int
    images: int | None


def weight_files(workdir: str | Path) -> tuple[list[WeightFile], list[str]]:
    """(files that can generate, in the order of training; sentences on what was passed over)."""
    folder = Path(workdir)
    if not folder.is_dir():
        raise InputError(f"workdir '{workdir}' is not a folder; give --workdir of a training run.")
    found, notes = [], []
    for path in sorted(folder.rglob("*.safetensors")):
        if path.name == "networks.safetensors" and path.with_name("release.safetensors").is_file():
            continue  # the same weights with what only trains
        networks, _, card = weights.load_weights(path)
        if "generator" not in networks or card.get("stage") == "autoencoder":
            notes.append(f"{path.relative_to(folder)}: no trained generator, passed over")
            continue
        stage, step = str(card.get("stage", "")), int(card.get("step", 0))
        config = _config(folder, stage)
        found.append(WeightFile(path, stage, step, step * config["batch"] if config else None))
    if not found:
        raise InputError(f"workdir '{workdir}' holds no weight file with a trained generator.")
    found.sort(
        key=lambda f: (STAGES.index(f.stage) if f.stage in STAGES else -1, f.step, str(f.path))
    )
    if len(found) == len({f.stage for f in found}):
        notes.append(
            "a run keeps only the latest weights of a stage: for a curve train with "
            "--config.snapshot_kimg=N, or call evaluate while it runs"
        )
    return found, notes


def _config(folder: Path, stage: str) -> dict | None:
    path = folder / stage / "config.json"
    return json.loads(path.read_text()) if stage and path.is_file() else None


def held_out(
    workdir: str | Path, size: int, count: int, split: str, data_dir: str | None = None
) -> tuple[Iterator[dict[str, np.ndarray]], dict[str, int]]:
    """(batches of held-out examples as in training, {corpus: pictures}) of a run's own corpora.

    Needs the extra `train`. data_dir: where the corpora are, if not where the run had them.
    """
    from jaxderm.data import pipeline, prepare

    folder = Path(workdir)
    config = next((c for c in (_config(folder, s) for s in reversed(STAGES)) if c), None)
    if config is None:
        raise InputError(f"workdir '{workdir}' has no <stage>/config.json that names its corpora.")
    data = config["data"]
    where = data_dir or data["data_dir"]
    corpora = {name: weight for name, weight in data["corpora"].items() if weight}
    sizes = {name: len(prepare.load(where, name, split)) for name in corpora}
    loader = pipeline.make_loader(
        where, corpora, split, batch_size=BATCH, size=size, seed=12345,
        face_share=data.get("face_share", 0.0), bank=data.get("bank", ""),
    )  # fmt: skip

    def batches() -> Iterator[dict[str, np.ndarray]]:
        left = count
        while left > 0:
            batch = next(loader)
            yield {name: value[:left] for name, value in batch.items()}
            left -= BATCH

    return batches(), sizes


def evaluate(file: WeightFile, batches: list[dict[str, np.ndarray]], extractor: Extractor) -> dict:
    """All METRICS of a weight file's pictures (kept pixels put back) against the held-out ones."""
    networks, spec, _ = weights.load_weights(file.path)
    use_compilation_cache()
    figures = compare(Engine(networks, spec), batches, extractor)
    return {name: figure.as_dict() for name, figure in figures.items()}


def compare(
    engine: Engine, batches: list[dict[str, np.ndarray]], extractor: Extractor
) -> dict[str, realism.Figure]:
    """All METRICS of what an engine draws for held-out batches, the kept pixels put back."""
    real = realism.FeatureSet(extractor.features)
    fake = realism.FeatureSet(extractor.features)
    number = 0
    for batch in batches:
        real.add(fitted(extractor, batch["image"]))
        fake.add(fitted(extractor, draw(engine, batch, number)))
        number += len(batch["image"])
    return realism.compare(real, fake)


def draw(engine: Engine, batch: dict[str, np.ndarray], number: int = 0) -> np.ndarray:
    """What an engine draws for a held-out batch, the kept pixels put back: [B,S,S,3] uint8.

    number: of the batch's first example, so that each has a z of its own.
    """
    spec = engine.spec
    image, mask = batch["image"].astype(np.float32) / 127.5 - 1, batch["mask"][..., None]
    roots = [
        hashlib.sha256(b"jaxderm evaluate %d" % (number + i)).digest() for i in range(len(image))
    ]
    frames = engine(
        {
            "pixels": image * mask,
            "mask": batch["mask"],
            "landmarks": batch["landmarks"],
            "z": np.stack([randomness.styles(r, None, spec.z_size) for r in roots]),
            "codes": np.stack([randomness.symmetric(r, randomness.CODES, spec.code_size) for r in roots]),
            "condition": batch["condition"],
            **_exemplars(batch),
        }
    )  # fmt: skip
    made = np.where(mask > 0.5, image, np.clip(frames, -1, 1))
    return np.round((made + 1) * 127.5).astype(np.uint8)


def _exemplars(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if "exemplar" not in batch:
        return {}
    return {"exemplar": batch["exemplar"].astype(np.float32) / 127.5 - 1}


class Realism:
    """Evaluator of a training run (train/evaluators.py): those METRICS that the held-out batch allows.

    In a configuration: `c.evaluators.realism = {"type": "jaxderm.evaluate.curve:Realism", "every_kimg": 4.0}`.
    The batch is small: read the curve, and use `jaxderm evaluate` for a figure.
    """

    def __init__(self) -> None:
        self.extractor = random_network()
        self.engine: Engine | None = None

    def __call__(self, subject) -> dict[str, float]:
        """{metric: value}; nothing for the autoencoder's stage."""
        if subject.stage == "autoencoder":
            return {}
        if self.engine is None:
            self.engine = Engine(subject.networks, subject.spec)
        else:
            self.engine.hold(subject.networks)
        figures = compare(self.engine, [subject.held_out], self.extractor)
        return {name: f.value for name, f in figures.items() if math.isfinite(f.value)}


def fitted(extractor: Extractor, pictures: np.ndarray) -> np.ndarray:
    """Features [B,D] of pictures [B,S,S,3] uint8 of any side."""
    return extractor(np.stack([fit(picture, extractor.size) for picture in pictures]))


def history(workdir: str | Path) -> list[dict]:
    """What was evaluated before in a workdir."""
    path = Path(workdir) / "evaluations.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def curve(
    workdir: str | Path,
    extractor: Extractor,
    count: int = 256,
    split: str = "validation",
    data_dir: str | None = None,
) -> tuple[list[dict], list[str]]:
    """(rows of this extractor, count and split in the order of training, notes); new ones are added."""
    files, notes = weight_files(workdir)
    setting = {"extractor": extractor.name, "count": count, "split": split}
    before = [row for row in history(workdir) if {k: row.get(k) for k in setting} == setting]
    known = {row["sha256"] for row in before}
    batches: dict[int, list] = {}
    for file in files:
        digest = weights.sha256(file.path)
        if digest in known:
            continue
        size = weights.read_spec(file.path).size
        if size not in batches:
            # The held-out examples fit: 256 at 128 px are 12 MB; a large count is read anew a file.
            found, sizes = held_out(workdir, size, count, split, data_dir)
            if (total := sum(sizes.values())) < count:
                notes.append(
                    f"{count} examples are drawn from {total} held-out pictures, so some repeat with "
                    "another mask and geometry"
                )
            batches[size] = found if count > 4096 else list(found)
        source = batches.pop(size) if count > 4096 else batches[size]
        row = {
            "stage": file.stage, "step": file.step, "images": file.images, "sha256": digest, **setting,
            "figures": evaluate(file, source, extractor),
        }  # fmt: skip
        before.append(row)
        with open(Path(workdir) / "evaluations.jsonl", "a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
    order = {name: number for number, name in enumerate(STAGES)}
    return sorted(before, key=lambda r: (order.get(r["stage"], -1), r["step"])), notes


def table(rows: list[dict]) -> str:
    """The curve as text: a line a weight file, each figure with its 95 % interval."""

    def cell(figure: dict) -> str:
        if figure["value"] is None:
            return "not valid"
        reach = "" if figure["low"] is None else f" ±{(figure['high'] - figure['low']) / 2:.3f}"
        return f"{figure['value']:.3f}{reach}"

    lines = [["stage", "kimg", *METRICS]]
    for row in rows:
        kimg = "?" if row["images"] is None else f"{row['images'] / 1000:g}"
        lines.append([row["stage"], kimg, *(cell(row["figures"][name]) for name in METRICS)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip() for line in lines
    ]
    reasons = {
        f["note"]
        for row in rows
        for f in row["figures"].values()
        if f["value"] is None and f.get("note")
    }
    return "\n".join([*text, *sorted(reasons)])
