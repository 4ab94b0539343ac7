"""jaxderm case open: write the unaltered photograph out, for a reviewer to look at.

  jaxderm case open --case DIR --identity reader.key --output FOLDER
Writes original-1.png and mask-1.png (of a series one a timepoint) into a new folder of mode 0700:
pixels only, no name, date or device of the photograph's file. Delete the folder afterwards.
"""

import os
import shutil
from pathlib import Path

from absl import flags

from jaxderm.case.figures import check_expiry, timepoints_of
from jaxderm.commands.case import define_opening, opened, text
from jaxderm.errors import InputError
from jaxderm.photo import write_atomic

FLAGS = flags.FlagValues()
define_opening(FLAGS)
text(FLAGS, "output", "the folder to make")


def run(values: flags.FlagValues) -> int:
    """Write the photographs out; the exit status."""
    if not values.output:
        raise InputError("give --output FOLDER for the photograph.")
    output = Path(values.output)
    if output.exists():
        raise InputError(f"output '{output}' exists; choose another folder.")
    case, _ = opened(values)
    check_expiry(case)
    try:
        os.mkdir(output, 0o700)
    except OSError as error:
        raise InputError(f"output '{output}' cannot be made ({error.strerror}).") from None
    try:
        for point in timepoints_of(case):
            for name in (point.photo, point.mask):
                write_atomic(output / name, case.documents[name])
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise
    for point in timepoints_of(case):
        print(f"{output / point.photo}: timepoint {point.name}, not altered")
    print(f"{output} is not sealed: delete it when you have looked.")
    return 0
