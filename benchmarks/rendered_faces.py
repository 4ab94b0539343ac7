"""Are sex and age visible in rendered faces? New frontal faces, judged by an outside reader of faces.

    python benchmarks/rendered_faces.py --count 400 --reader "node read.js" --output /tmp/faces

The reader is any command that takes OUT.json and then JPEG files, and writes {file name: [{"sex": "male" or "female",
"age": years, ...} ...]}, the largest face first, an empty list where it finds none. Faces are rendered at 128 px
through jaxderm.render and handed over enlarged to 384 px. Prints its table by sex and age band. Rows stay in
OUTPUT/faces.json, pictures in OUTPUT; --reuse judges them again.
"""

import argparse
import dataclasses
import json
import shlex
import subprocess
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from jaxderm.attributes import BodySite, Field, View

BANDS = ((0, 3), (3, 12), (12, 18), (18, 30), (30, 45), (45, 60), (60, 75), (75, 96))
TARGETS = (
    "targets: found >= 97 %, sex of adults >= 85 % in each sex, correlation >= 0.75, error <= 12"
)


def render_one(job: tuple[int, int, int, str]) -> dict:
    """Renders person `number` of a seed as a frontal face; its row."""
    seed, number, size, folder = job
    from jaxderm.render import picture, sampler

    for attempt in range(40):
        # One face a person: their first picture is one; other views are drawn again.
        scene = sampler.draw_scene(seed, number * sampler.IMAGES_PER_PERSON, attempt)
        if (scene.site, scene.view, scene.field) != (BodySite.FACE, View.FRONTAL, Field.WHOLE_SITE):
            continue
        try:
            made = picture.render(dataclasses.replace(scene, lesion=None, eyes_closed=0.0), size)
        except picture.FailedPicture:
            continue
        file = f"{number:05d}.jpg"
        large = Image.fromarray(made.image).resize((384, 384), Image.Resampling.BICUBIC)
        large.save(Path(folder) / file, quality=95)
        person = scene.person
        return {"file": file, "sex": person.sex.value, "age": person.years, "tone": person.tone,
                "beard": person.beard, "hair": person.hair.style, "grey": person.hair.grey}  # fmt: skip
    raise RuntimeError(f"person {number} of seed {seed} gave no frontal face")


def judged(rows: list[dict], folder: Path, command: str) -> list[dict]:
    """Rows with what the reader says: found, said_sex, said_age."""
    answers = {}
    for start in range(0, len(rows), 100):
        files = [str((folder / row["file"]).resolve()) for row in rows[start : start + 100]]
        out = (folder / "reader.json").resolve()
        subprocess.run([*shlex.split(command), str(out), *files], check=True)
        answers.update(json.loads(out.read_text()))
    result = []
    for row in rows:
        faces = answers.get(row["file"], [])
        face = faces[0] if faces else {"sex": None, "age": float("nan")}
        result.append(
            {**row, "found": bool(faces), "said_sex": face["sex"], "said_age": face["age"]}
        )
    return result


def table(rows: list[dict]) -> list[str]:
    """Lines of the table by sex and age band."""
    lines = [
        f"{'sex':8s}{'age':>8s}{'faces':>7s}{'found':>8s}{'sex right':>11s}{'says age':>10s}{'error':>7s}"
    ]
    for sex in ("female", "male"):
        for low, high in BANDS:
            part = [r for r in rows if r["sex"] == sex and low <= r["age"] < high]
            found = [r for r in part if r["found"]]
            if not part:
                continue
            line = f"{sex:8s}{f'{low}-{high - 1}':>8s}{len(part):7d}{len(found) / len(part):8.0%}"
            if found:
                right = np.mean([r["said_sex"] == sex for r in found])
                said = np.mean([r["said_age"] for r in found])
                error = np.mean([abs(r["said_age"] - r["age"]) for r in found])
                line += f"{right:11.0%}{said:10.0f}{error:7.1f}"
            lines.append(line)
    found = [r for r in rows if r["found"]]
    lines.append(f"found {len(found) / len(rows):.1%} of {len(rows)}")
    for sex in ("female", "male"):
        adults = [r for r in found if r["sex"] == sex and r["age"] >= 18]
        if adults:
            share = np.mean([r["said_sex"] == sex for r in adults])
            lines.append(f"adult {sex} read as {sex}: {share:.1%} of {len(adults)}")
    if len(found) > 2:
        ages, said = np.array([(r["age"], r["said_age"]) for r in found]).T
        lines.append(f"age: correlation {np.corrcoef(ages, said)[0, 1]:.2f}, mean error "
                     f"{np.abs(ages - said).mean():.1f} years")  # fmt: skip
    return [*lines, TARGETS]


def main() -> None:
    """Parses flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=90216, help="not a training corpus's")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", required=True)
    parser.add_argument("--reader", required=True, help="command: OUT.json FILE.jpg ...")
    parser.add_argument("--reuse", action="store_true", help="judge the pictures that are there")
    args = parser.parse_args()
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    if args.reuse:
        rows = json.loads((folder / "faces.json").read_text())
    else:
        jobs = [(args.seed, k, args.size, str(folder)) for k in range(args.count)]
        if args.workers > 1:
            with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
                rows = list(pool.map(render_one, jobs, chunksize=4))
        else:
            rows = [render_one(job) for job in jobs]
    rows = judged(rows, folder, args.reader)
    (folder / "faces.json").write_text(json.dumps(rows, indent=1))
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
