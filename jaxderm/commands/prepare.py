"""jaxderm prepare --source DIR --data_dir D [--name NAME] [--source_kind photo|render]

Reads a folder with a labels.csv or labels.jsonl into a TFDS data set for training.
"""

from absl import flags

from jaxderm.data.prepare import prepare
from jaxderm.errors import InputError

FLAGS = flags.FlagValues()
flags.DEFINE_string("source", None, "folder with the pictures and labels", flag_values=FLAGS)
flags.DEFINE_string("data_dir", "data", "folder of prepared data sets", flag_values=FLAGS)
flags.DEFINE_string("name", None, "name of the corpus; default: the folder's", flag_values=FLAGS)
flags.DEFINE_enum(
    "source_kind", None, ["photo", "render"], "kind, where no column says", flag_values=FLAGS
)


def run(values: flags.FlagValues) -> int:
    """Prepare and print the summary."""
    if not values.source:
        raise InputError("give --source DIR.")
    print(prepare(values.source, values.data_dir, values.name, values.source_kind))
    return 0
