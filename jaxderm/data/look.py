"""Training frames as the network sees them, with their facts: `python -m jaxderm.data.look`."""

import argparse

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from jaxderm.attributes import CONDITION_GROUPS, BodySite
from jaxderm.data.pipeline import make_loader

_SITES = [site.value for site in BodySite if site is not BodySite.UNSPECIFIED]


def sheet(batch: dict[str, np.ndarray], columns: int = 10) -> Image.Image:
    """Contact sheet of a batch: picture, outline of the keep-mask, landmarks, what the condition says."""
    count, size = batch["image"].shape[:2]
    tall = size + 12
    page = Image.new("RGB", (columns * size, -(-count // columns) * tall))
    draw = ImageDraw.Draw(page)
    for i in range(count):
        image = batch["image"][i].copy()
        mask = batch["mask"][i] > 0
        image[mask & ~ndimage.binary_erosion(mask)] = (0, 255, 0)
        x, y = i % columns * size, i // columns * tall
        page.paste(Image.fromarray(image), (x, y))
        for u, v in batch["landmarks"][i] * size:
            if np.isfinite(u):
                draw.ellipse((x + u - 1, y + v - 1, x + u + 1, y + v + 1), fill=(0, 0, 255))
        draw.text((x + 1, y + size), _facts(batch["condition"][i]), fill=(255, 255, 255))
    return page


def _facts(condition: np.ndarray) -> str:
    part = {name: condition[group] for name, group in CONDITION_GROUPS.items()}
    words = ["fm"[int(part["sex"].argmax())] if part["sex"].any() else "?"]
    words.append(f"{part['age'][1] * 40 + 40:.0f}" if part["age"][0] else "?")
    words.append(f"{part['ita'][1] * 50:.0f}" if part["ita"][0] else "?")
    words.append(_SITES[int(part["site"].argmax())] if part["site"].any() else "?")
    words.append("wc"[int(part["field"].argmax())] if part["field"].any() else "?")
    return " ".join(words)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--corpora", default="portraits,rendered_people")
    parser.add_argument("--output", default="frames.png")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--variant_share", type=float, default=0.0, help="as in config.data")
    given = parser.parse_args()
    weights = {name: 1.0 for name in given.corpora.split(",")}
    options = {"size": given.size, "variant_share": given.variant_share}
    loader = make_loader(given.data_dir, weights, "train", batch_size=100, seed=3, **options)
    sheet(next(loader)).save(given.output)
