"""jaxderm evaluate --workdir W: realism of every weight file of a training run on held-out pictures.

Prints a line a weight file and keeps it in W/evaluations.jsonl; docs/evaluation.md explains the figures.
"""

import sys

from absl import flags

import jaxderm.data.pipeline  # noqa: F401 (tells at once when the extra is missing)
from jaxderm.errors import InputError
from jaxderm.evaluate import curve
from jaxderm.evaluate.features import load_extractor
from jaxderm.evaluate.readers import load_reader

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "folder of the run", flag_values=FLAGS)
flags.DEFINE_integer("count", 256, "held-out examples", 1, flag_values=FLAGS)
flags.DEFINE_enum(
    "split", "validation", ["validation", "test", "train"], "which pictures", flag_values=FLAGS
)
flags.DEFINE_string("data_dir", None, "prepared corpora, if not the run's", flag_values=FLAGS)
flags.DEFINE_string(
    "extractor", "random", "random, reader, or an Inception-v3 weight file", flag_values=FLAGS
)
flags.DEFINE_string("reader", None, "attribute reader, for --extractor reader", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Evaluate and print the curve."""
    if not values.workdir:
        raise InputError("give --workdir DIR.")
    curve.weight_files(values.workdir)  # a mistake is told before an extractor is loaded
    reader = load_reader(values.reader)
    extractor = load_extractor(values.extractor, reader)
    rows, notes = curve.curve(
        values.workdir, extractor, values.count, values.split, values.data_dir
    )
    print(
        f"{values.count} held-out examples ({values.split}), features of the {extractor.name}; ± is the 95 % interval"
    )
    print(curve.table(rows))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return 0
