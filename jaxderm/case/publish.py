"""`case release`: what must be answered first, then the files for print and the private record."""

import dataclasses
import datetime
import json
from pathlib import Path

import numpy as np

import jaxderm
from jaxderm.case import kept_check, leaks
from jaxderm.case.commitment import commit, figure_code, new_commitment_key
from jaxderm.case.figure import figure_png, figure_tiff, size_warning
from jaxderm.case.figures import Figure
from jaxderm.case.label import fill, person_words, public_label, scale_words
from jaxderm.case.marks import draw_outline
from jaxderm.case.scale import draw_scale_bar
from jaxderm.case.vault import Vault
from jaxderm.errors import InputError
from jaxderm.photo import read_photo


@dataclasses.dataclass(frozen=True)
class Answers:
    """What `case release` asks. seen: figure codes that patient or guardian has seen."""

    consent: str | None
    seen: str | None
    agreement: str | None
    journal: str | None
    kept_shows: str | None
    acknowledge: str | None

    def check(self) -> None:
        """InputError for the first that is missing, with the remedy."""
        needed = (
            (self.consent, "consent", "the reference of the patient's written consent; it stays in "
             "the sealed case"),
            (self.seen, "seen_figure", "the code of the figure that the patient or guardian has "
             "seen; `jaxderm case preview` writes the figure with its code"),
            (self.agreement, "editor_agreement", "how the editor agreed to a disclosed composite "
             "(who, when); many journals refuse generated images without"),
            (self.journal, "journal", "the journal that the figure goes to"),
        )  # fmt: skip
        for value, flag, what in needed:
            if not (value or "").strip():
                raise InputError(f"nothing is released without --{flag}: {what}.")


@dataclasses.dataclass(frozen=True)
class Looks:
    """How the figure files are to be: print resolution (a tag), scale bar, DICOM and its audit."""

    dpi: int = 300
    scale_bar: bool = False
    dicom: bool = False
    audit: str | None = None
    audited: tuple[str, ...] = ()


def publish(
    vault: Vault, figures: list[Figure], answers: Answers, looks: Looks
) -> tuple[dict[str, bytes], list[str]]:
    """Files of the release folder by name, and warnings; the private record goes into the vault.

    Raises InputError, with nothing changed, for every answer that is missing.
    """
    answers.check()
    facts = vault.json("facts.json")
    _check_seen(vault, figures, answers.seen)
    found: dict[str, str] = {}
    for figure in figures:
        burnt_in = kept_check.BURNT_IN_TEXT if _burnt_in(figure) else None
        found |= kept_check.found_in_kept(figure.case, burnt_in is not None)
    acknowledged = kept_check.check_kept(answers.kept_shows, answers.acknowledge, found)
    audited = _audited(figures, looks)

    files: dict[str, bytes] = {}
    labels, commitments, record, warnings = [], [], [], []
    for number, figure in enumerate(figures, 1):
        stem = "figure" if len(figures) == 1 else f"figure-{number}"
        pixels, bar = _marked(figure, looks)
        warnings += [w for w in [size_warning(pixels, looks.dpi)] if w]
        files[f"{stem}.png"] = figure_png(pixels)
        files[f"{stem}.tif"] = figure_tiff(pixels, looks.dpi)
        if looks.dicom:
            shown = dataclasses.replace(figure.release, pixels=pixels)
            files[f"{stem}.dcm"] = shown.dicom(facts["laterality"], audited)
        labels.append(_label(figure, facts, pixels, bar))
        key = new_commitment_key()
        value = commit(key, figure.original.pixels, figure.mask, pixels)
        commitments.append(f"{stem}: {value}")
        record.append(
            {"figure": stem, "timepoint": figure.timepoint.name, "key": key.hex(),
             "commitment": value, "manifest": figure.release.manifest}
        )  # fmt: skip
    files |= _texts(vault, figures, labels, commitments, answers, sorted(files))
    leaks.refuse_leaks(files, [*facts["private"], facts["case_id"] or "", answers.consent or ""])

    count = sum(name.startswith("release-") and name.endswith(".json") for name in vault.documents)
    name = f"release-{count + 1}"
    for entry in record:
        vault.documents[f"{name}-{entry['figure']}.png"] = files[f"{entry['figure']}.png"]
    vault.put_json(
        f"{name}.json",
        {"date": datetime.date.today().isoformat(), "consent": answers.consent,
         "seen": answers.seen, "agreement": answers.agreement, "journal": answers.journal,
         "acknowledged": acknowledged, "figures": record},
    )  # fmt: skip
    return files, warnings


def codes(vault: Vault, figures: list[Figure]) -> list[str]:
    """The figure codes of a case, one a figure."""
    return [figure_code(vault.documents["figure.key"], f.release.pixels) for f in figures]


def _check_seen(vault: Vault, figures: list[Figure], seen: str | None) -> None:
    given = {code.strip().upper() for code in (seen or "").split(",")}
    for number, code in enumerate(codes(vault, figures), 1):
        if code not in given:
            which = "this figure" if len(figures) == 1 else f"figure {number}"
            raise InputError(
                f"--seen_figure '{seen}' is not the code of {which}: the patient has seen another "
                "one (facts, model, series key or library versions differ); show the figure of "
                "`jaxderm case preview` and give its code."
            )


def _burnt_in(figure: Figure) -> bool:
    return any("burnt into" in note for note in figure.original.conversion)


def _marked(figure: Figure, looks: Looks) -> tuple[np.ndarray, float | None]:
    """The figure with its outline and, if wanted, a scale bar; kept bytes untouched."""
    release = figure.release
    pixels, length = draw_outline(release.pixels, release.kept), None
    if looks.scale_bar:
        scale = figure.timepoint.pixels_per_cm
        if scale is None:
            raise InputError(
                "--scale_bar needs the scale: give --ruler and --ruler_mm to `jaxderm case new`."
            )
        pixels, bar = draw_scale_bar(pixels, release.kept, scale)
        length = bar.length_mm
    if not np.array_equal(pixels[release.kept], release.pixels[release.kept]):
        raise AssertionError("a mark covers kept pixels")
    return pixels, length


def _label(figure: Figure, facts: dict, pixels: np.ndarray, bar: float | None) -> dict:
    manifest = figure.release.manifest
    site = manifest["facts"]["site"]["value"].replace("_", " ")
    subsite = figure.timepoint.cells.get("subsite") or ""
    return public_label(
        manifest,
        diagnosis=facts["diagnosis"],
        site_words=", ".join(word for word in (site, subsite) if word),
        laterality=facts["laterality"],
        shows=figure.timepoint.shows,
        size=pixels.shape[:2],
        withheld=tuple(facts["withhold"]),
        scale_bar_mm=bar,
    )


def _texts(vault, figures, labels, commitments, answers, names) -> dict[str, bytes]:
    """label.json, legend.txt, disclosure.txt, letter_to_editor.txt and commitment.txt."""
    facts = vault.json("facts.json")
    model = labels[0]["generator"]["model"]
    legends = []
    for number, (figure, label) in enumerate(zip(figures, labels), 1):
        side = f" ({label['laterality']})" if label["laterality"] else ""
        head = (
            "Figure." if len(figures) == 1 else f"Figure, part {number}: {figure.timepoint.name}."
        )
        legends.append(
            fill(
                "legend",
                title=f"{head} {label['diagnosis']}, {label['site']}{side}.",
                kept_area=label["kept_area"],
                version=jaxderm.__version__,
                model=model,
                person=person_words(label),
                scale=scale_words(label),
            )
        )
    one = len(figures) == 1
    texts = {
        "legend.txt": "\n".join(legends),
        "disclosure.txt": fill(
            "disclosure",
            figures="The figure is" if one else f"Each of the {len(figures)} figures is",
            version=jaxderm.__version__,
            model=model,
        ),
        "letter_to_editor.txt": fill(
            "letter",
            figures_plain="a figure" if one else f"a series of {len(figures)} figures",
            it_is="It is" if one else "Each is",
            diagnosis=facts["diagnosis"],
            journal=answers.journal,
            agreement=answers.agreement,
            files=", ".join([*names, "legend.txt", "disclosure.txt", "label.json"]),
            case=vault.id,
            expires=facts["expires"],
            commitments="\n".join(commitments),
        ),
        "commitment.txt": "\n".join(commitments) + "\n",
        "label.json": json.dumps(labels[0] if one else labels, indent=1, ensure_ascii=False) + "\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def _audited(figures: list[Figure], looks: Looks) -> bool:
    """Whether an audit of these very pictures found nobody; InputError for one that does not fit."""
    if looks.audit is None:
        return False
    path = Path(looks.audit)
    path = path / "report.json" if path.is_dir() else path
    try:
        rows = {row["id"]: row for row in json.loads(path.read_bytes())["rows"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"--audit '{looks.audit}' is no report of `jaxderm audit`.") from None
    if len(looks.audited) != len(figures):
        raise InputError(
            f"--audited names {len(looks.audited)} files for {len(figures)} figures; give the "
            "releases (PNG) that the audit was made of, in order."
        )
    for name, figure in zip(looks.audited, figures):
        if not np.array_equal(read_photo(name).pixels, figure.release.pixels):
            raise InputError(
                f"--audited '{name}' is not this figure; audit a release with the same facts, model "
                "and seed."
            )
        row = rows.get(Path(name).stem, {})
        if "rank" not in row or "verified" not in row:
            raise InputError(
                f"--audit '{looks.audit}' has no identification of '{Path(name).stem}': it needs "
                "another photograph of the patient in the gallery."
            )
        if row["verified"] or row["rank"] == 1:
            raise InputError(f"the audit recognises the patient in '{name}'; do not release it.")
    return True
