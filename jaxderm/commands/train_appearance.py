"""Fit the appearance of faces to portraits.

    python -m jaxderm.commands.train_appearance --data_dir data --output appearance.safetensors

Some two minutes on two slow CPU cores.
"""

import argparse
import sys

import numpy as np
from safetensors.numpy import save

from jaxderm.commands.train_detail import parser_of, status_of
from jaxderm.data import prepare
from jaxderm.errors import InputError
from jaxderm.models.appearance import SEXES
from jaxderm.photo import write_atomic
from jaxderm.train import appearance, registered

LEAST = 20  # portraits of each sex


def main() -> int:
    """Exit status of the command."""
    return status_of(train, parser_of(__doc__).parse_args())


def portraits_of(records) -> list[registered.Face]:
    """Faces of the records that have five landmarks, a sex and an age."""
    faces = []
    for record in (records[k] for k in range(len(records))):
        facts = record.attributes
        if facts.age is not None and facts.sex in SEXES and np.isfinite(record.landmarks).all():
            of = facts.sex, facts.age, facts.ita
            faces.append(registered.of_face(record.image, record.landmarks, *of))
    return faces


def train(given: argparse.Namespace) -> None:
    """Look at portraits, fit, write."""
    faces = portraits_of(prepare.load(given.data_dir, given.corpus, "train"))
    if min(sum(face.sex is sex for face in faces) for sex in SEXES) < LEAST:
        raise InputError(
            f"corpus '{given.corpus}' in '{given.data_dir}' has fewer than {LEAST} faces of a sex with "
            "five landmarks and an age; prepare portraits."
        )
    print(f"{len(faces)} portraits", flush=True)
    fitted = appearance.fit(faces)
    # `save` takes the memory as it lies.
    halves = {name: np.ascontiguousarray(v, np.float16) for name, v in fitted._asdict().items()}
    write_atomic(given.output, save(halves))


if __name__ == "__main__":
    sys.exit(main())
