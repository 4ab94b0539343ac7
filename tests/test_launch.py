"""Launch scripts: they parse, a dry run prints commands that the command line accepts, and notices pass through."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time

import pytest
import workers
import yaml

from jaxderm.cli import main
from jaxderm.commands import deidentify
from jaxderm.commands import train as command
from jaxderm.release.journal import Shard

LAUNCH = workers.ROOT / "launch"
SCRIPTS = ("local.sh", "slurm.sbatch", "tpu_pod.sh", "release_slurm.sbatch")


def dry_run(script: str, *arguments: str) -> list[list[str]]:
    run = subprocess.run(
        ["bash", str(LAUNCH / script), "--dry_run", *arguments],
        capture_output=True, text=True, check=True, cwd=workers.ROOT,
    )  # fmt: skip
    return [shlex.split(line) for line in run.stdout.splitlines()]


def accepted(argv: list[str]) -> None:
    """The flags behind `jaxderm train` are ours, and the configuration exists."""
    start = argv.index("train")
    assert argv[start - 1].endswith("jaxderm")
    for flag in argv[start + 1 :]:
        name = re.fullmatch(r"--(?:no)?([\w.]+)(?:=.*)?", flag)[1]
        name = name if name in command.FLAGS else flag.removeprefix("--").partition("=")[0]
        assert name.startswith("config.") or name in command.FLAGS, flag
        if name == "config":
            assert (workers.ROOT / flag.partition("=")[2].partition(":")[0]).is_file()


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_parses_and_is_strict(script):
    text = (LAUNCH / script).read_text()
    subprocess.run(["bash", "-n", str(LAUNCH / script)], check=True)
    assert text.startswith("#!/usr/bin/env bash\n") and "\nset -euo pipefail\n" in text
    assert len(text.splitlines()) < 60 and os.access(LAUNCH / script, os.X_OK)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--shell=bash", str(LAUNCH / script)], check=True)
    # What shellcheck would say first: a positional or named variable outside quotes.
    for line in text.splitlines():
        code = re.sub(r"\"[^\"]*\"|'[^']*'|\[\[.*?\]\]|\(\(.*?\)\)", "", line.partition(" #")[0])
        if not line.lstrip().startswith("#"):
            assert not re.search(r"(?<![=\w])\$(?:\d|@|\w+)\b", code), line


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_is_missing_is_named(script):
    run = subprocess.run(["bash", str(LAUNCH / script)], capture_output=True, text=True)
    assert run.returncode and re.search("configuration|name of|number of", run.stderr)


def test_local_runs_three_stages():
    lines = dry_run("local.sh", "configs/people_128.py", "runs/x", "--config.batch=64")
    stages = [re.search(r"people_128.py:(\w+)", " ".join(line))[1] for line in lines]
    assert stages == ["autoencoder", "vae", "gan"]
    for line in lines:
        accepted(line)
        assert "--config.batch=64" in line and not any("coordinator" in word for word in line)


def test_local_runs_several_processes():
    lines = dry_run("local.sh", "--processes", "3", "configs/people_128.py", "runs/x")
    assert len(lines) == 9
    assert [line[-1] for line in lines[:3]] == [f"--process_id={i}" for i in range(3)]
    for line in lines:
        accepted(line)


def test_local_stops_at_a_stage_that_did_not_finish(tmp_path):
    """A stage that was stopped (75) must not be followed by the next one."""
    log = tmp_path / "log"
    fake = tmp_path / "jaxderm"
    fake.write_text(
        f'#!/bin/sh\necho "$2" >> {log}\ntrap "exit 75" TERM\nwhile :; do sleep 0.1; done\n'
    )
    fake.chmod(0o755)
    running = subprocess.Popen(
        ["bash", str(LAUNCH / "local.sh"), "configs/people_128.py", "runs/x"],
        env={**os.environ, "JAXDERM": str(fake)},
    )
    end = time.monotonic() + 20
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=20) == 75
    assert log.read_text().split() == ["--config=configs/people_128.py:autoencoder"]


def test_slurm_runs_one_step_that_requeues():
    (line,) = dry_run("slurm.sbatch", "configs/pod_256.py:gan,32", "/shared/run", "--config.seed=3")
    assert line[0] == "srun"
    accepted(line)
    text = (LAUNCH / "slurm.sbatch").read_text()
    directives = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", text, re.M)
    assert {"requeue", "signal", "nodes", "ntasks-per-node"} <= {name for name, _ in directives}
    # Directives after the first command are ignored by sbatch.
    assert text.rindex("#SBATCH") < text.index("set -euo")
    assert f"== {command.AGAIN}" in text and "requeue" in text


def test_tpu_pod_copies_installs_and_trains_on_all_hosts():
    lines = dry_run("tpu_pod.sh", "pod", "zone-a", "configs/pod_256.py:gan", "/mnt/run")
    assert [line[0] for line in lines] == ["git", "gcloud", "gcloud", "gcloud"]
    assert all("--worker=all" in line for line in lines[1:])
    remote = next(word for word in lines[-1] if word.startswith("--command="))
    inner = shlex.split(remote.removeprefix("--command=").partition("&& ")[2])
    accepted(inner)
    assert "--coordinator_address=auto" in inner


def test_jobset_describes_a_whole_slice():
    (document,) = yaml.safe_load_all((LAUNCH / "gke_jobset.yaml").read_text())
    assert document["kind"] == "JobSet"
    job = document["spec"]["replicatedJobs"][0]
    spec = job["template"]["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    accepted(container["command"])
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    processes = int(environment["JAX_NUM_PROCESSES"])
    assert processes == spec["parallelism"] == spec["completions"]
    assert spec["completionMode"] == "Indexed"  # gives JOB_COMPLETION_INDEX
    name, job_name = document["metadata"]["name"], job["name"]
    assert environment["JAX_COORDINATOR_ADDRESS"].startswith(f"{name}-{job_name}-0-0.{name}:")
    rows, columns = map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"))
    assert rows * columns == processes * container["resources"]["limits"]["google.com/tpu"]
    workdir = next(w for w in container["command"] if w.startswith("--workdir="))
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert workdir.partition("=")[2].startswith(f"{mounts['runs']}/")
    assert [volume["name"] for volume in pod["volumes"]] == ["runs"]
    stop = spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    assert command.AGAIN not in stop and stop == [1, 2]


def released(argv: list[str]) -> dict[str, str]:
    """The flags behind `jaxderm deidentify`, which are ours: {name: value}."""
    start = argv.index("deidentify")
    assert argv[start - 1].endswith("jaxderm")
    given = dict(flag.removeprefix("--").partition("=")[::2] for flag in argv[start + 1 :])
    assert all(name.removeprefix("no") in deidentify.FLAGS for name in given), given
    return given


def test_slurm_array_covers_every_share_once():
    lines = dry_run("release_slurm.sbatch", "5", "in/cases.csv", "gs://bucket/out", "--seed=3")
    shares = [Shard.parse(released(line)["shard"]) for line in lines]
    assert [(share.index, share.count) for share in shares] == [(i, 5) for i in range(5)]
    assert {released(line)["seed"] for line in lines} == {"3"}
    script = ["bash", str(LAUNCH / "release_slurm.sbatch"), "16", "c.csv", "out"]
    environment = {**os.environ, "JAXDERM": "echo", "SLURM_ARRAY_TASK_ID": "7"}
    run = subprocess.run(script, capture_output=True, text=True, env=environment)
    assert run.stdout.split()[-1] == "--shard=7/16"
    environment.pop("SLURM_ARRAY_TASK_ID")
    run = subprocess.run(script, capture_output=True, text=True, env=environment)
    assert run.returncode and "--array=0-15" in run.stderr
    text = (LAUNCH / "release_slurm.sbatch").read_text()
    assert "--requeue" in text and text.rindex("#SBATCH") < text.index("set -euo")


def test_indexed_job_covers_every_share_once():
    (document,) = yaml.safe_load_all((LAUNCH / "release_gke.yaml").read_text())
    spec = document["spec"]
    assert document["kind"] == "Job" and spec["completionMode"] == "Indexed"
    (container,) = spec["template"]["spec"]["containers"]
    flags = released(container["command"])
    # Kubernetes sets the variable and puts its value in the place of $(...).
    shares = [
        Shard.parse(flags["shard"].replace("$(JOB_COMPLETION_INDEX)", str(i)))
        for i in range(spec["completions"])
    ]
    assert {share.index for share in shares} == set(range(spec["completions"]))
    assert {share.count for share in shares} == {spec["completions"]}
    # A poisoned row must not stop the other shares, nor be tried for ever.
    rule = spec["podFailurePolicy"]["rules"][1]
    assert rule["action"] == "FailIndex" and rule["onExitCodes"]["values"] == [1, 2]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert spec["maxFailedIndexes"] >= spec["completions"] and "backoffLimitPerIndex" in spec


def test_dry_run_and_bad_workdirs(capsys):
    config = "--config=configs/pod_256.py:gan"
    argv = ["jaxderm", "train", config, "--workdir=runs/x", "--dry_run"]
    assert main([*argv, "--coordinator_address=h:1", "--num_processes=64", "--process_id=9"]) == 0
    text = capsys.readouterr().out
    assert "process 9 of 64" in text and "steps of 16384" in text
    assert main(["jaxderm", "train", config, "--workdir=gs://bucket/x"]) == 2
    assert "mount" in capsys.readouterr().err
    assert main([*argv, "--num_processes=2"]) == 2
    assert main(["jaxderm", "train", config, "--workdir=x", "--profile_steps=7"]) == 2
