"""jaxderm train --config=configs/people_128.py --workdir=W [--config.stage=autoencoder|vae|gan]

Trains one stage, or resumes it; SIGTERM saves and exits with 0.
"""

import os
import sys

from absl import flags
from ml_collections import config_flags

from jaxderm.errors import InputError
from jaxderm.train import loop

sys.path.insert(0, os.getcwd())  # configurations import one another: `from configs import default`

FLAGS = flags.FlagValues()
config_flags.DEFINE_config_file(
    "config", None, "configuration file; fields by --config.name=value", flag_values=FLAGS
)
flags.DEFINE_string("workdir", None, "folder of the run", flag_values=FLAGS)
flags.DEFINE_bool("progress", True, "show a progress bar", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Train; 0 done or saved after SIGTERM, 1 stopped by a guard."""
    if values.config is None or not values.workdir:
        raise InputError("give --config=FILE and --workdir=DIR.")
    try:
        loop.train(values.config, values.workdir, values.progress)
    except loop.TrainingStopped as error:
        print(f"jaxderm train: {error}", file=sys.stderr)
        return 1
    return 0
