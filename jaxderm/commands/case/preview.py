"""jaxderm case preview: write the figure with its code, to show to the patient or guardian.

  jaxderm case preview --case DIR --output draft.png
The code stands for this very figure: `jaxderm case release --seen_figure CODE` takes no other.
"""

from pathlib import Path

from absl import flags

from jaxderm.case import publish
from jaxderm.case.figure import figure_png
from jaxderm.case.figures import check_expiry, make_figures
from jaxderm.case.marks import add_strip, draw_outline
from jaxderm.commands.case import define_opening, define_series_key, opened, series_key, text
from jaxderm.errors import InputError
from jaxderm.photo import write_atomic

FLAGS = flags.FlagValues()
define_opening(FLAGS)
define_series_key(FLAGS)
text(FLAGS, "output", "FILE.png; of a series also FILE-2.png and so on")


def run(values: flags.FlagValues) -> int:
    """Write the previews; the exit status."""
    if not values.output or Path(values.output).suffix.lower() != ".png":
        raise InputError("give --output FILE.png for the preview.")
    key = series_key(values)
    case, _ = opened(values)
    check_expiry(case)
    figures, _ = make_figures(case, key)
    found = publish.codes(case, figures)
    out = Path(values.output)
    for number, (figure, code) in enumerate(zip(figures, found), 1):
        path = out if number == 1 else out.with_name(f"{out.stem}-{number}.png")
        marked = draw_outline(figure.release.pixels, figure.release.kept)
        words = f"DRAFT for the patient, not for print. Figure code {code}"
        write_atomic(path, figure_png(add_strip(marked, words)))
        print(f"{path}: figure code {code}")
    print(
        "When patient or guardian has seen it: jaxderm case release --seen_figure "
        + ",".join(found)
        + " ..."
    )
    return 0
