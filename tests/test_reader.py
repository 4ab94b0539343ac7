"""The attribute reader: saved and read again, independent of batches, refused when it is something else."""

import jax
import numpy as np
import pytest

from jaxderm.errors import InputError
from jaxderm.evaluate import reader, readers

SPEC = reader.ReaderSpec(32, (4, 6, 8))


@pytest.fixture(scope="module")
def params():
    shape = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    tree = jax.eval_shape(reader.ReaderNetwork(SPEC).init, jax.random.key(0), shape)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: (rng.normal(size=leaf.shape) * 0.2).astype(np.float16).astype(np.float32), tree
    )


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (40 + k, 50, 3)).astype(np.uint8) for k in range(count)]


def test_a_reader_says_the_same_after_saving(params, tmp_path):
    path = tmp_path / "reader.safetensors"
    reader.save_reader(path, params, SPEC, corpus="none")
    loaded, spec, card = reader.load_network(path)
    assert spec == SPEC and card == {"corpus": "none"}
    assert reader.read_pictures(loaded, spec, pictures(3)) == reader.read_pictures(
        params, SPEC, pictures(3)
    )
    said = reader.load_reader(path)(pictures(2))
    assert [set(a) for a in said] == [{"sex", "male", "age", "ita", "site"}] * 2
    assert all(0 <= a["age"] <= 120 and a["sex"] in ("female", "male") for a in said)


def test_a_picture_is_read_alike_in_any_batch(params):
    many = reader.read_pictures(params, SPEC, pictures(reader.BATCH + 2))
    assert len(many) == reader.BATCH + 2
    assert many[-1]["age"] == pytest.approx(
        reader.read_pictures(params, SPEC, pictures(reader.BATCH + 2)[-1:])[0]["age"], abs=1e-3
    )
    assert reader.read_pictures(params, SPEC, []) == []


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "not.safetensors"
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="not an attribute reader"):
        reader.load_network(path)


def test_the_shipped_size_has_about_a_million_parameters():
    spec = reader.ReaderSpec()
    shape = jax.ShapeDtypeStruct((1, spec.size, spec.size, 3), np.float32)
    tree = jax.eval_shape(reader.ReaderNetwork(spec).init, jax.random.key(0), shape)
    count = sum(leaf.size for leaf in jax.tree.leaves(tree))
    assert 0.6e6 < count < 1.25e6, count  # under 2.5 MB in half precision


def test_readers_are_found_by_name(params, tmp_path):
    path = tmp_path / "own.safetensors"
    reader.save_reader(path, params, SPEC)
    assert readers.load_reader("none") is None and readers.load_reader(None) is None
    own = readers.load_reader(str(path))
    assert own.name == "own" and not own.has_features
    shipped = readers.load_reader("default")
    (said,) = shipped(pictures(1))
    assert said["site"] in {site.value for site in reader.SITES} and 0 <= said["age"] <= 120
    with pytest.raises(InputError, match="not an attribute reader"):
        readers.load_reader(str(tmp_path / "none.safetensors"))
