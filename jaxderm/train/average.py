"""Weights of two runs that began from one network, averaged; optionally with another run's decoder.

    python -m jaxderm.train.average FIRST.safetensors SECOND.safetensors --share 0.35 \
        [--decoder THIRD.safetensors [--decoder_share 0.5]] [--strength 0.6] [--bank bank.safetensors] --output release.safetensors

The average of two fine-tuned networks is often better than either (model soups, Wortsman 2022). Both generators
must draw latents of one autoencoder: `gan` and `decoder` leave its encoder alone, so runs that began from
one file do. Of refiners, the change to the exemplar can be weakened and the bank replaced.
"""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np

from jaxderm.data import bank as banks
from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.models.refiner import CHANGE


def average(
    first: Path,
    second: Path,
    share: float,
    decoder: Path | None,
    output: Path,
    decoder_share: float = 1.0,
    strength: float = 1.0,
    bank: Path | None = None,
) -> None:
    """Write a release's weights: (1 - share) of the first generator and share of the second, half precision.

    The autoencoder is the first's, with decoder_share of the decoder file's; so is the bank of exemplars unless one
    is given. strength: of a refiner's change. InputError for a share outside 0 to 1, for files of other sizes,
    or of latents that mean something else.
    """
    shares = (("share", share), ("decoder_share", decoder_share), ("strength", strength))
    for name, value in shares:
        if not 0 <= value <= 1:
            raise InputError(f"--{name} {value:g} is not between 0 and 1.")
    paths = [first, second] + ([decoder] if decoder else [])
    files = [weights.load_weights(path) for path in paths]
    (networks, spec, _), (others, _, card) = files[:2]
    for path, (found, sizes, _) in zip(paths[1:], files[1:]):
        if sizes != spec:
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
    if not spec.exemplars and (bank or strength != 1):
        raise InputError(f"'{first}' is no refiner: --bank and --strength are a refiner's.")
    if spec.exemplars:
        if not bank and "bank" not in networks:
            raise InputError(f"'{first}' holds no bank of exemplars; give --bank.")
        released["bank"] = banks.load(bank).arrays if bank else networks["bank"]
        last = released["generator"][CHANGE]
        released["generator"][CHANGE] = jax.tree.map(lambda a: strength * a, last)
    weights.save_weights(output, released, spec, "float16", **card)


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
    parser.add_argument("--strength", type=float, default=1.0, help="of a refiner's change")
    parser.add_argument("--bank", type=Path, help="exemplars of a refiner, instead of the first's")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(argv)
    try:
        average(
            given.first, given.second, given.share, given.decoder, given.output, given.decoder_share,
            given.strength, given.bank,
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
