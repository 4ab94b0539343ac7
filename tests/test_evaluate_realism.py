"""Statistics and realism against closed forms, brute force and scipy; devices and streaming do not show."""

import functools
import math
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from scipy import linalg, stats

from jaxderm.errors import InputError
from jaxderm.evaluate import features, inception, realism, statistics


@given(st.integers(0, 60), st.integers(1, 60))
def test_clopper_pearson_is_the_exact_test_inverted(hits, count):
    hits = min(hits, count)
    figure = statistics.proportion(hits, count)
    reference = stats.binomtest(hits, count).proportion_ci(0.95, "exact")
    assert figure.low == pytest.approx(reference.low, abs=1e-9)
    assert figure.high == pytest.approx(reference.high, abs=1e-9)


def test_nobody_found_is_a_bound_and_no_case_is_no_figure():
    assert statistics.proportion(0, 51).high == pytest.approx(0.0698, abs=1e-4)
    assert math.isnan(statistics.proportion(0, 0).value)
    assert statistics.missing("why").as_dict() == {
        "value": None, "low": None, "high": None, "count": 0, "note": "why",
    }  # fmt: skip


def test_area_is_mann_whitney():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 40), rng.integers(2, 12, 31)
    u = stats.mannwhitneyu(b, a).statistic / (40 * 31)
    assert statistics.superiority(a, b) == pytest.approx(u)
    assert statistics.superiority([math.inf], [math.inf] * 3) == 0.5


def test_bootstrap_is_deterministic_and_covers_the_mean():
    samples = np.random.default_rng(1).normal(3, 1, 80)
    first, again = statistics.mean(samples), statistics.mean(samples)
    assert first == again and first.low < 3 < first.high
    assert first.high - first.low == pytest.approx(2 * 1.96 / math.sqrt(80), rel=0.25)


def feature_set(x: np.ndarray) -> realism.FeatureSet:
    found = realism.FeatureSet(x.shape[1])
    found.add(x)
    return found


def moments(x: np.ndarray) -> realism.Moments:
    found = realism.Moments(x.shape[1])
    found.add(x)
    return found


def test_identical_sets_give_nothing():
    x = np.random.default_rng(0).normal(size=(60, 8))
    figures = realism.compare(feature_set(x), feature_set(x))
    for name in ("frechet", "kernel", "sliced"):
        assert figures[name].value == pytest.approx(0.0, abs=1e-9), name
    for name in ("precision", "recall", "coverage"):
        assert figures[name].value == 1.0, name
    assert figures["density"].value >= 1.0


def test_frechet_of_known_gaussians_and_against_scipy():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(300, 6)), rng.normal(size=(250, 6)) @ rng.normal(size=(6, 6)) + 1
    a, b = moments(x), moments(y)
    c1, c2 = np.cov(x.T), np.cov(y.T)
    reference = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(
        c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real
    )
    assert realism.frechet(a, b) == pytest.approx(reference, rel=1e-6)
    # N(0, I) and N(v, 4 I): |v|^2 + D; by moments set exactly.
    first, second = realism.Moments(3), realism.Moments(3)
    for m, mean, scale in ((first, np.zeros(3), 1.0), (second, np.array([1.0, 2, 2]), 4.0)):
        m.count, m.sum = 101, 101 * mean
        m.outer = 100 * scale * np.eye(3) + 101 * np.outer(mean, mean)
    assert realism.frechet(first, second) == pytest.approx(9 + 3)


def test_kernel_distance_is_the_sum_of_the_definition():
    rng = np.random.default_rng(3)
    for n, m in ((9, 9), (9, 7)):
        x, y = rng.normal(size=(n, 4)), rng.normal(size=(m, 4)) + 0.5

        def k(u, v):
            return (u @ v / 4 + 1) ** 3

        xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
        yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
        pairs = [k(x[i], y[j]) for i in range(n) for j in range(m) if n != m or i != j]
        found = realism.kernel_distance(
            realism.kernel_matrix(x, x), realism.kernel_matrix(y, y), realism.kernel_matrix(x, y)
        )
        assert found == pytest.approx(xx + yy - 2 * np.mean(pairs))


def test_neighbours_of_a_hand_made_case():
    """Ten reals on a line one apart; fakes: five on reals, five far away."""
    real = np.arange(10.0)[:, None]
    fake = np.array([2.0, 3, 4, 5, 6, 100, 101, 102, 103, 104])[:, None]
    d = realism.squared_distances
    found = {
        k: f.value
        for k, f in realism.neighbours(d(real, real), d(fake, fake), d(real, fake)).items()
    }
    assert found["precision"] == 0.5
    # The third neighbour of 2 and of 6 is 3 away: the balls of the near fakes reach 0 (2-3) to 9 (6+3).
    assert found["recall"] == 1.0
    assert found["coverage"] == 1.0 and found["density"] == pytest.approx(
        sum(abs(f - r) <= sorted(abs(r - real[:, 0]))[5] for f in fake[:, 0] for r in real[:, 0])
        / 50
    )


def test_sliced_distance_of_a_shift_and_of_one_dimension():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(50, 5))
    shift = np.array([3.0, 0, 0, 4, 0])
    axes = realism.directions(5)
    assert np.allclose(np.linalg.norm(axes, axis=0), 1)
    expected = math.sqrt(np.mean((shift @ axes) ** 2))  # about |shift| / sqrt(D)
    assert realism.sliced(x @ axes, (x + shift) @ axes) == pytest.approx(expected)
    assert expected == pytest.approx(5 / math.sqrt(5), rel=0.15)
    a, b = rng.normal(size=30), rng.normal(size=45)
    fine = (np.arange(90) + 0.5) / 90  # both sizes divide 90
    reference = math.sqrt(
        np.mean((np.sort(a)[(fine * 30).astype(int)] - np.sort(b)[(fine * 45).astype(int)]) ** 2)
    )
    assert realism.sliced(a[:, None], b[:, None]) == pytest.approx(reference, rel=0.1)


def test_fewer_images_than_features_says_which_and_why():
    x = np.random.default_rng(5).normal(size=(30, 64))
    figures = realism.compare(feature_set(x), feature_set(x + 1))
    assert math.isnan(figures["frechet"].value) and "30 pictures" in figures["frechet"].note
    assert "64 features" in figures["frechet"].note and figures["kernel"].value > 0
    few = realism.compare(feature_set(x[:5]), feature_set(x[:5]))
    assert all(math.isnan(figure.value) and figure.note for figure in few.values())


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_streaming_in_any_pieces_gives_the_same(sizes):
    x = np.random.default_rng(6).normal(size=(sum(sizes), 4))
    whole, pieces = feature_set(x), realism.FeatureSet(4)
    start = 0
    for size in sizes:
        pieces.add(x[start : start + size])
        start += size
    assert np.array_equal(whole.sample(), pieces.sample())
    for a, b in zip(whole.moments(), pieces.moments()):
        assert a.count == b.count and np.allclose(a.outer, b.outer)


def test_more_than_the_sample_streams_on(monkeypatch):
    monkeypatch.setattr(realism, "SAMPLE", 100)
    x = np.random.default_rng(7).normal(size=(1030, 3))
    found = realism.FeatureSet(3)
    for start in range(0, 1030, 77):
        found.add(x[start : start + 77])
    total = realism._total(found.moments(), None)
    assert len(found.sample()) == 100 and total.count == 1030
    assert np.allclose(total.mean, x.mean(0)) and np.allclose(total.covariance, np.cov(x.T))


def test_a_worse_picture_is_further_away():
    from scipy import ndimage

    rng = np.random.default_rng(8)
    y, x = np.mgrid[:128, :128]
    real = []
    for _ in range(60):
        phase, tone = rng.uniform(0, 6, 2), rng.uniform(90, 160)
        waves = 30 * np.sin(x / 5 + phase[0]) * np.cos(y / 7 + phase[1])
        real.append(
            np.clip(tone + waves[..., None] + rng.normal(0, 12, (128, 128, 3)), 0, 255).astype(
                np.uint8
            )
        )
    other, blurred = real[30:], [ndimage.gaussian_filter(p, (4, 4, 0)) for p in real[30:]]
    network = features.random_network()
    same = realism.compare_pictures(network, real[:30], other)
    worse = realism.compare_pictures(network, real[:30], blurred)
    assert worse["kernel"].value > 2 * abs(same["kernel"].value)
    assert worse["sliced"].value > same["sliced"].value  # which is above 0 for any two samples


def test_one_device_and_eight_give_the_same_features():
    code = (
        "import numpy as np, jax, sys\n"
        "from jaxderm.evaluate.features import random_network\n"
        "p = np.random.default_rng(0).integers(0, 256, (13, 128, 128, 3), np.uint8)\n"
        "print(len(jax.devices())); np.save(sys.argv[1], random_network()(p))\n"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "f.npy")
        env = {
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
            "JAX_PLATFORMS": "cpu",
        }
        done = subprocess.run(
            [sys.executable, "-c", code, name], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "8"
        eight = np.load(name)
    pictures = np.random.default_rng(0).integers(0, 256, (13, 128, 128, 3), np.uint8)
    one = features.random_network()(pictures)
    assert one.shape == (13, 64) and np.allclose(one, eight, atol=1e-4)


# Inception-v3: (name, input, output, kernel) of every convolution, as the paper's table has them.
def _layers() -> list[tuple[str, int, int, tuple[int, int]]]:
    layers = [("Conv2d_1a_3x3", 3, 32, (3, 3)), ("Conv2d_2a_3x3", 32, 32, (3, 3)), ("Conv2d_2b_3x3", 32, 64, (3, 3)),
              ("Conv2d_3b_1x1", 64, 80, (1, 1)), ("Conv2d_4a_3x3", 80, 192, (3, 3))]  # fmt: skip

    def block(name, parts):
        layers.extend((f"{name}.{part}", i, o, k) for part, i, o, k in parts)

    for name, i, pool in (("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)):
        block(name, [("branch1x1", i, 64, (1, 1)), ("branch5x5_1", i, 48, (1, 1)), ("branch5x5_2", 48, 64, (5, 5)),
                     ("branch3x3dbl_1", i, 64, (1, 1)), ("branch3x3dbl_2", 64, 96, (3, 3)),
                     ("branch3x3dbl_3", 96, 96, (3, 3)), ("branch_pool", i, pool, (1, 1))])  # fmt: skip
    block("Mixed_6a", [("branch3x3", 288, 384, (3, 3)), ("branch3x3dbl_1", 288, 64, (1, 1)),
                       ("branch3x3dbl_2", 64, 96, (3, 3)), ("branch3x3dbl_3", 96, 96, (3, 3))])  # fmt: skip
    for name, c in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
        block(name, [("branch1x1", 768, 192, (1, 1)), ("branch7x7_1", 768, c, (1, 1)), ("branch7x7_2", c, c, (1, 7)),
                     ("branch7x7_3", c, 192, (7, 1)), ("branch7x7dbl_1", 768, c, (1, 1)),
                     ("branch7x7dbl_2", c, c, (7, 1)), ("branch7x7dbl_3", c, c, (1, 7)),
                     ("branch7x7dbl_4", c, c, (7, 1)), ("branch7x7dbl_5", c, 192, (1, 7)),
                     ("branch_pool", 768, 192, (1, 1))])  # fmt: skip
    block("Mixed_7a", [("branch3x3_1", 768, 192, (1, 1)), ("branch3x3_2", 192, 320, (3, 3)),
                       ("branch7x7x3_1", 768, 192, (1, 1)), ("branch7x7x3_2", 192, 192, (1, 7)),
                       ("branch7x7x3_3", 192, 192, (7, 1)), ("branch7x7x3_4", 192, 192, (3, 3))])  # fmt: skip
    for name, i in (("Mixed_7b", 1280), ("Mixed_7c", 2048)):
        block(name, [("branch1x1", i, 320, (1, 1)), ("branch3x3_1", i, 384, (1, 1)), ("branch3x3_2a", 384, 384, (1, 3)),
                     ("branch3x3_2b", 384, 384, (3, 1)), ("branch3x3dbl_1", i, 448, (1, 1)),
                     ("branch3x3dbl_2", 448, 384, (3, 3)), ("branch3x3dbl_3a", 384, 384, (1, 3)),
                     ("branch3x3dbl_3b", 384, 384, (3, 1)), ("branch_pool", i, 192, (1, 1))])  # fmt: skip
    return layers


@functools.cache
def inception_weights() -> dict[str, np.ndarray]:
    rng, params = np.random.default_rng(0), {}
    for name, i, o, (h, w) in _layers():
        params[f"{name}.conv.weight"] = rng.standard_normal((o, i, h, w), np.float32) * np.float32(
            math.sqrt(2 / (i * h * w))
        )
        params[f"{name}.bn.weight"] = rng.uniform(0.7, 1.3, o).astype(np.float32)
        params[f"{name}.bn.bias"] = rng.normal(0, 0.1, o).astype(np.float32)
        params[f"{name}.bn.running_mean"] = rng.normal(0, 0.1, o).astype(np.float32)
        params[f"{name}.bn.running_var"] = rng.uniform(0.7, 1.3, o).astype(np.float32)
    return params


def test_inception_has_the_published_size_and_refuses_other_files(tmp_path):
    params = inception_weights()
    learned = sum(v.size for k, v in params.items() if "running" not in k)
    # Keras counts 21,802,784 without head and without scales: its 17,216 x 2 statistics are ours too.
    assert learned == 21_785_568
    save_file(params, tmp_path / "ok.safetensors")
    loaded, fid = inception.load(tmp_path / "ok.safetensors")
    assert not fid and set(loaded) == set(params)
    save_file(
        {**params, "fc.weight": np.zeros((1008, 2048), np.float32)}, tmp_path / "fid.safetensors"
    )
    assert inception.load(tmp_path / "fid.safetensors")[1]
    lacking = {k: v for k, v in params.items() if not k.startswith("Mixed_7c.branch_pool")}
    save_file(lacking, tmp_path / "lacking.safetensors")
    with pytest.raises(InputError, match="lacks 'Mixed_7c.branch_pool"):
        inception.load(tmp_path / "lacking.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(InputError, match="cannot be read"):
        inception.load(tmp_path / "text.safetensors")


def _numpy_inception(params: dict, x: np.ndarray, fid: bool) -> np.ndarray:
    """The network again in numpy, channels first, convolution by a loop over the kernel's places."""

    def conv(x, name, stride=1, pad=(0, 0)):
        w = params[f"{name}.conv.weight"]
        x = np.pad(x, ((0, 0), (pad[0],) * 2, (pad[1],) * 2))
        h, v = (x.shape[1] - w.shape[2]) // stride + 1, (x.shape[2] - w.shape[3]) // stride + 1
        y = np.zeros((w.shape[0], h * v), np.float32)
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                part = x[
                    :, i : i + stride * (h - 1) + 1 : stride, j : j + stride * (v - 1) + 1 : stride
                ]
                y += w[:, :, i, j] @ part.reshape(len(x), -1)
        g, b, m, s = (
            params[f"{name}.bn.{n}"][:, None]
            for n in ("weight", "bias", "running_mean", "running_var")
        )
        return np.maximum((y - m) / np.sqrt(s + 0.001) * g + b, 0).reshape(-1, h, v)

    def windows(x, pad, value):
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)), constant_values=value)
        return np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))

    def strided_max(x):
        return windows(x, 0, 0)[:, ::2, ::2].max((3, 4))

    def average(x):
        total = windows(x, 1, 0).sum((3, 4))
        return total / (windows(np.ones_like(x[:1]), 1, 0).sum((3, 4)) if fid else 9)

    def chain(x, name, *steps):
        for part, pad in steps:
            x = conv(x, f"{name}.{part}", 1, pad)
        return x

    no, one, two, w7, h7 = (0, 0), (1, 1), (2, 2), (0, 3), (3, 0)
    x = strided_max(
        conv(conv(conv(x, "Conv2d_1a_3x3", 2), "Conv2d_2a_3x3"), "Conv2d_2b_3x3", 1, one)
    )
    x = strided_max(conv(conv(x, "Conv2d_3b_1x1"), "Conv2d_4a_3x3"))
    for n in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = np.concatenate([
            chain(x, n, ("branch1x1", no)), chain(x, n, ("branch5x5_1", no), ("branch5x5_2", two)),
            chain(x, n, ("branch3x3dbl_1", no), ("branch3x3dbl_2", one), ("branch3x3dbl_3", one)),
            chain(average(x), n, ("branch_pool", no))])  # fmt: skip
    n = "Mixed_6a"
    double = chain(x, n, ("branch3x3dbl_1", no), ("branch3x3dbl_2", one))
    x = np.concatenate(
        [conv(x, f"{n}.branch3x3", 2), conv(double, f"{n}.branch3x3dbl_3", 2), strided_max(x)]
    )
    for n in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = np.concatenate([
            chain(x, n, ("branch1x1", no)),
            chain(x, n, ("branch7x7_1", no), ("branch7x7_2", w7), ("branch7x7_3", h7)),
            chain(x, n, ("branch7x7dbl_1", no), ("branch7x7dbl_2", h7), ("branch7x7dbl_3", w7),
                  ("branch7x7dbl_4", h7), ("branch7x7dbl_5", w7)),
            chain(average(x), n, ("branch_pool", no))])  # fmt: skip
    n = "Mixed_7a"
    seven = chain(x, n, ("branch7x7x3_1", no), ("branch7x7x3_2", w7), ("branch7x7x3_3", h7))
    x = np.concatenate([conv(chain(x, n, ("branch3x3_1", no)), f"{n}.branch3x3_2", 2),
                        conv(seven, f"{n}.branch7x7x3_4", 2), strided_max(x)])  # fmt: skip
    for n in ("Mixed_7b", "Mixed_7c"):
        three = chain(x, n, ("branch3x3_1", no))
        double = chain(x, n, ("branch3x3dbl_1", no), ("branch3x3dbl_2", one))
        pooled = windows(x, 1, -np.inf).max((3, 4)) if fid and n == "Mixed_7c" else average(x)
        x = np.concatenate([
            chain(x, n, ("branch1x1", no)),
            chain(three, n, ("branch3x3_2a", (0, 1))), chain(three, n, ("branch3x3_2b", (1, 0))),
            chain(double, n, ("branch3x3dbl_3a", (0, 1))), chain(double, n, ("branch3x3dbl_3b", (1, 0))),
            chain(pooled, n, ("branch_pool", no))])  # fmt: skip
    return x.mean((1, 2))


@pytest.mark.parametrize("fid", [False, True])
def test_inception_equals_a_numpy_reference(fid):
    params = inception_weights()
    # Any size passes through: 107 px keep every layer's borders and cost an eighth.
    picture = np.random.default_rng(1).uniform(-1, 1, (1, 107, 107, 3)).astype(np.float32)
    found = np.asarray(jax.jit(lambda p, x: inception.features(p, x, fid))(params, picture))[0]
    reference = _numpy_inception(params, picture[0].transpose(2, 0, 1), fid)
    assert (
        found.shape == (2048,) and np.abs(found - reference).max() <= 1e-3 * np.abs(reference).max()
    )


@pytest.mark.slow
def test_inception_equals_torchvision():
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError):  # RuntimeError: built for another torch
        pytest.skip("torch and torchvision are not installed, or do not fit each other")
    network = torchvision.models.inception_v3(
        weights=None, init_weights=False, transform_input=False
    ).eval()
    network.fc = torch.nn.Identity()
    params = inception_weights()
    state = {k: torch.from_numpy(v) for k, v in params.items()}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert not [k for k in missing if not k.startswith("AuxLogits") and "num_batches" not in k]
    picture = np.random.default_rng(1).uniform(-1, 1, (2, 299, 299, 3)).astype(np.float32)
    with torch.no_grad():
        reference = network(torch.from_numpy(picture).permute(0, 3, 1, 2)).numpy()
    found = np.asarray(inception.features(params, picture))
    assert np.abs(found - reference).max() <= 1e-3 * np.abs(reference).max()
