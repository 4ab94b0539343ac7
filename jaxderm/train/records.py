"""Run records: what ran, with which configuration, code and libraries, beside the run's checkpoints."""

import importlib.metadata
import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import jax

from jaxderm import __version__
from jaxderm.train import distributed

LIBRARIES = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets",
    "array_record", "numpy", "ml_collections", "libtpu",
)  # fmt: skip


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that a run depends on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_revision(folder: Path | None = None) -> str | None:
    """Commit of the code, "+changes" when files differ from it; None outside a git checkout."""
    folder = folder or Path(__file__).resolve().parent
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--match="],
            cwd=folder, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() or None if run.returncode == 0 else None


def write(folder: Path, config, resumed_step: int, mesh_shape: dict[str, int]) -> None:
    """Write config.json (resolved) and append this start to runs.jsonl; the first process only."""
    if not distributed.is_first():
        return
    (folder / "config.json").write_text(config.to_json_best_effort(indent=1) + "\n")
    row = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "step": resumed_step,
        "jaxderm": __version__,
        "git": git_revision(),
        "python": platform.python_version(),
        "libraries": library_versions(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "mesh": dict(mesh_shape),
        "config": json.loads(config.to_json_best_effort()),
    }
    with open(folder / "runs.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")


def forget_after(path: Path, images: int) -> None:
    """Drop rows of a metrics file beyond `images`: a resumed run writes them again."""
    if not distributed.is_first() or not path.is_file():
        return
    lines = path.read_text().splitlines()
    kept = []
    for line in lines:
        try:
            if json.loads(line)["images"] <= images:
                kept.append(line)
        except (ValueError, KeyError):
            continue  # half a line: the run was killed while it wrote
    if len(kept) < len(lines):
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept))
        temporary.replace(path)
