"""The compiled program: nothing but the inputs shows in a frame; memory that is too small; threads."""

import subprocess
import sys
import threading

import jax
import numpy as np
import pytest
from small_model import FACTS, deidentifier, photo_and_mask, weight_file

from jaxderm.errors import InputError
from jaxderm.models import weights
from jaxderm.release import engine as engines
from jaxderm.release.engine import DeviceMemoryError, Engine
from jaxderm.release.microbatches import Microbatches
from jaxderm.release.synthesize import Deidentifier


def some_inputs(engine: Engine, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=(count, *like.shape[1:])).astype(np.float32)
        for name, like in engine.shapes.items()
    }


THREE_DEVICES = """
import sys, jax, numpy as np
from test_engine import some_inputs
from jaxderm.models import weights
from jaxderm.release.engine import Engine
networks, spec, _ = weights.load_weights(sys.argv[1])
engine = Engine(networks, spec)
assert {place for place, _ in engine._programs} == {0, 1, 2}
np.testing.assert_array_equal(engine(some_inputs(engine, 7)), np.load(sys.argv[2]))
"""


def test_the_number_of_devices_does_not_show(tmp_path, monkeypatch):
    engine = deidentifier().engine
    np.save(tmp_path / "one.npy", engine(some_inputs(engine, 7)))
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    argv = [sys.executable, "-c", THREE_DEVICES, str(weight_file()), str(tmp_path / "one.npy")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_threads_get_what_one_caller_gets():
    engine = deidentifier().engine
    inputs = some_inputs(engine, 12)
    expected = engine(inputs)
    rows = [{name: value[i] for name, value in inputs.items()} for i in range(12)]
    gather, found = Microbatches(engine), [None] * 12

    def ask(start: int, stop: int) -> None:
        for i, generated in zip(range(start, stop), gather(rows[start:stop])):
            found[i] = generated.frame

    bounds = (0, 1, 2, 5, 6, 10, 11, 12)
    threads = [threading.Thread(target=ask, args=pair) for pair in zip(bounds, bounds[1:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.stack(found), expected)
    assert gather([]) == []


def test_deidentifier_is_safe_to_call_from_threads():
    model, photos = deidentifier(), [photo_and_mask(90, 100, seed) for seed in range(6)]
    expected = [model(photo, mask, FACTS)[0].pixels for photo, mask in photos]
    found: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        found[i] = model(*photos[i], FACTS)[0].pixels

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, pixels in enumerate(expected):
        np.testing.assert_array_equal(found[i], pixels)


def too_small_for(limit: int, engine: Engine, monkeypatch) -> list[int]:
    """The engine's device holds at most `limit` frames; the list gets the sizes that were tried."""
    real, tried = engine._compiled, []

    def compiled(place: int, count: int):
        program = real(place, count)

        def run(*arguments):
            tried.append(count)
            if count > limit:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating")
            return program(*arguments)

        return run

    monkeypatch.setattr(engine, "_compiled", compiled)
    return tried


@pytest.fixture
def engine_of_four(monkeypatch):
    monkeypatch.setitem(engines.MICROBATCH, "cpu", 4)
    networks, spec, _ = weights.load_weights(weight_file())
    return Engine(networks, spec)


def test_too_little_memory_is_tried_again_in_smaller_microbatches(engine_of_four, monkeypatch):
    inputs = some_inputs(engine_of_four, 5)
    expected = engine_of_four(inputs)
    tried = too_small_for(2, engine_of_four, monkeypatch)
    generated = engine_of_four.generate(inputs)
    assert [g.microbatch for g in generated] == [2] * 5
    frames = np.stack([g.frame for g in generated])
    levels = np.abs(np.round(127.5 * frames) - np.round(127.5 * expected))
    assert levels.max() <= 1 and (levels == 0).mean() >= 0.999
    assert tried.count(4) >= 2 and set(tried) == {4, 2}
    tried.clear()
    engine_of_four.generate(inputs)  # what did not fit is not tried for ever
    assert set(tried) == {2}


def test_a_smaller_microbatch_is_named_in_the_manifest(engine_of_four, monkeypatch):
    model = Deidentifier(engine_of_four, {"name": "x", "sha256": "y"})
    photo, mask = photo_and_mask(80, 90)
    assert "microbatch" not in model(photo, mask, FACTS)[0].manifest["model"]
    too_small_for(1, engine_of_four, monkeypatch)
    assert model(photo, mask, FACTS)[0].manifest["model"]["microbatch"] == 1


def test_no_memory_at_all_is_one_sentence(engine_of_four, monkeypatch):
    too_small_for(0, engine_of_four, monkeypatch)
    with pytest.raises(DeviceMemoryError, match="too small for one frame"):
        engine_of_four(some_inputs(engine_of_four, 1))


def test_other_errors_are_not_taken_for_memory(monkeypatch):
    networks, spec, _ = weights.load_weights(weight_file())
    engine = Engine(networks, spec)

    def broken(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(engine, "_compiled", lambda *_: broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        engine(some_inputs(engine, 1))


def test_bfloat16_by_flag_is_close_and_named():
    photo, mask = photo_and_mask(80, 90)
    coarse = Deidentifier.load(str(weight_file()), "bfloat16")(photo, mask, FACTS)[0]
    fine = deidentifier()(photo, mask, FACTS)[0]
    assert coarse.manifest["model"]["dtype"] == "bfloat16" and "dtype" not in fine.manifest["model"]
    difference = np.abs(coarse.pixels.astype(int) - fine.pixels)
    assert 0 < difference.mean() < 6
    np.testing.assert_array_equal(coarse.pixels[coarse.kept], fine.pixels[fine.kept])


def test_values_that_are_not_finite_are_refused(tmp_path, monkeypatch):
    networks, spec, _ = weights.load_weights(weight_file())
    networks["generator"]["mapping"]["Dense_0"]["bias"][3] = np.nan
    weights.save_weights(tmp_path / "nan.safetensors", networks, spec, "float16")
    with pytest.raises(InputError, match="not finite in 'generator/mapping/Dense_0/bias'"):
        Deidentifier.load(str(tmp_path / "nan.safetensors"))
    engine = Engine(networks, spec)
    photo, mask = photo_and_mask(80, 90)
    with pytest.raises(InputError, match="not finite"):
        Deidentifier(engine, {"name": "nan", "sha256": ""})(photo, mask, FACTS)
