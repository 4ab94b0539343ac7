"""Complexion: lips go with the skin and have no paint, teeth do not, edges of skin and brows are soft."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxderm.attributes import Attributes, BodySite, Sex, ita_of_lab, lab_to_rgb, rgb_to_lab
from jaxderm.data.complexion import (
    GREY_YEARS,
    LIP_COLOURS,
    SHINE,
    SKINS,
    WET,
    bare_cheeks,
    dark_hair,
    haircut,
    lips,
    natural_lips,
    soft_brows,
    soft_strands,
    toned,
)
from jaxderm.face import face_coordinates, face_skin_region
from jaxderm.train.grids import FRONTAL

SIZE = 128
POINTS = FRONTAL.astype(float)
SKIN, LIPS, TEETH = (66.0, 16.0, 19.0), (52.0, 30.0, 18.0), (85.0, 2.0, 6.0)
MOUTH = POINTS[3:].mean(0) * SIZE


def face(of_skin=SKIN, of_lips=LIPS) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A picture of bare skin with lips and teeth between them, which are no skin, and where they are."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    away = np.hypot((x - MOUTH[0]) / 16, (y - MOUTH[1]) / 8)
    where = {"teeth": away < 0.35, "lips": (away >= 0.4) & (away < 0.8), "skin": away > 1.2}
    lab = np.empty((SIZE, SIZE, 3), np.float32)
    lab[:] = of_skin
    lab[away < 1], lab[away < 0.38] = of_lips, TEETH
    return np.round(255 * lab_to_rgb(lab)).astype(np.uint8), (away >= 1).astype(np.float32), where


@settings(max_examples=15, deadline=None)
@given(st.floats(-70, 20))
def test_lips_get_darker_with_the_skin_and_teeth_do_not(ita):
    picture, skin, where = face()
    before, after = rgb_to_lab(picture), rgb_to_lab(toned(picture, skin, POINTS, ita))
    lightness = {n: np.median((after - before)[w][:, 0]) for n, w in where.items()}
    assert (
        lightness["skin"] < -4 and lightness["skin"] < lightness["lips"] < 0.25 * lightness["skin"]
    )
    assert abs(lightness["teeth"]) < 2
    assert np.median((after - before)[where["lips"]][:, 1]) < 2  # and no redder


@pytest.mark.parametrize("ita", [-50.0, 0.0, 55.0])
def test_the_skins_tone_is_reached(ita):
    picture, skin, _ = face()
    region = face_skin_region(POINTS * SIZE, (SIZE, SIZE))
    assert abs(ita_of_lab(rgb_to_lab(toned(picture, skin, POINTS, ita)[region])) - ita) < 3


def test_where_skin_ends_its_tone_does_softly():
    """A picture without an edge of its own gets none of a pixel's width."""
    picture = np.full(
        (SIZE, SIZE, 3), np.round(255 * lab_to_rgb(np.array(SKIN, np.float32))), np.uint8
    )
    skin = (np.arange(SIZE) < 100).astype(np.float32)[:, None] * np.ones(SIZE, np.float32)
    lightness = rgb_to_lab(toned(picture, skin, POINTS, -40.0))[:, 5, 0]
    assert np.ptp(lightness) > 25
    assert np.abs(np.diff(lightness)).max() < 0.75 * np.ptp(lightness)


def test_without_a_tone_or_skin_nothing_changes():
    picture, skin, _ = face()
    assert np.array_equal(toned(picture, skin, POINTS, None), picture)
    assert np.array_equal(toned(picture, np.zeros_like(skin), POINTS, -40.0), picture)
    unknown = np.full((5, 2), np.nan)
    assert not np.array_equal(toned(picture, skin, unknown, -40.0), picture)
    assert np.array_equal(soft_brows(picture, unknown), picture)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(40, 75), st.floats(-16, 4), st.floats(6, 22), st.floats(-4, 6), st.sampled_from(Sex)
)
def test_lips_become_as_red_as_unpainted_ones(light, darker, redder, yellower, sex):
    """Painted or pale: what is left is a fifth of their difference, and nothing else changes."""
    skin = np.array([light, 14.0, 17.0])
    picture, _, where = face(skin, skin + [darker, redder, yellower])
    result = natural_lips(picture, POINTS, sex)
    before, after = rgb_to_lab(picture), rgb_to_lab(result)
    colours = LIP_COLOURS.get(sex, np.mean(list(LIP_COLOURS.values()), axis=0))
    wanted = [np.interp(light, SKINS, pair) for pair in zip(*colours)]
    was, now = (np.median(lab[where["lips"]], axis=0) - skin for lab in (before, after))
    np.testing.assert_allclose(now, wanted + 0.2 * (was - wanted), atol=2)
    same = np.abs(np.arange(SIZE) + 0.5 - MOUTH[1]) > 12
    assert np.array_equal(result[same], picture[same])
    # Wider than a light on a lip.
    width = 2 * round(WET * (POINTS[4] - POINTS[3])[0] * SIZE) + 1
    teeth = ndimage.binary_opening(where["teeth"], np.ones((1, width)))
    assert teeth.any()
    assert np.array_equal(result[teeth], picture[teeth])


@pytest.mark.parametrize("colour", [(95.0, 2.0, 3.0), (95.0, 20.0, 12.0)])
def test_lips_do_not_shine_like_gloss(colour):
    """Neither on the line between them nor on themselves."""
    picture, _, _ = face()
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    spot = np.hypot(x - MOUTH[0], y - MOUTH[1] - 5) < 1.5
    picture[np.hypot((x - MOUTH[0]) / 16, (y - MOUTH[1]) / 8) < 0.4] = 60  # closed
    picture[spot] = np.round(255 * lab_to_rgb(np.array(colour, np.float32)))
    before, after = (
        rgb_to_lab(p)[spot][:, 0] for p in (picture, natural_lips(picture, POINTS, Sex.FEMALE))
    )
    shine = LIPS[0] + SHINE
    assert before.min() > shine + 20
    assert after.max() < shine + 0.45 * (before.max() - shine)


@pytest.mark.parametrize("wide", [2, 3, 4])
def test_a_light_on_the_lower_lip_is_lips_and_becomes_as_red(wide):
    picture, _, _ = face()
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    picture[np.hypot((x - MOUTH[0]) / 16, (y - MOUTH[1]) / 8) < 0.4] = 60  # closed
    spot = np.hypot((x - MOUTH[0] - 2) / wide, y - MOUTH[1] - 4.5) < 1
    picture[spot] = np.round(255 * lab_to_rgb(np.array(SKIN) + [10, 0, 0]))
    box, share = lips(picture, POINTS * SIZE)
    shown = np.zeros((SIZE, SIZE))
    shown[box] = share
    assert shown[spot].min() > 0.8
    out = rgb_to_lab(natural_lips(picture, POINTS, Sex.FEMALE))
    beside = (np.hypot((x - MOUTH[0] - 2) / (wide + 2), y - MOUTH[1] - 4.5) < 1) & ~spot
    lighter, redder, _ = np.median(out[spot], 0) - np.median(out[beside], 0)
    assert 0 < lighter < 13 and abs(redder) < 6


def test_strands_over_a_cheek_get_soft_and_those_over_a_forehead_stay():
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    across, down = face_coordinates(POINTS * SIZE - 0.5, (SIZE, SIZE))
    skin = np.abs(across) < 0.9
    strand = (np.abs(across) < 1.2) & (x.astype(int) % 4 == 0) & (np.abs(across) > 0.75)
    skin &= ~strand
    picture = np.where(skin[..., None], [205, 160, 140], [50, 40, 30]).astype(np.uint8)
    out = soft_strands(picture, skin.astype(np.float32), POINTS)

    def teeth(frame: np.ndarray, where: np.ndarray) -> float:
        return float(np.abs(np.diff(frame[..., 1].astype(float), axis=1))[where[:, 1:]].mean())

    beside = (np.abs(across) > 0.75) & (np.abs(across) < 0.9)
    cheek, forehead = beside & (down > 0) & (down < 1), beside & (down < -0.6)
    assert teeth(out, cheek) < 0.7 * teeth(picture, cheek)
    assert np.array_equal(out[forehead], picture[forehead])
    far = np.abs(across) < 0.4
    assert np.array_equal(out[far], picture[far])
    assert np.array_equal(
        soft_strands(picture, skin.astype(np.float32), np.full((5, 2), np.nan)), picture
    )


@pytest.mark.parametrize("wide", [2, 16])
def test_single_strands_over_a_cheek_become_skin_and_a_curtain_of_hair_stays(wide):
    """So do the skin's places; brows and what is above them stay."""
    across, down = face_coordinates(POINTS * SIZE - 0.5, (SIZE, SIZE))
    x = np.mgrid[:SIZE, :SIZE][1] + 0.5
    near = x[:, np.argmin(np.abs(across[0] - 0.95))][0]
    strand = np.abs(x - near - 0.5) < wide / 2
    brow = (np.abs(down + 0.35) < 0.05) & (np.abs(across) < 0.85)
    picture = np.full((SIZE, SIZE, 3), [205, 160, 140], np.uint8)
    picture[strand | brow] = [50, 40, 30]
    skin = (~(strand | brow)).astype(np.float32)
    out, bare = bare_cheeks(picture, skin, POINTS)
    cheek, above = strand & (down > 0) & (down < 1.2), down < -0.6
    left = np.abs(out[cheek].astype(float) - [205, 160, 140]).mean()
    assert (
        (left < 30 and bare[cheek].mean() > 0.5)
        if wide == 2
        else (left > 100 and bare[cheek].max() < 0.1)
    )
    for untouched in (above, brow & ~strand):
        assert np.array_equal(out[untouched], picture[untouched])
        assert np.array_equal(bare[untouched], skin[untouched])
    nowhere = bare_cheeks(picture, skin, np.full((5, 2), np.nan))
    assert np.array_equal(nowhere[0], picture) and np.array_equal(nowhere[1], skin)


def test_a_face_without_lips_to_be_seen_gets_none():
    picture, _, _ = face(SKIN, SKIN)
    assert lips(picture, POINTS * SIZE) is None
    for points in (POINTS, np.full((5, 2), np.nan)):
        assert np.array_equal(natural_lips(picture, points, Sex.MALE), picture)


@settings(max_examples=20, deadline=None)
@given(
    st.floats(12, 60),
    st.floats(0, 25),
    st.floats(-60, 60),
    st.floats(18, 80),
    st.sampled_from([*Sex]),
)
def test_dark_skin_has_no_fair_hair(light, chroma, ita, age, sex):
    """Brown and blond hair gets dark with the skin's tone, grey of the old and dark hair stays, and so does all of light skin."""
    picture, skin, _ = face()
    top = (np.arange(SIZE) < 20)[:, None] & np.ones(SIZE, bool)
    picture[top] = np.round(255 * lab_to_rgb(np.array([light, 0.5 * chroma, 0.87 * chroma])))
    skin[top] = 0
    facts = Attributes(sex, age, ita, BodySite.FACE)
    result = dark_hair(picture, skin, POINTS, facts)
    assert np.array_equal(result[~top], picture[~top])
    was, now = (np.median(rgb_to_lab(p[top])[:, 0]) for p in (picture, result))
    if ita >= -10 or (chroma < 5 and age >= GREY_YEARS[sex]):
        assert np.array_equal(result, picture)
    elif ita <= -30 and (chroma > 7 or age < GREY_YEARS[sex]):
        assert abs(now - 8) < 2.5
    else:
        assert 7 < now <= was + 0.5


def test_brows_lose_their_teeth_and_the_rest_of_the_face_stays():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    soft = soft_brows(picture, POINTS)
    across, down = face_coordinates(POINTS * SIZE - 0.5, (SIZE, SIZE))
    brows = (np.abs(np.abs(across) - 0.52) < 0.2) & (np.abs(down + 0.34) < 0.08)
    assert soft[brows].std() < 0.8 * picture[brows].std()
    assert abs(soft[brows].mean() - picture[brows].mean()) < 4
    rest = (down > 0) | (down < -0.7)
    assert np.array_equal(soft[rest], picture[rest])


@pytest.mark.parametrize("light, chroma", [(55.0, 4.0), (12.0, 2.0), (45.0, 20.0)])
@pytest.mark.parametrize("kind", ["cropped", "afro", "long"])
def test_cropped_and_grey_hair_is_told_from_other(kind, light, chroma):
    """On a blue backdrop, which is no hair; a grey so dark that it is black is none."""
    across, down = face_coordinates(POINTS * SIZE - 0.5, (SIZE, SIZE))
    head = np.hypot(across / 0.95, (down - 0.6) / 1.4) < 1
    around = {
        "cropped": np.hypot(across, (down + 0.2) / 0.9) < 1,
        "afro": np.hypot(across / 1.7, (down + 0.55) / 0.75) < 1,
        "long": (np.abs(across) < 1.35) & (down > -1.1) & (down < 1.6),
    }[kind]
    skin = (head & (down > -0.6)).astype(np.float32)
    lab = np.empty((SIZE, SIZE, 3), np.float32)
    lab[:] = 45.0, -4.0, -20.0
    lab[around] = light, 0.0, chroma
    lab[skin > 0] = SKIN
    picture = np.round(255 * lab_to_rgb(lab)).astype(np.uint8)
    found = haircut(picture, skin, POINTS * SIZE)
    assert found == (kind == "cropped", light == 55.0)
    assert haircut(picture, skin, np.full((5, 2), np.nan)) == (False, False)
