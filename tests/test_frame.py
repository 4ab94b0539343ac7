"""Frames contain kept on the photo's grid; evidence is a function of kept pixels only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxderm import frame as frames
from jaxderm.attributes import BodySite
from jaxderm.errors import InputError

EXAMPLES = settings(max_examples=60, deadline=None)
FACE = np.array([[277, 321], [489, 315], [375, 420], [308, 537], [471, 532]], np.float32)
NAN = [np.nan, np.nan]


@st.composite
def kept_masks(draw: st.DrawFn) -> np.ndarray:
    """Masks [H,W] bool: one pixel, a ring, two pieces, a border strip, noise, everything."""
    height, width = draw(st.sampled_from([(33, 47), (47, 33), (64, 64), (200, 31), (300, 420)]))
    y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    radius = draw(st.integers(1, 40))
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot(rows - y, columns - x)
    kind = draw(st.sampled_from(["pixel", "ring", "pieces", "border", "noise", "all"]))
    mask = distance < 1
    if kind == "ring":
        mask |= (distance <= radius) & (distance > radius - 2)
    elif kind == "pieces":
        mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = True
    elif kind == "border":
        mask[:, : 1 + radius % width] = True
    elif kind == "noise":
        mask |= np.random.default_rng(radius).random((height, width)) < 0.2
    elif kind == "all":
        mask[:] = True
    return mask


@st.composite
def face_points(draw: st.DrawFn) -> np.ndarray:
    points = st.tuples(st.integers(0, 420), st.integers(0, 420))
    landmarks = np.array([draw(points) for _ in range(5)], np.float32)
    landmarks[draw(st.integers(0, 4))] += 0.37
    return landmarks


def check_frame(frame: frames.Frame, mask: np.ndarray, model_size: int) -> None:
    x0, y0, x1, y1 = frame.box
    assert all(type(value) is int for value in frame.box)
    assert x1 - x0 == y1 - y0 == frame.side > 0
    assert frame.scale == model_size / frame.side
    left, top, right, bottom = frame.inside(*mask.shape)
    assert mask[top:bottom, left:right].sum() == mask.sum()
    # 2 % to spare on each side, or the photo ends
    box = frames.bounding_box(mask)
    spare = 0.02 * max(box[2] - box[0], box[3] - box[1])
    assert x0 <= max(box[0] - spare, 0) and y0 <= max(box[1] - spare, 0)
    assert x1 >= min(box[2] + spare, mask.shape[1]) and y1 >= min(box[3] + spare, mask.shape[0])


@EXAMPLES
@given(kept_masks(), st.sampled_from([64, 128, 256]))
def test_lesion_frame_contains_kept_and_stays_on_the_photo(mask, model_size):
    frame = frames.lesion_frame(mask, model_size)
    check_frame(frame, mask, model_size)
    height, width = mask.shape
    box = frames.bounding_box(mask)
    longer = max(box[2] - box[0], box[3] - box[1])
    assert frame.side == min(max(6 * longer, 256), max(height, width))
    left, top, right, bottom = frame.inside(height, width)
    assert right - left == min(frame.side, width) and bottom - top == min(frame.side, height)
    assert 0 < frames.share_of_frame(mask, frame) <= 1


@EXAMPLES
@given(kept_masks(), face_points(), st.sets(st.integers(0, 4), max_size=3))
def test_face_frame_contains_kept_or_says_what_is_missing(mask, landmarks, unknown):
    landmarks[list(unknown)] = np.nan
    try:
        frame = frames.face_frame(landmarks, mask, 128)
    except InputError as error:
        assert "both eyes" in str(error)
        return
    check_frame(frame, mask, 128)


def test_face_frame_of_a_plain_face_is_as_designed():
    mask = np.zeros((800, 800), bool)
    mask[420, 375] = True
    frame = frames.face_frame(FACE, mask, 128)
    eyes, mouth = FACE[:2].mean(0), FACE[3:].mean(0)
    size = max(np.linalg.norm(FACE[1] - FACE[0]), np.linalg.norm(mouth - eyes))
    assert frame.side == round(3.4 * size)
    assert abs((frame.box[0] + frame.box[2]) / 2 - (eyes[0] + mouth[0]) / 2) <= 1
    assert abs(frame.box[1] + 0.43 * frame.side - eyes[1]) <= 1
    # Growing for a lesion below: the old frame and the lesion both lie in the new one.
    mask[:] = False
    mask[795:, 300:330] = True
    grown = frames.face_frame(FACE, mask, 128)
    assert grown.box[1] == frame.box[1] and grown.box[3] == 800
    assert grown.box[0] <= frame.box[0] and grown.box[2] >= frame.box[2]


def test_face_frame_with_some_landmarks():
    mask = np.zeros((800, 800), bool)
    mask[400, 400] = True
    eyes_only = np.array([*FACE[:2], NAN, NAN, NAN])
    assert frames.face_frame(eyes_only, mask, 128).side == round(
        3.4 * np.linalg.norm(FACE[1] - FACE[0])
    )
    profile = np.array([FACE[0], NAN, FACE[2], FACE[3], NAN])
    assert frames.face_frame(profile, mask, 128).side == round(
        3.4 * np.linalg.norm(FACE[3] - FACE[0])
    )
    for useless in ([FACE[0], NAN, FACE[2], NAN, NAN], [NAN, NAN, FACE[2], *FACE[3:]], [NAN] * 5):
        with pytest.raises(InputError, match="both eyes"):
            frames.face_frame(np.array(useless), mask, 128)


@EXAMPLES
@given(kept_masks())
def test_custom_frame_must_contain_kept(mask):
    x0, y0, x1, y1 = frames.bounding_box(mask)
    side = max(x1 - x0, y1 - y0)
    frame = frames.custom_frame(f"{x0}, {y0},{side}", mask, 64)
    assert frame.box == (x0, y0, x0 + side, y0 + side)
    for wrong in (f"{x0 + 1},{y0},{side + 1}", f"{x0},{y0},{side - 1}", f"{x0},{y0 - 2},0"):
        with pytest.raises(InputError, match="does not contain"):
            frames.custom_frame(wrong, mask, 64)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "a,b,c", "1.5,2,300", "nan,0,90"])
def test_custom_frame_refuses_other_texts(text):
    with pytest.raises(InputError, match="x,y,side"):
        frames.custom_frame(text, np.ones((5, 5), bool), 64)


def test_custom_frame_refuses_absurd_sides():
    with pytest.raises(InputError, match="times as large"):
        frames.custom_frame("0,0,1000000000", np.ones((5, 5), bool), 64)


def test_make_frame_chooses():
    mask = np.zeros((800, 800), bool)
    mask[400, 400] = True
    face = frames.make_frame(mask, 128, BodySite.FACE, FACE)
    lesion = frames.make_frame(mask, 128, BodySite.ARM, FACE)
    assert face == frames.face_frame(FACE, mask, 128)
    assert lesion == frames.lesion_frame(mask, 128) != face
    assert frames.make_frame(mask, 128, BodySite.FACE, np.full((5, 2), np.nan)) == lesion
    assert frames.make_frame(mask, 128, BodySite.FACE, FACE, "300,300,200").side == 200


@EXAMPLES
@given(kept_masks(), st.sampled_from([0, 1, 1.5, 2, 3.3, 7, 12]))
def test_grow_mask_is_exact_euclidean_dilation(mask, margin):
    grown = frames.grow_mask(mask, margin)
    expected = np.zeros_like(mask)
    height, width = mask.shape
    reach = int(margin)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dy * dy + dx * dx <= margin * margin:
                rows = slice(max(dy, 0), min(height + dy, height))
                columns = slice(max(dx, 0), min(width + dx, width))
                back = slice(max(-dy, 0), min(height - dy, height))
                side = slice(max(-dx, 0), min(width - dx, width))
                expected[rows, columns] |= mask[back, side]
    assert np.array_equal(grown, expected)
    assert grown.dtype == bool and not np.shares_memory(grown, mask)


@pytest.mark.parametrize("margin", [-1, np.nan, np.inf])
def test_grow_mask_refuses(margin):
    with pytest.raises(InputError, match="margin"):
        frames.grow_mask(np.ones((3, 3), bool), margin)


def test_default_margin():
    rows, columns = np.ogrid[:300, :300]
    mask = np.hypot(rows - 150, columns - 150) <= 50
    mask[0, 0] = mask[299, 299] = True  # smaller pieces do not count
    assert abs(frames.lesion_diameter(mask) - 100) < 1
    assert frames.default_margin(mask) == 10
    assert frames.default_margin(mask, pixels_per_cm=12.0) == 6
    assert frames.default_margin(mask, pixels_per_cm=1000.0) == 10
    assert frames.default_margin(mask, pixels_per_cm=0.5) == 1
    assert frames.default_margin(np.eye(3, dtype=bool)) == 1
    assert frames.lesion_diameter(np.eye(3, dtype=bool)) == pytest.approx(2 * (3 / np.pi) ** 0.5)


@EXAMPLES
@given(face_points(), st.sets(st.integers(0, 4)), st.sampled_from([0.1, 1, 8]))
def test_rounded_landmarks_lie_on_their_grid(landmarks, unknown, factor):
    landmarks = (landmarks * factor).astype(np.float32)
    landmarks[list(unknown)] = np.nan
    rounded = frames.round_landmarks(landmarks)
    grid = frames.landmark_grid(rounded)
    known = ~np.isnan(landmarks)
    assert rounded.dtype == np.float32
    assert np.array_equal(np.isnan(rounded), ~known)
    assert np.array_equal(rounded[known] % grid, np.zeros(known.sum()))
    assert np.array_equal(frames.round_landmarks(rounded), rounded, equal_nan=True)


def test_landmark_grid_follows_the_inter_ocular_distance():
    def points(distance: float) -> np.ndarray:
        return np.array([[0, 0], [distance, 0], NAN, [0, distance], [distance, distance]])

    for distance, grid in ((5, 1), (23.9, 1), (24, 2), (95.9, 4), (96, 8), (212, 16), (800, 64)):
        assert frames.landmark_grid(points(distance)) == grid
    profile = points(20)
    profile[3:, 1] = 200
    assert frames.landmark_grid(profile) == 16
    assert np.array_equal(
        frames.round_landmarks(FACE),
        [[272, 320], [496, 320], [368, 416], [304, 544], [464, 528]],
    )


def test_parse_landmarks():
    text = "277,321 489,315 375,420 308,537 471,532"
    assert np.array_equal(frames.parse_landmarks(text, (768, 768)), FACE)
    some = frames.parse_landmarks("277.5,321 - nan,nan 308,537 -")
    assert some.dtype == np.float32 and some[0, 0] == 277.5
    assert np.array_equal(np.isnan(some[:, 0]), [False, True, True, False, True])
    assert np.isnan(frames.parse_landmarks(" None ")).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "five points"),
        ("auto", "five points"),
        ("1,2 3,4 5,6 7,8", "five points"),
        ("1,2 3,4 5,6 7,8 9,10 11,12", "five points"),
        ("1,2 3,4 5,6 7,8 9;10", "five points"),
        ("1,2 3,4 5,nan 7,8 9,10", "five points"),
        ("1,2 inf,4 5,6 7,8 9,10", "five points"),
        ("1,2 3,4 5,6 7,8 101,10", "'101,10' lies outside"),
        ("1,2 3,4 5,-6 7,8 9,10", "'5,-6' lies outside"),
        ("50,2 3,4 5,6 7,8 9,10", "eyes swapped"),
        ("3,4 50,2 5,6 40,8 9,10", "mouth corners swapped"),
    ],
)
def test_parse_landmarks_refuses(text, message):
    with pytest.raises(InputError, match=message):
        frames.parse_landmarks(text, (50, 100))


def test_landmarks_in_frame():
    frame = frames.Frame((-10, 20, 90, 120), 1.28)
    landmarks = np.array([[-10, 20], [90, 120], [40, 70], NAN, [15, 45]], np.float32)
    expected = np.array([[0, 0], [1, 1], [0.5, 0.5], NAN, [0.25, 0.25]], np.float32)
    assert np.array_equal(frames.landmarks_in_frame(landmarks, frame), expected, equal_nan=True)


def box_weights(start: int, side: int, cells: int, extent: int) -> np.ndarray:
    """Overlap [cells, extent] of each cell with each photo pixel, in pixels, by definition."""
    edges = start + np.arange(cells + 1) * side / cells
    pixels = np.arange(extent)
    low = np.maximum(edges[:-1, None], pixels)
    return np.maximum(np.minimum(edges[1:, None], pixels + 1) - low, 0)


@EXAMPLES
@given(kept_masks(), st.sampled_from([16, 64, 128]), st.integers(0, 60), st.integers(0, 60))
def test_evidence_is_the_box_average_of_kept_pixels_only(mask, model_size, dx, dy):
    height, width = mask.shape
    random = np.random.default_rng(height * dx + dy)
    photo = random.integers(0, 256, (height, width, 3), np.uint8)
    x0, y0, x1, y1 = frames.bounding_box(mask)
    side = max(x1 - x0, y1 - y0) + max(dx, dy)
    frame = frames.custom_frame(f"{x0 - dx},{y0 - dy},{side}", mask, model_size)
    pixels, covered = frames.evidence(photo, mask, frame, model_size)
    assert pixels.dtype == covered.dtype == np.float32
    assert pixels.shape == (model_size, model_size, 3) and covered.shape == (model_size,) * 2

    cell = (side / model_size) ** 2
    down = box_weights(y0 - dy, side, model_size, height)
    across = box_weights(x0 - dx, side, model_size, width)
    share = down @ mask @ across.T / cell
    premultiplied = (photo / 127.5 - 1) * mask[..., None]
    colour = np.einsum("iy,yxc,jx->ijc", down, premultiplied, across, optimize=True) / cell
    np.testing.assert_allclose(covered, share, atol=1e-6)
    np.testing.assert_allclose(pixels, colour, atol=1e-6)
    assert not pixels[covered == 0].any() and covered.max() <= 1 and abs(pixels).max() <= 1

    scrambled = np.where(mask[..., None], photo, random.integers(0, 256, photo.shape, np.uint8))
    again, covered_again = frames.evidence(scrambled, mask, frame, model_size)
    assert again.tobytes() == pixels.tobytes()
    assert covered_again.tobytes() == covered.tobytes()
