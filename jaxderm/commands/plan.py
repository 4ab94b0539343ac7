"""jaxderm plan --config=configs/pod_256.py --topology=v5e:16x16 [--save plan.json] [--plot plan.png]

Compiles the training step of a configuration for a TPU topology on a machine without one (libtpu), and
prints memory, FLOPs, collectives, roofline step time and predicted scaling efficiency. Takes minutes.
With --load A.json,B.json it shows saved plans instead; --estimate_for=v5p:8x8x4 puts another chip's figures under
their programs.
"""

import os
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from jaxderm.commands import config_of
from jaxderm.errors import InputError
from jaxderm.train import plan

sys.path.insert(0, os.getcwd())  # configurations import one another: `from configs import default`

FLAGS = flags.FlagValues()
config_flags.DEFINE_config_file(
    "config", None, "configuration file; fields by --config.name=value", flag_values=FLAGS
)
flags.DEFINE_string("topology", "v5e:16x16", "TPU kind and shape", flag_values=FLAGS)
flags.DEFINE_string("save", None, "write the figures as JSON", flag_values=FLAGS)
flags.DEFINE_list("load", [], "show saved plans; compile nothing", flag_values=FLAGS)
flags.DEFINE_list("estimate_for", [], "with --load: other topologies too", flag_values=FLAGS)
flags.DEFINE_string("plot", None, "write a plot (PNG or SVG)", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Print the plan; 0 it fits, 1 it does not."""
    if values.load:
        plans = [plan.Plan.load(path) for path in values.load]
        plans += [one.estimated_for(topology) for one in plans for topology in values.estimate_for]
    elif config_of(values) is None:
        raise InputError("give --config=FILE, or --load=PLAN.json.")
    else:
        devices = plan.topology_devices(values.topology)
        programs = plan.compile_programs(
            values.config, devices, lambda text: print(text, file=sys.stderr, flush=True)
        )
        plans = [plan.Plan(values.topology, len(devices), values.config.batch, programs)]
        if values.save:
            Path(values.save).parent.mkdir(parents=True, exist_ok=True)
            plans[0].save(values.save)
    print("\n\n".join(one.table() for one in plans))
    if values.plot:
        plan.draw(plans, values.plot)
    return 0 if all(one.fits() for one in plans) else 1
