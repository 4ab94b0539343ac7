"""What an example is made of: keep-masks, painted lesions, and a frame that keeps its geometry."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxderm import attributes as attr
from jaxderm.attributes import CONDITION_GROUPS, Attributes, BodySite, Field, Sex, Source, View
from jaxderm.data import lesions, masks, pipeline, variants
from jaxderm.data.features import Record
from jaxderm.face import face_skin_region

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([64, 128])
EIGHT = np.ones((3, 3))
FLIPPED_POINTS = [1, 0, 2, 4, 3]


def disc(side: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return np.hypot(columns - x, rows - y) <= radius


# masks


@st.composite
def skins(draw: st.DrawFn) -> np.ndarray:
    """Skin [S,S] bool: everywhere, a disc, a strip, one pixel, scattered, nowhere."""
    size, rng = draw(SIZES), np.random.default_rng(draw(SEEDS))
    kind = draw(st.sampled_from(["all", "disc", "strip", "pixel", "scattered", "none"]))
    skin = np.zeros((size, size), bool)
    if kind == "all":
        skin[:] = True
    elif kind == "disc":
        skin = disc(size, *rng.uniform(0, size, 2), rng.uniform(2, size))
    elif kind == "strip":
        skin[:, size // 3 : size // 2] = True
    elif kind == "pixel":
        skin.flat[rng.integers(size * size)] = True
    elif kind == "scattered":
        skin = rng.random((size, size)) < 0.1
    return skin


@EXAMPLES
@given(skins(), SEEDS)
def test_a_mask_is_not_empty_and_lies_on_skin(skin, seed):
    mask = masks.draw_mask(np.random.default_rng(seed), skin)
    assert mask.shape == skin.shape and mask.dtype == bool and mask.any()
    if skin.any():
        assert not (mask & ~skin).any()
    np.testing.assert_array_equal(mask, masks.draw_mask(np.random.default_rng(seed), skin))


@EXAMPLES
@given(SIZES, SEEDS)
def test_a_mask_has_the_size_and_the_pieces_of_a_lesion(size, seed):
    mask = masks.draw_mask(np.random.default_rng(seed), np.ones((size, size), bool))
    assert 1 / size**2 <= mask.mean() < 0.5
    # Every piece is star-shaped, so it falls apart nowhere but where pixels are coarse.
    assert 1 <= ndimage.label(mask, EIGHT)[1] <= 12


def test_masks_span_the_range_of_lesions():
    skin = np.ones((128, 128), bool)
    drawn = [masks.draw_mask(np.random.default_rng(seed), skin) for seed in range(300)]
    shares = np.array([mask.mean() for mask in drawn])
    low, middle, high = np.quantile(shares, [0.02, 0.5, 0.98])
    assert 0.0003 < low < 0.003 and 0.008 < middle < 0.035 and 0.1 < high < 0.35
    pieces = np.array([ndimage.label(mask, EIGHT)[1] for mask in drawn])
    assert (pieces == 1).mean() > 0.5 and pieces.max() >= 5


@EXAMPLES
@given(skins(), SEEDS)
def test_a_grown_mask_contains_the_mask_and_some_skin_around_it(skin, seed):
    rng = np.random.default_rng(seed)
    mask = masks.draw_mask(rng, skin)
    grown = masks.grow(rng, mask)
    assert not (mask & ~grown).any()
    assert grown.all() or grown.sum() > mask.sum()
    reach = ndimage.distance_transform_edt(~mask)[grown].max()
    assert reach <= max(1, 0.16 * 2 * np.sqrt(mask.sum() / np.pi) + 1)


def test_the_region_of_a_face_reaches_over_eyes_and_lips():
    region = masks.face_region(POINTS, (320, 320))
    for x, y in POINTS.astype(int):
        assert region[y, x]
    assert 0.05 < region.mean() < 0.4 and not region[0].any() and not region[-1].any()
    unknown = POINTS.copy()
    unknown[2] = np.nan
    assert not masks.face_region(unknown, (320, 320)).any()


# lesions


@EXAMPLES
@given(skins(), SEEDS, st.sampled_from(list(lesions.KINDS)))
def test_paint_changes_nothing_outside_the_mask(skin, seed, kind):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*skin.shape, 3)).astype(np.uint8)
    mask = masks.draw_mask(rng, skin) & skin  # empty without skin
    before = image.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesions, "KINDS", {kind: lesions.KINDS[kind]})
        painted = lesions.paint(np.random.default_rng(seed), image, mask)
        again = lesions.paint(np.random.default_rng(seed), image, mask)
    np.testing.assert_array_equal(image, before)
    assert painted.dtype == np.uint8 and painted.shape == image.shape
    np.testing.assert_array_equal(painted[~mask], image[~mask])
    np.testing.assert_array_equal(painted, again)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", lesions.KINDS)
def test_black_pixels_are_painted_without_a_warning(kind):
    mask = np.zeros((32, 32), bool)
    mask[10:20, 8:22] = True
    painted = lesions.paint(np.random.default_rng(0), np.zeros((32, 32, 3), np.uint8), mask, kind)
    assert not painted[~mask].any()


@pytest.mark.parametrize("kind", lesions.KINDS)
def test_every_kind_can_be_seen(kind, monkeypatch):
    monkeypatch.setattr(lesions, "KINDS", {kind: lesions.KINDS[kind]})
    skin, mask = np.full((64, 64, 3), (200, 150, 125), np.uint8), disc(64, 32, 30, 12)
    for seed in range(5):
        painted = lesions.paint(np.random.default_rng(seed), skin, mask)
        change = attr.rgb_to_lab(painted[mask]) - attr.rgb_to_lab(skin[mask])
        assert np.linalg.norm(change, axis=-1).mean() > 2.5


# make_example

POINTS = np.array([[120, 120], [192, 120], [156, 160], [128, 200], [184, 200]], np.float32)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])
MAGENTA = np.array([255, 0, 255])


def face(**changes) -> Record:
    """A grey face with a coloured dot at each landmark and a magenta lesion on its forehead."""
    side = 320
    image = np.full((side, side, 3), 128, np.uint8)
    for (x, y), colour in zip(POINTS, COLOURS):
        image[disc(side, x, y, 8)] = colour
    lesion = disc(side, 150, 80, 12)
    image[lesion] = MAGENTA
    facts = Attributes(
        sex=Sex.MALE, age=50.0, ita=20.0, site=BodySite.FACE, view=View.IMAGE_LEFT,
        field_cm=32.0, source=Source.PHOTO,
    )  # fmt: skip
    values = {"image": image, "skin": disc(side, 150, 80, 20), "lesion": lesion,
              "landmarks": POINTS, "attributes": facts, "person_id": "p", "image_id": "i"}  # fmt: skip
    return Record(**{**values, **changes})


def near(image: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.abs(image.astype(int) - colour).sum(-1) < 120


def says(condition: np.ndarray, **facts) -> bool:
    """Whether the condition's groups of the given facts are as encoded."""
    wanted = attr.encode(Attributes(**facts))
    return all(np.array_equal(condition[g], wanted[g]) for n, g in CONDITION_GROUPS.items() if n in facts)  # fmt: skip


def test_what_lies_on_a_picture_moves_with_it(monkeypatch):
    monkeypatch.setattr(pipeline, "DROPOUT", 0.0)
    flips, eyes, middles = 0, [], []
    for seed in range(40):
        x = pipeline.make_example(face(), np.random.default_rng(seed), 128)
        flipped = says(x["condition"], view=View.IMAGE_RIGHT)
        flips += flipped
        assert flipped or says(x["condition"], view=View.IMAGE_LEFT)
        assert says(x["condition"], sex=Sex.MALE, age=50.0, ita=20.0, site=BodySite.FACE)
        assert says(x["condition"], field=Field.WHOLE_SITE), "framed by its landmarks"
        assert x["landmarks"][0, 0] < x["landmarks"][1, 0], "image-left comes first"
        order = FLIPPED_POINTS if flipped else range(5)
        for point, colour in zip(x["landmarks"], COLOURS[list(order)]):
            rows, columns = np.nonzero(near(x["image"], colour))
            centre = np.array([columns.mean(), rows.mean()]) + 0.5
            assert np.abs(centre - point * 128).max() < 1.0
        spot = near(x["image"], MAGENTA)
        if x["mask"][spot].mean() > 0.5:  # the lesion is what is kept
            assert x["mask"][spot].mean() > 0.95
        cm_a_pixel = 15 * np.exp(x["condition"][CONDITION_GROUPS["field_cm"]][1]) / 128
        distance = np.linalg.norm(x["landmarks"][1] - x["landmarks"][0]) * 128
        assert distance * cm_a_pixel == pytest.approx(7.2, abs=0.02), (
            "72 px of a 32 cm, 320 px picture"
        )
        eyes.append(x["landmarks"][:2].mean(0))
        middles.append((eyes[-1] + x["landmarks"][3:].mean(0)) / 2)
    assert 8 < flips < 32
    # As frame.face_box has it: centred between eyes and mouth, the eyes at 0.43 of the height.
    assert np.mean(middles, 0)[0] == pytest.approx(0.5, abs=0.01)
    assert np.mean(eyes, 0)[1] == pytest.approx(0.43, abs=0.01)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("shape", [(64, 64), (90, 200), (320, 240)])
def test_shapes_and_dtypes(size, shape):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    unknown = np.full((5, 2), np.nan, np.float32)
    arm = face(image=image, skin=None, lesion=None, landmarks=unknown)
    for record in (arm, face()):
        x = pipeline.make_example(record, rng, size)
        assert x["image"].shape == (size, size, 3) and x["image"].dtype == np.uint8
        assert x["mask"].shape == (size, size) and x["mask"].dtype == np.float32
        assert set(np.unique(x["mask"])) == {0.0, 1.0}
        assert x["landmarks"].shape == (5, 2) and x["landmarks"].dtype == np.float32
        assert x["condition"].shape == (attr.CONDITION_SIZE,)
        assert x["condition"].dtype == np.float32 and np.isfinite(x["condition"]).all()


@settings(EXAMPLES, max_examples=10)
@given(SEEDS)
def test_an_example_is_a_function_of_record_and_generator(seed):
    a, b = (pipeline.make_example(face(), np.random.default_rng(seed), 64) for _ in range(2))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_only_whole_faces_have_landmarks():
    hand = face(attributes=Attributes(site=BodySite.HAND))
    close = face(attributes=Attributes(site=BodySite.FACE, field=Field.CLOSE_UP))
    for record in (hand, close):
        for seed in range(5):
            x = pipeline.make_example(record, np.random.default_rng(seed), 64)
            assert np.isnan(x["landmarks"]).all()


def test_facts_are_dropped_now_and_then_and_a_lesion_nearly_always_kept():
    count, dropped, points, kept = 150, dict.fromkeys(CONDITION_GROUPS, 0), 0, 0
    for seed in range(count):
        x = pipeline.make_example(face(), np.random.default_rng(seed), 64)
        for name, group in CONDITION_GROUPS.items():
            dropped[name] += not x["condition"][group].any()
        points += np.isnan(x["landmarks"]).all()
        kept += x["mask"][near(x["image"], MAGENTA)].mean() > 0.9
    for name, number in (*dropped.items(), ("landmarks", points)):
        assert 0.03 < number / count < 0.2, f"{name} dropped {number} times of {count}"
    assert kept / count > 0.9


# variants


def portrait(tone: float = 20.0) -> Record:
    """A face of one skin colour on a grey ground; a white dot at each landmark."""
    side = 320
    image = np.full((side, side, 3), (90, 100, 110), np.uint8)
    image[disc(side, 156, 150, 100)] = (205, 160, 132)
    for x, y in POINTS:
        image[disc(side, x, y, 6)] = (255, 255, 255)
    facts = Attributes(ita=tone, site=BodySite.FACE, source=Source.PHOTO, age=40.0, sex=Sex.FEMALE)
    return face(image=image, skin=None, lesion=None, attributes=facts)


@settings(EXAMPLES, max_examples=15)
@given(SEEDS)
def test_a_variant_is_labelled_with_what_it_became(seed):
    record = portrait()
    varied = variants.vary(record, np.random.default_rng(seed))
    assert varied.image.shape == record.image.shape and varied.image.dtype == np.uint8
    white = (varied.image.min(-1) > 200) & (
        np.abs(varied.image.astype(int) - varied.image[..., :1]) < 12
    ).all(-1)
    d = np.linalg.norm(POINTS[1] - POINTS[0])
    for point, before in zip(varied.landmarks, POINTS):
        near_it = white & disc(320, point[0], point[1], 14)
        rows, columns = np.nonzero(near_it)
        assert np.abs([columns.mean() + 0.5, rows.mean() + 0.5] - point).max() < 3
        assert np.linalg.norm(point - before) < 0.6 * d
    cheeks = face_skin_region(varied.landmarks, varied.image.shape[:2])
    if varied.attributes.ita != 20.0:  # toned anew: the label is the picture's
        assert attr.ita(varied.image, cheeks) == pytest.approx(varied.attributes.ita, abs=0.01)
        assert variants.TONES[0] - 8 < varied.attributes.ita < variants.TONES[1] + 8
    assert dataclasses.replace(varied.attributes, ita=20.0) == record.attributes
    ground = varied.image[:10].reshape(-1, 3)
    assert np.abs(ground.astype(int) - (90, 100, 110)).max() <= 4, "only skin changes its tone"


def test_variants_are_many_people_of_many_tones():
    record = portrait()
    made = [variants.vary(record, np.random.default_rng(seed)) for seed in range(60)]
    tones = np.array([v.attributes.ita for v in made])
    assert 0.15 < np.mean(tones == 20.0) < 0.55, "a third keeps its tone"
    assert tones.min() < -30 and tones.max() > 45
    eyes = np.array([np.linalg.norm(v.landmarks[1] - v.landmarks[0]) for v in made])
    mouth = np.array([np.linalg.norm(v.landmarks[4] - v.landmarks[3]) for v in made])
    assert np.std(eyes / mouth) > 0.03, "proportions differ"


def test_only_photographed_faces_are_varied():
    def same(record, **options):
        a = pipeline.make_example(record, np.random.default_rng(3), 64, **options)
        b = pipeline.make_example(record, np.random.default_rng(3), 64)
        return np.array_equal(a["image"], b["image"])

    render = Attributes(site=BodySite.FACE, source=Source.RENDER)
    assert not same(portrait(), variant_share=1.0)
    assert same(portrait(), variant_share=0.0)
    assert same(face(attributes=render), variant_share=1.0)


def test_large_masks_keep_much_of_the_skin():
    skin = disc(128, 64, 64, 60)
    shares = []
    for seed in range(40):
        mask = masks.draw_large(np.random.default_rng(seed), skin)
        assert not (mask & ~skin).any()
        shares.append(mask.mean())
    assert 0.15 < np.median(shares) < 0.5 and max(shares) <= 0.69
    assert masks.draw_large(np.random.default_rng(0), np.zeros((64, 64), bool)).any()
