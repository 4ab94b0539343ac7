"""Exemplars: chosen by facts, mask and seed alone, features where they are asked for, skin of the tone."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from small_model import bank_arrays, picture

from jaxderm.attributes import (
    ADULT_AGE,
    PROTECTED_SITES,
    Attributes,
    BodySite,
    Field,
    Sex,
    Source,
)
from jaxderm.data import bank as banks
from jaxderm.data import exemplars, placement, warp
from jaxderm.data.bank_arrays import compressed, joined, pack
from jaxderm.data.exemplars import COVER, DRAWS, Bank, rows_of
from jaxderm.data.placement import SPOIL, TURN, face_fits, face_size
from jaxderm.data.proportions import MET, NOSE_MET, nose_of
from jaxderm.errors import InputError
from jaxderm.train.grids import FRONTAL

FACE = Attributes(Sex.FEMALE, 40.0, 20.0, BodySite.FACE, field=Field.WHOLE_SITE)
POINTS = FRONTAL.astype(float)
NOWHERE = np.full((5, 2), np.nan)


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank(bank_arrays())


def mask_at(x: float, y: float, radius: float = 0.04, size: int = 64) -> np.ndarray:
    v, u = (np.mgrid[:size, :size] + 0.5) / size
    return (np.hypot(u - x, v - y) < radius).astype(np.float32)


def draws_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1e-9, 1, DRAWS)


def test_a_bank_keeps_what_it_was_packed_of(bank):
    again = Bank({name: array.copy() for name, array in bank.arrays.items()})
    assert [e.attributes for e in again.entries] == [e.attributes for e in bank.entries]
    assert len(bank) == 24 + 2 * (len(BodySite) - 2)
    rng = np.random.default_rng(0)
    one = picture(rng, FACE, "p", 96)
    entry = Bank(pack([one], 96)).entries[0]
    assert entry.attributes == dataclasses.replace(FACE)
    np.testing.assert_allclose(entry.landmarks * 96, one.landmarks, atol=0.01)


def test_a_bank_of_two_has_the_pictures_of_both(bank):
    one = picture(np.random.default_rng(5), FACE, "another", 96)
    both = Bank(joined(bank.arrays, pack([one], 96)))
    assert [e.person for e in both.entries] == [*(e.person for e in bank.entries), "another"]
    for index in (0, len(bank) - 1):
        for ours, theirs in zip(both._decode(index), bank._decode(index)):
            np.testing.assert_array_equal(ours, theirs)
    assert both._decode(len(bank))[0].shape == (96, 96, 3)


@pytest.mark.parametrize("quality", [40, 75])
@pytest.mark.parametrize("kind", ["faces", "sites", "close_ups"])
def test_of_a_bank_only_what_is_asked_is_compressed_anew(bank, kind, quality):
    """Grown people's faces, other sites, close-ups of those; children's faces stay, and skins."""
    smaller = Bank(compressed(bank.arrays, **{kind: quality}))
    assert smaller.arrays["pictures"].size < bank.arrays["pictures"].size
    changed = []
    for index, entry in enumerate(bank.entries):
        facts = entry.attributes
        assert smaller.entries[index].attributes == facts
        (picture, skin), (before, its) = smaller._decode(index), bank._decode(index)
        assert np.abs(picture.astype(float) - before).mean() < 6
        np.testing.assert_array_equal(skin, its)
        of = "close_ups" if facts.field is Field.CLOSE_UP else "sites"
        if facts.site is BodySite.FACE:
            of = "faces" if facts.age >= ADULT_AGE else "children"
        changed.append(not np.array_equal(picture, before))
        assert changed[-1] <= (of == kind)
    assert any(changed) and not all(changed)
    np.testing.assert_array_equal(smaller.covers, bank.covers)


def test_a_bank_compressed_to_nothing_is_as_it_was(bank):
    for name, array in compressed(bank.arrays).items():
        np.testing.assert_array_equal(array, bank.arrays[name])


def test_skins_and_facts_are_small_and_exact(bank):
    """Two values, without loss; facts as JSON that is deflated."""
    one = picture(np.random.default_rng(5), FACE, "another", 96)
    packed = pack([one] * 20, 96)
    skin = Bank(packed)._decode(0)[1]
    np.testing.assert_array_equal(skin, one.skin.astype(np.uint8) * 255)
    assert len(json.dumps(rows_of(packed))) > 4 * packed["facts"].size
    assert len(rows_of(packed)) == 20


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([Sex.FEMALE, Sex.MALE]), st.floats(5, 85), st.sampled_from([-40.0, 0.0, 50.0]),
    st.integers(0, 2**20),
)  # fmt: skip
def test_a_face_has_the_sex_and_about_the_age(bank, sex, age, ita, seed):
    facts = dataclasses.replace(FACE, sex=sex, age=age, ita=ita)
    index = bank.choose(facts, POINTS, mask_at(0.6, 0.6), draws_of(seed)).entry
    found = bank.entries[index].attributes
    assert found.sex is sex and found.site is BodySite.FACE and found.field is Field.WHOLE_SITE
    assert (found.age >= ADULT_AGE) == (age >= ADULT_AGE)


def test_whose_age_is_not_named_is_shown_as_an_adult(bank):
    facts = dataclasses.replace(FACE, age=None, ita=None)
    for seed in range(40):
        index = bank.choose(facts, POINTS, mask_at(0.6, 0.6), draws_of(seed)).entry
        assert bank.entries[index].attributes.age >= ADULT_AGE


@pytest.mark.parametrize("age", [1.0, 3.0, 5.0])
def test_small_children_are_not_shown_as_big_ones(age):
    """Eight years more, which an adult may have, are hardly ever drawn."""
    rng, ages = np.random.default_rng(0), (age, *(age + 8 + k for k in range(5)))
    facts = [dataclasses.replace(FACE, age=a) for a in ages]
    children = Bank(pack([picture(rng, f, str(f.age)) for f in facts], 96))
    asked = dataclasses.replace(FACE, age=age)
    chosen = [
        children.choose(asked, POINTS, mask_at(0.6, 0.6), draws_of(seed)).entry
        for seed in range(60)
    ]
    assert np.mean(np.array(chosen) > 0) < 0.1


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(PROTECTED_SITES, key=str)), st.one_of(st.none(), st.floats(0, 17)))
def test_a_minor_at_the_trunk_is_only_ever_bare_skin(bank, site, age):
    facts, _ = Attributes(site=site, age=age, field=Field.WHOLE_SITE).for_model()
    for seed in range(5):
        index = bank.choose(facts, NOWHERE, mask_at(0.5, 0.5), draws_of(seed)).entry
        assert bank.entries[index].attributes.field is Field.CLOSE_UP
    # Nor does a bank without close-ups show more of anybody there.
    rng = np.random.default_rng(0)
    whole = [Attributes(site=s, age=40.0, field=Field.WHOLE_SITE) for s in (site, BodySite.ARM)]
    other = Bank(pack([picture(rng, f, f.site.value) for f in whole], 96))
    index = other.choose(facts, NOWHERE, mask_at(0.5, 0.5), draws_of(0)).entry
    assert other.entries[index].attributes.site is BodySite.ARM


def test_equal_draws_give_equal_pictures_and_others_another_person(bank):
    mask = mask_at(0.6, 0.6)
    first, again = (bank.exemplar(FACE, POINTS, mask, draws_of(1), 64) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    chosen = {bank.choose(FACE, POINTS, mask, draws_of(k)).entry for k in range(30)}
    assert len(chosen) >= 3


def test_the_barred_are_not_shown(bank):
    seen: list[int] = []
    for seed in range(8):
        index = bank.choose(FACE, POINTS, mask_at(0.6, 0.6), draws_of(seed), False, seen).entry
        assert bank.entries[index].attributes.sex is FACE.sex
        seen.append(int(bank.people[index]))
    assert len(set(seen)) == len(seen)


def test_steady_keeps_the_person_where_the_lesion_moves(bank):
    def people(steady: bool) -> list[int]:
        return [
            len({
                bank.people[bank.choose(FACE, POINTS + jitter, mask_at(x, y), draws_of(k), steady).entry]
                for x, y, jitter in ((0.5, 0.3, 0.0), (0.6, 0.6, 0.01), (0.4, 0.7, -0.01))
            })
            for k in range(20)
        ]  # fmt: skip

    assert np.mean(people(True)) <= np.mean(people(False))
    assert np.median(people(True)) == 1


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(-0.08, 0.08), st.floats(0.85, 1.15), st.integers(0, 99))
def test_features_come_to_lie_at_the_landmarks(bank, dx, dy, scale, seed):
    wanted = (POINTS - 0.5) * scale + 0.5 + [dx, dy]
    choice = bank.choose(FACE, wanted, mask_at(0.6, 0.6), draws_of(seed))
    points = bank.landmarks[choice.entry]
    points = placement.flipped(points) if choice.mirrored else points
    corners = placement.CORNERS
    grid = warp.bent_grid(choice.matrix, wanted[corners], points[corners], 400)
    at = np.clip((wanted[corners] * 400).astype(int), 0, 399)
    where = grid[at[:, 1], at[:, 0]]
    size = placement.face_size(points)
    assert np.linalg.norm(where - points[corners], axis=-1).max() < 0.06 * size


@pytest.mark.parametrize("ita", [-45.0, 0.0, 40.0])
def test_skin_gets_the_tone(bank, ita):
    from jaxderm.attributes import ita as ita_of
    from jaxderm.face import face_skin_region

    facts = dataclasses.replace(FACE, ita=ita)
    for seed in range(4):
        frame = bank.exemplar(facts, POINTS, mask_at(0.6, 0.6), draws_of(seed), 64)
        region = face_skin_region(POINTS * 64, (64, 64))
        assert abs(ita_of(frame, region) - ita) < 8


@settings(max_examples=20, deadline=None)
@given(st.floats(0.25, 0.75), st.floats(0.25, 0.75), st.integers(0, 99))
def test_kept_lies_on_skin_elsewhere(bank, x, y, seed):
    facts = Attributes(Sex.MALE, 40.0, 20.0, BodySite.BACK, field=Field.WHOLE_SITE)
    choice = bank.choose(facts, NOWHERE, mask_at(x, y), draws_of(seed))
    assert bank.entries[choice.entry].attributes.site is BodySite.BACK
    u, v = choice.matrix[:, :2] @ [x, y] + choice.matrix[:, 2]
    assert 1 / 8 - 0.05 < u < 7 / 8 + 0.05 and 1 / 8 - 0.05 < v < 7 / 8 + 0.05


def test_a_known_scale_is_kept(bank):
    for wanted in (10.0, 20.0, 30.0):
        facts = Attributes(site=BodySite.BACK, age=40.0, field_cm=wanted)
        choice = bank.choose(facts, NOWHERE, mask_at(0.5, 0.5), draws_of(0))
        width = bank.entries[choice.entry].attributes.field_cm * choice.matrix[0, 0]
        assert abs(np.log(width / wanted)) < 0.1


@settings(max_examples=20, deadline=None)
@given(st.floats(39.0, 44.0), st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.integers(0, 99))
def test_a_picture_that_fills_the_frame_is_taken_before_one_that_is_too_narrow(wanted, x, y, seed):
    """Though its person is fifteen years older, and but for the luck of one in twenty."""
    rng, back = np.random.default_rng(0), BodySite.BACK
    two = Bank(
        pack(
            [
                picture(rng, Attributes(Sex.MALE, age, 20.0, back, field_cm=width), str(age))
                for age, width in ((40.0, 30.0), (55.0, 45.0))
            ],
            96,
        )
    )
    facts = Attributes(Sex.MALE, 40.0, 20.0, back, field_cm=wanted)
    choice = two.choose(facts, NOWHERE, mask_at(x, y), np.maximum(draws_of(seed), 0.05))
    assert two.entries[choice.entry].attributes.field_cm == 45
    assert abs(np.log(45 * choice.matrix[0, 0] / wanted)) < 0.1
    corners = np.array([[0, 0], [1, 1]]) @ choice.matrix[:, :2].T + choice.matrix[:, 2]
    assert corners.min() > -1e-6 and corners.max() < 1 + 1e-6


@settings(max_examples=20, deadline=None)
@given(st.floats(6.0, 11.5), st.sampled_from([*Field]), st.integers(0, 99))
def test_a_part_of_a_picture_is_its_middle_if_nothing_speaks_for_another(wanted, field, seed):
    """A corner of a foot is an ankle."""
    foot = Attributes(Sex.MALE, 40.0, 20.0, BodySite.FOOT, field=Field.WHOLE_SITE, field_cm=16.0)
    bank = Bank(pack([picture(np.random.default_rng(0), foot, "one")], 96))
    bank.covers[:] = True
    facts = dataclasses.replace(foot, field=field, field_cm=wanted)
    choice = bank.choose(facts, NOWHERE, mask_at(0.2, 0.2), draws_of(seed))
    np.testing.assert_allclose(choice.matrix @ [0.5, 0.5, 1], 0.5, atol=1e-6)
    bank.covers[:] = np.arange(exemplars.COVER) < 12  # skin is to the left
    beside = bank.choose(facts, NOWHERE, mask_at(0.5, 0.5, 0.02), draws_of(seed))
    u, v = beside.matrix @ [0.5, 0.5, 1]
    assert (u < 0.5) != beside.mirrored and v == pytest.approx(0.5)


@pytest.mark.parametrize("site", [BodySite.EAR, BodySite.HAND, BodySite.CHEST, BodySite.FACE])
@pytest.mark.parametrize("wanted, field", [(13.0, Field.WHOLE_SITE), (6.0, Field.CLOSE_UP)])
def test_a_close_up_may_be_a_part_of_a_whole_site_unless_it_would_be_blurred(site, wanted, field):
    """Of two that fill the frame; at the trunk and the face it is a close-up always."""
    rng = np.random.default_rng(0)
    both = [
        picture(rng, Attributes(Sex.MALE, 40.0, 20.0, site, field=f, field_cm=cm), f.value)
        for f, cm in ((Field.WHOLE_SITE, 16.0), (Field.CLOSE_UP, 7.5))
    ]
    facts = Attributes(Sex.MALE, 40.0, 20.0, site, field=Field.CLOSE_UP, field_cm=wanted)
    bank = Bank(pack(both, 96))
    index = bank.choose(facts, NOWHERE, mask_at(0.5, 0.5), draws_of(0)).entry
    always = site in (*PROTECTED_SITES, BodySite.FACE)
    assert bank.entries[index].attributes.field is (Field.CLOSE_UP if always else field)


@pytest.mark.parametrize("beyond", [1, 7, 20])
def test_beyond_its_edge_a_picture_goes_on_mirrored(beyond):
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    places = (np.arange(-beyond, 24 + beyond) + 0.5) / 24
    grid = np.stack(np.meshgrid(places, places), -1)
    wanted = np.pad(picture, [(beyond, beyond)] * 2 + [(0, 0)], mode="reflect")
    np.testing.assert_allclose(warp.sample(picture, grid), wanted, atol=1)


def test_profiles_and_unknown_points_have_a_placement(bank):
    points = POINTS.copy()
    points[[1, 4]] = np.nan
    frame = bank.exemplar(FACE, points, mask_at(0.4, 0.6), draws_of(0), 64)
    assert np.isfinite(frame).all() and frame.std() > 1
    close = dataclasses.replace(FACE, field=Field.CLOSE_UP)
    index = bank.choose(close, NOWHERE, mask_at(0.5, 0.5), draws_of(0)).entry
    assert bank.entries[index].attributes.field is Field.CLOSE_UP


def test_what_is_no_bank_is_one_sentence(tmp_path):
    path = tmp_path / "bank.safetensors"
    for content in (
        {"pictures": np.zeros(3, np.uint8)},
        {**bank_arrays(), "facts": np.zeros(2, np.uint8)},
    ):
        save_file(content, path)
        with pytest.raises(InputError, match="cannot be read"):
            banks.load.__wrapped__(path)
    with pytest.raises(InputError, match="cannot be read"):
        banks.load(str(tmp_path / "none"))


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.12, 0.12))
def test_a_turned_head_fits_a_frontal_face_as_badly_as_its_nose_stands_aside(aside):
    """And a face that is turned alike fits as well as ever."""
    far = mask_at(0.02, 0.02, 0.01)
    turned = POINTS + np.array([[0, 0], [0, 0], [aside, 0], [0, 0], [0, 0]])
    covers = np.ones((1, COVER, COVER), bool)
    alike, apart = (
        face_fits(turned[None], landmarks, covers, far).penalty.min()
        for landmarks in (turned, POINTS)
    )
    assert abs(alike) < 1e-6
    assert abs(apart - abs(aside) / face_size(turned) / SPOIL * TURN) < 1e-6


def test_a_full_beard_is_shown_in_renders_and_not_in_photographs():
    """A refiner leaves a render's strokes of it."""
    arrays = bank_arrays()
    plain = Bank(arrays)
    row = next(
        k
        for k, e in enumerate(plain.entries)
        if e.attributes.sex is Sex.MALE and e.attributes.age > 35
    )
    facts = dataclasses.replace(plain.entries[row].attributes, source=Source.RENDER)
    covers = plain.covers.copy()
    points = plain.landmarks[row]
    covers[row, int(points[3:, 1].max() * covers.shape[1]) :] = False  # no skin from the mouth down
    bearded = Bank({**arrays, "covers": np.packbits(covers.reshape(len(covers), -1), axis=1)})

    def shown(bank: Bank, source: Source) -> int:
        asked = dataclasses.replace(facts, source=source)
        far = mask_at(0.02, 0.02, 0.01)
        return sum(
            bank.choose(asked, points, far, draws_of(seed)).entry == row for seed in range(40)
        )

    assert shown(plain, Source.PHOTO) > 5
    assert shown(bearded, Source.RENDER) > 5
    assert shown(bearded, Source.PHOTO) <= shown(bearded, Source.RENDER) / 2


def test_a_nose_that_hangs_over_the_lips_is_shown_in_renders_and_not_in_photographs():
    bank, points = Bank(bank_arrays()), POINTS.copy()
    points[2] = np.nan  # wherever the patient's is

    def people(source: Source) -> list[int]:
        asked, far = dataclasses.replace(FACE, source=source), mask_at(0.02, 0.02, 0.01)
        choices = (bank.choose(asked, points, far, draws_of(seed)) for seed in range(40))
        return [int(bank.people[choice.entry]) for choice in choices]

    bank._table["nose"][:] = 0.6
    renders, photographs = people(Source.RENDER), people(Source.PHOTO)
    person = max(set(photographs), key=photographs.count)
    bank._table["nose"][bank.people == person] = 0.8
    assert people(Source.RENDER) == renders
    assert photographs.count(person) > 5
    assert people(Source.PHOTO).count(person) <= photographs.count(person) / 2
    np.testing.assert_allclose(nose_of(np.stack([POINTS, points])), [14 / 29, np.nan], atol=1e-3)


@pytest.mark.parametrize("steady", [False, True])
@pytest.mark.parametrize(
    "hair, sex, age, wrong",
    [
        ((True, False), Sex.FEMALE, 30.0, True),
        ((True, False), Sex.MALE, 30.0, False),
        ((False, True), Sex.MALE, 30.0, True),
        ((False, True), Sex.FEMALE, 60.0, False),
    ],
)
def test_hair_that_a_photograph_does_not_have_is_hardly_shown(
    monkeypatch, hair, sex, age, wrong, steady
):
    """Cropped on a woman, grey on the young; of renders and others it is not asked."""
    bank = Bank(bank_arrays())
    monkeypatch.setattr(exemplars, "FITTING", 100.0)
    facts = dataclasses.replace(FACE, sex=sex, age=age, source=Source.PHOTO)
    far = mask_at(0.02, 0.02, 0.01)

    def shown(source: Source = Source.PHOTO) -> list[int]:
        asked = dataclasses.replace(facts, source=source)
        found = [bank.choose(asked, POINTS, far, draws_of(s), steady).entry for s in range(30)]
        return [int(bank.people[entry]) for entry in found]

    monkeypatch.setattr(bank, "_haircut", lambda person: (False, False))
    before = shown()
    often = max(set(before), key=before.count)
    monkeypatch.setattr(
        bank, "_haircut", lambda person: hair if person == often else (False, False)
    )
    assert (shown().count(often) < before.count(often)) == wrong
    assert shown(Source.RENDER).count(often) == before.count(often)


def test_childrens_hair_is_not_looked_at_and_that_of_the_grown_is(monkeypatch):
    bank, asked = Bank(bank_arrays()), []
    monkeypatch.setattr(bank, "_haircut", lambda person: asked.append(person) or (False, False))
    for age, looked in ((6.0, False), (30.0, True), (None, True)):
        facts = dataclasses.replace(FACE, age=age, source=Source.PHOTO)
        bank.choose(facts, POINTS, mask_at(0.6, 0.6), draws_of(0))
        assert bool(asked) == looked
        asked.clear()


@pytest.mark.parametrize("last", [(True, True), (False, True), (True, False)])
def test_hair_is_looked_at_in_every_picture_of_a_person(monkeypatch, last):
    bank = Bank(bank_arrays())
    bank.people[:] = 0
    count = int((bank.whole & (bank.sites == BodySite.FACE.value)).sum())
    looks = iter([*[(True, True)] * (count - 1), last])
    monkeypatch.setattr(exemplars, "haircut", lambda *_: next(looks))
    assert count > 1 and bank._haircut_of(0) == last


def test_a_kept_piece_of_a_nose_is_met_and_no_other(bank):
    shown, far = mask_at(*POINTS[2]), mask_at(0.05, 0.05)
    for seed in range(4):
        choice = bank.choose(FACE, POINTS, shown, draws_of(seed))
        points = bank.landmarks[choice.entry]
        tip = (placement.flipped(points) if choice.mirrored else points)[2]
        down = np.linalg.solve(choice.matrix[:, :2], tip - choice.matrix[:, 2])[1] - POINTS[2, 1]
        height = POINTS[3, 1] - POINTS[0, 1]
        wanted = float(np.clip(down / height, *NOSE_MET))
        assert choice.features[MET] == pytest.approx(wanted, abs=0.02)
        assert choice.features["nose_length"] == 0
        assert bank.choose(FACE, POINTS, far, draws_of(seed)).features[MET] == 0


def test_an_exemplar_says_where_its_nose_ends(bank):
    """About where portraits' do; in a render where the picture's does, moved by its length."""
    far, axis = mask_at(0.05, 0.05), POINTS[3:].mean(0) - POINTS[:2].mean(0)
    for seed in range(6):
        for source in (Source.RENDER, Source.PHOTO):
            facts = dataclasses.replace(FACE, source=source)
            choice = bank.choose(facts, POINTS, far, draws_of(seed))
            nose = bank.draw(choice, facts, POINTS, 64).nose
            shown = nose - bank._tip(choice.entry, choice.matrix, choice.mirrored)
            if source is Source.RENDER:
                np.testing.assert_allclose(shown, choice.features["nose_length"] * axis, atol=1e-9)
            else:
                assert choice.features["nose_length"] == 0
                # The other way than what is shown comes from.
                assert shown @ axis * choice.features[MET] < 0
                assert abs(shown @ axis / (axis @ axis)) < abs(choice.features[MET])
    hand = dataclasses.replace(FACE, site=BodySite.HAND, ita=None)
    choice = bank.choose(hand, np.full((5, 2), np.nan), far, draws_of(0))
    assert bank.draw(choice, hand, np.full((5, 2), np.nan), 64).nose is None


def test_lips_end_at_the_corners_of_a_mouth(bank, monkeypatch):
    """A picture's lips end before its landmarks: what lies so far out comes nearer to those of the frame."""
    seen = []
    whole = warp.bent_grid
    monkeypatch.setattr(exemplars, "bent_grid", lambda *given: seen.append(given) or whole(*given))
    choice = bank.choose(FACE, POINTS, mask_at(0.05, 0.05), draws_of(0))
    bank.draw(choice, FACE, POINTS, 64)
    _, target, source, _ = seen[0]
    points = bank.landmarks[choice.entry]
    points = placement.flipped(points) if choice.mirrored else points
    # Without the nose.
    np.testing.assert_allclose(target, POINTS[[0, 1, 3, 4]])
    np.testing.assert_allclose(source[:2], points[:2])
    np.testing.assert_allclose(source[2:].mean(0), points[3:].mean(0))
    np.testing.assert_allclose(source[3] - source[2], exemplars.LIPS * (points[4] - points[3]))


@pytest.mark.parametrize("part", ["soft_brows", "natural_lips", "dark_hair", "soft_strands"])
def test_only_faces_have_brows_lips_and_hair(bank, monkeypatch, part):
    monkeypatch.setattr(exemplars, part, lambda frame, *_: np.zeros_like(frame))
    hand = dataclasses.replace(FACE, site=BodySite.HAND, ita=None)
    some = mask_at(0.6, 0.6), draws_of(0), 64
    assert not bank.exemplar(dataclasses.replace(FACE, ita=None), POINTS, *some).any()
    assert bank.exemplar(hand, NOWHERE, *some).any()


def test_cheeks_of_a_face_are_bare_to_who_reads_its_skin(bank, monkeypatch):
    """Whatever is found bare is shown and is skin, on a face; a hand has no cheeks."""
    spot = np.s_[2:4, 2:4]

    def bared(frame, skin, _):
        frame, skin = frame.copy(), skin.copy()
        frame[spot], skin[spot] = 1, 0.5
        return frame, skin

    facts, some = dataclasses.replace(FACE, ita=None), (mask_at(0.6, 0.6), draws_of(0))
    hand = dataclasses.replace(facts, site=BodySite.HAND)
    with monkeypatch.context() as patch:
        patch.setattr(exemplars, "bare_cheeks", bared)
        patch.setattr(exemplars, "soft_strands", lambda frame, *_: frame)
        shown = bank.draw(bank.choose(facts, POINTS, *some), facts, POINTS, 64)
        other = bank.draw(bank.choose(hand, NOWHERE, *some), hand, NOWHERE, 64)
    assert (shown.picture[spot] == 1).all() and (shown.skin[spot] == 128).all()
    assert not (other.picture[spot] == 1).any()
