"""Fit the light on faces to portraits and to a model's frames.

    python -m jaxderm.commands.train_light --data_dir data --output light.safetensors

Some three minutes on two slow CPU cores.
"""

import argparse
import sys

import numpy as np
from safetensors.numpy import save

from jaxderm.commands.train_detail import parser_of, status_of
from jaxderm.data import prepare
from jaxderm.errors import InputError
from jaxderm.models.light import SEXES
from jaxderm.photo import write_atomic
from jaxderm.release.smoothing import beside_kept
from jaxderm.release.synthesize import Deidentifier
from jaxderm.train import light
from jaxderm.train.detail_pictures import somebody

FRAMES = 480
LEAST = 20  # portraits of each sex


def main() -> int:
    """Exit status of the command."""
    return status_of(train, parser_of(__doc__, "whose frames get light").parse_args())


def portraits_of(records) -> list[light.Face]:
    """Faces of the records that have five landmarks, a sex and an age."""
    faces = []
    for record in (records[k] for k in range(len(records))):
        facts = record.attributes
        if facts.age is not None and facts.sex in SEXES and np.isfinite(record.landmarks).all():
            points = record.landmarks
            faces.append(light.of_face(record.image, points, points[2], facts.sex, facts.age))
    return faces


def frame_of(model: Deidentifier, layout: np.ndarray, rng: np.random.Generator) -> light.Face:
    """The face of `detail_pictures.somebody` in a frame that a model draws and settles."""
    side = 3 * model.engine.spec.size
    photo, mask, facts, points, seed = somebody(side, layout, rng)
    case = model.resolve(photo, mask, facts, landmarks=points)
    _, drawn = next(model.drawn(case, seed, (0,)))
    frame = np.round((drawn.generated.frame + 1) * 127.5).clip(0, 255).astype(np.uint8)
    size = len(frame)
    # Beside what is kept all is as refined.
    kept = beside_kept(drawn.mask) < 0.9
    nose = None if drawn.person is None else drawn.person.nose * size
    return light.of_face(frame, drawn.landmarks * size, nose, facts.sex, facts.age, kept)


def train(given: argparse.Namespace) -> None:
    """Look at portraits, draw frames, fit, write."""
    records = prepare.load(given.data_dir, given.corpus, "train")
    portraits = portraits_of(records)
    if min(sum(face.sex is sex for face in portraits) for sex in SEXES) < LEAST:
        raise InputError(
            f"corpus '{given.corpus}' in '{given.data_dir}' has fewer than {LEAST} faces of a sex with "
            "five landmarks and an age; prepare portraits."
        )
    layouts = [record.landmarks for record in (records[k] for k in range(len(records)))]
    layouts = [points for points in layouts if np.isfinite(points).all()]
    model, rng = Deidentifier.load(given.model), np.random.default_rng(given.seed)
    frames = [frame_of(model, layouts[rng.integers(len(layouts))], rng) for _ in range(FRAMES)]
    print(f"{len(portraits)} portraits, {len(frames)} frames", flush=True)
    fitted = light.fit(portraits, frames)
    # `save` takes the memory as it lies.
    halves = {name: np.ascontiguousarray(v, np.float16) for name, v in fitted._asdict().items()}
    write_atomic(given.output, save(halves))


if __name__ == "__main__":
    sys.exit(main())
