"""jaxderm study new --images images.csv --readers R1,R2,R3 --diagnoses NEV,MEL,BCC --ethics REF --study DIR

images.csv has the columns case, original, release and perhaps diagnosis; files are relative to it. The folder holds
blinded pictures and key.json, which no reader may see.
"""

from pathlib import Path

from absl import flags

from jaxderm.errors import InputError
from jaxderm.study import design

FLAGS = flags.FlagValues()
flags.DEFINE_string("images", None, "CSV: case, original, release, diagnosis", flag_values=FLAGS)
flags.DEFINE_string("study", None, "new folder", flag_values=FLAGS)
flags.DEFINE_string("title", "Real or generated?", "what readers see above", flag_values=FLAGS)
flags.DEFINE_string("ethics", "", "reference of the ethics approval or waiver", flag_values=FLAGS)
flags.DEFINE_list("readers", [], "codes of the readers, no names", flag_values=FLAGS)
flags.DEFINE_list("diagnoses", [], "to choose from", flag_values=FLAGS)
flags.DEFINE_float("equivalence_margin", 0.15, "of accuracy around 50 %", flag_values=FLAGS)
flags.DEFINE_float("expected", 0.9, "agreement of a reader with himself", flag_values=FLAGS)
flags.DEFINE_float("agreement_margin", 0.15, "non-inferiority margin below it", flag_values=FLAGS)
flags.DEFINE_float("washout_days", 14.0, "between the two sittings", flag_values=FLAGS)
flags.DEFINE_integer(
    "size", 512, "pixels a side of the pictures shown", 64, 4096, flag_values=FLAGS
)
flags.DEFINE_integer("seed", 0, "of names and orders", flag_values=FLAGS)
flags.DEFINE_bool("force", False, "although the power is below 80 %", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Write the folder; the exit status."""
    for name in ("images", "study"):
        if not getattr(values, name):
            raise InputError(f"give --{name}.")
    settings = design.Settings(
        values.title, values.ethics, tuple(values.readers), tuple(values.diagnoses),
        values.equivalence_margin, values.expected, values.agreement_margin, values.washout_days,
        values.size, values.seed,
    )  # fmt: skip
    chance = design.make(Path(values.study), settings, values.images, values.force)
    print(
        f"power, if answers were independent: {100 * chance['equivalence']:.0f} % to show accuracy equivalent to "
        f"50 %, {100 * chance['agreement']:.0f} % to show agreement of diagnosis not inferior"
    )
    print(
        f"{values.study}: keep key.json from the readers; jaxderm study serve --study {values.study}"
    )
    return 0
