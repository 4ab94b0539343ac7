"""jaxderm export: a model as one file that runs without our networks: StableHLO, weights and a card.

jaxderm export --model default --output model.jaxderm
Afterwards:  jaxderm deidentify --model model.jaxderm ...   or examples/artefact.py, which needs JAX only.
"""

import flatbuffers  # noqa: F401  jax.export needs it; the command line names the extra
from absl import flags

from jaxderm import storage
from jaxderm.errors import InputError
from jaxderm.photo import write_atomic
from jaxderm.release import artefact
from jaxderm.release.engine import DTYPES

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", "default", "name or weight file of the model", flag_values=FLAGS)
flags.DEFINE_string("output", None, "the artefact, for example model.jaxderm", flag_values=FLAGS)
flags.DEFINE_list("platforms", list(artefact.PLATFORMS), "what it is to run on", flag_values=FLAGS)
flags.DEFINE_enum(
    "dtype", None, DTYPES, "activations of the model; its own by default", flag_values=FLAGS
)
flags.DEFINE_bool("overwrite", False, "replace an existing artefact", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Export; the exit status."""
    if not values.output:
        raise InputError("give --output FILE for the artefact, for example model.jaxderm.")
    folder, name = storage.split(values.output)
    if not name or name.endswith(".safetensors"):
        raise InputError(
            f"--output '{values.output}' is no name for an artefact; try model.jaxderm."
        )
    if name in storage.folder(folder).names() and not values.overwrite:
        raise InputError(f"output '{values.output}' exists; choose another name or --overwrite.")
    unknown = set(values.platforms) - {*artefact.PLATFORMS, "rocm"}
    if unknown or not values.platforms:
        raise InputError(
            f"--platforms '{','.join(values.platforms)}' are not among cpu, cuda, rocm and tpu."
        )
    data = artefact.export(values.model, values.dtype, tuple(values.platforms))
    if storage.is_url(values.output):
        storage.folder(folder).write(name, data)
    else:
        write_atomic(values.output, data)
    print(f"{values.output}: {len(data) / 2**20:.1f} MB, for {', '.join(values.platforms)}")
    return 0
