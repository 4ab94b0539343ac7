"""The detail head learns from portraits and frames of people alike, at one place of the face, and no mouths."""

import dataclasses
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy import ndimage
from small_model import LANDMARKS, deidentifier

from jaxderm.attributes import Attributes, BodySite, Sex
from jaxderm.commands import train_detail
from jaxderm.data.features import Record
from jaxderm.models import detail_head
from jaxderm.release.detail import WEIGHTS
from jaxderm.train import detail, detail_pictures
from jaxderm.train.detail_pictures import BATCH, CROP

SIZE = 128


def record(sex: Sex = Sex.FEMALE, age: float = 50.0, seed: int = 0) -> Record:
    """A picture of smooth noise with bright spots where the eyes are."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(0, 1, (110, 110, 3)), (1.5, 1.5, 0))
    image = np.clip(130 + 60 * image / image.std(), 0, 200).astype(np.uint8)
    y, x = np.mgrid[:110, :110]
    for eye in LANDMARKS[:2]:
        image[np.hypot(x - eye[0], y - eye[1]) < 2] = 255
    facts = Attributes(sex=sex, age=age, site=BodySite.FACE)
    return Record(image, None, None, LANDMARKS.copy(), facts, "p", "i")


def portraits(count: int = 6) -> list[detail_pictures.Picture]:
    rng = np.random.default_rng(1)
    people = [(Sex.FEMALE, 45.0), (Sex.MALE, 45.0), (Sex.FEMALE, 70.0), (Sex.MALE, 70.0)]
    chosen = itertools.islice(itertools.cycle(people), count)
    return [
        detail_pictures.of_portrait(record(*who, seed=k), SIZE, rng) for k, who in enumerate(chosen)
    ]


@pytest.fixture(scope="module")
def frames() -> list[detail_pictures.Picture]:
    draw = train_detail.drawer_of(deidentifier(64, exemplars=True))
    rng = np.random.default_rng(2)
    return [detail_pictures.of_frame(draw, 192, LANDMARKS, rng) for _ in range(4)]


@pytest.fixture(scope="module")
def crops(frames):
    return next(detail_pictures.batches(frames, portraits(), 0))


def test_a_portrait_lies_in_a_frame_as_faces_do_also_mirrored():
    """Its eyes are where its coordinates say, as far apart as in frames."""
    for seed in range(6):
        seen = detail_pictures.of_portrait(record(), SIZE, np.random.default_rng(seed)).seen
        across, down = seen[..., 2].astype(float), seen[..., 3].astype(float) + detail_head.BELOW
        bright = seen[..., 0] * (np.abs(down) < 0.15)
        eyes = []
        for side in (-1, 1):
            row, column = np.unravel_index(
                np.where(side * across > 0.2, bright, -9).argmax(), bright.shape
            )
            eyes.append((column, row, across[row, column]))
        assert eyes[0][2] == pytest.approx(-0.5, abs=0.2) and eyes[1][2] == pytest.approx(
            0.5, abs=0.2
        )
        apart = np.hypot(eyes[1][0] - eyes[0][0], eyes[1][1] - eyes[0][1])
        assert 56 < apart < 79


def test_beyond_a_portrait_there_is_nothing_to_learn():
    """Of one that ends beside an eye no crop shows what is beyond."""
    whole = record()
    cut = dataclasses.replace(whole, image=whole.image[:, :80])
    one = detail_pictures.of_portrait(cut, 256, np.random.default_rng(0))
    assert 0.2 < one.whole.mean() < 0.95
    for crop in next(detail_pictures.batches([one], [one], 0)).portraits[..., 0]:
        assert crop.std(0).min() > 0.02 and crop.std(1).min() > 0.02


def test_softer_portraits_have_less_contrast():
    for one in portraits():
        assert one.softer[..., 0].std() < 0.98 * one.seen[..., 0].std()
        assert np.array_equal(one.softer[..., 2:], one.seen[..., 2:])


def test_frames_are_of_both_sexes_and_as_the_model_settles_them(frames):
    assert {float(one.facts[0]) for one in frames} == {-1.0, 1.0}
    for one in frames:
        assert one.seen.shape == (64, 64, 4) and np.isfinite(one.seen.astype(float)).all()


def test_people_alike_are_compared_and_batches_are_the_same_again(frames):
    pictures = portraits()
    first, again = (
        list(itertools.islice(detail_pictures.batches(frames, pictures, 3), 3)) for _ in range(2)
    )
    for one, other in zip(first, again):
        for a, b in zip(one, other):
            assert np.array_equal(a, b)
        assert one.frames.shape == (BATCH, CROP, CROP, 4)
    assert not np.array_equal(first[0].frames, first[1].frames)
    for age in (-0.5, 0.75):  # (45 and 70 - MIDDLE) / YEARS
        woman = frames[0]._replace(facts=np.array([-1, age], np.float32))
        for row in next(detail_pictures.batches([woman], pictures, 3)).facts:
            assert row[0] == -1 and row[1] == pytest.approx(age)


def test_crops_show_one_place_of_the_face():
    """But for where the frame's border is near."""
    rng = np.random.default_rng(0)
    first, other = (detail_pictures.of_portrait(record(seed=k), 256, rng) for k in (0, 1))
    made = next(detail_pictures.batches([first], [other], 0))
    middles = [crops[:, CROP // 2, CROP // 2, 2:] for crops in (made.frames, made.portraits)]
    assert np.ptp(middles[0], axis=0).min() > 0.8
    near = np.abs(middles[0] - middles[1]).max(-1) < 0.25
    assert near.mean() > 0.7


def test_a_head_that_has_not_learnt_adds_nothing(crops):
    head = detail.initial(0)["head"]
    noise = np.ones(crops.frames.shape[:3], np.float32)
    added = detail_head.change(head, crops.frames, crops.facts, noise)
    assert float(jnp.abs(added).max()) < 1e-6


def test_a_head_adds_nothing_wide_and_no_pattern_of_every_other_pixel(crops):
    head = jax.tree.map(
        lambda v: v + 0.1 * np.random.default_rng(v.size).standard_normal(v.shape),
        detail.initial(0)["head"],
    )
    noise = np.random.default_rng(0).standard_normal(crops.frames.shape[:3]).astype(np.float32)
    added = np.asarray(detail_head.change(head, crops.frames, crops.facts, noise))
    inner = added[:, 8:-8, 8:-8]
    assert inner.std() > 0.01
    wide = np.stack([ndimage.gaussian_filter(one, 8) for one in added])[:, 16:-16, 16:-16]
    assert wide.std() < 0.2 * inner.std()
    pattern = (-1.0) ** np.arange(inner.shape[1])
    for axis in ("bij,i->bj", "bij,j->bi"):
        amplitude = np.einsum(axis, inner, pattern) / inner.shape[1]
        assert np.abs(amplitude).mean() < 0.05 * inner.std()


def test_the_discriminator_sees_no_mouth():
    judge = detail.initial(0)["judge"]
    judge = jax.tree.map(lambda v: v + 0.1, judge)
    down, across = np.meshgrid(
        np.linspace(0.2, 1.8, CROP), np.linspace(-0.8, 0.8, CROP), indexing="ij"
    )
    place = np.stack([across, down - detail_head.BELOW], -1)[None].astype(np.float32)
    mouth = (np.hypot(across / 0.6, (down - 1) / 0.3) < 1)[None]
    plain = np.zeros((1, CROP, CROP), np.float32)

    def said(contrast):
        apply = detail_head.DetailDiscriminator().apply
        return np.asarray(apply({"params": judge}, contrast, place, np.zeros((1, 2), np.float32)))

    assert np.array_equal(said(plain + mouth), said(plain))
    assert not np.array_equal(said(plain + ~mouth), said(plain))


def test_the_discriminator_is_held_where_it_is_steep(crops):
    """The penalties grow with its logits; of one that says the same of everything there is none."""
    judge = jax.tree.map(lambda v: v + 0.05, detail.initial(0)["judge"])
    made, key = crops.frames[..., 0], jax.random.key(0)

    def held(factor: float) -> float:
        steeper = {
            name: jax.tree.map(lambda v: factor * v, part) if name in ("Conv_2", "Conv_3") else part
            for name, part in judge.items()
        }
        return float(detail.penalty(steeper, made, tuple(crops), key))

    assert held(0.0) == 0
    assert held(2.0) == pytest.approx(4 * held(1.0), rel=1e-3) and held(1.0) > 0


def test_steps_teach_the_head_to_restore_portraits(crops):
    """Over the same crops again and again, and the average follows; a step is the same again."""
    optimizer, params = detail.optimizer_of(60), detail.initial(0)
    state = {"params": params, "average": params["head"], "optimizers": optimizer.init(params)}
    step, restored = detail.step_of(optimizer), []
    for number in range(24):
        last = state
        state, metrics = step(state, crops, number)
        restored.append(float(metrics["restored"]))
        assert all(np.isfinite(float(value)) for value in metrics.values())
    assert restored[-1] < 0.97 * restored[0]
    again, _ = step(last, crops, number)
    for a, b in zip(*(jax.tree.leaves(s["params"]) for s in (state, again))):
        assert np.array_equal(a, b)
    moved = [
        float(jnp.abs(a - b).max())
        for a, b in zip(jax.tree.leaves(state["average"]), jax.tree.leaves(params["head"]))
    ]
    assert max(moved) > 0


def test_the_program_writes_a_head_that_a_release_can_load(tmp_path, monkeypatch):
    """With a portrait of each sex and two frames, two steps."""
    monkeypatch.setattr(train_detail, "FRAMES", 2)
    monkeypatch.setattr(train_detail, "PORTRAITS", 4)
    people = [record(Sex.FEMALE), record(Sex.MALE, seed=1)]
    monkeypatch.setattr(train_detail.prepare, "load", lambda *_: people)
    small = deidentifier(64, exemplars=True)
    monkeypatch.setattr(train_detail.Deidentifier, "load", lambda _: small)
    for module in (detail, detail_pictures):  # the small model's frames are as small as a crop
        monkeypatch.setattr(module, "CROP", 32)
    output = tmp_path / "detail.safetensors"
    monkeypatch.setattr(sys, "argv", ["train_detail", "--output", str(output), "--steps", "2"])
    assert train_detail.main() == 0
    flat = load_file(output)
    assert {value.dtype for value in flat.values()} == {np.dtype(np.float16)}
    shipped = load_file(WEIGHTS)
    assert {n: v.shape for n, v in flat.items()} == {n: v.shape for n, v in shipped.items()}
    assert [p.name for p in tmp_path.iterdir()] == [output.name]


def test_a_corpus_that_is_not_there_or_has_no_faces_is_one_sentence(tmp_path, monkeypatch, capsys):
    output = tmp_path / "detail.safetensors"
    given = ["train_detail", "--output", str(output), "--data_dir", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", given)
    assert train_detail.main() == 2
    monkeypatch.setattr(train_detail.prepare, "load", lambda *_: [])
    assert train_detail.main() == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(line.startswith("error: ") for line in said)
    assert not output.exists()
