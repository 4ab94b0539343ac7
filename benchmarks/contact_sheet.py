"""A contact sheet of random pictures of a rendered corpus, as docs/rendered_people.jpg is.

python benchmarks/contact_sheet.py --renders FOLDER --output docs/rendered_people.jpg [--count 100]
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--renders", required=True, help="folder that jaxderm render wrote")
    parser.add_argument("--output", required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    files = sorted(Path(given.renders).glob("[0-9]*/[0-9]*.webp"))
    if len(files) < given.count:
        raise SystemExit(f"'{given.renders}' has {len(files)} pictures, not {given.count}.")
    chosen = np.random.default_rng(given.seed).choice(len(files), given.count, replace=False)
    pictures = [Image.open(files[k]).convert("RGB") for k in chosen]
    side = pictures[0].width
    rows = -(-given.count // given.columns)
    sheet = Image.new("RGB", (given.columns * side, rows * side), "white")
    for k, picture in enumerate(pictures):
        sheet.paste(picture, (k % given.columns * side, k // given.columns * side))
    sheet.save(given.output, quality=84, optimize=True)


if __name__ == "__main__":
    main()
