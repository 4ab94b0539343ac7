"""The letter's figure (Cho 2019): a melanoma on a girl's forehead, a pyogenic granuloma on a man's nose; eye bars; releases.

    python benchmarks/figure1.py --output docs/figure1.png

The "photographs" are rendered people (extra `render`), so that no real person is shown with a disease or behind an eye bar; the
lesions are painted onto them by the code that paints training pictures.
"""

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxderm import Attributes, Deidentifier
from jaxderm.attributes import BodySite, Field, Sex, View
from jaxderm.data import lesions, masks
from jaxderm.release import baselines
from jaxderm.render.picture import FailedPicture, render
from jaxderm.render.sampler import Wanted, draw_scene

SIZE, TILE = 512, 380
POINTS = (
    "eye_r",
    "eye_l",
    "nose",
    "mouth_r",
    "mouth_l",
)  # the person's right is the picture's left
# sex, ages, kind, place along eyes-to-mouth (0 at the eyes), diameter as a share of eyes to mouth
ROWS = (
    (Sex.FEMALE, (8, 12), "melanoma", -0.62, 0.42),
    (Sex.MALE, (35, 55), "pyogenic_granuloma", 0.42, 0.3),
)


def find(seed: int, sex: Sex, ages: tuple[int, int]):
    """(scene, picture) of the first frontal face without a lesion, of that sex and age."""
    for number in range(100_000):
        scene = draw_scene(seed, number, wanted=Wanted((BodySite.FACE,)))
        fits = scene.person.sex is sex and ages[0] <= scene.person.years <= ages[1]
        plain = (
            scene.lesion is None and scene.eyes_closed < 0.5 and scene.field is not Field.CLOSE_UP
        )
        if not (fits and plain and scene.view is View.FRONTAL):
            continue
        try:
            return scene, render(scene, SIZE)
        except FailedPicture:
            continue
    raise SystemExit("no such face was drawn; give another --seed.")


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    model = Deidentifier.load("default")
    rows = []
    for number, (sex, ages, kind, along, size) in enumerate(ROWS):
        scene, picture = find(given.seed, sex, ages)
        photo, age = picture.image, round(scene.person.years)
        marks = picture.labels["landmarks"]
        points = np.array([marks[name][:2] for name in POINTS], np.float32)
        eyes, mouth = points[:2].mean(0), points[3:].mean(0)
        down = mouth - eyes
        centre = points[2] - 0.12 * down if kind == "pyogenic_granuloma" else eyes + along * down
        rng = np.random.default_rng(7 + number)
        side = max(photo.shape[:2])
        blob = masks.blob(rng, side, centre, 0.5 * size * float(np.linalg.norm(down)))
        mask = blob[: photo.shape[0], : photo.shape[1]]
        photo = lesions.paint(rng, photo, mask, kind)
        attributes = Attributes(sex=sex, age=age, site=BodySite.FACE)
        case = model.resolve(photo, mask, attributes, landmarks=points)
        release = model.release(case)
        x0, y0, x1, y1 = case.frame.inside(*mask.shape)
        tiles = [photo[y0:y1, x0:x1], baselines.release(case, "eyebar").pixels, release.pixels]
        shown = [Image.fromarray(t).resize((TILE, TILE), Image.Resampling.LANCZOS) for t in tiles]
        rows.append(np.concatenate([np.asarray(tile) for tile in shown], 1))
        print(f"{scene.person.id}: {sex.value}, {age}, {kind.replace('_', ' ')}")
    page = Image.new("RGB", (3 * TILE, 2 * TILE + 34), "white")
    page.paste(Image.fromarray(np.concatenate(rows)), (0, 34))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=18)
    for i, text in enumerate(
        ("for the reviewers: photograph", "eye bar: does not protect", "for print: release")
    ):
        draw.text((i * TILE + 8, 8), text, font=font, fill="black")
    page.save(given.output, optimize=True)


if __name__ == "__main__":
    main()
