"""jaxderm deidentify: release a photo, or a file of cases; the lesion stays, the rest is generated.

One photo:  jaxderm deidentify --photo P --mask M --site face --sex female --age 8 --skin_type II
              --landmarks "x,y x,y x,y x,y x,y" --output OUT.png
Many:       jaxderm deidentify --cases cases.csv --output_dir DIR [--shard i/n]       (resumable)
Photos, cases file and output may lie in object storage (gs://, s3://). Exit status 0: all released; 1: some failed, each named with its reason; 2: none started.
"""

import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

from jaxderm import __version__
from jaxderm import attributes as attr
from jaxderm.attributes import View
from jaxderm.errors import InputError
from jaxderm.photo import encode_png, read_mask, read_photo, write_atomic
from jaxderm.release import baselines, loading, manifest
from jaxderm.release.batch import Row
from jaxderm.release.cells import case_of
from jaxderm.release.credentials import read_credentials
from jaxderm.release.engine import DTYPES
from jaxderm.release.facts import Case, Fact
from jaxderm.release.job import Batch
from jaxderm.release.keys import read_generated_key
from jaxderm.release.output import Release
from jaxderm.release.sheet import TILE, SheetRow, contact_sheet
from jaxderm.storage import Folder, folder, is_url, split

FLAGS = flags.FlagValues()
SHEET_ROWS = 200  # a sheet of a hundred thousand cases can be neither held nor read


def _text(name: str, what: str, default: str | None = None) -> None:
    flags.DEFINE_string(name, default, what, flag_values=FLAGS)


_text("photo", "the clinical photograph (JPEG, PNG, TIFF, WebP, DICOM)")
_text("mask", "the lesion's mask, same size: keep where luminance is at least half of full scale")
_text(
    "output", "OUT.png or OUT.dcm; OUT.mask.png, OUT.legend.txt and OUT.json are written beside it"
)
_text("cases", "CSV file of cases: id, photo, mask, site and more (README)")
_text("output_dir", "folder of the releases of --cases: <id>.png and so on")
_text("site", "body site: " + ", ".join(site.value for site in attr.BodySite))
_text("sex", "female, male or unspecified")
_text("age", "years, or unspecified")
_text("skin_type", "Fitzpatrick I..VI, measured, or unspecified", "measured")
_text("subsite", "place on the site; tells thigh from lower_leg where the site is 'leg'", "")
_text("view", "side seen: " + ", ".join(view.value for view in View))
_text("field", "whole_site or close_up; default: by frame and scale")
_text("landmarks", "five points \"x,y x,y x,y x,y x,y\" of a face (eye on the image's left, on its "
      "right, nose tip, mouth corner on its left, on its right; - = unknown), auto, or none")  # fmt: skip
_text("frame", '"x,y,side" in photo pixels instead of the default frame')
_text("identity_key", "file with a secret: one stranger for all photos of a --patient")
_text("patient", "patient id for --identity_key; never written anywhere")
_text("c2pa_certificate", "PEM chain: sign the release with C2PA content credentials")
_text("c2pa_key", "PEM private key of --c2pa_certificate")
_text("facts", "manifest of an earlier release, whose facts and seed are replayed")
_text("model", "name, weight file or exported artefact of the model", "default")
_text("shard", "i/n: only every n-th row of --cases, beginning with row i (0 to n-1)")
_text("sheet", "also write a contact sheet (PNG) here")
flags.DEFINE_float("margin", None, "pixels kept around the mask", flag_values=FLAGS)
flags.DEFINE_float("pixels_per_cm", None, "scale of the photo", flag_values=FLAGS)
flags.DEFINE_integer("candidates", 1, "releases a photo", 1, 100, flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "another seed, another stranger", flag_values=FLAGS)
flags.DEFINE_integer(
    "style_seed",
    None,
    "texture and colours of another seed on the stranger of --seed",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "method", "gan", ["gan", *baselines.METHODS], "gan, or what is done today", flag_values=FLAGS
)
flags.DEFINE_enum(
    "dtype", None, DTYPES, "activations of the model; its own by default", flag_values=FLAGS
)
flags.DEFINE_bool("force", False, "release although the kept area is large", flag_values=FLAGS)
flags.DEFINE_bool("overwrite", False, "replace existing output", flag_values=FLAGS)
flags.DEFINE_bool(
    "sheet_with_original", False, "original on the sheet; not inside the output folder",
    flag_values=FLAGS,
)  # fmt: skip
flags.DEFINE_bool("progress", True, "show a progress bar", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Release; the exit status."""
    job = _Job(values)
    if values.cases:
        return job.many()
    return job.one()


class _Job:
    def __init__(self, values: flags.FlagValues) -> None:
        self.v = values
        self.rows: dict[int, SheetRow] = {}
        self.on_sheet = {0}
        self.model = None
        one = [n for n in ("photo", "mask", "output") if getattr(values, n)]
        if values.cases and one:
            raise InputError(f"--cases and --{one[0]} exclude each other.")
        if values.cases and not values.output_dir:
            raise InputError("give --output_dir DIR for the releases of --cases.")
        if values.shard and not values.cases:
            raise InputError("--shard splits the rows of --cases; give a cases file.")
        if not values.cases and len(one) < 3:
            raise InputError("give --photo, --mask and --output, or --cases and --output_dir.")
        self.key = _read_key(values.identity_key)
        if values.method != "gan":
            print(f"warning: {baselines.warning(values.method)}", file=sys.stderr)
        self.credentials = None
        if values.c2pa_certificate:
            self.credentials = read_credentials(values.c2pa_certificate, values.c2pa_key)
        place = values.output_dir if values.cases else split(values.output)[0]
        self.folder = None if values.cases else folder(place)
        if values.sheet and values.sheet_with_original and not is_url(place):
            if Path(place).resolve() in Path(values.sheet).resolve().parents:
                raise InputError(
                    f"--sheet '{values.sheet}' would put the original into the output folder; "
                    "choose another folder."
                )
        if values.sheet and not os.access(Path(values.sheet).parent, os.W_OK):
            raise InputError(
                f"the folder of --sheet '{values.sheet}' does not exist or is read-only."
            )
        if values.sheet and Path(values.sheet).suffix.lower() != ".png":
            raise InputError(f"--sheet '{values.sheet}' must end in .png.")
        self.replayed = manifest.read(values.facts) if values.facts else None
        # Sizes first: an unknown model is told before any photo is read.
        self.size = loading.read_spec(values.model).size

    def load(self) -> None:
        """Load the model: after the cheap checks, before the first photo."""
        if self.v.method == "gan":
            from jaxderm.release.synthesize import Deidentifier  # brings jax in

            self.model = Deidentifier.load(self.v.model, self.v.dtype)
            if self.replayed and self.replayed["model"].get("sha256") != self.model.model["sha256"]:
                print(
                    "jaxderm deidentify: the facts were made with another model: the release "
                    "will not repeat byte for byte.",
                    file=sys.stderr,
                )

    def one(self) -> int:
        v = self.v
        name = split(v.output)[1]
        stem, suffix = name[:-4], name[-4:]
        if suffix.lower() not in (".png", ".dcm"):
            stem = Path(name).stem
            raise InputError(
                f"--output '{v.output}' is not PNG or DICOM; a release is lossless, name it "
                f"{stem}.png or {stem}.dcm."
            )
        if suffix.lower() == ".dcm" and v.method != "gan":
            raise InputError(f"--output '{v.output}': --method {v.method} writes a .png only.")
        outputs = [name]
        if self.replayed is None:
            outputs += [f"{stem}-{n}{suffix}" for n in range(1, v.candidates)]
        present = self.folder.names()
        existing = [n for n in outputs if present & {n, f"{n[:-4]}.json"}]
        if existing and not v.overwrite:
            raise InputError(
                f"output '{existing[0]}' exists in '{self.folder}'; choose another name or --overwrite."
            )
        if not is_url(v.output) and not os.access(str(self.folder), os.W_OK):
            raise InputError(f"output folder '{self.folder}' does not exist or is not writable.")
        cells = {
            name: getattr(v, name)
            for name in ("site", "sex", "age", "skin_type", "subsite", "view", "field",
                         "landmarks", "frame", "patient")
        }  # fmt: skip
        case = self.case(v.photo, v.mask, cells, v.margin, v.pixels_per_cm)
        self.load()
        for warning in case.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        self.release(stem, 0, case, self.folder, outputs, v.patient)
        self.write_sheet(1)
        return 0

    def many(self) -> int:
        v = self.v

        def say(sentence: str) -> None:
            with tqdm.external_write_mode(file=sys.stderr):
                print(sentence, file=sys.stderr, flush=True)

        job = Batch(
            v.cases, v.output_dir, shard=v.shard, candidates=v.candidates, overwrite=v.overwrite,
            key=self.key, say=say,
        )  # fmt: skip
        try:
            pending = job.open(self.settings())
            if pending:
                self.load()
        except BaseException:
            job.folder.close()
            raise

        self.on_sheet = {row.number for row in pending[:SHEET_ROWS]}

        def release(row: Row, names: list[str]) -> None:
            case, series = self.row_case(row), row.get("case_id")
            if series and self.key is not None:
                read_generated_key(v.identity_key, "identity_key")  # none that was typed
            self.release(row.id, row.number, case, job.folder, names, row.get("patient") or series)

        with tqdm(
            total=len(job.rows), initial=len(job.outcomes), unit="case", disable=not v.progress
        ) as bar:
            summary = job.run(release, bar.update)
        self.write_sheet(summary.released)
        print(
            f"{summary.released} released, {summary.there} were there, {summary.failed} failed "
            f"of {summary.rows} cases in {job.folder}"
        )
        if summary.changed:
            print(
                f"{summary.changed} rows changed after their release, which stays; see the messages"
            )
        if summary.stopped:
            say(f"stopped: {summary.stopped} Run the same command again to do the rest.")
        return summary.status

    def settings(self) -> dict[str, Any]:
        """What the releases of a batch depend on besides their row."""
        v = self.v
        model = None
        if v.method == "gan":
            known = loading.identity(v.model)
            model = f"{known['name']} {known['sha256'][:12]}"
        return {
            "jaxderm": __version__, "method": v.method, "model": model, "dtype": v.dtype,
            "seed": v.seed, "margin": v.margin, "pixels_per_cm": v.pixels_per_cm, "force": v.force,
            "keyed": self.key is not None, "facts": self.replayed is not None,
            **({} if v.style_seed is None else {"style_seed": v.style_seed}),
        }  # fmt: skip

    def row_case(self, row: Row) -> Case:
        """The case of a row."""
        cells = dict(row.cells)
        cells.setdefault("skin_type", "measured")

        def number(name: str) -> float | None:
            try:
                return float(cells[name]) if cells.get(name) else None
            except ValueError:
                raise InputError(f"{name} '{cells[name]}' is not a number.") from None

        scale = number("pixels_per_cm") or self.v.pixels_per_cm
        margin = number("margin") if cells.get("margin") else self.v.margin
        return self.case(row.path("photo"), row.path("mask"), cells, margin, scale)

    def case(self, photo_path, mask_path, cells, margin, scale) -> Case:
        """A case from files and the texts of its facts."""
        photo = read_photo(photo_path)
        return case_of(
            photo,
            read_mask(mask_path, photo.pixels.shape[:2]),
            cells,
            self.size,
            margin=margin,
            pixels_per_cm=scale,
            force=self.v.force,
            facts=None if self.replayed is None else _facts(self.replayed),
        )

    def release(
        self,
        name: str,
        number: int,
        case: Case,
        place: Folder,
        outputs: list[str],
        patient: str | None,
    ) -> None:
        """Compute and write a case's releases, one after the other; threads call this at once."""
        small: list[SheetRow] = []
        for output, release in zip(outputs, self.releases(case, len(outputs), patient)):
            release = dataclasses.replace(release, credentials=self.credentials)
            release.save_to(place, output)
            if self.v.sheet and number in self.on_sheet:
                small.append(_sheet_row(name, case, release, self.v.sheet_with_original))
        if small:
            releases = tuple(row.releases[0] for row in small)
            self.rows[number] = dataclasses.replace(small[0], releases=releases)

    def releases(self, case: Case, count: int, patient: str | None) -> Iterator[Release]:
        """The releases of a case by model, by method, or as a manifest replays it."""
        if self.model is None:
            return iter([baselines.release(case, self.v.method)] * count)
        if self.replayed is not None:
            seed = self.replayed["seed"]
            return self.model.releases(
                case, seed.get("seed", self.v.seed), [seed.get("candidate", 0)], self.key, patient,
                seed.get("style_seed"),
            )  # fmt: skip
        return self.model.releases(
            case, self.v.seed, range(count), self.key, patient, self.v.style_seed
        )

    def write_sheet(self, released: int) -> None:
        """Write the contact sheet, if one is wanted and anything was released."""
        if self.v.sheet and self.rows:
            rows = [row for _, row in sorted(self.rows.items())]
            page = contact_sheet(rows, 1 if len(rows) < 6 else 3)
            write_atomic(self.v.sheet, encode_png(np.asarray(page)))
            if released > len(rows):
                print(f"the sheet shows {len(rows)} of {released} cases", file=sys.stderr)


def _facts(document: dict) -> dict[str, Fact]:
    return {name: Fact(**entry) for name, entry in document["facts"].items()}


def _read_key(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise InputError(f"identity_key '{path}' cannot be read ({error.strerror}).") from None
    if len(key) < 16:
        raise InputError(
            f"identity_key '{path}' is shorter than 16 bytes; fill it with random ones."
        )
    return key


def _sheet_row(name: str, case: Case, release: Release, with_original: bool) -> SheetRow:
    def small(pixels: np.ndarray, how=Image.Resampling.BICUBIC) -> np.ndarray:
        scale = min(1.0, TILE / max(pixels.shape[:2]))
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        return np.asarray(Image.fromarray(pixels).resize(size, how))

    kept = small(release.kept.astype(np.uint8) * 255, Image.Resampling.BOX) >= 128
    x0, y0, x1, y1 = case.frame.inside(*case.kept.shape)
    original = small(case.photo[y0:y1, x0:x1]) if with_original else None
    return SheetRow(name, (small(release.pixels),), kept, original)
