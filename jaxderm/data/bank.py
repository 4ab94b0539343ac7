"""A bank of exemplars from a prepared corpus of rendered people, as a file that training and weights take in.

jaxderm render  --count 1806 --size 256 --seed 7 --calm --output renders
jaxderm prepare --layout rendered_people --source renders --data_dir data --name bank
python -m jaxderm.data.bank --data_dir data --name bank --output data/bank.safetensors
python -m jaxderm.data.bank --data_dir data --name more --onto data/bank.safetensors --output data/larger.safetensors
"""

import argparse
import functools
import sys
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from jaxderm.data import bank_arrays, exemplars, prepare
from jaxderm.errors import InputError
from jaxderm.photo import write_atomic


@functools.cache
def load(path: str | Path) -> exemplars.Bank:
    """The bank of a file; InputError where it is none."""
    try:
        return exemplars.Bank(load_file(path))
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise InputError(
            f"bank '{path}' cannot be read ({error}); make one with python -m jaxderm.data.bank."
        ) from None


def make(data_dir: str, name: str, output: Path, size: int, onto: Path | None = None) -> int:
    """Write the bank of all splits of a prepared corpus: pictures without a lesion; returns how many.

    onto: a bank whose pictures come before them.
    """
    records = []
    for split in ("train", "validation", "test"):
        source = prepare.load(data_dir, name, split)
        for index in range(len(source)):
            record = source[index]
            if record.lesion is None or not record.lesion.any():
                records.append(record)
    if not records:
        raise InputError(f"corpus '{name}' in '{data_dir}' has no picture without a lesion.")
    arrays = bank_arrays.pack(records, size)
    if onto is not None:
        arrays = bank_arrays.joined(load(onto).arrays, arrays)
    write_atomic(output, save(arrays))
    return len(exemplars.Bank(arrays))


def main(argv: list[str] | None = None) -> int:
    """Exit status of the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--name", required=True, help="of the prepared corpus")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256, help="px of a whole face's picture")
    parser.add_argument("--onto", type=Path, help="bank that the pictures are added to")
    given = parser.parse_args(argv)
    try:
        count = make(given.data_dir, given.name, given.output, given.size, given.onto)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} pictures, {given.output.stat().st_size / 1e6:.1f} MB in {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
