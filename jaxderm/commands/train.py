"""jaxderm train --config=configs/people_128.py --workdir=W [--config.stage=autoencoder|vae|gan]

Trains one stage, or resumes it. Exit status: 0 the stage is complete, 1 a guard stopped it, 2 a mistake
in the flags, 75 a SIGTERM or preemption notice came and the state is saved: run the same command again.
Several processes find each other from flags, JAX_* variables, SLURM or a TPU pod (train/distributed.py).
"""

import os
import sys

from absl import flags
from ml_collections import config_flags

from jaxderm.commands import config_of
from jaxderm.compilation import use_compilation_cache
from jaxderm.errors import InputError
from jaxderm.train import distributed, loop, setup

sys.path.insert(0, os.getcwd())  # configurations import one another: `from configs import default`

AGAIN = 75  # EX_TEMPFAIL of sysexits.h: not done, nothing lost, try again

FLAGS = flags.FlagValues()
config_flags.DEFINE_config_file(
    "config", None, "configuration file; fields by --config.name=value", flag_values=FLAGS
)
flags.DEFINE_string("workdir", None, "folder of the run", flag_values=FLAGS)
flags.DEFINE_bool("progress", True, "show a progress bar", flag_values=FLAGS)
flags.DEFINE_string(
    "profile_steps", "", "FIRST:COUNT, steps to trace into WORKDIR/STAGE/profile", flag_values=FLAGS
)
flags.DEFINE_string(
    "coordinator_address", "", "host:port of process 0, or auto (TPU VMs)", flag_values=FLAGS
)
flags.DEFINE_integer("num_processes", 0, "processes of this training", flag_values=FLAGS)
flags.DEFINE_integer("process_id", -1, "number of this process, from 0", flag_values=FLAGS)
flags.DEFINE_bool("dry_run", False, "print what would run, and stop", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Train; the exit status is in the module's docstring."""
    if config_of(values) is None or not values.workdir:
        raise InputError("give --config=FILE and --workdir=DIR.")
    if "://" in values.workdir:
        raise InputError(
            f"--workdir '{values.workdir}' is not a folder; mount the storage and give its path."
        )
    profile_steps = loop.parse_profile_steps(values.profile_steps)
    processes = distributed.find_processes(
        os.environ, values.coordinator_address, values.num_processes, values.process_id
    )
    if values.dry_run:
        print(describe(values.config, values.workdir, processes))
        return 0
    distributed.initialize(processes)
    use_compilation_cache()
    try:
        state = loop.train(values.config, values.workdir, values.progress, profile_steps)
    except loop.TrainingStopped as error:
        print(f"jaxderm train: {error}", file=sys.stderr)
        return 1
    return 0 if loop.is_finished(values.config, state) else AGAIN


def describe(config, workdir: str, processes: distributed.Processes | None) -> str:
    """What a run would be, in a few lines; touches no device and no file."""
    spec = setup.spec_of(config)
    setup.check(config, 1)
    where = (
        f"process {processes.index} of {processes.count or '?'} ({processes.source}), meeting at "
        f"{processes.coordinator}"
        if processes
        else "one process"
    )
    return "\n".join(
        [
            f"stage {config.stage} in {workdir}: {setup.total_steps(config)} steps of {config.batch}",
            f"model {spec.size} px, latent {spec.grid}x{spec.grid}x{spec.channels}, {spec.dtype}",
            f"mesh: fsdp {config.mesh.fsdp}, the other devices data",
            where,
        ]
    )
