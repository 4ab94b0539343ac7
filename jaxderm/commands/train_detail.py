"""Train the detail head on a model's frames and on portraits.

    python -m jaxderm.commands.train_detail --data_dir data --output detail.safetensors

Half an hour on two slow CPU cores.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np

from jaxderm.attributes import Sex
from jaxderm.data import prepare
from jaxderm.errors import InputError
from jaxderm.release.synthesize import Deidentifier
from jaxderm.train import detail, detail_pictures

FRAMES, PORTRAITS = 640, 1800  # pictures that crops are cut from


def drawer_of(model: Deidentifier) -> detail_pictures.Draw:
    """How a model draws and settles frames, before their detail."""

    def draw(photo, mask, facts, landmarks, seed):
        case = model.resolve(photo, mask, facts, landmarks=landmarks)
        _, drawn = next(model.drawn(case, seed, (0,)))
        return drawn.generated.frame, drawn.landmarks

    return draw


def parser_of(description: str) -> argparse.ArgumentParser:
    """Arguments of a program that fits something to portraits."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--corpus", default="portraits", help="of photographs of faces")
    parser.add_argument("--output", required=True)
    return parser


def status_of(train: Callable[[argparse.Namespace], None], given: argparse.Namespace) -> int:
    """Exit status of a program that does that: 2 after a sentence on what was wrong with what it was given."""
    try:
        train(given)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def main() -> int:
    """Exit status of the command."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="whose frames get detail")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    return status_of(train, parser.parse_args())


def train(given: argparse.Namespace) -> None:
    """Cut portraits, draw frames, train, write the head's average."""
    rng = np.random.default_rng(given.seed)
    records = prepare.load(given.data_dir, given.corpus, "train")
    faces = [r for r in (records[i] for i in range(len(records))) if np.isfinite(r.landmarks).all()]
    # As many women as men, though portraits of men are more.
    by_sex = [[r for r in faces if r.attributes.sex is sex] for sex in Sex]
    sexes = [own for own in by_sex if own]
    if not sexes:
        raise InputError(
            f"corpus '{given.corpus}' in '{given.data_dir}' has no face with five landmarks; prepare portraits."
        )
    model = Deidentifier.load(given.model)
    size, draw = model.engine.spec.size, drawer_of(model)

    def someone():
        own = sexes[rng.integers(len(sexes))]
        return own[rng.integers(len(own))]

    portraits = [detail_pictures.of_portrait(someone(), size, rng) for _ in range(PORTRAITS)]
    frames = [
        detail_pictures.of_frame(draw, 3 * size, someone().landmarks, rng) for _ in range(FRAMES)
    ]
    print(f"{len(faces)} portraits, {len(frames)} frames", flush=True)
    detail.fit(frames, portraits, given.steps, given.seed, given.output)


if __name__ == "__main__":
    sys.exit(main())
