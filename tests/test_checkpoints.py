"""Work is never lost: SIGTERM, kill -9 in the middle of a save, other topologies, warm starts."""

import json
import shutil
import signal
import time

import jax
import numpy as np
import pytest
import workers

from jaxderm.commands.train import AGAIN
from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.models.spec import ModelSpec
from jaxderm.train import checkpoints, records
from jaxderm.train.warm_start import warm_start


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(workers.small_corpus(tmp_path_factory.mktemp("corpus")))


def final(workdir) -> dict[str, np.ndarray]:
    return dict(np.load(workdir / "final.npz"))


def assert_equal(a: dict, b: dict) -> None:
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_two_processes_killed_in_a_save_end_bit_equal(tmp_path, data_dir):
    """Both are killed with SIGKILL while the save of step 4 is written but not yet committed."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    workers.finish(workers.start_all("loop", 1, 2, workdir=str(whole), data_dir=data_dir))
    killed = workers.start_all("loop", 1, 2, workdir=str(cut), data_dir=data_dir, hang_at=4)
    try:
        _wait_for(cut / "autoencoder" / "hanging", killed)
    finally:
        for worker in killed:
            worker.send_signal(signal.SIGKILL)
    for worker in killed:
        worker.communicate()
        assert worker.returncode == -signal.SIGKILL
    names = {path.name for path in (cut / "autoencoder" / "checkpoints").iterdir()}
    assert "2" in names and "4" not in names and any(name.startswith("4.") for name in names)
    workers.finish(workers.start_all("loop", 1, 2, workdir=str(cut), data_dir=data_dir))
    assert_equal(final(whole), final(cut))
    rows = [json.loads(row) for row in (cut / "autoencoder/metrics.jsonl").read_text().splitlines()]
    assert len({(row["images"], *row) for row in rows}) == len(rows)  # nothing is told twice
    starts = (cut / "autoencoder" / "runs.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in starts] == [0, 2]
    assert json.loads(starts[1])["processes"] == 2


def _wait_for(path, running, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        for worker in running:
            assert worker.poll() is None, worker.communicate()[0][-3000:]
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.05)


def test_resume_on_eight_two_and_one_device(tmp_path, data_dir):
    """8 devices for two steps, 2 for two, 1 for two: the state of one run on one device, nearly."""
    work, alone = tmp_path / "moving", tmp_path / "alone"
    steps = {"fsdp": 4, "total_kimg": 0.016}, {"fsdp": 2, "total_kimg": 0.032}, {"fsdp": 1}
    for devices, options in zip((8, 2, 1), steps):
        worker = workers.start("loop", devices, workdir=str(work), data_dir=data_dir, **options)
        workers.finish([worker])
    workers.finish([workers.start("loop", 1, workdir=str(alone), data_dir=data_dir)])
    a, b = final(work), final(alone)
    assert set(a) == set(b) and int(a[".step"]) == 6
    for name in a:
        if ".params" in name and a[name].size > 1:
            assert np.abs(a[name] - b[name]).max() < 0.02 * (np.abs(b[name]).max() + 1e-3), name


def test_a_notice_to_one_of_two_processes_stops_both(tmp_path, data_dir):
    running = workers.start_all(
        "loop", 1, 2, workdir=str(tmp_path), data_dir=data_dir, total_kimg=400.0
    )
    _wait_for(tmp_path / "autoencoder" / "checkpoints" / "2", running)
    running[1].send_signal(signal.SIGTERM)
    workers.finish(running, AGAIN)
    step = int(final(tmp_path)[".step"])
    saved = [int(p.name) for p in (tmp_path / "autoencoder/checkpoints").iterdir()]
    assert max(saved) == step


SMALL = ModelSpec(size=64, encoder_width=8, decoder_width=8, base=16, z_size=8)


def networks_of(value: float) -> dict:
    return {
        "generator": {"a": {"kernel": np.full((3, 3, 4, 6), value, np.float32)}},
        "posterior": {"b": {"bias": np.full((6,), value, np.float32)}},
    }


def test_restore_order_resume_then_stage_before_then_init_from(tmp_path):
    other = tmp_path / "other.safetensors"
    weights.save_weights(other, networks_of(1.0), SMALL, "float32")
    taken, lines = warm_start(tmp_path, "vae", str(other), networks_of(0.0))
    assert taken["posterior"]["b"]["bias"][0] == 1 and "1 of 1 arrays" in lines[0]
    (tmp_path / "autoencoder").mkdir()
    before = tmp_path / "autoencoder" / "networks.safetensors"
    weights.save_weights(before, networks_of(2.0), SMALL, "float32")
    taken, lines = warm_start(tmp_path, "vae", str(other), networks_of(0.0))
    assert taken["posterior"]["b"]["bias"][0] == 2 and str(before) in lines[0]
    fresh, lines = warm_start(tmp_path / "none", "vae", "", networks_of(0.0))
    assert fresh["posterior"]["b"]["bias"][0] == 0 and not lines
    with pytest.raises(InputError, match="not a file"):
        warm_start(tmp_path / "none", "vae", "nowhere.safetensors", fresh)


def test_of_several_files_the_first_that_has_an_array_gives_it(tmp_path):
    both, one = tmp_path / "both.safetensors", tmp_path / "one.safetensors"
    weights.save_weights(both, networks_of(1.0), SMALL, "float32")
    weights.save_weights(one, {"generator": networks_of(2.0)["generator"]}, SMALL, "float32")
    taken, lines = warm_start(tmp_path, "vae", f"{one}, {both}", networks_of(0.0))
    assert taken["generator"]["a"]["kernel"].mean() == 2 and str(one) in lines[0]
    assert taken["posterior"]["b"]["bias"].mean() == 1 and str(both) in lines[1]
    taken, _ = warm_start(tmp_path, "vae", f"{both},{one}", networks_of(0.0))
    assert taken["generator"]["a"]["kernel"].mean() == 1
    with pytest.raises(InputError, match="'gone.safetensors' is not a file"):
        warm_start(tmp_path, "vae", f"{one},gone.safetensors", networks_of(0.0))


def test_warm_start_of_other_sizes_is_listed(tmp_path):
    path = tmp_path / "wide.safetensors"
    stored = {"old": {"a": {"kernel": np.ones((3, 3, 8, 4), np.float32)}}}
    weights.save_weights(path, stored, SMALL, "float32")
    whole, lines = warm_start(tmp_path, "autoencoder", str(path), networks_of(0.0))
    assert not whole["generator"]["a"]["kernel"].any() and "0 of 1" in lines[0]
    part, lines = warm_start(
        tmp_path, "autoencoder", str(path), networks_of(0.0), {"generator": "old"}, True
    )
    kernel = part["generator"]["a"]["kernel"]
    assert kernel[..., :4].all() and not kernel[..., 4:].any()
    assert "block (3, 3, 4, 4) of (3, 3, 8, 4) into (3, 3, 4, 6) of old/a/kernel" in lines[1]
    with pytest.raises(InputError, match="matches nothing"):
        warm_start(tmp_path, "autoencoder", str(path), networks_of(0.0), {"generator": "gone"})


class Position:
    """A data iterator that only knows where it is."""

    def __init__(self, batches: int = 0) -> None:
        self.batches = batches

    def get_state(self) -> dict:
        return {"batches": self.batches}

    def set_state(self, state: dict) -> None:
        self.batches = state["batches"]


def small_state(step: int):
    from jaxderm.train.state import TrainState

    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    state = TrainState(np.int32(step), {"w": np.arange(4.0)}, {}, {}, {}, np.float32(0.25))
    state = jax.tree.map(lambda v: jax.device_put(v, where), state)
    shapes = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=where), state)
    return state, shapes


def test_position_and_fixed_values_come_back(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path, "vae", fixed={"batch": 8, "seed": 0})
    state, shapes = small_state(7)
    manager.save(state, Position(7))
    manager.close()
    again = checkpoints.Checkpoints(tmp_path, "vae", fixed={"batch": 8, "seed": 0})
    data = Position()
    assert int(again.restore(shapes, data).step) == 7 and data.batches == 7
    again.close()
    other = checkpoints.Checkpoints(tmp_path, "vae", fixed={"batch": 16, "seed": 0})
    with pytest.raises(InputError, match="--config.batch=8"):
        other.restore(shapes, data)
    other.close()


def test_a_checkpoint_without_a_position_resumes_by_its_step(tmp_path):
    manager = checkpoints.Checkpoints(tmp_path, "vae")
    state, shapes = small_state(5)
    manager.save(state, Position(5))
    manager.close()
    shutil.rmtree(tmp_path / "vae" / "checkpoints" / "5" / "data")
    again, data = checkpoints.Checkpoints(tmp_path, "vae"), Position()
    assert int(again.restore(shapes, data).step) == 5 and data.batches == 5
    again.close()


def test_records_say_what_ran(tmp_path):
    config = workers.small_config()
    records.write(tmp_path, config, 3, {"data": 1, "fsdp": 1})
    row = json.loads((tmp_path / "runs.jsonl").read_text())
    assert row["step"] == 3 and row["libraries"]["jax"] == jax.__version__
    assert row["config"]["model"]["base"] == 16
    assert json.loads((tmp_path / "config.json").read_text()) == row["config"]
    assert records.git_revision(tmp_path) is None


def test_rows_beyond_the_resumed_image_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"images": 8, "loss": 1}\n{"images": 16, "loss": 2}\n{"images": 24, "lo')
    records.forget_after(path, 8)
    assert path.read_text() == '{"images": 8, "loss": 1}\n'
