"""Releases of people that the model never saw: sites other than the face, and faces outside the shared cases' range.

    python benchmarks/held_out.py --data_dir data --corpus rendered_people [--model NAME|PATH] [--output sheet.jpg]
        [--worst worst.jpg] [--photographs]

Held-out people of a rendered corpus are released with their true facts; the shipped attribute reader says what it sees
in the release and, beside it, what it says of the untouched render. First table: 20 pictures a site; a close-up of plain skin
does not say where it was taken, so those that show the whole site are read apart. "Scale": the exemplar's width in cm is within
10 % of the frame's, which is known in all of these. Second table: faces of
children, people over 60, very dark skin, masks of 20 to 60 % of the frame, of twelve pieces, across an eye or the lips.
--worst draws the render and the release of those that went most wrong, with what is wrong below them. --photographs
asks for the faces as photographs, which is what a clinic gets; its reader knows renders only, so look at the pictures.

The tone of a face is that of its cheeks and nose, elsewhere that of the exemplar's skin.

Targets: site read in 95 %, tone within 8 degrees. The reader was trained on other people of the same corpus.
"""

import argparse
import collections
import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from jaxderm.attributes import ITA_CLASS_NAMES, BodySite, Field, Source, ita_class
from jaxderm.data import masks, prepare
from jaxderm.data.features import Record
from jaxderm.evaluate.attributes import skin_region, tone
from jaxderm.evaluate.readers import load_reader
from jaxderm.release.synthesize import Deidentifier

NO_POINTS = np.full((5, 2), np.nan, np.float32)


def blob_mask(record: Record, rng: np.random.Generator, low: float, high: float, pieces: int = 1):
    """A lesion-like mask [S,S] bool on the record's skin, of so much of the frame."""
    skin = record.skin if record.skin is not None else np.ones(record.image.shape[:2], bool)
    where, size = np.flatnonzero(skin), len(skin)
    if len(where) < 50:
        return None
    mask = np.zeros((size, size), bool)
    share = rng.uniform(low, high)
    for _ in range(pieces):
        y, x = divmod(int(rng.choice(where)), size)
        mask |= masks.blob(
            rng, size, np.array([x, y], np.float32), size * np.sqrt(share / pieces / np.pi)
        )
    return mask & skin if (mask & skin).any() else None


def at_points(record: Record, rng: np.random.Generator, points: slice):
    """A blob around one of the landmarks."""
    place = record.landmarks[points][rng.integers(len(record.landmarks[points]))]
    if np.isnan(place).any():
        return None
    size = len(record.image)
    mask = masks.blob(rng, size, place.astype(np.float32), size * rng.uniform(0.04, 0.08))
    return mask if mask.any() else None


def small(record: Record, rng: np.random.Generator):
    """The record's own lesion, else a small blob."""
    if record.lesion is not None and record.lesion.any():
        return record.lesion
    return blob_mask(record, rng, 0.003, 0.02)


def watch_scales(model: Deidentifier) -> list[float | None]:
    """A list that each choice of an exemplar adds to: its scale over the one asked for, None where either is unknown."""
    bank, scales = model.engine.bank, []
    choose = bank.choose

    def chosen(facts, *arguments):
        choice = choose(facts, *arguments)
        width = bank.entries[choice.entry].attributes.field_cm
        known = facts.field_cm and width
        zoom = float(np.hypot(*choice.matrix[:, 0]))
        scales.append(zoom * width / facts.field_cm if known else None)
        return choice

    bank.choose = chosen
    return scales


def watch_skins(model: Deidentifier) -> list[np.ndarray]:
    """A list that each exemplar adds to: how much of each pixel is skin, [S,S] uint8; empty without a bank."""
    bank, skins = model.engine.bank, []
    if bank is None:
        return skins
    draw = bank.draw

    def drawn(*arguments):
        exemplar = draw(*arguments)
        skins.append(exemplar.skin)
        return exemplar

    bank.draw = drawn
    return skins


def rendered_skin(skin: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Where a release [h,w] of a whole frame shows an exemplar's skin alone: hair and drapes may have its colour."""
    height, width = kept.shape
    resized = Image.fromarray(skin).resize((width, height), Image.Resampling.BILINEAR)
    return (np.asarray(resized) > 0.9 * 255) & ~kept


def is_face(record: Record) -> bool:
    """A whole face with all landmarks."""
    facts = record.attributes
    whole = facts.site is BodySite.FACE and facts.field is not Field.CLOSE_UP
    return whole and not np.isnan(record.landmarks).any()


def release(model, skins, record: Record, mask: np.ndarray, seed: int, photograph: bool) -> dict:
    """What came of it: pictures and tones. skins: of `watch_skins`."""
    facts = dataclasses.replace(record.attributes, field=Field.UNSPECIFIED, field_cm=None)
    if photograph:
        facts = dataclasses.replace(facts, source=Source.PHOTO)
    side = len(record.image)
    face = is_face(record)
    options = {"landmarks": record.landmarks if face else NO_POINTS}
    if not face:
        options["frame"] = f"0,0,{side}"
    if record.attributes.field_cm:
        options["pixels_per_cm"] = side / record.attributes.field_cm
    made = model(record.image, mask, facts, seed=seed, force=True, **options)[0]
    box = made.manifest["frame"]
    points = record.landmarks - [box["x"], box["y"]] if face else NO_POINTS
    y, x, h, w = box["y"], box["x"], box["height"], box["width"]
    if face:
        region = skin_region(made.pixels, made.kept, points)
    else:
        region = rendered_skin(skins[-1], made.kept)
    return {
        "release": made.pixels,
        "photo": record.image[y : y + h, x : x + w],
        "tone": tone(made.pixels, region),
        "facts": record.attributes,
        "whole": record.attributes.field is not Field.CLOSE_UP,
    }


def judge(results: list[dict], reader) -> None:
    """Adds to each result what the reader says of release and photo, the tone's error, and "faults": {name: how bad}.

    A misread site or sex counts 1, a tone error 1 for each 8 degrees, an age error 1 for each 30 years; what
    the reader misreads in the untouched render too is no fault of the release.
    """
    read = [reader([r[k] for r in results]) for k in ("release", "photo")]
    for result, drawn, given in zip(results, *read):
        facts = result["facts"]
        result["read"] = {"release": drawn, "photo": given}
        known = None not in (result["tone"], facts.ita)
        off = result["tone"] - facts.ita if known else None
        result["tone error"] = off
        faults = {f"tone {off:+.0f}": abs(off) / 8} if known else {}
        if drawn["site"] != facts.site.value == given["site"]:
            faults[f"like {drawn['site']}"] = 1.0
        if facts.site is BodySite.FACE:
            if drawn["sex"] != facts.sex.value == given["sex"]:
                faults[f"like {drawn['sex']}"] = 1.0
            faults[f"age {drawn['age']:.0f}"] = abs(drawn["age"] - facts.age) / 30
        result["faults"] = {name: bad for name, bad in faults.items() if bad >= 1}


def shares(results: list[dict], faces: bool) -> str:
    """How many results, and what the reader reads rightly in release and photo."""
    if not results:
        return f"{0:4d}" + " " * (48 if faces else 16)
    facts, text = [r["facts"] for r in results], f"{len(results):4d}"
    for what in ("release", "photo"):
        read = [r["read"][what] for r in results]
        right = [np.mean([a["site"] == f.site.value for a, f in zip(read, facts)])]
        if faces:
            right.append(np.mean([a["sex"] == f.sex.value for a, f in zip(read, facts)]))
            right.append(np.mean([abs(a["age"] - f.age) <= 10 for a, f in zip(read, facts)]))
        text += "".join(f"{share:>8.0%}" for share in right)
    return text


def line(name: str, results: list[dict], faces: bool) -> str:
    """One row of a table of judged results."""
    text = f"{name:22s}" + shares(results, faces)
    if not faces:
        text += "   " + shares([r for r in results if r["whole"]], False)
    off = [abs(r["tone error"]) for r in results if r["tone error"] is not None]
    text += f"{np.mean(off):10.1f}{np.mean(np.array(off) <= 8):10.0%}" if off else " " * 20
    scales = [r["scale"] for r in results if r["scale"] is not None]
    return text + (
        f"{np.mean(np.abs(np.array(scales) - 1) <= 0.1):8.0%}" if scales and not faces else ""
    )


def worst_sheet(results: list[dict], count: int, columns: int = 6) -> Image.Image:
    """Render and release of the `count` results with the gravest faults, captioned; the worst first."""
    order = sorted(results, key=lambda r: -sum(r["faults"].values()))[:count]
    side, foot = 112, 28
    rows = -(-len(order) // columns)
    sheet = Image.new("RGB", (columns * (2 * side + 6), rows * (side + foot)), "white")
    pen = ImageDraw.Draw(sheet)
    for k, result in enumerate(order):
        x, y = (k % columns) * (2 * side + 6), k // columns * (side + foot)
        for j, what in enumerate(("photo", "release")):
            picture = Image.fromarray(result[what]).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + j * side, y))
        facts = result["facts"]
        age = "" if facts.age is None else f" {facts.age:.0f}"
        pen.text((x + 2, y + side + 1), f"{result['row']}: {facts.sex.value}{age}", fill="black")
        pen.text((x + 2, y + side + 14), ", ".join(result["faults"]), fill="firebrick")
    return sheet


def main() -> None:
    """Print the tables; write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--corpus", default="rendered_people")
    parser.add_argument(
        "--splits",
        nargs="+",
        default=["test", "validation"],
        help="all three of a corpus that no network has seen",
    )
    parser.add_argument("--model", default="default")
    parser.add_argument("--reader", default="default")
    parser.add_argument("--count", type=int, default=20, help="pictures a row")
    parser.add_argument("--output", help="contact sheet: each row's first ten releases")
    parser.add_argument("--worst", help="sheet of the releases that went most wrong")
    parser.add_argument(
        "--photographs",
        action="store_true",
        help="faces are asked for as photographs, not as renders",
    )
    parser.add_argument("--worst_count", type=int, default=24)
    given = parser.parse_args()
    model, reader = Deidentifier.load(given.model), load_reader(given.reader)
    sources = [prepare.load(given.data_dir, given.corpus, s) for s in given.splits]
    records = [source[k] for source in sources for k in range(len(source))]
    scales, skins = watch_scales(model), watch_skins(model)
    sheet: list[np.ndarray] = []
    every: list[dict] = []

    def row(name: str, wanted, mask_of, faces: bool) -> None:
        rng, results = np.random.default_rng(0), []
        for record in records:
            if len(results) == given.count:
                break
            mask = mask_of(record, rng) if wanted(record) else None
            if mask is not None:
                as_photo = given.photographs and faces
                made = release(model, skins, record, mask, len(results), as_photo)
                results.append({**made, "scale": scales[-1]})
        if not results:
            print(f"{name:22s}   0  no such picture")
            return
        judge(results, reader)
        every.extend({**result, "row": name} for result in results)
        print(line(name, results, faces), flush=True)
        shown = [Image.fromarray(r["release"]).resize((96, 96)) for r in results[:10]]
        shown += [Image.new("RGB", (96, 96), "white")] * (10 - len(shown))
        sheet.append(np.concatenate([np.asarray(s) for s in shown], 1))

    print(
        f"{'all, whole site shown':26s} release   photo       release   photo ITA error  within 8   scale"
    )
    for site in BodySite:
        if site not in (BodySite.UNSPECIFIED, BodySite.FACE):
            row(site.value, lambda r, s=site: r.attributes.site is s, small, False)
    print(f"{'faces':26s}    site, sex, age of the release, of the photo; ITA error, within 8")
    dark = ITA_CLASS_NAMES[-1]
    row("all", is_face, small, True)
    row("children", lambda r: is_face(r) and r.attributes.age < 18, small, True)
    row("over 60", lambda r: is_face(r) and r.attributes.age > 60, small, True)
    row(dark, lambda r: is_face(r) and ita_class(r.attributes.ita) == dark, small, True)
    row("mask of 20 to 60 %", is_face, lambda r, g: blob_mask(r, g, 0.2, 0.6), True)
    row("twelve pieces", is_face, lambda r, g: blob_mask(r, g, 0.02, 0.08, 12), True)
    row("across an eye", is_face, lambda r, g: at_points(r, g, slice(0, 2)), True)
    row("across the lips", is_face, lambda r, g: at_points(r, g, slice(3, 5)), True)
    sites = [r for r in every if r["facts"].site is not BodySite.FACE]
    if sites:
        print(line("all other sites", sites, False))
    wrong = [name.split()[0] for result in every for name in result["faults"]]
    faultless = sum(not result["faults"] for result in every)
    print(f"of {len(every)} releases {faultless} without a fault; with: ", end="")
    print(", ".join(f"{name} {n}" for name, n in collections.Counter(wrong).most_common()))
    if given.worst:
        worst_sheet(every, given.worst_count).save(given.worst, quality=88)
    if given.output:
        Image.fromarray(np.concatenate(sheet, 0)).save(given.output, quality=88)


if __name__ == "__main__":
    main()
