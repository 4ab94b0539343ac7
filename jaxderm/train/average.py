"""Weights of two runs that began from one network, averaged; optionally with another run's decoder.

    python -m jaxderm.train.average FIRST.safetensors SECOND.safetensors --share 0.35 \
        [--decoder THIRD.safetensors [--decoder_share 0.5]] [--truncation 0.4] [--bank bank.safetensors] [--bank_quality 75 84 79] \
        [--face_strength 0.38] [--ages_female 56 75] [--ages_male 50 75] [--tones -25 -10] [--older 4 10] \
        [--code_strength 0.6 0.9] --output release.safetensors

The average of two fine-tuned networks is often better than either (model soups, Wortsman 2022). Both generators
must draw latents of one autoencoder: `gan` and `decoder` leave its encoder alone, so runs that began from
one file do. Truncation draws z to its mean at a release. Of refiners, the bank can be replaced, the change in the inner
face and that of each code weakened, and the facts limited that are asked for as photographs (models/spec.py).
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from jaxderm.data import bank as banks
from jaxderm.data.bank_arrays import compressed
from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.models.refiner import CODES


def average(
    first: Path,
    second: Path,
    share: float,
    decoder: Path | None,
    output: Path,
    decoder_share: float = 1.0,
    bank: Path | None = None,
    bank_quality: Sequence[int] | None = None,
    face_strength: float | None = None,
    truncation: float | None = None,
    code_strength: Sequence[float] | None = None,
    **photographs,
) -> None:
    """Write a release's weights: (1 - share) of the first generator and share of the second, half precision.

    The autoencoder is the first's, with decoder_share of the decoder file's; so is the bank of exemplars unless one
    is given; bank_quality: of its pictures, as of `bank_arrays.compressed`. truncation, and face_strength of a refiner: as in
    `ModelSpec`; code_strength: how much of each code's change is left; photographs: fields of `Photographs`. InputError for a share outside 0 to 1, for files of
    other sizes, or of latents that mean something else.
    """
    shares = {
        "share": share, "decoder_share": decoder_share, "face_strength": face_strength,
        "truncation": truncation,
    }  # fmt: skip
    for name, value in shares.items():
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"--{name} {value:g} is not between 0 and 1.")
    paths = [first, second] + ([decoder] if decoder else [])
    files = [weights.load_weights(path) for path in paths]
    (networks, spec, _), (others, _, card) = files[:2]
    for path, (found, sizes, _) in zip(paths[1:], files[1:]):
        if sizes.of_networks != spec.of_networks:
            raise InputError(f"'{path}' has other sizes than '{first}'; average runs of one model.")
        if not all(
            np.allclose(found["latent"][name], networks["latent"][name], rtol=1e-2, atol=1e-3)
            for name in ("mean", "std")
        ):
            raise InputError(
                f"the latent of '{path}' is not that of '{first}'; average runs of one autoencoder."
            )

    def mixed(name: str, other: dict, part: float) -> dict:
        return jax.tree.map(
            lambda a, b: (1 - part) * np.asarray(a, np.float32) + part * np.asarray(b, np.float32),
            networks.get(name, {}),
            other.get(name, {}),
        )

    released = {
        "autoencoder": mixed("autoencoder", files[-1][0], decoder_share if decoder else 0.0),
        "generator": mixed("generator", others, share),
        "latent": networks["latent"],
    }
    if code_strength is not None:
        if not spec.exemplars or len(code_strength) != spec.code_size or min(code_strength) < 0:
            raise InputError(
                f"--code_strength {' '.join(f'{v:g}' for v in code_strength)}: give a number from 0 up for each "
                f"code of a refiner; '{first}' has {spec.code_size if spec.exemplars else 'none'}."
            )
        last = released["generator"][CODES]["Conv_0"]
        last["Conv_0"] = {k: v * np.asarray(code_strength) for k, v in last["Conv_0"].items()}
    photographs = {name: value for name, value in photographs.items() if value is not None}
    if bank_quality is not None and not all(0 <= quality <= 100 for quality in bank_quality):
        given = " ".join(map(str, bank_quality))
        raise InputError(f"--bank_quality {given} is not between 1 and 100, or 0 as they are.")
    if not spec.exemplars and (bank or bank_quality or face_strength is not None or photographs):
        raise InputError(
            f"'{first}' is no refiner: --bank, --bank_quality, --face_strength, --ages_female, --ages_male, --tones "
            "and --older are a refiner's."
        )
    try:
        asked = dataclasses.replace(spec.photographs, **photographs)
    except ValueError as error:
        raise InputError(f"--{error}.") from None
    if spec.exemplars:
        if not bank and "bank" not in networks:
            raise InputError(f"'{first}' holds no bank of exemplars; give --bank.")
        arrays = banks.load(bank).arrays if bank else networks["bank"]
        released["bank"] = compressed(arrays, *bank_quality) if bank_quality else arrays
    # Activations are the user's choice (--dtype): bfloat16 may be what a training's device was fast in.
    at_release = {"truncation": truncation, "face_strength": face_strength}
    at_release = {name: value for name, value in at_release.items() if value is not None}
    anywhere = dataclasses.replace(spec, dtype="float32", photographs=asked, **at_release)
    weights.save_weights(output, released, anywhere, "float16", **card)


def main(argv: list[str] | None = None) -> int:
    """Exit status of the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second")
    parser.add_argument("--decoder", type=Path, help="take the autoencoder of this file")
    parser.add_argument("--decoder_share", type=float, default=1.0, help="of that file's")
    parser.add_argument("--truncation", type=float, help="how far z goes from its mean, 0 to 1")
    parser.add_argument("--face_strength", type=float, help="of a refiner in the inner face")
    for name, of in (
        ("--ages_female", "years of women"),
        ("--ages_male", "years of men"),
        ("--tones", "ITA in degrees"),
    ):
        about = f"{of} that a refiner may be asked for as photographs"
        parser.add_argument(name, type=float, nargs=2, metavar=("LEAST", "MOST"), help=about)
    parser.add_argument(
        "--older", type=float, nargs=2, metavar=("FEMALE", "MALE"),
        help="years that a refined person looks older than the exemplar",
    )  # fmt: skip
    parser.add_argument(
        "--code_strength", type=float, nargs="+", help="how much of each code's change is left"
    )
    parser.add_argument("--bank", type=Path, help="exemplars of a refiner, instead of the first's")
    parser.add_argument(
        "--bank_quality", type=int, nargs=3, metavar=("FACES", "SITES", "CLOSE_UPS"),
        help="compress its grown people's faces, its other sites and close-ups of those anew, 1 to 100; 0 as they are",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(argv)
    older_female, older_male = given.older or (None, None)
    try:
        average(
            given.first, given.second, given.share, given.decoder, given.output, given.decoder_share,
            given.bank, given.bank_quality, given.face_strength, given.truncation, given.code_strength, ages_female=given.ages_female,
            ages_male=given.ages_male, tones=given.tones, older_female=older_female, older_male=older_male,
        )  # fmt: skip
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: '{given.output}' cannot be written ({error.strerror}).", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
