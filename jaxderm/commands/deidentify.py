"""jaxderm deidentify: release a photo, or a file of cases; the lesion stays, the rest is generated.

One photo:  jaxderm deidentify --photo P --mask M --site face --sex female --age 8 --skin_type II
              --landmarks "x,y x,y x,y x,y x,y" --output OUT.png
Many:       jaxderm deidentify --cases cases.csv --output_dir DIR        (resumable)
Exit status 0: all released; 1: some failed, each named with its reason; 2: none started.
"""

import os
import sys
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

from jaxderm import attributes as attr
from jaxderm.attributes import View
from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.photo import encode_png, read_mask, read_photo, write_atomic
from jaxderm.release import baselines, batch, manifest
from jaxderm.release.cells import case_of
from jaxderm.release.facts import Case, Fact
from jaxderm.release.keys import read_generated_key
from jaxderm.release.sheet import TILE, SheetRow, contact_sheet

FLAGS = flags.FlagValues()


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
      "right, nose tip, mouth corner on its left, on its right; - = unknown), or none")  # fmt: skip
_text("frame", '"x,y,side" in photo pixels instead of the default frame')
_text("identity_key", "file with a secret: one stranger for all photos of a --patient")
_text("patient", "patient id for --identity_key; never written anywhere")
_text("facts", "manifest of an earlier release, whose facts and seed are replayed")
_text("model", "name or weight file of the model", "default")
_text("sheet", "also write a contact sheet (PNG) here")
flags.DEFINE_float("margin", None, "pixels kept around the mask", flag_values=FLAGS)
flags.DEFINE_float("pixels_per_cm", None, "scale of the photo", flag_values=FLAGS)
flags.DEFINE_integer("candidates", 1, "releases a photo", 1, 100, flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "another seed, another stranger", flag_values=FLAGS)
flags.DEFINE_enum(
    "method", "gan", ["gan", *baselines.METHODS], "gan, or what is done today", flag_values=FLAGS
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
        self.rows: list[SheetRow] = []
        self.model = None
        one = [n for n in ("photo", "mask", "output") if getattr(values, n)]
        if values.cases and one:
            raise InputError(f"--cases and --{one[0]} exclude each other.")
        if values.cases and not values.output_dir:
            raise InputError("give --output_dir DIR for the releases of --cases.")
        if not values.cases and len(one) < 3:
            raise InputError("give --photo, --mask and --output, or --cases and --output_dir.")
        self.key = _read_key(values.identity_key)
        self.folder = Path(values.output_dir) if values.cases else Path(values.output).parent
        if values.sheet and values.sheet_with_original:
            if self.folder.resolve() in Path(values.sheet).resolve().parents:
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
        self.size = weights.read_spec(weights.find_model(values.model)).size

    def load(self) -> None:
        """Load the model: after the cheap checks, before the first photo."""
        if self.v.method == "gan":
            from jaxderm.release.synthesize import Deidentifier  # brings jax in

            self.model = Deidentifier.load(self.v.model)
            if self.replayed and self.replayed["model"].get("sha256") != self.model.model["sha256"]:
                print(
                    "jaxderm deidentify: the facts were made with another model: the release "
                    "will not repeat byte for byte.",
                    file=sys.stderr,
                )

    def one(self) -> int:
        v = self.v
        output = Path(v.output)
        suffix = output.suffix.lower()
        if suffix not in (".png", ".dcm"):
            raise InputError(
                f"--output '{v.output}' is not PNG or DICOM; a release is lossless, name it "
                f"{output.stem}.png or {output.stem}.dcm."
            )
        if suffix == ".dcm" and v.method != "gan":
            raise InputError(f"--output '{v.output}': --method {v.method} writes a .png only.")
        outputs = [output]
        if self.replayed is None:
            outputs += [
                output.with_name(f"{output.stem}-{n}{output.suffix}")
                for n in range(1, v.candidates)
            ]
        existing = [p for p in outputs if p.exists() or p.with_suffix(".json").exists()]
        if existing and not v.overwrite:
            raise InputError(f"output '{existing[0]}' exists; choose another name or --overwrite.")
        if not os.access(self.folder, os.W_OK):
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
        self.release(output.stem, case, outputs, v.patient)
        self.write_sheet()
        return 0

    def many(self) -> int:
        v = self.v
        rows = batch.read_cases(v.cases)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK):
            raise InputError(f"output folder '{self.folder}' is not writable.")
        self.load()
        counts = {"done": 0, "skipped": 0, "failed": 0}
        bar = tqdm(total=len(rows), unit="case", disable=not v.progress)
        for row, outcome, reason in batch.run(rows, self.outputs, self.release_row):
            counts[outcome] += 1
            bar.update()
            if outcome == "failed":
                name = row.id or "?"
                with bar.external_write_mode():
                    print(f"row {row.number} ({name}): {reason}", file=sys.stderr, flush=True)
        bar.close()
        self.write_sheet()
        print(
            f"{counts['done']} released, {counts['skipped']} were there, {counts['failed']} failed "
            f"of {len(rows)} cases in {self.folder}"
        )
        return 1 if counts["failed"] else 0

    def outputs(self, row: batch.Row) -> list[Path]:
        """Paths of a row's releases; none is finished when they are to be replaced."""
        names = [row.id] + [f"{row.id}-{n}" for n in range(1, self.v.candidates)]
        outputs = [self.folder / f"{name}.png" for name in names]
        if self.v.overwrite:
            for path in outputs:
                path.with_suffix(".json").unlink(missing_ok=True)
        return outputs

    def release_row(self, row: batch.Row, outputs: list[Path]) -> None:
        """Release one row."""
        cells = dict(row.cells)
        cells.setdefault("skin_type", "measured")

        def number(name: str) -> float | None:
            try:
                return float(cells[name]) if cells.get(name) else None
            except ValueError:
                raise InputError(f"{name} '{cells[name]}' is not a number.") from None

        scale = number("pixels_per_cm") or self.v.pixels_per_cm
        margin = number("margin") if cells.get("margin") else self.v.margin
        case = self.case(row.path("photo"), row.path("mask"), cells, margin, scale)
        series = row.get("case_id")
        if series and self.key is not None:
            read_generated_key(self.v.identity_key, "identity_key")  # none that was typed
        self.release(row.id, case, outputs, row.get("patient") or series)

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

    def release(self, name: str, case: Case, outputs: list[Path], patient: str | None) -> None:
        """Compute and write a case's releases."""
        if self.model is None:
            releases = [baselines.release(case, self.v.method)] * len(outputs)
        elif self.replayed is not None:
            seed = self.replayed["seed"]
            releases = [
                self.model.release(
                    case, seed.get("seed", self.v.seed), seed.get("candidate", 0), self.key, patient
                )
            ]
        else:
            releases = [
                self.model.release(case, self.v.seed, n, self.key, patient)
                for n in range(len(outputs))
            ]
        for path, release in zip(outputs, releases):
            release.save(path)
        if self.v.sheet:
            self.rows.append(_sheet_row(name, case, releases, self.v.sheet_with_original))

    def write_sheet(self) -> None:
        """Write the contact sheet, if one is wanted and anything was released."""
        if self.v.sheet and self.rows:
            wide = 1 if len(self.rows) < 6 else 3
            page = contact_sheet(self.rows, wide)
            write_atomic(self.v.sheet, encode_png(np.asarray(page)))


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


def _sheet_row(name: str, case: Case, releases, with_original: bool) -> SheetRow:
    def small(pixels: np.ndarray, how=Image.Resampling.BICUBIC) -> np.ndarray:
        scale = min(1.0, TILE / max(pixels.shape[:2]))
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        return np.asarray(Image.fromarray(pixels).resize(size, how))

    kept = small(releases[0].kept.astype(np.uint8) * 255, Image.Resampling.BOX) >= 128
    x0, y0, x1, y1 = case.frame.inside(*case.kept.shape)
    original = small(case.photo[y0:y1, x0:x1]) if with_original else None
    return SheetRow(name, tuple(small(r.pixels) for r in releases), kept, original)
