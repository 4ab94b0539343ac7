"""Networks: shapes, dtypes, double backward, sizes, and no grouped convolution in any program."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ScopeParamShapeError

from jaxderm.models import layers, refiner
from jaxderm.models.spec import COMPACT, PRESETS, ModelSpec

SMALL = ModelSpec(size=64, encoder_width=16, decoder_width=32, base=32, z_size=16)


def inputs(spec: ModelSpec, batch: int = 2) -> dict:
    keys = jax.random.split(jax.random.key(0), 8)
    s, g = spec.size, spec.grid
    return {
        "image": jax.random.uniform(keys[0], (batch, s, s, 3), minval=-1.0),
        "evidence": jax.random.uniform(keys[1], (batch, s, s, 9)),
        "z": jax.random.normal(keys[2], (batch, spec.z_size)),
        "codes": jax.random.uniform(keys[3], (batch, spec.code_size)),
        "condition": jax.random.uniform(keys[4], (batch, spec.condition_size)),
        "latent": jax.random.normal(keys[5], (batch, g, g, spec.channels)),
        "folded": jax.random.uniform(keys[6], (batch, g, g, 9 * spec.reduction**2)),
    }


def generator_and_parameters(spec: ModelSpec):
    x = inputs(spec)
    model = spec.generator()
    args = (x["evidence"], x["z"], x["codes"], x["condition"])
    return model, model.init(jax.random.key(1), *args), args


@pytest.mark.parametrize("spec", [*PRESETS.values(), *COMPACT.values()], ids=str)
def test_shapes_at_every_size(spec):
    size = spec.size
    x = jax.eval_shape(lambda: inputs(spec))
    key = jax.random.key(0)
    latent = jax.eval_shape(
        lambda k, e, z, c, a: spec.generator().init_with_output(k, e, z, c, a)[0],
        key, x["evidence"], x["z"], x["codes"], x["condition"],
    )  # fmt: skip
    assert latent.shape == (2, spec.grid, spec.grid, spec.channels) and latent.dtype == jnp.float32
    y, code = jax.eval_shape(
        lambda k, i: spec.autoencoder().init_with_output(k, i)[0], key, x["image"]
    )
    assert y.shape == (2, size, size, 3) and code.shape == latent.shape
    logits, attributes, codes = jax.eval_shape(
        lambda k, i, e, a: spec.discriminator().init_with_output(k, i, e, a)[0],
        key, x["latent"], x["folded"], x["condition"],
    )  # fmt: skip
    assert logits.shape == (2,) and attributes.shape == (2, spec.condition_size)
    assert codes.shape == (2, spec.code_size)


def count(tree) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def test_parameter_counts():
    """The counts that the docstrings and DESIGN name: 64 <= 3 M in all, 128 <= 12 M at a release."""
    totals = {}
    for size in (64, 128):
        spec = PRESETS[size]
        x = jax.eval_shape(lambda spec=spec: inputs(spec))
        key = jax.random.key(0)
        ae = jax.eval_shape(spec.autoencoder().init, key, x["image"])
        g = jax.eval_shape(
            spec.generator().init, key, x["evidence"], x["z"], x["codes"], x["condition"]
        )
        d = jax.eval_shape(spec.discriminator().init, key, x["latent"], x["folded"], x["condition"])
        q = jax.eval_shape(spec.posterior().init, key, x["latent"], x["condition"])
        totals[size] = (count(ae), count(g), count(d), count(q))
    assert sum(totals[64]) < 3e6
    assert totals[128][0] < 4e6 and totals[128][0] + totals[128][1] < 12e6
    assert totals[128] == (2689848, 8438316, 4085431, 1726720), "update models/*.py docstrings"


REFINER = ModelSpec(
    size=64, reduction=1, channels=3, base=32, z_size=16, exemplars=True, refiner_width=8
)


@pytest.mark.parametrize("spec", [SMALL, REFINER], ids=["generator", "refiner"])
def test_truncation_draws_people_together(spec):
    """The nearer to z's mean, the less two z differ; at 0 not at all; what is asked for is still told apart."""
    x = inputs(spec, 1)
    shown = jnp.ones((1, spec.size, spec.size, spec.evidence_channels))
    other = jax.random.normal(jax.random.key(9), x["z"].shape)
    variables = spec.generator().init(jax.random.key(1), shown, x["z"], x["codes"], x["condition"])
    noise = iter(jax.random.split(jax.random.key(2), 200))  # a fresh network's output may be none
    variables = jax.tree.map(lambda v: v + 0.1 * jax.random.normal(next(noise), v.shape), variables)

    def apart(truncation: float) -> tuple[float, float]:
        model = dataclasses.replace(spec, truncation=truncation).generator()
        one, two, asked = (
            model.apply(variables, shown, z, x["codes"], facts)
            for z, facts in (
                (x["z"], x["condition"]), (other, x["condition"]), (x["z"], 1 - x["condition"]),
            )
        )  # fmt: skip
        return float(jnp.abs(one - two).mean()), float(jnp.abs(one - asked).mean())

    people, facts = zip(*(apart(truncation) for truncation in (0.0, 0.3, 1.0)))
    assert people[0] == 0 < people[1] < people[2]
    assert min(facts) > 0


@pytest.mark.parametrize("spec", [SMALL, REFINER], ids=["generator", "refiner"])
def test_styles_are_mixed(spec):
    """Two equal z are one; coarse and fine styles each change the picture, and the fine ones alone less than both."""
    x = inputs(spec, 1)
    shown = jnp.ones((1, spec.size, spec.size, spec.evidence_channels))
    model, other = spec.generator(), jax.random.normal(jax.random.key(9), x["z"].shape)
    variables = model.init(jax.random.key(1), shown, x["z"], x["codes"], x["condition"])
    noise = iter(jax.random.split(jax.random.key(2), 200))
    variables = jax.tree.map(lambda v: v + 0.1 * jax.random.normal(next(noise), v.shape), variables)

    def drawn(z: jax.Array) -> jax.Array:
        return model.apply(variables, shown, z, x["codes"], x["condition"])

    def mixed(coarse: jax.Array, fine: jax.Array) -> jax.Array:
        return drawn(jnp.stack([coarse, fine], 1))

    one, two = drawn(x["z"]), drawn(other)
    np.testing.assert_allclose(mixed(x["z"], x["z"]), one, atol=1e-6)
    np.testing.assert_allclose(mixed(other, other), two, atol=1e-6)
    fine, coarse = mixed(x["z"], other), mixed(other, x["z"])
    apart = [float(jnp.abs(picture - one).mean()) for picture in (fine, coarse, two)]
    assert min(apart) > 1e-4
    assert float(jnp.abs(fine - coarse).mean()) > 1e-4


def test_codes_of_a_refiner_act_by_themselves():
    """At 0 as if there were none; else only by what is theirs, each for itself, and where there is something to refine."""
    x = inputs(REFINER, 1)
    shown = jnp.ones((1, REFINER.size, REFINER.size, REFINER.evidence_channels))
    shown = shown.at[:, :8, :, refiner.LOOK].set(0)
    model = REFINER.generator()
    params = model.init(jax.random.key(1), shown, x["z"], x["codes"], x["condition"])["params"]
    noise = iter(jax.random.split(jax.random.key(2), 200))
    params = jax.tree.map(lambda v: v + 0.1 * jax.random.normal(next(noise), v.shape), params)
    without = {**params, refiner.CODES: jax.tree.map(jnp.zeros_like, params[refiner.CODES])}

    def drawn(codes: jax.Array, networks: dict = params) -> np.ndarray:
        return np.asarray(model.apply({"params": networks}, shown, x["z"], codes, x["condition"]))

    none = jnp.zeros_like(x["codes"])
    np.testing.assert_array_equal(drawn(none), drawn(x["codes"], without))
    for k in range(REFINER.code_size):
        changed = np.abs(drawn(none.at[0, k].set(1.0)) - drawn(none))
        assert changed[:, 8:].mean() > 1e-3 and changed[:, :8].max() == 0


def test_bfloat16_activations_give_float32_outputs():
    spec = ModelSpec(**{**SMALL.as_dict(), "dtype": "bfloat16"})
    model, variables, args = generator_and_parameters(spec)
    assert model.apply(variables, *args).dtype == jnp.float32
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


def test_double_backward_is_finite_and_matches_finite_differences():
    # In double precision: the slope of a leaky ReLU jumps, so the step must be tiny.
    with jax.enable_x64(True):
        spec = ModelSpec(**{**SMALL.as_dict(), "dtype": "float64"})
        x = jax.tree.map(lambda v: v.astype(jnp.float64), inputs(spec, 1))
        d = spec.discriminator()
        variables = d.init(jax.random.key(1), x["latent"], x["folded"], x["condition"])
        variables = jax.tree.map(lambda v: v.astype(jnp.float64), variables)

        @jax.jit
        def penalty(v):
            g = jax.grad(lambda u: d.apply(v, u, x["folded"], x["condition"])[0].sum())(x["latent"])
            return jnp.square(g).sum()

        gradient = jax.jit(jax.grad(penalty))(variables)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
        direction = jax.tree.map(lambda leaf: jnp.sign(leaf) * 1e-9, gradient)
        ahead = penalty(jax.tree.map(jnp.add, variables, direction))
        behind = penalty(jax.tree.map(jnp.subtract, variables, direction))
        slope = sum(jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, (gradient, direction))))
        np.testing.assert_allclose((ahead - behind) / 2, slope, rtol=0.01)


def test_no_grouped_convolution_forward_or_backward():
    spec, x = SMALL, inputs(SMALL)
    model, variables, args = generator_and_parameters(spec)
    d = spec.discriminator()
    judge = d.init(jax.random.key(1), x["latent"], x["folded"], x["condition"])

    def loss(v, j):
        fake = model.apply(v, *args)

        def logits(u):
            return d.apply(j, u, x["folded"], x["condition"])[0].sum()

        return logits(fake) + jnp.square(jax.grad(logits)(fake)).sum()

    text = jax.jit(jax.grad(loss, (0, 1))).lower(variables, judge).as_text()
    assert "stablehlo.convolution" in text
    groups = {part.split(":")[0].strip() for part in text.split("feature_group_count = ")[1:]}
    assert groups == {"1"}


def test_modulation_of_activations_equals_modulation_of_weights():
    layer = layers.ModulatedConv(5)
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 4))
    style = jax.random.normal(jax.random.key(1), (2, 3))
    variables = layer.init(jax.random.key(2), x, style)
    y = layer.apply(variables, x, style)
    p = variables["params"]
    scale = 1 + style @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
    for i in range(2):
        kernel = p["kernel"] * scale[i][None, None, :, None]
        kernel = kernel / jnp.sqrt(jnp.square(kernel).sum((0, 1, 2)) + 1e-8)
        want = jax.lax.conv_general_dilated(
            x[i : i + 1], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        np.testing.assert_allclose(y[i], want[0], atol=1e-4)


def test_examples_do_not_mix():
    model, variables, args = generator_and_parameters(SMALL)
    both = model.apply(variables, *args)
    changed = [a.at[1].set(0.3) for a in args]
    np.testing.assert_array_equal(both[0], model.apply(variables, *changed)[0])


def test_space_to_depth_and_back():
    x = jax.random.normal(jax.random.key(0), (2, 16, 8, 3))
    y = layers.space_to_depth(x, 4)
    assert y.shape == (2, 4, 2, 48)
    np.testing.assert_array_equal(layers.depth_to_space(y, 4), x)


def test_upsample_is_bilinear():
    x = jax.random.normal(jax.random.key(0), (1, 4, 6, 2))
    want = jax.image.resize(x, (1, 8, 12, 2), "bilinear")
    np.testing.assert_allclose(layers.upsample(x), want, atol=1e-6)


def test_heatmaps_peak_at_the_landmark_and_unknown_is_zero():
    points = jnp.array([[[0.25, 0.75], [jnp.nan, 0.5]]])
    maps = layers.landmark_heatmaps(points, 32)
    y, x = np.unravel_index(np.argmax(maps[0, :, :, 0]), (32, 32))
    assert (x, y) in {(7, 23), (8, 24), (7, 24), (8, 23)}
    assert not maps[0, :, :, 1].any()


def test_evidence_hides_what_is_not_kept():
    key = jax.random.key(0)
    image = jax.random.uniform(key, (1, 32, 32, 3))
    mask = jnp.zeros((1, 32, 32)).at[:, 8:16, 8:16].set(1)
    nan = jnp.full((1, 5, 2), jnp.nan)
    noise = jnp.where(mask[..., None] > 0, image, jax.random.normal(key, image.shape))
    a, b = layers.evidence(image, mask, nan), layers.evidence(noise, mask, nan)
    np.testing.assert_array_equal(a, b)


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="multiple"):
        ModelSpec(size=100)
    with pytest.raises(ValueError, match="channels"):
        ModelSpec(size=64, reduction=1)


@pytest.mark.parametrize("layer, like", [(layers.Dense, nn.Dense), (layers._Conv, nn.Conv)])
def test_layers_take_weights_by_their_shape_alone(layer, like):
    x, key = jnp.ones((1, 4, 4, 3)), jax.random.key(0)
    size = (2,) if layer is layers.Dense else (2, (3, 3))
    first, second = layer(*size).init(key, x), like(*size).init(key, x)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    np.testing.assert_array_equal(layer(*size).apply(first, x), like(*size).apply(first, x))

    def untraced(*_):
        raise AssertionError("an initialiser was run for weights that were given")

    layer(*size, kernel_init=untraced, bias_init=untraced).apply(first, x)
    with pytest.raises(ScopeParamShapeError, match="kernel"):
        layer(*size).apply(first, jnp.ones((1, 4, 4, 5)))
