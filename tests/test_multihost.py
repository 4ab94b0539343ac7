"""Several processes: who finds whom, and that 2 x 2, 1 x 4 and 1 x 1 devices train alike (gloo, CPU)."""

import numpy as np
import pytest
import workers

from jaxderm.errors import InputError
from jaxderm.train.distributed import Processes, find_processes, first_host


def test_one_process_without_flags_or_scheduler():
    assert find_processes({}) is None
    assert find_processes({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "1"}) is None
    # A batch script of SLURM is not a step of srun, a lone TPU VM is not a pod.
    assert find_processes({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}) is None
    assert find_processes({"TPU_WORKER_HOSTNAMES": "localhost"}) is None


def test_flags_come_before_the_environment():
    environment = {"JAX_COORDINATOR_ADDRESS": "other:1", "JAX_NUM_PROCESSES": "9"}
    assert find_processes(environment, "host:1234", 4, 3) == Processes("host:1234", 4, 3)
    assert find_processes(environment, "auto").coordinator == "auto"


def test_environment_of_jobset_slurm_and_tpu():
    jobset = {"JAX_COORDINATOR_ADDRESS": "train-0-0.train:8476", "JAX_NUM_PROCESSES": "64"}
    found = find_processes({**jobset, "JOB_COMPLETION_INDEX": "5"})
    assert (found.coordinator, found.count, found.index) == ("train-0-0.train:8476", 64, 5)
    slurm = {"SLURM_JOB_ID": "8192", "SLURM_STEP_NUM_TASKS": "16", "SLURM_PROCID": "11"}
    found = find_processes({**slurm, "SLURM_STEP_NODELIST": "gpu[007-009,012],login"})
    assert (found.coordinator, found.count, found.index) == ("gpu007:61440", 16, 11)
    assert find_processes({"TPU_WORKER_HOSTNAMES": "a,b"}).coordinator == "auto"


@pytest.mark.parametrize(
    ("nodes", "host"), [("n1", "n1"), ("n1,n2", "n1"), ("a-[3,5-7]", "a-3"), ("x[01-02]-ib", "x01")]
)
def test_first_host(nodes, host):
    assert first_host(nodes) == host


@pytest.mark.parametrize(
    ("environment", "flags", "words"),
    [
        ({}, ("host", 2, 0), "host:port"),
        ({}, ("host:1", 2, 2), "process 2 of 2"),
        ({}, ("host:1", 0, 0), "--num_processes"),
        ({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2"}, (), "JAX_PROCESS_ID"),
        ({"SLURM_STEP_NUM_TASKS": "two"}, (), "SLURM_STEP_NUM_TASKS"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, (), "srun"),
    ],
)
def test_half_a_description_is_refused(environment, flags, words):
    with pytest.raises(InputError, match=words):
        find_processes(environment, *flags)


def test_two_processes_four_devices_and_one_agree(tmp_path):
    """Gradients of the first step to 1e-5 in float32, parameters after five steps under x64.

    (Adam with b1 = 0 divides by |g|: float32 parameters drift apart where a gradient is nearly zero.)
    """
    layouts = {"2x2": (2, 2), "1x4": (4, 1), "1x1": (1, 1)}
    for name, (devices, processes) in layouts.items():
        fsdp = 1 if name == "1x1" else 2
        output = str(tmp_path / f"{name}.npz")
        workers.finish(workers.start_all("gradients", devices, processes, output=output, fsdp=fsdp))
    one = np.load(tmp_path / "1x1.npz")
    assert any("gradient" in name for name in one) and any("params" in name for name in one)
    for name in ("1x4", "2x2"):
        other, worst = np.load(tmp_path / f"{name}.npz"), {}
        assert set(other) == set(one)
        for leaf in one:
            scale = np.abs(one[leaf]).max() + 1e-12
            error = np.abs(one[leaf] - other[leaf]).max() / scale
            worst[leaf.split("'")[1]] = max(error, worst.get(leaf.split("'")[1], 0))
            assert error < (1e-5 if "gradient" in leaf else 1e-9), (name, leaf, error)
        print(name, {kind: f"{value:.1e}" for kind, value in worst.items()})
