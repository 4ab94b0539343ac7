"""jaxderm prepare --source DIR --data_dir D [--name NAME] [--source_kind photo|render] [--layout LAYOUT]

Reads a folder of labelled pictures into a TFDS data set for training: one with a labels.csv or labels.jsonl, or
a download in the layout of scin, pad_ufes_20, utkface or fairface (licence terms: jaxderm/data/).
"""

from absl import flags

from jaxderm.data.prepare import LAYOUTS, prepare
from jaxderm.errors import InputError

FLAGS = flags.FlagValues()
flags.DEFINE_string("source", None, "folder with the pictures and labels", flag_values=FLAGS)
flags.DEFINE_string("data_dir", "data", "folder of prepared data sets", flag_values=FLAGS)
flags.DEFINE_string("name", None, "name of the corpus; default: the folder's", flag_values=FLAGS)
flags.DEFINE_enum(
    "source_kind", None, ["photo", "render"], "kind, where no column says", flag_values=FLAGS
)
flags.DEFINE_enum("layout", "labels", list(LAYOUTS), "layout of the source", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Prepare and print the summary."""
    if not values.source:
        raise InputError("give --source DIR.")
    print(prepare(values.source, values.data_dir, values.name, values.source_kind, values.layout))
    return 0
