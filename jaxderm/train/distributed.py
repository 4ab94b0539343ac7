"""Several processes, one training: who this process is, from flags or the scheduler's environment.

Order: flags, else JAX_COORDINATOR_ADDRESS (and JAX_NUM_PROCESSES, JAX_PROCESS_ID or a Kubernetes
JOB_COMPLETION_INDEX, as in a JobSet), else an `srun` step of SLURM, else the hosts of a TPU pod slice,
else one process. `--coordinator_address=auto` leaves all of it to JAX (TPU VMs without Kubernetes).
"""

import dataclasses
import re
from collections.abc import Mapping

import jax

from jaxderm.errors import InputError

AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Processes:
    """Where the processes meet (host:port, or AUTO), how many there are, which one this is."""

    coordinator: str
    count: int = 0
    index: int = 0
    source: str = "flags"


def find_processes(
    environment: Mapping[str, str], coordinator: str = "", count: int = 0, index: int = -1
) -> Processes | None:
    """Processes of this training, None for a single one; InputError for half a description."""
    if coordinator == AUTO:
        return Processes(AUTO)
    if coordinator or count > 1 or index > 0:
        return _checked(Processes(coordinator, count, index), "--")
    if address := environment.get("JAX_COORDINATOR_ADDRESS"):
        number = environment.get("JAX_PROCESS_ID", environment.get("JOB_COMPLETION_INDEX", ""))
        count = _integer(environment, "JAX_NUM_PROCESSES")
        if count == 1:
            return None
        if not re.fullmatch(r"\d+", number):
            raise InputError(
                f"JAX_PROCESS_ID '{number}' is not a number; set it, or JOB_COMPLETION_INDEX, for "
                "each process."
            )
        return _checked(Processes(address, count, int(number), "environment"), "JAX_")
    if _integer(environment, "SLURM_STEP_NUM_TASKS") > 1:
        host = first_host(environment.get("SLURM_STEP_NODELIST", ""))
        # Two jobs on one node must not meet: the port follows the job's number.
        port = 61440 + _integer(environment, "SLURM_JOB_ID") % 4096
        return Processes(
            f"{host}:{port}",
            _integer(environment, "SLURM_STEP_NUM_TASKS"),
            _integer(environment, "SLURM_PROCID"),
            "SLURM",
        )
    if len(environment.get("TPU_WORKER_HOSTNAMES", "").split(",")) > 1:
        return Processes(AUTO, source="TPU")
    return None


def _integer(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "0")
    if not re.fullmatch(r"\d+", value):
        raise InputError(f"{name} '{value}' is not a number; unset it or let the scheduler set it.")
    return int(value)


def _checked(found: Processes, prefix: str) -> Processes:
    if not re.fullmatch(r"\S+:\d+", found.coordinator):
        raise InputError(
            f"coordinator address '{found.coordinator}' is not host:port; give "
            f"{'--coordinator_address' if prefix == '--' else 'JAX_COORDINATOR_ADDRESS'} of process 0."
        )
    if not 0 <= found.index < found.count:
        raise InputError(
            f"process {found.index} of {found.count} does not exist; give "
            f"{'--num_processes and --process_id' if prefix == '--' else 'JAX_NUM_PROCESSES and JAX_PROCESS_ID'}."
        )
    return found


def first_host(nodes: str) -> str:
    """First host of a SLURM node list: 'a[07-09,12],b' -> 'a07'."""
    match = re.match(r"([^\[,]+)(?:\[([^\],-]+))?", nodes)
    if not match:
        raise InputError(f"SLURM_STEP_NODELIST '{nodes}' names no host; start with srun.")
    return match[1] + (match[2] or "")


def initialize(processes: Processes | None) -> None:
    """Join the other processes; before any JAX computation. None: nothing to do."""
    if processes is None:
        return
    # Only the CPU backend asks: two processes on one machine, and the tests.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if processes.coordinator == AUTO:
        jax.distributed.initialize()
    else:
        jax.distributed.initialize(processes.coordinator, processes.count, processes.index)


def is_first() -> bool:
    """Whether this process writes summaries, pictures, records and weight files."""
    return jax.process_index() == 0


def preempted(step: int) -> bool:
    """Whether all processes have agreed to stop at `step`, after a SIGTERM to any of them.

    Every process calls it with every step. A single process has its own signal handler (loop.py).
    """
    if jax.process_count() == 1:
        return False
    from jax.experimental import multihost_utils

    return multihost_utils.reached_preemption_sync_point(step)
