"""jaxderm study analyse --study DIR --output DIR: report.html, report.json and answers.csv of a study."""

import json
import os
from pathlib import Path

from absl import flags

from jaxderm.errors import InputError
from jaxderm.storage import write_atomic
from jaxderm.study import analysis

FLAGS = flags.FlagValues()
flags.DEFINE_string("study", None, "folder of `jaxderm study new`", flag_values=FLAGS)
flags.DEFINE_string("output", None, "folder of the report", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Write the report; the exit status."""
    for name in ("study", "output"):
        if not getattr(values, name):
            raise InputError(f"give --{name}.")
    found = analysis.analyse(Path(values.study))
    folder = Path(values.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"folder '{folder}' cannot be made ({error.strerror}).") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"folder '{folder}' is not writable.")
    write_atomic(folder / "answers.csv", analysis.table(Path(values.study)).encode())
    write_atomic(folder / "report.json", (json.dumps(found, indent=1) + "\n").encode())
    write_atomic(folder / "report.html", analysis.report(found).encode())
    primary = found["primary"]
    agreement = primary["agreement"]
    print(
        f"{found['answers']} of {found['planned']} answers; same diagnosis on original and release "
        f"{agreement['value']}, bound {primary['bound']}: "
        + ("not inferior" if primary["not_inferior"] else "not shown to be not inferior")
    )
    print(f"{folder}/report.html")
    return 0
