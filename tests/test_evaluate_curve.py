"""The curve over a run's weight files: order, what is passed over, what is remembered, what is printed."""

import functools
import json

import jax
import numpy as np
import pytest
from small_model import SIZES, weight_file

from jaxderm.cli import main
from jaxderm.errors import InputError
from jaxderm.evaluate import curve
from jaxderm.evaluate.features import random_network
from jaxderm.models import weights


@functools.cache
def random_networks() -> dict:
    """Random weights of the small model, without compiling its initialisation."""
    from jaxderm.train.state import init_networks

    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_networks(SIZES[64], 0))
    parts = {name: shapes[name] for name in ("autoencoder", "generator", "latent")}
    return jax.tree.map(lambda s: 0.05 * rng.standard_normal(s.shape, np.float32), parts)


def run_folder(tmp_path, steps=(200, 1000)):
    """A workdir with an autoencoder, snapshots and the latest weights of stage gan (batch 4)."""
    networks = random_networks()
    for folder in ("autoencoder", "gan/snapshots"):
        (tmp_path / folder).mkdir(parents=True)

    def save(name, parts, **card):
        weights.save_weights(tmp_path / name, parts, SIZES[64], "float16", **card)

    save(
        "autoencoder/networks.safetensors",
        {"autoencoder": networks["autoencoder"]},
        stage="autoencoder",
        step=9,
    )
    for step in steps[:-1]:
        save(f"gan/snapshots/release-{step:09d}.safetensors", networks, stage="gan", step=step)
    save("gan/release.safetensors", networks, stage="gan", step=steps[-1])
    save("gan/networks.safetensors", networks, stage="gan", step=steps[-1])
    config = {"batch": 4, "data": {"data_dir": "nowhere", "corpora": {"people": 1.0}}}
    (tmp_path / "gan" / "config.json").write_text(json.dumps(config))
    return tmp_path


def batches(count=24):
    rng = np.random.default_rng(0)
    mask = np.zeros((count, 64, 64), np.float32)
    mask[:, 20:30, 20:30] = 1
    return [
        {
            "image": rng.integers(0, 256, (count, 64, 64, 3), np.uint8),
            "mask": mask,
            "landmarks": np.full((count, 5, 2), np.nan, np.float32),
            "condition": np.zeros((count, SIZES[64].condition_size), np.float32),
        }
    ]


def test_files_in_order_without_what_cannot_generate(tmp_path):
    found, notes = curve.weight_files(run_folder(tmp_path))
    assert [(f.stage, f.step, f.images) for f in found] == [("gan", 200, 800), ("gan", 1000, 4000)]
    assert len(notes) == 1 and "passed over" in notes[0]


def test_only_the_latest_weights_is_said(tmp_path):
    _, notes = curve.weight_files(run_folder(tmp_path, steps=(1000,)))
    assert any("snapshot_kimg" in note for note in notes)


def test_curve_is_computed_once_and_printed(tmp_path, monkeypatch):
    folder, network = run_folder(tmp_path), random_network()
    monkeypatch.setattr(curve, "held_out", lambda *_: (iter(batches()), {"people": 10}))
    rows, notes = curve.curve(folder, network, count=24)
    assert [row["images"] for row in rows] == [800, 4000]
    assert any("repeat" in note for note in notes)
    figures = rows[0]["figures"]
    assert figures["kernel"]["value"] > 0 and figures["frechet"]["value"] is None
    monkeypatch.setattr(curve, "evaluate", lambda *_: pytest.fail("evaluated again"))
    assert curve.curve(folder, network, count=24)[0] == rows
    text = curve.table(rows)
    assert "not valid" in text and "singular" in text and "0.8" in text and "kimg" in text


def test_bad_workdirs_are_one_sentence(tmp_path, capsys):
    with pytest.raises(InputError, match="not a folder"):
        curve.weight_files(tmp_path / "none")
    with pytest.raises(InputError, match="no weight file"):
        curve.weight_files(tmp_path)
    assert main(["jaxderm", "evaluate"]) == 2 and "--workdir" in capsys.readouterr().err
    folder = run_folder(tmp_path / "run")
    assert main(["jaxderm", "evaluate", f"--workdir={folder}", "--count=24"]) == 2
    err = capsys.readouterr().err
    assert "jaxderm prepare" in err and "Traceback" not in err


def test_an_evaluator_of_a_training_run_measures_the_held_out_batch():
    from jaxderm.train.evaluators import Subject, load_evaluators

    class Config(dict):
        pass

    entry = {"type": "jaxderm.evaluate.curve:Realism", "every_kimg": 5.0}
    ((every, evaluator),) = load_evaluators(Config(evaluators={"realism": entry})).values()
    assert every == 5.0
    spec, count = SIZES[64], 24
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8),
        "mask": np.zeros((count, 64, 64), np.float32),
        "landmarks": np.full((count, 5, 2), np.nan, np.float32),
        "condition": np.zeros((count, spec.condition_size), np.float32),
    }
    networks, _, _ = weights.load_weights(weight_file())
    first = evaluator(Subject(networks, {}, spec, "gan", batch))
    assert first["sliced"] > 0 and "frechet" not in first, "24 pictures are fewer than the features"
    assert evaluator(Subject(networks, {}, spec, "gan", batch)) == first
    all_kept = {**batch, "mask": np.ones_like(batch["mask"])}
    kept = evaluator(Subject(networks, {}, spec, "gan", all_kept))
    assert kept["sliced"] == pytest.approx(0, abs=1e-6), "the kept pixels are put back"
    assert evaluator(Subject(networks, {}, spec, "autoencoder", batch)) == {}
