"""Contact sheet: kept pixels, mask and releases of each case in a row."""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

GREY = (118, 118, 118)
TILE, GAP, LABEL = 256, 6, 14


@dataclasses.dataclass(frozen=True)
class SheetRow:
    """A case: its name, releases [h,w,3] of one size, kept [h,w]; original [h,w,3] only if wanted."""

    name: str
    releases: tuple[np.ndarray, ...]
    kept: np.ndarray
    original: np.ndarray | None = None


def contact_sheet(rows: list[SheetRow], cases_a_line: int = 1, tile: int = TILE) -> Image.Image:
    """Page of all rows, `cases_a_line` beside each other."""
    width = max(2 + len(row.releases) + (row.original is not None) for row in rows)
    lines = -(-len(rows) // cases_a_line)
    step = tile + GAP
    page = Image.new(
        "RGB", (cases_a_line * (width * step + GAP) + GAP, lines * (step + LABEL) + GAP), (255,) * 3
    )
    draw = ImageDraw.Draw(page)
    for number, row in enumerate(rows):
        left = GAP + number % cases_a_line * (width * step + GAP)
        top = GAP + number // cases_a_line * (step + LABEL)
        only_kept = np.where(row.kept[..., None], row.releases[0], np.uint8(GREY))
        mask = np.repeat(row.kept[..., None] * np.uint8(255), 3, -1)
        pictures = [] if row.original is None else [row.original]
        pictures += [only_kept, mask, *row.releases]
        labels = [] if row.original is None else ["original: do not publish"]
        labels += ["kept", "mask"] + [f"release {i}" for i in range(len(row.releases))]
        for i, (picture, label) in enumerate(zip(pictures, labels)):
            x = left + i * step
            text = f"{row.name}  {label}" if i == 0 else label
            draw.text((x, top), text, fill=(0, 0, 0))
            small = Image.fromarray(picture)
            scale = tile / max(small.size)
            size = (max(1, round(small.width * scale)), max(1, round(small.height * scale)))
            page.paste(small.resize(size, Image.Resampling.BICUBIC), (x, top + LABEL))
    return page
