"""jaxderm audit: is the patient gone, is the lesion there, is the person right, is it believable.

  jaxderm audit --cases cases.csv --releases DIR --gallery DIR --output report/
Writes report.html and report.json; docs/evaluation.md explains every figure.
Exit status 0: all cases audited; 1: some have no release, each named; 2: none started.
"""

import shlex
import sys
from pathlib import Path

from absl import flags

from jaxderm.errors import InputError

FLAGS = flags.FlagValues()


def _text(name: str, what: str, default: str | None = None) -> None:
    flags.DEFINE_string(name, default, what, flag_values=FLAGS)


_text("cases", "CSV file of cases, as for deidentify; the column ethnicity makes matched impostors")
_text("releases", "folder of the releases: <id>.png with its manifest <id>.json")
_text("gallery", "folder with one other photograph of each patient: <id>.jpg or <id>.png")
_text("output", "folder of the report")
_text("recogniser", "dlib, or an .onnx file with a .json beside it", "dlib")
_text(
    "reader",
    "attribute reader: default, none, FILE.safetensors, FILE.onnx with a .json, FILE.py[:function]",
    "default",
)
_text("extractor", "features of realism: random, reader, or an Inception-v3 weight file", "random")
_text("training", "folder of the faces that the model was trained on, for the training leak")
_text(
    "unseen",
    "folder of faces photographed like those, of other people: strangers of the training leak (default: the gallery)",
)
flags.DEFINE_list("distractors", [], "folders of more faces for the gallery", flag_values=FLAGS)
flags.DEFINE_list(
    "second", [], "folders with other releases of the same cases, for linkage", flag_values=FLAGS
)
flags.DEFINE_integer("workers", None, "processes; default: one a core", 1, flag_values=FLAGS)
flags.DEFINE_bool(
    "publishable", False, "leave out every original pixel outside the masks, and the case ids",
    flag_values=FLAGS,
)  # fmt: skip
flags.DEFINE_bool("overwrite", False, "replace an existing report", flag_values=FLAGS)
flags.DEFINE_bool("progress", True, "show progress bars", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Audit and write the report; the exit status."""
    for name in ("cases", "releases", "gallery", "output"):
        if not getattr(values, name):
            raise InputError(f"give --{name}.")
    if values.unseen and not values.training:
        raise InputError("--unseen is compared with --training: give that too.")
    output = Path(values.output)
    if (output / "report.html").exists() and not values.overwrite:
        raise InputError(
            f"'{output / 'report.html'}' exists; choose another folder or --overwrite."
        )
    if output.resolve() == Path(values.releases).resolve():
        raise InputError(
            "--output is the folder of the releases; the report is private: choose another."
        )
    # Brings in jax, and numbers that only the whole run needs.
    from jaxderm.evaluate import audit, report
    from jaxderm.evaluate.cases import read_rows
    from jaxderm.evaluate.measure import sheet_pictures

    document = audit.audit(
        audit.Options(
            cases=values.cases,
            releases=values.releases,
            gallery=values.gallery,
            distractors=tuple(values.distractors),
            training=values.training,
            unseen=values.unseen,
            second=tuple(values.second),
            recogniser=values.recogniser,
            reader=values.reader,
            extractor=values.extractor,
            workers=values.workers,
            progress=values.progress,
        )
    )
    rows = {row.id: row for row in read_rows(values.cases)}
    shown = [name for ids in report.chosen(document["ranking"]).values() for name in ids]
    sheet = {
        name: sheet_pictures(rows[name], values.releases, values.publishable) for name in shown
    }
    page = report.write(output, document, sheet, command(values), values.publishable)
    without = document["cases"]["without_release"]
    for case in without:
        print(f"case {case['id']}: {case['reason']}", file=sys.stderr)
    print(f"{document['cases']['released']} of {document['cases']['total']} cases audited: {page}")
    return 1 if without else 0


def command(values: flags.FlagValues) -> str:
    """The exact command; of paths only the last part when the report is to be published."""
    words = ["jaxderm", "audit"]
    for name, flag in values.flag_values_dict().items():
        if flag in (None, [], False) or values[name].using_default_value:
            continue
        given = flag if isinstance(flag, list) else [flag]
        if values.publishable:
            given = [Path(v).name if isinstance(v, str) else v for v in given]
        words.append(f"--{name}" if flag is True else f"--{name}={','.join(map(str, given))}")
    return shlex.join(words)
