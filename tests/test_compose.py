"""Compositing: kept bytes, a seam that vanishes for skin, no halo of a dark lesion, matched grain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxderm.attributes import Attributes, BodySite, ita_of_lab, lab_to_rgb, rgb_to_lab
from jaxderm.frame import Frame
from jaxderm.release import compose as composing
from jaxderm.release.compose import compose, resize
from jaxderm.release.tone import calibrate

SIDE = 240
SKIN = np.array([66.0, 12.0, 17.0], np.float32)


def rgb(lab) -> np.ndarray:
    return 255 * lab_to_rgb(np.asarray(lab, np.float32))


def disc(radius: float, centre: tuple[int, int] = (120, 120)) -> np.ndarray:
    y, x = np.ogrid[:SIDE, :SIDE]
    return np.hypot(y - centre[0], x - centre[1]) < radius


def case(skin, lesion, radius: float = 25, margin: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Photo of a lesion disc of one colour (Lab) on skin of another, and kept."""
    photo = np.empty((SIDE, SIDE, 3), np.uint8)
    photo[:] = np.round(rgb(skin))
    photo[disc(radius)] = np.round(rgb(lesion))
    return photo, disc(radius + margin)


def drawn(skin, blob=None, size: int = 64) -> np.ndarray:
    """Generated frame [S,S,3] in [-1,1] of one skin colour, with a blurred blob in the middle."""
    lab = np.broadcast_to(np.asarray(skin, np.float32), (size, size, 3)).copy()
    if blob is not None:
        y, x = np.mgrid[:size, :size] / size - 0.5
        lab += np.exp(-(x**2 + y**2) / 0.022)[..., None] * (np.asarray(blob, np.float32) - lab)
    return 2 * lab_to_rgb(lab) - 1


def composed(photo, kept, frame01, margin: float = 6.0, grain: bool = False, toned: bool = True):
    frame = Frame((0, 0, SIDE, SIDE), frame01.shape[0] / SIDE)
    ita = float(ita_of_lab(rgb_to_lab((frame01[-2:] + 1) / 2).reshape(-1, 3))) if toned else None
    return compose(photo, kept, frame01, frame, margin, np.random.default_rng(0), grain, ita)


def ring(kept: np.ndarray, low: float, high: float) -> np.ndarray:
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(~kept)
    return (distance > low) & (distance <= high)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), st.integers(20, 220), st.integers(20, 220), st.integers(0, 2**31))
def test_kept_bytes_are_the_photos_and_nothing_else_is_read(radius, row, column, seed):
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    kept = disc(radius, (row, column))
    frame = drawn(SKIN)
    release = composed(photo, kept, frame, grain=True)
    assert release.dtype == np.uint8
    np.testing.assert_array_equal(release[kept], photo[kept])
    other = np.where(kept[..., None], photo, rng.integers(0, 256, photo.shape, dtype=np.uint8))
    np.testing.assert_array_equal(composed(other, kept, frame, grain=True), release)


@pytest.mark.parametrize(
    "difference", [(5, 0, 0), (-5, 2, 3), (-11, 1, -2), (8, -4, -4), (16, 1, 2)]
)
def test_the_seam_vanishes_where_the_rim_is_skin(difference):
    """Generated skin that is lighter, darker or of another tint meets the kept skin without a step."""
    photo, kept = case(SKIN, SKIN - [25, 0, 0])
    release = composed(photo, kept, drawn(SKIN + np.array(difference, np.float32)))
    step = rgb_to_lab(release)[ring(kept, 0, 2)].mean(0) - SKIN
    assert np.linalg.norm(step) < 2.0


@pytest.mark.parametrize("darker, yellower", [(16, 0), (6, 4), (-9, -5), (30, -2)])
def test_light_on_the_lesions_place_fades_and_leaves_the_tone(darker, yellower):
    """Skin that is lit otherwise at the lesion than generated: no step there, the same tone far away."""
    photo, kept = case(SKIN, SKIN - [25, 0, 0], radius=12)
    skin = SKIN - [darker, 0, yellower]
    release = composed(photo, kept, drawn(skin))
    near = rgb_to_lab(release)[ring(kept, 0, 2)].mean(0)
    cheek = rgb_to_lab(release)[ring(kept, 0.16 * SIDE, 0.18 * SIDE)]  # a cheek away from a nose
    far = rgb_to_lab(release[:8, :8]).reshape(-1, 3)
    if abs(darker) <= 16:
        assert np.linalg.norm(near - SKIN) < 2.0
    for place in (cheek, far):
        assert abs(ita_of_lab(place) - ita_of_lab(skin[None])) < 1.5


def test_where_no_tone_is_named_the_person_takes_after_the_kept_skin():
    photo, kept = case(SKIN, SKIN - [25, 0, 0], radius=12)
    skin = SKIN - [16, 0, 0]
    far = rgb_to_lab(composed(photo, kept, drawn(skin), toned=False)[:8, :8]).reshape(-1, 3)
    assert 4.0 < far[:, 0].mean() - skin[0] < 7.5


COLOURS = st.tuples(st.floats(20, 85), st.floats(5, 25), st.floats(4, 28)).map(np.array)
SHIFTS = st.tuples(st.floats(-6, 6), st.floats(-10, 5), st.floats(-8, 8)).map(np.array)


@settings(max_examples=60, deadline=None)
@given(SHIFTS, COLOURS)
def test_what_is_shifted_along_a_tone_keeps_it(shift, skin):
    ita = ita_of_lab(skin[None])
    along = composing._along_tone(shift, ita)
    moved = skin + along
    # On the line, L* - 50 and b* stay in proportion.
    assert abs((moved[0] - 50) * skin[2] - (skin[0] - 50) * moved[2]) < 1e-3
    assert along[1] == pytest.approx(shift[1], abs=1e-5), "redness has no part in a tone"
    np.testing.assert_allclose(composing._along_tone(along, ita), along, atol=1e-4)
    size = np.array([1 / 8, 1 / 5])
    assert np.linalg.norm(along[[0, 2]] * size) <= np.linalg.norm(shift[[0, 2]] * size) + 1e-6


def test_a_cheek_in_the_light_does_not_take_the_face_from_its_tone():
    """The tone's own line is kept to, not that of lighter skin around kept, which falls more steeply."""
    face, bright = np.array([57.0, 14, 20]), np.array([66.0, 14, 20])
    photo, kept = case(face - [0, 0, 8], SKIN - [25, 0, 0])
    frame = drawn(face)
    size = len(frame)
    y, x = np.mgrid[:size, :size] / size - 0.5
    near = (np.hypot(x, y) < 0.35)[..., None]
    frame = np.where(near, drawn(bright), frame)
    lab = rgb_to_lab(composed(photo, kept, frame))[:8, :8].reshape(-1, 3)
    assert lab[:, 2].mean() < face[2] - 3
    assert abs(ita_of_lab(lab) - ita_of_lab(face[None])) < 1.5


@settings(max_examples=30, deadline=None)
@given(st.floats(-45, 65), st.floats(35, 78), st.floats(10, 24))
def test_calibration_reaches_the_tone_and_never_burns_it_out(ita, lightness, yellow):
    picture = drawn([lightness, 12, yellow])
    start = float(np.degrees(np.arctan2(lightness - 50, yellow)))
    tone = np.clip(ita, start - 25, start + 25)
    attributes = Attributes(ita=float(tone), site=BodySite.ARM)
    result = calibrate(picture, attributes, np.full((5, 2), np.nan))
    lab = rgb_to_lab((result + 1) / 2)
    assert abs(ita_of_lab(lab) - tone) < 4.0
    assert lab[..., 0].max() < 88 and lab[..., 2].min() > 3


@pytest.mark.parametrize("ita", [52.0, 30.0])
def test_hair_of_a_skins_colour_does_not_count_as_skin_of_a_render(ita):
    """Two thirds brown hair, one third skin of some tone: its tone becomes the declared one and the hair stays."""
    size = 64
    lab = np.tile(np.array([30.0, 9.0, 15.0], np.float32), (size, size, 1))
    shown = np.zeros((size, size), np.float32)
    lab[:20], shown[:20] = SKIN, 1.0
    facts = Attributes(site=BodySite.SCALP, ita=ita)
    result = calibrate(2 * lab_to_rgb(lab) - 1, facts, np.full((5, 2), np.nan), shown)
    after = rgb_to_lab((result + 1) / 2)
    assert abs(ita_of_lab(np.median(after[:18].reshape(-1, 3), axis=0)) - ita) < 5
    assert np.abs(after[24:] - lab[24:]).max() < 3


def test_a_lesion_that_the_model_smeared_outwards_is_wiped_off():
    photo, kept = case(SKIN, SKIN - [14, 0, 0])
    smeared = drawn(SKIN, SKIN - [14, 0, 0])
    before = 255 * resize((smeared + 1) / 2, SIDE, (0, 0, SIDE, SIDE))
    near = ring(kept, 0, 4)
    assert rgb_to_lab(before / 255)[near, 0].mean() < SKIN[0] - 4
    after = rgb_to_lab(composed(photo, kept, smeared))[near, 0].mean()
    assert after > SKIN[0] - 1.5


@pytest.mark.parametrize("margin", [0, 6])
def test_a_black_disc_on_skin_gets_no_halo(margin):
    """DESIGN, contract 5: no halo above 2 Delta-E, with the margin and without."""
    photo, kept = case(SKIN, (3.0, 0.0, 0.0), margin=margin)
    release = composed(photo, kept, drawn(SKIN), margin)
    lab = rgb_to_lab(release)[~kept]
    assert np.linalg.norm(lab - SKIN, axis=-1).max() < 2.0


@pytest.mark.parametrize("lesion", [(38.0, 18.0, 22.0), (50.0, 34.0, 20.0), (90.0, 2.0, 4.0)])
def test_lesion_colour_of_a_tight_mask_does_not_spread(lesion):
    photo, kept = case(SKIN, lesion, margin=0)
    release = composed(photo, kept, drawn(SKIN), 0.0)
    assert np.linalg.norm(rgb_to_lab(release)[~kept] - SKIN, axis=-1).max() < 2.0


def test_a_rim_that_varies_meets_its_own_colours():
    """Not the rim's average: at every angle the step is small."""
    y, x = np.mgrid[:SIDE, :SIDE] - 120
    wave = 5 * np.sin(16 * np.arctan2(y, x))
    photo, kept = case(SKIN, SKIN - [25, 0, 0])
    skin = ~disc(25)
    photo[skin] = np.round(rgb(SKIN + wave[skin, None] * [1, 0, 0]))
    lightness = rgb_to_lab(composed(photo, kept, drawn(SKIN)))[..., 0]
    near = ring(kept, 0, 1.5)
    assert np.abs(lightness - SKIN[0] - wave)[near].mean() < 1.0  # 3.2 if it met the average


def test_shade_on_one_side_goes_on_outside_and_a_lesion_at_the_rim_does_not():
    lesion, shade = SKIN - [36, -3, 4], SKIN - [14, 3, 4]
    photo, kept = case(SKIN, lesion)
    side = np.arange(SIDE) > 120
    near = ring(kept, 0, 2) & (np.abs(np.arange(SIDE) - 120) > 12)

    def step(colour) -> float:
        """Delta-E from `colour` of what lies just outside kept, where the rim's right half has it."""
        given = photo.copy()
        given[:, side] = np.where(disc(25)[:, side, None], given[:, side], np.round(rgb(colour)))
        lab = rgb_to_lab(composed(given, kept, drawn(SKIN)))
        assert np.linalg.norm(lab[near & ~side].mean(0) - SKIN) < 2.0
        return float(np.linalg.norm(lab[near & side].mean(0) - colour))

    assert step(shade) < 4.0
    assert step(lesion) > 0.8 * np.linalg.norm(lesion - SKIN)


def test_a_feature_that_kept_cuts_through_ends_softly_and_no_lesion_does():
    """A brow at a tenth of the rim has no edge as of scissors; a lesion all along it is not painted outwards."""
    photo, kept = case(SKIN, SKIN - [25, 0, 0])
    brow = np.array([25.0, 4.0, 6.0], np.float32)
    dark = (np.abs(np.arange(SIDE) - 120) < 9)[None] & (np.arange(SIDE) < 100)[:, None]
    photo[dark & ~disc(25)] = np.round(rgb(brow))
    edge = rgb_to_lab(composed(photo, kept, drawn(SKIN)))[86:91, 120, 0]
    assert kept[90, 120] and not kept[89, 120]
    assert edge[4] < edge[3] - 8 and edge[3] < SKIN[0] - 8 and edge[0] > SKIN[0] - 1
    photo[~disc(25)] = np.round(rgb(brow))
    lightness = rgb_to_lab(composed(photo, kept, drawn(SKIN)))[..., 0]
    assert abs(lightness[ring(kept, 0, 2)].mean() - SKIN[0]) < 2.0


@pytest.mark.parametrize("half", [6, 12])
@pytest.mark.parametrize("lesion", [(-25, 0, 0), (-30, 10, 2), (-12, 14, 4)])
def test_a_lesion_that_the_mask_left_out_at_the_rim_is_not_painted_outwards(lesion, half):
    """An arm of the lesion, up to a seventh of the rim wide, leaves kept; beyond it lies skin from the first pixels."""
    colour = SKIN + np.array(lesion, np.float32)
    photo, kept = case(SKIN, colour)
    arm = (np.abs(np.arange(SIDE) - 120) <= half)[None] & (np.arange(SIDE) < 120)[:, None]
    photo[arm] = np.round(rgb(colour))
    lab = rgb_to_lab(composed(photo, kept, drawn(SKIN)))
    for row in (89, 88, 86):
        assert kept[90, 120] and not kept[row, 120]
        beyond = lab[row, 120 - half + 2 : 120 + half - 1]
        assert np.linalg.norm(beyond - SKIN, axis=-1).mean() < 3.0


def test_drawn_lips_end_softly_at_kept_skin():
    """And are lips from a few pixels on."""
    photo, kept = case(SKIN, SKIN - [25, 0, 0])
    lips = np.array([45.0, 38.0, 16.0], np.float32)
    frame = drawn(SKIN)
    frame[16:24, 24:40] = 2 * lab_to_rgb(lips) - 1  # rows 60 to 89 of the photo, above kept
    redness = rgb_to_lab(composed(photo, kept, frame))[:, 120, 1]
    assert kept[90, 120] and not kept[89, 120]
    assert redness[89] < SKIN[1] + 0.3 * (lips[1] - SKIN[1]) and redness[85] > lips[1] - 3


def test_redness_of_the_rim_does_not_redden_the_person():
    inflamed = SKIN + np.array([0, 12, 0], np.float32)
    photo, kept = case(inflamed, SKIN - [20, 0, 0])
    release = composed(photo, kept, drawn(SKIN))
    assert rgb_to_lab(release)[ring(kept, 30, 60), 1].mean() < SKIN[1] + 5.5


def test_lips_and_background_keep_their_colour():
    photo, kept = case(SKIN - [3, 0, 0], SKIN - [25, 0, 0])
    frame = drawn(SKIN)
    frame[:, 44:] = 2 * lab_to_rgb(np.array([40.0, 0.0, -25.0], np.float32)) - 1  # blue cloth
    release = composed(photo, kept, frame)
    cloth = rgb_to_lab(release[:, 200:])
    assert np.abs(cloth.reshape(-1, 3).mean(0) - [40, 0, -25]).max() < 2.0


def test_a_large_frame_in_strips_is_the_same_picture(monkeypatch):
    """What is composed in strips for memory's sake differs by a level in a few pixels at most."""
    from small_model import FACTS, deidentifier, photo_and_mask

    photo, mask = photo_and_mask(1300, 700)
    one = deidentifier().resolve(photo, mask, FACTS, frame="-300,0,1300")
    whole = deidentifier().release(one)
    monkeypatch.setattr(composing, "WHOLE_PIXELS", 1000)
    strips = deidentifier().release(one)
    difference = np.abs(whole.pixels.astype(int) - strips.pixels)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-4
    np.testing.assert_array_equal(whole.pixels[whole.kept], strips.pixels[strips.kept])


def test_ears_and_lips_move_with_the_skin_and_the_backdrop_does_not():
    """What is redder than the skin has more blood; what is bluer is none."""
    photo, kept = case(SKIN, SKIN - [25, 0, 0])
    drawn_skin = SKIN + np.array([0, 8, 0], np.float32)
    frame = drawn(drawn_skin)
    redder, bluer = (np.array(drawn_skin + c, np.float32) for c in ([0, 14, 4], [0, -4, -22]))
    frame[:16, :40], frame[:16, 60:] = 2 * lab_to_rgb(redder) - 1, 2 * lab_to_rgb(bluer) - 1
    lab = rgb_to_lab(composed(photo, kept, frame))
    skin = drawn_skin[1] - lab[200:, :, 1].mean()
    assert skin > 4
    assert redder[1] - lab[10:40, 10:80, 1].mean() > 0.7 * skin
    assert abs(bluer[1] - lab[10:40, -60:, 1].mean()) < 0.5 * skin


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 5), st.floats(5, 9))
def test_a_pale_forehead_does_not_become_green_where_the_skin_loses_redness(pale, less):
    photo, kept = case(SKIN, SKIN - [25, 0, 0])
    red = SKIN[1] + less
    frame = drawn([SKIN[0], red, SKIN[2]])
    frame[:16] = 2 * lab_to_rgb(np.array([SKIN[0], pale, SKIN[2]], np.float32)) - 1
    lab = rgb_to_lab(composed(photo, kept, frame))
    assert lab[10:40, :, 1].mean() > pale - 0.5 * less
    assert lab[10:40, :, 1].mean() > -0.5
    # Skin of the common redness loses what kept has less, as far as is allowed.
    assert lab[200:, :, 1].mean() < red - 0.6 * less


@settings(max_examples=15, deadline=None)
@given(st.floats(2, 12))
def test_skin_does_not_become_green_for_a_rim_without_redness(less):
    """Of a beard's shade: a face loses redness down to the least that skin has, and near kept what the rim has."""
    photo, kept = case(SKIN - [0, less, 0], SKIN - [25, 0, 0])
    lab = rgb_to_lab(composed(photo, kept, drawn(SKIN)))
    far, near = lab[200:].mean((0, 1)), lab[ring(kept, 0, 2)].mean(0)
    assert far[1] > max(SKIN[1] - less, 0.58 * far[2]) - 0.5
    assert near[1] < SKIN[1] - 0.6 * less


@pytest.mark.parametrize("dark, paler", [(30, True), (50, False)])
def test_a_beard_all_along_the_rim_tells_of_colour_and_a_lesion_does_not(dark, paler):
    """Skin of the drawn person that is more colourful than the beard's loses of that, and no light."""
    orange = np.array([SKIN[0], SKIN[1] + 10, SKIN[2] + 12], np.float32)
    photo, kept = case(SKIN - [dark, 4, 8], SKIN - [dark + 8, 0, 0])
    lab = rgb_to_lab(composed(photo, kept, drawn(orange), toned=False))[200:].mean((0, 1))
    lost = orange - lab
    assert abs(lost[0]) < 1
    assert (lost[1:] > 5).all() if paler else (np.abs(lost[1:]) < 1).all()
