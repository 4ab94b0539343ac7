"""jaxderm case release: write the folder for print, once consent, patient and editor are in.

  jaxderm case release --case DIR --output PRINT --consent REF --seen_figure CODE
      --editor_agreement "Dr N. N., by letter" --journal "Journal" --kept_shows none
Writes figure.png, figure.tif, legend.txt, disclosure.txt, letter_to_editor.txt, label.json and
commitment.txt (deposit it with the submission). At a terminal, missing answers are asked for.
"""

import os
import shutil
import sys
import uuid
from pathlib import Path

from absl import flags

from jaxderm.case import kept_check, vault
from jaxderm.case.figures import check_expiry, make_figures
from jaxderm.case.publish import Answers, Looks, publish
from jaxderm.commands.case import define_opening, define_series_key, opened, series_key, text
from jaxderm.errors import InputError
from jaxderm.photo import write_atomic

FLAGS = flags.FlagValues()
define_opening(FLAGS)
define_series_key(FLAGS)
text(FLAGS, "output", "the folder for print; it must not exist yet")
text(FLAGS, "consent", "reference of the written consent; stays in the sealed case")
text(FLAGS, "seen_figure", "code of the figure that the patient or guardian has seen (preview)")
text(FLAGS, "editor_agreement", "how the editor agreed to a disclosed composite: who, when")
text(FLAGS, "journal", "the journal that the figure goes to")
text(
    FLAGS,
    "kept_shows",
    "what the kept area shows: none, or of " + ", ".join(kept_check.SHOWS),
)
text(FLAGS, "acknowledge", "of these, what patient and editor accept to be seen")
text(FLAGS, "audit", "report of `jaxderm audit`, to deny recognizable features in the DICOM file")
flags.DEFINE_list("audited", [], "the releases that the audit was made of", flag_values=FLAGS)
flags.DEFINE_integer("dpi", 300, "print resolution, a tag of the TIFF", 72, 2400, flag_values=FLAGS)
flags.DEFINE_bool("scale_bar", False, "draw a scale bar outside the kept area", flag_values=FLAGS)
flags.DEFINE_bool("dicom", False, "also write figure.dcm", flag_values=FLAGS)

QUESTIONS = {
    "consent": "Reference of the patient's written consent (stays in the sealed case)",
    "seen_figure": "Code of the figure that the patient or guardian has seen",
    "editor_agreement": "How did the editor agree to a disclosed composite (who, when)",
    "journal": "Journal",
    "kept_shows": "What does the kept area show: none, or of " + ", ".join(kept_check.SHOWS),
}


def run(values: flags.FlagValues) -> int:
    """Release the case; the exit status."""
    if not values.output:
        raise InputError("give --output FOLDER for print.")
    output = Path(values.output)
    if output.exists():
        raise InputError(f"output '{output}' exists; choose another folder.")
    if not values.case or output.resolve().is_relative_to(Path(values.case).resolve()):
        raise InputError("give --case FOLDER, and an --output outside of it.")
    if not os.access(output.parent, os.W_OK):
        raise InputError(f"the folder of --output '{output}' does not exist or is read-only.")
    given = {name: getattr(values, name) for name in QUESTIONS}
    if sys.stdin.isatty():
        for name, question in QUESTIONS.items():
            given[name] = given[name] or input(f"{question}: ")
    answers = Answers(
        consent=given["consent"], seen=given["seen_figure"], agreement=given["editor_agreement"],
        journal=given["journal"], kept_shows=given["kept_shows"], acknowledge=values.acknowledge,
    )  # fmt: skip
    answers.check()  # before a model is loaded
    key = series_key(values)
    case, lock = opened(values)
    check_expiry(case)
    figures, warnings = make_figures(case, key)
    looks = Looks(values.dpi, values.scale_bar, values.dicom, values.audit, tuple(values.audited))
    files, more = publish(case, figures, answers, looks)
    _write(output, files, values.case, case, lock)
    for warning in [*warnings, *more]:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"case {case.id} is released into {output}: {', '.join(sorted(files))}")
    print("deposit commitment.txt with the submission; print legend and disclosure with the figure")
    return 0


def _write(output: Path, files: dict[str, bytes], folder: str, case, lock: vault.Lock) -> None:
    """Files and the private record: both or neither."""
    temporary = output.parent / f".jaxderm-{uuid.uuid4().hex}.tmp"
    try:
        temporary.mkdir()
        for name, data in files.items():
            write_atomic(temporary / name, data)
        before = (Path(folder) / vault.SEALED).read_bytes()
        vault.save(folder, case, lock)
        try:
            temporary.rename(output)
        except OSError:
            write_atomic(Path(folder) / vault.SEALED, before)
            raise
    except OSError as error:
        raise InputError(f"output '{output}' cannot be written ({error.strerror}).") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
