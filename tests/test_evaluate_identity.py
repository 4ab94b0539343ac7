"""Identity: a planted match, a planted leak, linkage and collisions are found; recognisers as given."""

import json
import math

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from jaxderm.errors import InputError
from jaxderm.evaluate import identity, recogniser
from jaxderm.evaluate.cases import Person
from jaxderm.evaluate.identity import Gallery
from jaxderm.evaluate.recogniser import BY_LANDMARKS, DETECTED, NO_FACE, Face


class Vectors:
    """A recogniser of ready-made vectors: only its distances are used here."""

    name, threshold = "vectors", 0.6

    def distances(self, first, second):
        return recogniser.euclidean(first, second)


COUNT, SIZE = 51, 16
IDS = tuple(f"{i:03d}" for i in range(COUNT))
PEOPLE = {
    name: Person(name, ("female", "male")[i % 2], ("white", "black")[i // 2 % 2], 20.0 + i % 30)
    for i, name in enumerate(IDS)
}


def unit(rng, count):
    x = rng.normal(size=(count, SIZE))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def gallery(rng) -> Gallery:
    return Gallery(unit(rng, COUNT), IDS, PEOPLE)


def matches(vectors, people):
    faces = [Face(v, DETECTED) for v in vectors]
    return [identity.match(name, face, people, Vectors()) for name, face in zip(IDS, faces)]


def test_planted_matches_are_found_and_strangers_are_not():
    rng = np.random.default_rng(0)
    people = gallery(rng)
    found = identity.set_figures(
        matches(people.vectors + rng.normal(0, 0.01, (COUNT, SIZE)), people)
    )
    assert found["everybody"]["rank_1"].value == 1.0 and found["matched"]["auc"].value == 1.0
    assert found["verified"].value == 1.0 and found["everybody"]["tar"].value == 1.0
    strangers = identity.set_figures(matches(unit(rng, COUNT), people))
    auc = strangers["everybody"]["auc"]
    assert auc.low < 0.5 < auc.high and strangers["verified"].value == 0.0
    assert strangers["everybody"]["rank_1"].high >= strangers["everybody"]["chance_rank_1"].value
    one = unit(rng, COUNT)
    one[7] = people.vectors[7]  # one patient slips through
    single = matches(one, people)
    assert single[7].rank == 1 and single[7].verified and single[7].distance == 0.0
    assert identity.set_figures(single)["verified"].value == pytest.approx(1 / COUNT)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_rank_and_area_are_the_same_statement(seed):
    rng = np.random.default_rng(seed)
    people = gallery(rng)
    for m in matches(unit(rng, COUNT), people):
        assert m.area == pytest.approx((COUNT - m.rank) / (COUNT - 1))
        assert len(m.impostors) == COUNT - 1 and m.size == COUNT
        if m.matched_rank is not None:
            assert 1 <= m.matched_rank <= m.matched_size <= COUNT


def test_chance_of_being_verified_is_that_of_the_impostors():
    """A recogniser that takes all of one kind for one person verifies the patient as often as anybody like him."""
    rng = np.random.default_rng(3)
    kinds = {
        kind: k for k, kind in enumerate(sorted({(p.sex, p.ethnicity) for p in PEOPLE.values()}))
    }
    own = np.array([kinds[PEOPLE[i].sex, PEOPLE[i].ethnicity] for i in IDS])
    people = Gallery(np.eye(SIZE)[own] + rng.normal(0, 0.01, (COUNT, SIZE)), IDS, PEOPLE)
    found = identity.set_figures(matches(np.eye(SIZE)[own], people))
    assert found["verified"].value == found["matched"]["chance_verified"].value == 1.0
    share = np.mean([(own == k).sum() - 1 for k in own]) / (COUNT - 1)
    assert found["everybody"]["chance_verified"].value == pytest.approx(share)
    apart = identity.set_figures(matches(unit(rng, COUNT), gallery(rng)))
    assert apart["matched"]["chance_verified"].value < 0.05


def test_matched_impostors_share_sex_ethnicity_and_age():
    people = gallery(np.random.default_rng(1))
    alike = people.matched("004")
    assert not alike[4] and alike.any()
    for i in np.flatnonzero(alike):
        other = PEOPLE[IDS[i]]
        assert (other.sex, other.ethnicity) == (PEOPLE["004"].sex, PEOPLE["004"].ethnicity)
        assert abs(other.age - PEOPLE["004"].age) <= 10
    unknown = {**PEOPLE, "004": Person("004", "female", None, 24.0)}
    assert not Gallery(people.vectors, IDS, unknown).matched("004").any()


def test_a_probe_without_a_face_is_a_guess_and_said_apart():
    people = gallery(np.random.default_rng(2))
    found = identity.match("003", Face(None, NO_FACE), people, Vectors())
    assert found.rank == COUNT and found.area == 0.5 and not found.verified
    figures = identity.set_figures([found])
    assert figures["faces"] == {NO_FACE: 1} and math.isnan(figures["distance"].value)
    others = Gallery(people.vectors[1:], IDS[1:], PEOPLE)
    assert identity.match("000", Face(people.vectors[0], DETECTED), others, Vectors()) is None


def test_true_accepts_need_enough_pairs():
    assert math.isnan(identity.true_accepts([0.1], np.full(999, 1.0)).value)
    impostors = np.linspace(0.5, 1.5, 2000)  # two of them may be accepted
    figure = identity.true_accepts([0.4, 0.5004, 0.51], impostors)
    assert figure.value == pytest.approx(2 / 3) and "2000 impostor pairs" in figure.note


def test_linkage_and_collisions():
    rng = np.random.default_rng(3)
    first = unit(rng, 20)

    def faces(x):
        return [Face(v, DETECTED) for v in x]

    linked = identity.linkage(faces(first), faces(first + 0.001), Vectors())
    assert linked["linked"].value == 1.0 and linked["rank_1"].value == 1.0
    apart = identity.linkage(faces(first), faces(unit(rng, 20)), Vectors())
    assert apart["linked"].value == 0.0 and apart["auc"].value < 0.8
    assert identity.collisions(faces(first), Vectors())["collides"].value == 0.0
    same = identity.collisions(faces(np.repeat(first[:1], 5, 0)), Vectors())
    assert same["collides"].value == 1.0 and same["pairs"].value == 1.0
    assert math.isnan(identity.linkage([], [], Vectors())["linked"].value)


def test_a_planted_training_leak_is_found():
    rng = np.random.default_rng(4)
    training, strangers = unit(rng, 200), [Face(v, DETECTED) for v in unit(rng, 60)]
    releases = {name: Face(v, DETECTED) for name, v in zip(IDS, unit(rng, COUNT))}
    clean = identity.training_leak(releases, strangers, training, Vectors())
    assert clean["auc"].low < 0.5 < clean["auc"].high
    releases["010"] = Face(training[5] + 0.01, DETECTED)
    leak = identity.training_leak(releases, strangers, training, Vectors())
    assert [s["id"] for s in leak["suspects"]][:1] == ["010"] or "010" in {
        s["id"] for s in leak["suspects"]
    }
    assert leak["suspects"][0]["distance"] < 0.1


def test_as_many_releases_are_near_as_are_nearer_than_a_twentieth_of_strangers():
    rng = np.random.default_rng(4)
    training, strangers = unit(rng, 200), unit(rng, 100)
    apart = np.sort(np.linalg.norm(strangers[:, None] - training, axis=2).min(1))
    # Some of the strangers themselves are released: of these a twentieth is near.
    releases = {f"{i:03}": Face(v, DETECTED) for i, v in enumerate(strangers)}
    leak = identity.training_leak(
        releases, [Face(v, DETECTED) for v in strangers], training, Vectors()
    )
    near = leak["nearer_than_most_strangers"]
    assert near.value == (apart < np.percentile(apart, identity.NEAREST)).mean() == 0.05
    assert leak["nearer_than_every_stranger"].value == 0


# Recognisers.


def onnx_file(folder, shape=(1, 3, 16, 16), out=12, name="net", **settings):
    """A network that multiplies the flattened picture by a random matrix."""
    count = int(np.prod(shape[1:]))
    weights = np.random.default_rng(0).normal(size=(count, out)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])],
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], out])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / f"{name}.onnx")
    values = {"size": 16, "threshold": 0.4, **settings}
    (folder / f"{name}.json").write_text(json.dumps(values))
    return str(folder / f"{name}.onnx")


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (120, 100, 3), np.uint8)


LANDMARKS = np.array([[35, 40], [65, 40], [50, 58], [40, 75], [60, 75]], np.float32)


def test_an_onnx_embedder_is_aligned_by_landmarks(tmp_path):
    network = recogniser.load_recogniser(onnx_file(tmp_path))
    assert network.name == "net" and network.threshold == 0.4
    network.detector = None
    face = network(picture(), LANDMARKS)
    assert face.how == BY_LANDMARKS and face.vector.shape == (12,)
    # The same face elsewhere in a larger picture, at twice the size, gives nearly the same vector.
    smooth = np.asarray(np.kron(picture()[::8, ::8], np.ones((8, 8, 1))), np.uint8)[:, :100]
    large = np.zeros((320, 300, 3), np.uint8)
    large[60:300, 50:250] = smooth.repeat(2, 0).repeat(2, 1)
    a = network(smooth, LANDMARKS).vector
    b = network(large, LANDMARKS * 2 + [50.5, 60.5]).vector
    assert network.distances(a[None], b[None])[0, 0] < 0.15
    assert network(picture()).how == NO_FACE
    assert network(picture(), np.full((5, 2), np.nan)).how == NO_FACE
    assert network(picture(), LANDMARKS + 200).how == NO_FACE  # a crop that shows no face


def test_onnx_files_of_the_wrong_kind_are_one_sentence(tmp_path):
    cases = {
        "layout": onnx_file(tmp_path, name="layout", layout="NHWC"),
        "size": onnx_file(tmp_path, name="size", size=24),
        "face embedder": onnx_file(tmp_path, out=3, name="few"),
        "metric": onnx_file(tmp_path, name="metric", metric="taxi"),
        "threshold": onnx_file(tmp_path, name="threshold", threshold="high"),
        "eyes": onnx_file(tmp_path, name="eyes", eyes=[[1, 2]]),
    }
    (tmp_path / "text.onnx").write_text("no network")
    (tmp_path / "text.json").write_text('{"size": 16, "threshold": 1}')
    cases["not an ONNX network"] = str(tmp_path / "text.onnx")
    (tmp_path / "lone.onnx").write_text("")
    cases["beside it"] = str(tmp_path / "lone.onnx")
    cases["does not exist"] = str(tmp_path / "none.onnx")
    cases["unknown"] = "facenet"
    for words, path in cases.items():
        with pytest.raises(InputError, match=words) as error:
            recogniser.load_recogniser(path)
        assert "\n" not in str(error.value)


def test_dlib_points_keep_the_eyes():
    points = recogniser.dlib_points(LANDMARKS)
    assert np.allclose(points[:2].mean(0), LANDMARKS[1]) and np.allclose(
        points[2:4].mean(0), LANDMARKS[0]
    )
    assert 58 < points[4][1] < 75
    without_mouth = LANDMARKS.copy()
    without_mouth[3:] = np.nan
    assert np.abs(recogniser.dlib_points(without_mouth)[4] - points[4]).max() < 8


def test_dlib_finds_and_recognises_a_real_face():
    """NASA's portrait of Eileen Collins (public domain) from scikit-image."""
    from skimage.data import astronaut

    photo = astronaut()
    landmarks = np.array([[203, 101], [246, 103], [226, 126], [205, 141], [242, 142]], np.float32)
    network = recogniser.load_recogniser("dlib")
    face = network(photo)
    assert face.how == DETECTED and face.vector.shape == (128,)
    assert np.abs(face.points[2:4].mean(0) - landmarks[0]).max() < 8
    assert network(photo[:, ::-1].copy()).how == DETECTED

    def distance(other):
        return network.distances(face.vector[None], other.vector[None])[0, 0]

    by_hand = Face(network._embed(photo, recogniser.dlib_points(landmarks)), BY_LANDMARKS)
    assert distance(by_hand) < 0.35
    assert distance(network(photo[::-1].copy(), np.array(landmarks * [1, -1] + [0, 511]))) > 0.5
    assert np.array_equal(face.vector, network(photo).vector)
    assert network(np.full((300, 300, 3), 120, np.uint8)).how == NO_FACE


def test_missing_dlib_is_one_sentence(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(InputError, match=r"jaxderm\[audit\]"):
        recogniser.load_recogniser("dlib")
