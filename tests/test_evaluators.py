"""Evaluators, data on the devices, traces and half precision: what an experiment may ask of the loop."""

import collections
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import workers

from jaxderm.errors import InputError
from jaxderm.train import flops, loop, plan, setup, sharding
from jaxderm.train.evaluators import load_evaluators
from jaxderm.train.step import make_step


class Brightness:
    """A figure and a picture, as another room of the project would make them."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def __call__(self, subject) -> dict:
        images = subject.held_out["image"]
        assert len(jax.tree.leaves(subject.networks)[0].devices()) == 1
        assert subject.probe["image"].shape == images.shape
        return {"mean": self.scale * float(images.mean()), "first": images[0]}


def test_evaluators_are_named_in_the_config():
    entry = {"type": "test_evaluators:Brightness", "every_kimg": 2.0, "scale": 3.0}
    config = workers.small_config(evaluators={"light": entry})
    ((every, evaluator),) = load_evaluators(config).values()
    assert every == 2.0 and evaluator.scale == 3.0
    for wrong in ("nowhere:Class", "test_evaluators:Gone", ""):
        config = workers.small_config(evaluators={"light": {"type": wrong}})
        with pytest.raises(InputError, match="module:Class"):
            load_evaluators(config)


def test_a_run_with_data_on_the_devices_a_trace_and_an_evaluator(tmp_path):
    data_dir = str(workers.small_corpus(tmp_path / "corpus"))
    entry = {"type": "tests.test_evaluators:Brightness", "every_kimg": 0.016}
    worker = workers.start(
        "loop", 2, workdir=str(tmp_path), data_dir=data_dir, profile=[2, 1],
        **{"data.on_device_mb": 8, "data.on_device_passes": 2.0, "evaluators": {"light": entry}},
    )  # fmt: skip
    text = workers.finish([worker])
    assert "6 batches live on the devices" in text
    folder = tmp_path / "autoencoder"
    rows = [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]
    lights = [row["images"] for row in rows if "light/mean" in row]
    assert lights == [16, 32, 48]
    assert (folder / "light-first-000000016.png").is_file()
    assert list((folder / "profile").rglob("*.xplane.pb"))
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 3 and np.isfinite(losses).all()


@pytest.mark.parametrize("text", ["5", "a:b", "3:0", ":"])
def test_profile_steps_are_checked(text):
    assert loop.parse_profile_steps("100:5") == (100, 5) and loop.parse_profile_steps("") is None
    with pytest.raises(InputError, match="FIRST:COUNT"):
        loop.parse_profile_steps(text)


def test_flops_are_counted_by_hand():
    x, w = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 5))

    def layer(a, b):
        dims = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(a, b, (1, 1), "SAME", dimension_numbers=dims)
        return jax.jit(lambda v: v.reshape(2, -1) @ jnp.ones((320, 7)))(y)

    assert flops.count(layer, x, w) == 2 * (2 * 8 * 8 * 5) * 27 + 2 * 2 * 320 * 7


def products_of(dtype: str, penalize: bool) -> collections.Counter:
    config = workers.small_config(stage="gan")
    config.model.dtype = dtype
    mesh = sharding.make_mesh()
    spec = workers.dataclass_replace(workers.smallest_spec(), dtype=dtype)
    abstract, _ = setup.state_layout(config, spec, mesh)
    step = make_step(config, spec)
    traced = jax.make_jaxpr(lambda s, b: step(s, b, penalize))(
        abstract, plan.abstract_batch(config, spec, mesh)
    )
    found = flops.products(traced.jaxpr)
    return collections.Counter(
        str(e.invars[0].aval.dtype) for e in found if e.primitive.name == "conv_general_dilated"
    )


def test_bfloat16_steps_keep_penalties_and_parameters_in_float32():
    plain, full = products_of("bfloat16", False), products_of("bfloat16", True)
    exact = products_of("float32", True) - products_of("float32", False)
    assert plain["bfloat16"] > 10 * plain["float32"]  # only the last layers are float32
    assert full - plain == exact and set(exact) == {"float32"}
    config = workers.small_config(stage="gan")
    config.model.dtype = "bfloat16"
    state, _ = setup.state_layout(config, setup.spec_of(config), sharding.make_mesh())
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(state)} == {"float32", "int32"}


@pytest.mark.slow
def test_bfloat16_gradients_point_the_same_way(tmp_path):
    """About a minute: cosine between the gradients of the two types, network by network."""
    found = {}
    for dtype in ("float32", "bfloat16"):
        config = workers.small_config(stage="gan")
        spec = workers.dataclass_replace(workers.smallest_spec(), dtype=dtype)
        mesh = sharding.make_mesh()
        _, shardings = setup.state_layout(config, spec, mesh)
        state = setup.fresh_state(config, spec, mesh, shardings)
        from jaxderm.train.step import make_gradients

        gradients = jax.jit(
            make_gradients(config, spec),
            static_argnums=2,
            compiler_options={"xla_backend_optimization_level": 0},
        )
        found[dtype] = gradients(state, workers.synthetic_batch(spec, 8), True)[0]
    for player in found["float32"]:
        a, b = (
            np.concatenate([np.ravel(v) for v in jax.tree.leaves(found[t][player])])
            for t in ("float32", "bfloat16")
        )
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.98, player


def test_configs_resolve_to_runs_that_can_start():
    from configs import people_128, pod_256, smoke

    for config in (
        smoke.get_config(), *(people_128.get_config(s) for s in ("autoencoder", "vae", "gan")),
        *(pod_256.get_config(a) for a in ("gan", "vae,64", "autoencoder,8", "refine")),
    ):  # fmt: skip
        setup.check(config, 1)
        assert setup.spec_of(config).size == config.model.size
        assert setup.total_steps(config) > 0
    assert pod_256.get_config("vae,64").batch * 4 == pod_256.get_config().batch
    assert pod_256.get_config("gan,256,64").batch == 64 * 256
