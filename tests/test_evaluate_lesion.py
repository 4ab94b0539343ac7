"""The lesion's figures: a one-pixel change, a halo, a moved outline, a spot and a seam are found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from jaxderm.attributes import lab_to_rgb
from jaxderm.evaluate import attributes, lesion
from jaxderm.release.kept import kept_on_face

SIDE = 200
SKIN, SPOT = np.array([68.0, 14, 18], np.float32), np.array([40.0, 20, 14], np.float32)


def scene(seed: int = 0, radius: int = 14) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(photo, lesion, kept): a brown disc on grainy skin; kept is 3 px larger."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(x - 105, y - 95)
    weight = np.clip((radius - distance) / 3 + 0.5, 0, 1)[..., None]
    lab = SKIN + weight * (SPOT - SKIN) + rng.normal(0, 0.6, (SIDE, SIDE, 3))
    return to_bytes(lab), distance < radius, distance < radius + 3


def to_bytes(lab: np.ndarray) -> np.ndarray:
    return np.round(255 * lab_to_rgb(lab)).astype(np.uint8)


def surround(kept: np.ndarray, photo: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """A release: kept from the photo, the rest of a given colour."""
    return np.where(kept[..., None], photo, to_bytes(lab))


def skin_lab(seed: int = 9) -> np.ndarray:
    return SKIN + np.random.default_rng(seed).normal(0, 0.6, (SIDE, SIDE, 3))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2))
def test_one_changed_kept_pixel_is_found(place, channel):
    photo, _, kept = scene()
    ys, xs = np.nonzero(kept)
    i = place % len(ys)
    release = photo.copy()
    box = (0, 0, SIDE, SIDE)
    assert lesion.exactness(photo, kept, release, box).exact
    release[ys[i], xs[i], channel] ^= 1
    found = lesion.exactness(photo, kept, release, box)
    assert found.changed == 1 and not found.exact and found.kept == kept.sum()


def test_a_release_that_cuts_kept_off_is_not_exact():
    photo, _, kept = scene()
    found = lesion.exactness(photo, kept, photo[:, 100:], (100, 0, SIDE, SIDE))
    assert found.changed == 0 and found.lost > 0 and not found.exact


def test_a_clean_release_has_the_same_lesion():
    photo, spot, kept = scene()
    release = surround(kept, photo, skin_lab())
    found = lesion.outline(photo, release, spot, kept)
    assert found.same and found.dice > 0.97 and found.drawn_dice > 0.9
    assert abs(lesion.halo(photo, release, spot, kept)) < 0.5
    assert lesion.outline(photo, photo, spot, kept).dice == 1.0


def test_colour_painted_outwards_is_found():
    """A seam that spreads the lesion's colour: a halo, and a larger lesion."""
    photo, spot, kept = scene()
    distance = ndimage.distance_transform_edt(~kept)
    fade = np.clip(1 - distance / 12, 0, 1)[..., None]
    weak = surround(kept, photo, skin_lab() + 0.3 * fade * (SPOT - SKIN))
    strong = surround(kept, photo, skin_lab() + 0.9 * fade * (SPOT - SKIN))
    assert lesion.halo(photo, weak, spot, kept) > lesion.HALO_GOAL
    found = lesion.outline(photo, strong, spot, kept)
    assert not found.same and found.area > 0.2
    dark = surround(kept, photo, np.full((SIDE, SIDE, 3), (46, 18, 15), np.float32))
    assert not lesion.outline(photo, dark, spot, kept).same


def test_a_faint_lesion_and_a_crop_are_not_measurable():
    photo, spot, kept = scene()
    plain = to_bytes(skin_lab())
    assert lesion.outline(plain, plain, spot, kept) is None
    box = np.s_[79:112, 89:122]  # only kept
    assert lesion.outline(photo[box], photo[box], spot[box], np.ones((33, 33), bool)) is None


def test_planted_spots_are_counted():
    lab = skin_lab()
    region = np.ones((SIDE, SIDE), bool)
    side = 400
    assert lesion.spots(to_bytes(lab), region, side) == 0
    y, x = np.mgrid[:SIDE, :SIDE]
    for cx, cy in ((40, 40), (150, 60), (90, 160)):
        lab[np.hypot(x - cx, y - cy) < 4, 0] -= 14
    assert lesion.spots(to_bytes(lab), region, side) == 3
    assert lesion.spots(to_bytes(lab), x < 100, side) == 2
    assert lesion.spots(to_bytes(lab), np.hypot(x, y) < 3, side) is None


def test_a_visible_seam_is_found():
    photo, _, _ = scene()
    y, x = np.mgrid[:SIDE, :SIDE]
    kept = np.hypot(x - 105, y - 95) < 24  # ends on plain skin
    before, skin = lesion.gradient(photo), np.ones((SIDE, SIDE), bool)
    clean = lesion.seam(before, surround(kept, photo, skin_lab()), kept, skin)
    step = lesion.seam(before, surround(kept, photo, skin_lab() + [6, 0, 0]), kept, skin)
    assert step.visibility == 1.0 and step.release > 2 * step.photo
    assert clean.release < 1.5 * clean.photo and len(clean.controls) > 5


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(0.8, 1.25), st.floats(-20, 20), st.floats(-20, 20))
def test_place_follows_a_moved_face(angle, scale, dx, dy):
    points = np.array([[140.0, 60], [120, 60], [60, 60], [80, 60], [100, 100]])
    spot = np.zeros((SIDE, SIDE), bool)
    spot[90:100, 118:128] = True
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points @ rotation.T + [dx, dy]
    found = lesion.place(points, moved, spot)
    centre = np.array([122.5, 94.5])
    expected = np.linalg.norm(rotation @ centre + [dx, dy] - centre) / 60
    assert found.lesion == pytest.approx(expected, abs=1e-6)
    assert lesion.place(points, points, spot).points == 0


def test_kept_share_of_the_face_warns_with_numbers():
    landmarks = np.array([[75, 80], [125, 80], [100, 105], [82, 130], [118, 130]], np.float32)
    y, x = np.mgrid[:SIDE, :SIDE]
    cheek = np.hypot(x - 130, y - 110) < 6
    found = kept_on_face(cheek, landmarks)
    assert found.warning is None and 0 < found.face < 0.05 and found.eyes == (0.0, 0.0)
    eye = np.hypot(x - 75, y - 80) < 15
    found = kept_on_face(eye, landmarks)
    assert found.eyes[0] > 0.9 and "1 of 2 eyes" in found.warning and "%" in found.warning
    everything = kept_on_face(np.ones((SIDE, SIDE), bool), landmarks)
    assert everything.face == 1.0 and "100 % of the face" in everything.warning
    assert kept_on_face(cheek, np.full((5, 2), np.nan)) is None


def test_tone_is_that_of_the_skin_and_nothing_is_said_of_black():
    picture = to_bytes(np.full((60, 60, 3), SKIN))
    everywhere = np.ones((60, 60), bool)
    assert attributes.tone(picture, everywhere) == pytest.approx(
        np.degrees(np.arctan2(SKIN[0] - 50, SKIN[2])), abs=1.0
    )
    assert attributes.tone(np.zeros_like(picture), everywhere) is None
    assert attributes.tone(picture, np.zeros((60, 60), bool)) is None


def test_tone_of_a_face_that_is_mostly_kept_is_not_that_of_its_backdrop():
    """A brown wall has a colour of skin, too; the face's own chin is left, or nothing is said."""
    landmarks = np.array([[40, 45], [60, 45], [50, 53], [42, 63], [58, 63]]) * 2.0
    y, x = np.mgrid[:200, :200]
    picture = lab_to_rgb(
        np.where((np.hypot(x - 100, y - 110) < 48)[..., None], [70, 12, 18], [35, 12, 22])
    )
    picture = (255 * picture).round().astype(np.uint8)
    for kept, wanted in ((y < 140, 48), (y < 165, None)):
        region = attributes.skin_region(picture, kept, landmarks)
        found = attributes.tone(picture, region)
        assert found is None if wanted is None else abs(found - wanted) < 3


def test_groups_have_intervals_and_a_gap():
    values = [1, 1, 1, 0, 0, 1, 0, 0, None]
    labels = ["female"] * 4 + ["male"] * 4 + ["male"]
    found = attributes.by_group(values, labels, share=True)
    assert found["groups"]["female"].value == 0.75 and found["groups"]["male"].value == 0.25
    assert found["gap"] == 0.5 and found["groups"]["male"].count == 4
    assert attributes.by_group([1.0], ["dark"], share=False)["gap"] is None
    assert attributes.age_band(17) == "under 18" and attributes.age_band(18) == "18-29"
    assert attributes.age_band(80) == "65 and over" and attributes.age_band(None) is None
