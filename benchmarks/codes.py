"""What do InfoGAN codes and proportions do? Each is turned from -1 to 1 while person, facts and all others stay.

    python benchmarks/codes.py [--model NAME|PATH] [--output docs/codes.png]

Rows of the picture are codes (on several people), proportions (`data/proportions.py`, of a model that has exemplars) and at last other
strangers; columns are values, of a proportion in units of the most that it is moved. The table gives the change from one end
to the other, in Delta-E (CIE76) over the frame and over the face's skin, and how far the tone moves (ITA, degrees),
against another stranger's; and where codes act, the cosine between two of them, 0 where they share no place.
"""

import argparse
import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from jaxderm.attributes import Attributes, BodySite, Sex, encode, ita, rgb_to_lab
from jaxderm.data.exemplars import DRAWS, Exemplar
from jaxderm.data.proportions import PROPORTIONS, ordinary
from jaxderm.demo import LANDMARKS, photo_and_mask
from jaxderm.face import face_skin_region
from jaxderm.frame import evidence
from jaxderm.release import randomness
from jaxderm.release.settle import settled
from jaxderm.release.synthesize import Deidentifier, as_photograph, asked_of, likeness_of, scaled
from jaxderm.release.tone import calibrate

FRAME = "121,10,205"  # of the demo's photograph: wider than its own, so that a backdrop shows
SHOWN = 3  # strangers whom the picture shows a code on
VALUES = (-1.0, -0.5, 0.0, 0.5, 1.0)
FACTS = Attributes(sex=Sex.FEMALE, age=41, site=BodySite.FACE)


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Delta-E [N,S,S] of frames [N,S,S,3] in [-1,1]."""
    lab = [rgb_to_lab(np.clip((frames + 1) / 2, 0, 1)) for frames in (first, second)]
    return np.linalg.norm(lab[0] - lab[1], axis=-1)


def changed(first: np.ndarray, second: np.ndarray, skin: np.ndarray) -> str:
    """What differs between frames [N,S,S,3] in [-1,1] of the same people, over all and over skin [S,S]."""
    apart = differences(first, second)
    tones = [[ita((frame + 1) / 2, skin) for frame in frames] for frames in (first, second)]
    moved = np.abs(np.subtract(*tones)).mean()
    return f"{apart.mean():.2f} Delta-E, skin {apart[:, skin].mean():.2f}, tone {moved:.1f} degrees"


def main() -> None:
    """Print the table; write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--people", type=int, default=16, help="strangers that the table averages")
    parser.add_argument("--output")
    given = parser.parse_args()
    model = Deidentifier.load(given.model)
    spec = model.engine.spec
    photo, mask = photo_and_mask()
    points = np.array([float(v) for v in LANDMARKS.replace(",", " ").split()]).reshape(5, 2)
    case = model.resolve(photo, mask, FACTS, landmarks=points, frame=FRAME)
    pixels, cover = evidence(case.photo, case.kept, case.frame, spec.size)
    place = ordinary(case.landmarks_in_frame, case.attributes, cover)
    fixed = {
        "pixels": pixels, "mask": cover, "landmarks": place,
        "condition": encode(asked_of(case.attributes, spec)),
    }  # fmt: skip

    roots = [randomness.keyed_digest(b"codes", "table", 0, k) for k in range(given.people)]
    exemplars = model.exemplars(case, cover, place, range(len(roots)), roots.__getitem__)

    age = likeness_of(case.attributes, spec).age
    aged = asked_of(case.attributes, spec).age > FACTS.age

    def finished(frame: np.ndarray, exemplar: Exemplar) -> np.ndarray:
        """As in a release, with one stranger's skin, shape and grain for all: only what is turned differs."""
        frame = settled(frame, exemplar, cover, place, age, aged, FACTS.sex)
        return as_photograph(frame, exemplar, cover, place, case.attributes, roots[0])

    def frames(
        noise: list[np.ndarray], codes: list[np.ndarray], begun: list[Exemplar | None] = exemplars
    ) -> np.ndarray:
        pictures = [{} if e is None else {"exemplar": scaled(e.picture)} for e in begun]
        rows = [{**fixed, "z": z, "codes": c, **e} for z, c, e in zip(noise, codes, pictures)]
        stacked = {name: np.stack([row[name] for row in rows]) for name in model.engine.shapes}
        drawn = model.engine({k: v.astype(np.float32) for k, v in stacked.items()})
        drawn = [f if e is None else finished(f, e) for f, e in zip(drawn, begun)]
        return np.stack([calibrate(f, case.attributes, place) for f in drawn])

    people = [randomness.styles(root, None, spec.z_size) for root in roots]
    own = [randomness.symmetric(root, randomness.CODES, spec.code_size) for root in roots]
    base = frames(people, own)
    other = frames(people[1:] + people[:1], own, exemplars[1:] + exemplars[:1])
    skin = face_skin_region(place * spec.size, base.shape[1:3]) & (cover < 0.5)
    print(f"another stranger: {changed(base, other, skin)}")
    lines, where = [], []
    for k in range(spec.code_size):
        ends = []
        for value in (VALUES[0], VALUES[-1]):
            turned = [np.where(np.arange(spec.code_size) == k, value, code) for code in own]
            ends.append(frames(people, turned))
        print(f"code {k}, end to end: {changed(*ends, skin)}")
        where.append(differences(*ends).reshape(len(people), -1))
        zero = np.zeros(spec.code_size)
        codes = [np.where(np.arange(spec.code_size) == k, value, zero) for value in VALUES]
        for n in range(min(SHOWN, len(people))):
            same = [people[n]] * len(VALUES), codes, exemplars[n : n + 1] * len(VALUES)
            lines.append((f"code {k}", frames(*same)))
    for k, one in enumerate(where):
        for m, two in enumerate(where[:k]):
            product = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
            print(f"codes {m} and {k}: cosine {((one * two).sum(1) / product).mean():.2f}")
    bank = model.engine.bank
    for name in () if bank is None else PROPORTIONS:

        def proportioned(k: int, value: float, name: str = name) -> Exemplar:
            draws = randomness.uniform(roots[k], randomness.EXEMPLAR, DRAWS)
            facts = likeness_of(case.attributes, spec)
            choice = bank.choose(facts, place, cover, draws)
            features = {**choice.features, name: value * PROPORTIONS[name].most}
            return bank.draw(
                dataclasses.replace(choice, features=features), facts, place, spec.size
            )

        ends = [
            frames(people, own, [proportioned(k, value) for k in range(len(roots))])
            for value in (VALUES[0], VALUES[-1])
        ]
        label = name.replace("_", " ")
        print(f"{label}, end to end: {changed(*ends, skin)}")
        row = [proportioned(0, value) for value in VALUES]
        lines.append((label, frames([people[0]] * len(VALUES), own[:1] * len(VALUES), row)))
    zeros = [np.zeros(spec.code_size)] * len(VALUES)
    lines.append(("others", frames(people[: len(VALUES)], zeros, exemplars[: len(VALUES)])))
    if given.output:
        side, left = 96, 80
        sheet = Image.new("RGB", (left + side * len(VALUES), 16 + side * len(lines)), "white")
        pen = ImageDraw.Draw(sheet)
        for x, value in enumerate(VALUES):
            pen.text((left + x * side + 4, 2), f"{value:+.1f}", fill="black")
        for y, (name, row) in enumerate(lines):
            pen.text((4, 16 + y * side + side // 2), name, fill="black")
            for x, frame in enumerate(row):
                picture = (np.clip((frame + 1) / 2, 0, 1) * 255 + 0.5).astype(np.uint8)
                small = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
                sheet.paste(small, (left + x * side, 16 + y * side))
        sheet.save(given.output, optimize=True)


if __name__ == "__main__":
    main()
