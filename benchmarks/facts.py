"""Do the declared facts show? ITA of generated skin against the declared tone, by site and class.

    python benchmarks/facts.py [--model NAME|PATH] [--seeds 4] [--output sheet.png]

Every site is released around a painted spot for each of six declared skin types and some seeds; the
table gives the mean ITA of the generated skin, the error, the rank correlation with the declared tone,
and how much two seeds differ.
"""

import argparse

import numpy as np
from held_out import rendered_skin, watch_skins
from PIL import Image
from scipy import stats

from jaxderm.attributes import (
    SKIN_TYPE_ITA,
    Attributes,
    BodySite,
    Field,
    Sex,
    ita,
    lab_to_rgb,
    rgb_to_lab,
)
from jaxderm.face import face_skin_region
from jaxderm.release.skin import skin_like
from jaxderm.release.synthesize import Deidentifier

LANDMARKS = np.array([[90, 110], [166, 110], [128, 146], [100, 184], [156, 184]], np.float32)
SIZE = 256


def spot(angle: float) -> tuple[np.ndarray, np.ndarray]:
    """A photo [256,256,3] that holds a dark spot in a little skin of a tone, and the mask of both."""
    b = 17.0 if angle > -30 else 12.0
    skin = 255 * lab_to_rgb(np.array([50 + b * np.tan(np.radians(angle)), 11.0, b], np.float32))
    y, x = np.ogrid[:SIZE, :SIZE]
    distance = np.hypot(y - 150, x - 165)
    photo = np.full((SIZE, SIZE, 3), 128, np.uint8)
    photo[distance < 16] = skin.astype(np.uint8)
    photo[distance < 9] = (0.5 * skin).astype(np.uint8)
    return photo, distance < 16


def main() -> None:
    """Print the table; write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--output")
    given = parser.parse_args()
    model = Deidentifier.load(given.model)
    skins = watch_skins(model)
    sites = [site for site in BodySite if site is not BodySite.UNSPECIFIED]
    rows, declared, found = [], [], []
    print(f"{'site':12s}" + "".join(f"{kind:>7s}" for kind in SKIN_TYPE_ITA) + "   variety")
    for site in sites:
        line, pictures, variety = [], [], []
        for number, angle in enumerate(SKIN_TYPE_ITA.values()):
            photo, mask = spot(angle)
            sex = (Sex.FEMALE, Sex.MALE)[number % 2]
            facts = Attributes(sex=sex, age=45.0, ita=angle, site=site, field=Field.WHOLE_SITE)
            face = site is BodySite.FACE
            options = {"landmarks": LANDMARKS} if face else {"frame": f"0,0,{SIZE}"}
            values, shown = [], []
            for seed in range(given.seeds):
                release = model(photo, mask, facts, seed=seed, margin=0, **options)[0]
                if skins:
                    skin = rendered_skin(skins[-1], release.kept)
                else:  # a model without a bank
                    skin = skin_like(rgb_to_lab(release.pixels))
                if face:
                    frame = release.manifest["frame"]
                    shift = np.array([frame["x"], frame["y"]])
                    skin = face_skin_region(LANDMARKS - shift, release.kept.shape)
                measured = ita(release.pixels, skin & ~release.kept)
                shown.append(release.pixels)
                if measured is not None:
                    values.append(measured)
                    declared.append(angle)
                    found.append(measured)
            line.append(float(np.mean(values)) if values else np.nan)
            variety.append(np.abs(shown[0].astype(int) - shown[-1]).mean())
            small = Image.fromarray(shown[0]).resize((128, 128), Image.Resampling.BOX)
            pictures.append(np.asarray(small))
        rows.append(np.concatenate(pictures, 1))
        cells = "".join(f"{value:7.0f}" for value in line)
        print(f"{site.value:12s}{cells}{np.mean(variety):10.1f}")
    error = np.abs(np.array(found) - declared)
    rank = stats.spearmanr(declared, found).statistic
    print(f"ITA error: mean {error.mean():.1f} degrees, 90 % within {np.percentile(error, 90):.1f}")
    print(f"rank correlation with the declared tone: {rank:.3f} over {len(found)} releases")
    if given.output:
        Image.fromarray(np.concatenate(rows, 0)).save(given.output)


if __name__ == "__main__":
    main()
