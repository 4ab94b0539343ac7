"""What each choice of the training recipe is worth, at equal training time: one run a choice, one table.

    python benchmarks/ablation.py --workdir runs/ablation --minutes 10 [--data_dir data] [--bank data/bank.safetensors]
        [--size 64] [--only NAME,NAME] [--count 256]

Every run differs from the first by what its name says and trains for the same minutes on this machine: its images/s are
measured first, and fix how many images it sees. Small and short, so that a CPU can tell the choices apart; whether the
order holds at 256 px after hours is not known. A run that is there already is not repeated: remove its folder to.

Columns: images seen; Frechet and kernel distance of held-out portraits, drawn from their own facts, to themselves; the
same of held-out rendered faces asked for as photographs, who have the sexes, ages and tones that portraits lack; error
of their tone and agreement of their sex (by the shipped reader, which knows renders) with what was asked.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, os.getcwd())

from jaxderm.attributes import CONDITION_GROUPS, Sex, position_of  # noqa: E402
from jaxderm.compilation import use_compilation_cache  # noqa: E402
from jaxderm.data import pipeline  # noqa: E402
from jaxderm.evaluate import realism  # noqa: E402
from jaxderm.evaluate.attributes import tone  # noqa: E402
from jaxderm.evaluate.curve import draw, fitted  # noqa: E402
from jaxderm.evaluate.features import random_network  # noqa: E402
from jaxderm.evaluate.readers import load_reader  # noqa: E402
from jaxderm.face import face_skin_region  # noqa: E402
from jaxderm.models import weights  # noqa: E402
from jaxderm.release.engine import Engine  # noqa: E402
from jaxderm.train import augment  # noqa: E402

REFINER = {"config": "configs/people_256.py", "batch": 16, "model.dtype": "float32"}
REFINER |= {"data.on_device_mb": 1024, "data.on_device_passes": 1.0, "ema.fraction": 0.1}
FACES = {"data.corpora.portraits": 0.5, "data.corpora.rendered_people": 0.5, "data.face_share": 1.0}
FACES |= {"batch": 16, "ema.fraction": 0.1}
CODER = FACES | {"config": "configs/people_128.py:autoencoder"}
LATENT = FACES | {"config": "configs/people_128.py:gan", "gan.vae_weight": 1.0}
LATENT |= {"gan.diversity_weight": 0.0, "gan.age_share": 0.0, "gan.photograph_share": 1.0}
PIXELS = {"model.reduction": 1, "model.channels": 3}
# {name: [(share of the minutes, overrides)]}, a stage after the other; the others differ from the first.
RUNS = {
    "refiner as in people_256.py": [(1.0, REFINER)],
    "penalty 2 throughout": [(1.0, REFINER | {"gan.gamma_end": 2.0})],
    "penalty 10 to 1": [(1.0, REFINER | {"gan.gamma_start": 10.0, "gan.gamma_end": 1.0})],
    "no augmentation": [(1.0, REFINER | {"augment.p_start": 0.0, "augment.p_ramp": 0.0})],
    "augmentation 0.1": [(1.0, REFINER | {"augment.p_start": 0.1, "augment.p_ramp": 0.1})],
    "augmentation 0.6": [(1.0, REFINER | {"augment.p_start": 0.6, "augment.p_ramp": 0.6})],
    "half rendered asked for as photographs": [
        (1.0, REFINER | {
            "data.corpora.portraits": 0.5, "data.corpora.rendered_people": 0.5, "data.face_share": 1.0,
            "gan.photograph_share": 1.0, "data.on_device_passes": 0.12,
        })
    ],
    "no variants of portraits": [(1.0, REFINER | {"data.variant_share": 0.0})],
    "z of 16": [(1.0, REFINER | {"model.z_size": 16})],
    "codes five times as loud": [(1.0, REFINER | {"gan.code_weight": 5.0})],
    "portraits as they come": [
        (1.0, REFINER | {"data.female_share": 0.0, "data.young_share": 0.0, "data.younger_share": 0.0})
    ],
    "generator in a latent of 12": [(0.3, CODER), (0.7, LATENT)],
    "generator in a latent of 4": [(0.3, CODER | {"model.channels": 4}), (0.7, LATENT | {"model.channels": 4})],
    "generator in pixels": [(1.0, LATENT | PIXELS)],
}  # fmt: skip


def command(folder: Path, given, overrides: dict, kimg: float) -> list[str]:
    """The training command of a stage, of so many thousand images."""
    own = {k: v for k, v in overrides.items() if k != "config"}
    own |= {"model.size": given.size, "data.data_dir": given.data_dir, "total_kimg": kimg}
    own |= {"cooldown_kimg": 0.0, "log_kimg": 0.064, "optimizer.warmup_kimg": 0.2}
    own |= {f"{name}_kimg": kimg for name in ("evaluate", "checkpoint", "grid")}
    own |= {"snapshot_kimg": 0.0}
    if overrides["config"].startswith(REFINER["config"]):
        own["data.bank"] = given.bank
    else:
        own["model.base"] = given.base
    flags = [f"--config.{name}={value}" for name, value in own.items()]
    program = "import sys; from jaxderm.cli import main; sys.exit(main())"
    start = [sys.executable, "-c", program, "train", f"--config={overrides['config']}"]
    return [*start, f"--workdir={folder}", *flags]


def images_in(path: Path) -> int:
    """Images seen by the last complete line of a metrics.jsonl, 0 without one."""
    lines = path.read_text().splitlines() if path.is_file() else []
    seen = [json.loads(line)["images"] for line in lines if line.endswith("}")]
    return max(seen, default=0)


def speed_of(folder: Path, given, overrides: dict, before: Path | None) -> float:
    """Images a second of a stage, start and compilation left out: a run that is stopped after `probe_s`."""
    shutil.rmtree(folder, ignore_errors=True)
    if before is not None:
        shutil.copytree(before, folder)
    stage = stage_of(overrides)
    with open(os.devnull, "wb") as nowhere:
        run = subprocess.Popen(
            command(folder, given, overrides, 1e3), stdout=nowhere, stderr=nowhere
        )
        path, first, last = folder / stage / "metrics.jsonl", None, None
        while run.poll() is None:
            time.sleep(0.2)
            images, now = images_in(path), time.perf_counter()
            if images and (last is None or images > last[1]):
                last = now, images
                first = first or last
            if first and now - first[0] > given.probe_s and last != first:
                break
        run.send_signal(signal.SIGKILL)
        run.wait()
    shutil.rmtree(folder, ignore_errors=True)
    if first is None or last == first:
        raise SystemExit(
            f"error: the probe of {folder.name} ended by itself; run its command by hand."
        )
    return (last[1] - first[1]) / (last[0] - first[0])


def stage_of(overrides: dict) -> str:
    """Stage that a configuration file and its argument name."""
    name, _, argument = overrides["config"].partition(":")
    module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
    return (module.get_config(argument) if argument else module.get_config()).stage


def train(name: str, stages: list, given, speeds: dict[str, float]) -> tuple[Path, int]:
    """(weight file, images of its last stage) of a run; trained unless it is there."""
    folder = Path(given.workdir) / "".join(c if c.isalnum() else "_" for c in name)
    done = folder / "images.txt"
    for number, (share, overrides) in enumerate(stages):
        if done.is_file():
            break
        before = folder if number else None
        # What changes the networks or the picture's way to them changes the speed, and nothing else here.
        sizes = [overrides["config"], *(f"{k}={v}" for k, v in overrides.items() if "model." in k)]
        if (kind := " ".join(sizes)) not in speeds:
            probe = folder.with_name(folder.name + ".probe")
            speeds[kind] = speed_of(probe, given, overrides, before)
        speed = speeds[kind]
        images = round(speed * share * given.minutes * 60)
        print(f"{name}: {speed:.1f} images/s, {images:,} images", file=sys.stderr, flush=True)
        with open(os.devnull, "wb") as nowhere:
            subprocess.run(
                command(folder, given, overrides, images / 1e3),
                check=True,
                stdout=nowhere,
                stderr=nowhere,
            )
        if number == len(stages) - 1:
            done.write_text(f"{images}\n")
    stage = stage_of(stages[-1][1])
    return folder / stage / "release.safetensors", int(done.read_text())


def batches_of(given, corpus: str) -> list[dict[str, np.ndarray]]:
    """Held-out whole faces of a corpus, asked for as photographs."""
    found, per = [], 32
    for split in ("validation", "test"):
        loader = pipeline.make_loader(
            given.data_dir, {corpus: 1.0}, split, batch_size=per, size=given.size, seed=1, face_share=1.0,
            bank=given.bank,
        )  # fmt: skip
        for _ in range(-(-given.count // per // 2)):
            batch = dict(next(loader))
            asked = augment.asked(jax.random.key(0), jnp.asarray(batch["condition"]), 1.0, 0.0)
            batch["condition"] = np.asarray(asked)
            found.append(batch)
    return found


def drawer(path: Path | None):
    """(batch, number) -> pictures of a run's weights; of no run the exemplars as they are."""
    if path is None:
        return lambda batch, _: np.where(
            batch["mask"][..., None] > 0.5, batch["image"], batch["exemplar"]
        )
    networks, spec, _ = weights.load_weights(path)
    engine = Engine(networks, spec)
    return lambda batch, number: draw(engine, batch, number)


def figures(path: Path | None, given, portraits, rendered, extractor, reader) -> list[str]:
    """Cells of a run's row: distances of both sets to the portraits, tone error and sex agreement of the second."""
    of, cells = drawer(path), []
    real = realism.FeatureSet(extractor.features)
    for batch in portraits:
        real.add(fitted(extractor, batch["image"]))
    for batches in (portraits, rendered):
        fake, number, drawn = realism.FeatureSet(extractor.features), 0, []
        for batch in batches:
            drawn.append(of(batch, number))
            number += len(drawn[-1])
            fake.add(fitted(extractor, drawn[-1]))
        both = realism.compare(real, fake)
        cells += [f"{both['frechet'].value:.2f}", f"{both['kernel'].value:.3f}"]
    tones, sexes = [], []
    for batch, pictures in zip(rendered, drawn):
        read = reader(list(pictures))
        for picture, mask, points, facts, said in zip(
            pictures, batch["mask"], batch["landmarks"], batch["condition"], read
        ):
            asked = facts[CONDITION_GROUPS["ita"]]
            region = face_skin_region(points * given.size, mask.shape) & (mask < 0.5)
            found = tone(picture, region) if asked[0] else None
            if found is not None:
                tones.append(abs(found - 50 * asked[1]))
            adult = facts[CONDITION_GROUPS["age"]][:2] @ [40, 40] >= 18
            for sex in (Sex.FEMALE, Sex.MALE):
                if adult and facts[position_of(sex)]:
                    sexes.append(said["sex"] == sex.value)
    return [*cells, f"{np.mean(tones):.1f}" if tones else "-", f"{np.mean(sexes):.0%}"]


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, a run")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--bank", default="data/bank.safetensors")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--base", type=int, default=64, help="width of the generators' networks")
    parser.add_argument("--count", type=int, default=256, help="held-out pictures a column")
    parser.add_argument("--probe_s", type=float, default=20.0)
    parser.add_argument("--only", default="", help="names of runs, with commas between")
    given = parser.parse_args()
    chosen = [n for n in RUNS if not given.only or n in given.only.split(",")]
    speeds: dict[str, float] = {}  # of each kind, measured once
    done = {name: train(name, RUNS[name], given, speeds) for name in chosen}
    use_compilation_cache()
    extractor, reader = random_network(), load_reader("default")
    portraits, rendered = (batches_of(given, corpus) for corpus in ("portraits", "rendered_people"))
    print(
        "| run | images | Frechet | kernel | Frechet, rendered | kernel, rendered | tone error | sex |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, (path, images) in {"exemplars": (None, 0), **done}.items():
        cells = figures(path, given, portraits, rendered, extractor, reader)
        print(f"| {name} | {images:,} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
