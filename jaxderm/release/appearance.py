"""The face of a photograph on a settled frame: skin, eyes, noses, folds, lips and light as portraits have them.

Renders have light from the front, hardly any relief, eyes that stare and lips that meet in a slit, and a refiner keeps
all that. The frame is registered to the mean of all portraits and brought to what people of that sex, age and tone look like
at the same place of the face, one of them lit and with eyes and a mouth as the seed draws (`models/appearance.py`), skin
with the relief of theirs (`models/texture.py`). Drawn from the frame, the places of the face and of what is kept, sex,
age, tone and the seed: no pixel of a photograph is read.
"""

import functools
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import load_file
from scipy import ndimage

from jaxderm.attributes import LUMA, Attributes, Sex
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates, face_skin_region, like_skin
from jaxderm.models import registration
from jaxderm.models.appearance import (
    ACROSS,
    BLACK,
    STEP,
    Appearance,
    at_nodes,
    begun,
    darkness,
    in_frame,
    middles,
    mouth_of,
    nodes,
    of_person,
    on_both_sides,
    rows_and_columns,
    sampled,
    texture_of,
    with_other_side,
)
from jaxderm.models.registration import Level
from jaxderm.models.texture import drawn
from jaxderm.release.settle_features import EYES, beside_features, brows_of, with_pupils
from jaxderm.release.smoothing import beside_kept, blurred, ramp

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "heads" / "appearance.safetensors"
LEAST = 50  # px of cheeks and nose by which skin is told
# A frame is soft and its person a render: what is finer than these would follow noise.
LEVELS = (Level(12.0, 7.0, 3.0), Level(9.0, 5.5, 2.0), Level(7.0, 4.5, 1.2))
# Bounds within which frames and portraits are alike, in distances from the eyes to the mouth: beside, above, below.
BESIDE, ABOVE, BELOW = (1.2, 1.0), (-1.2, -1.0), (1.95, 1.65)
# In those, around a mouth: none of it is registered, and all, for portraits smile.
MOUTHS = 0.25, 0.4
# How much of what portraits have is taken, of skin and of eyes; deviations of theirs at most of what one differs by, and so much
# of that: of the light, which the first modes are, of the old and of the young, since most of what portraits differ by are years.
TAKEN, OF_EYES, DIFFERS, OWN = 0.8, 0.85, 1.8, 0.8
SIDES, GROWN, YOUNG = 3, (25.0, 55.0), 0.5
# Years, and how many more of portraits are asked for then: the mean of many looks younger than each of them, and no portrait
# shows anybody so young.
YEARS, YOUNGER, OLDER, OLDER_MEN = (24.0, 34.0), -8.0, 18.0, 28.0
# Deviations of portraits' eyes that one differs by; degrees of ITA of those whose irises are brown for certain, and of those
# whose may be of any colour; portraits that tell of skin's relief are of the latter.
EYES_OWN, LIGHT_SKIN = 1.0, (10.0, 35.0)
# How much of the relief of portraits' skin is drawn, of each scale: what of it is finer a frame has, what is broader is mostly how
# badly portraits lie on each other. Years of those with SMOOTH of that, and with all; dark skin has SMOOTH of it, too.
TEXTURE, SMOOTH, YEARS_SMOOTH = (0.5, 0.27), 0.45, (22.0, 40.0)
# One deviation of a mouth's height and width, and nodes by which its corners stand higher or lower.
FULL, WIDE, CURVED = 0.1, 0.06, 0.8
# Logarithms, at most; how many times as much on eyes, and on a mouth.
DARKER, LIGHTER, MORE = -0.6, 0.5, (2.0, 8.0)
LIDS = 0.3  # in distances of the eyes: how far around each it is an eye
# In distances from the eyes to the mouth: from where down it may be one, and surely is; how surely what is darker is a brow.
BELOW_BROWS, FRINGE = (-0.25, -0.15), 2.0
# Of the frame, sigma: what is finer stays; of eyes and lips nothing.
FINE = 1.5 / 256
# In distances from the eyes to the mouth: from how far above the eyes the hair of some shades the foreheads of all.
HAIRLINE = -1.05, -0.65
# How far beside the middle a nose's tip is of a head that is turned away, in distances from the eyes to the mouth: portraits look
# at the camera.
ASIDE = 0.35, 0.2
# px, and of the frame: how far inside of skin it is taken, and how softly.
INSIDE, SOFTLY = 3, 0.006


def portrayed(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    facts: Attributes,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1], settled, with the face of a portrait; where the face lies nowhere as it is.

    mask [S,S]: what is kept; near it all stays as it is. landmarks [5,2] in [0,1] of the frame; facts: sex, age and tone; rng:
    the seed's.
    """
    size, points = len(frame), landmarks * len(frame)
    place = face_coordinates(points, frame.shape[:2])
    cheeks = face_skin_region(points, frame.shape[:2]) & (mask < 0.5)
    if place is None or cheeks.sum() < LEAST:
        return frame
    model, share = appearance(), beside_kept(mask)
    differs = OWN * np.clip(rng.standard_normal(len(model.modes)), -DIFFERS, DIFFERS)
    if facts.age is not None:
        differs[SIDES:] *= np.interp(facts.age, GROWN, (YOUNG, 1))
    lit = np.tensordot(differs.astype(np.float32), model.modes, 1)
    light = np.log((frame + 1) / 2 + BLACK)
    light -= np.median(light[cheeks], axis=0)
    nose = points[2] if exemplar.nose is None else exemplar.nose * size
    own_brows = brows_of(exemplar, points, place)
    brows = middles(own_brows, place[0])
    own = rows_and_columns(np.concatenate([points[:2], [nose], points[3:], brows]), points)
    flow = _flow(model, light @ LUMA, share, points, own) + _own_mouth(model.marks, rng)
    eyes_at = model.marks[:2]
    flow += begun(own[:2] - sampled(flow, eyes_at.T).T, eyes_at)  # there the frame has its own
    looks, texture = _somebody(model, facts, rng)
    parts = [looks, lit[None], texture[None], model.skin[None]]
    there = in_frame(parts, flow, points, size)
    mouth = mouth_of(*place).astype(np.float32)
    lids = (1 - beside_features(points, size, EYES, LIDS)) * ramp(place[1], *BELOW_BROWS)
    browless = np.clip(1 - FRINGE * own_brows, 0, 1)
    lids *= browless
    eyes = OF_EYES * lids
    features = np.maximum(mouth, eyes)
    skin = ndimage.grey_erosion(like_skin(frame, cheeks)[0], INSIDE)
    skin = ndimage.gaussian_filter(skin, SOFTLY * size) * there[..., 5]
    taken = np.maximum(TAKEN * skin * browless * ramp(place[1], *HAIRLINE), features)
    share = share * ramp(abs(own[2, 1] * STEP + ACROSS[0]), *ASIDE)
    taken *= share
    coarse = blurred(light, FINE * size)
    coarse += np.maximum(mouth, lids)[..., None] * (light - coarse)
    most = np.maximum(1 + (MORE[0] - 1) * eyes, 1 + (MORE[1] - 1) * mouth)
    wanted = there[..., :3] + there[..., 3:4] + ((1 - features) * there[..., 4])[..., None]
    lacks = _within(wanted - coarse, DARKER * most, LIGHTER * most)
    bright = ((frame + 1) / 2 + BLACK) * np.exp(taken[..., None] * lacks) - BLACK
    return np.clip(with_pupils(2 * bright - 1, cheeks, share, points), -1, 1)


def _within(light: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Light [S,S,3] between least and most [S,S], all its colours made smaller alike, so that none is left behind."""
    over = np.maximum(light.max(-1) / most, light.min(-1) / least)
    return light / np.maximum(over, 1)[..., None]


def _own_mouth(marks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a stranger's mouth adds to a flow [2,H,W] from a template with marks [7,2]: higher or wider, corners up or down."""
    full, wide, curved = np.clip(rng.standard_normal(3), -DIFFERS, DIFFERS) * [FULL, WIDE, CURVED]
    rows, columns = np.indices(nodes()[0].shape)
    left, right = marks[3:5]
    row, column = (left + right) / 2
    below, aside = rows - row, columns - column
    ends = np.square(2 * aside / (right[1] - left[1])) - 0.5
    return (mouth_of(*nodes()) * np.stack([full * below + curved * ends, wide * aside])).astype(
        np.float32
    )


def _somebody(
    model: Appearance, facts: Attributes, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(What somebody of those facts looks like [3,h,w], with eyes of their own; the relief of their skin [h,w])."""
    age = facts.age
    if age is not None:
        older = OLDER_MEN if facts.sex is Sex.MALE else OLDER
        age = age + np.interp(age, YEARS, (YOUNGER, older))
    looks = of_person(model, facts.sex, age) + darkness(facts.ita) * with_other_side(model.darker)
    looks = looks + on_both_sides(_own_eyes(model.eyes, facts.ita, rng))
    return looks, _own_texture(model, facts, age, rng)


def _own_texture(model, facts, age: float | None, rng: np.random.Generator) -> np.ndarray:
    """Relief of a stranger's skin [h,w] as of an age; less of the young and of dark skin, of whom portraits are few."""
    strength = texture_of(model, facts.sex, age) * np.float32(TEXTURE)[:, None, None, None]
    if facts.age is not None:
        strength *= np.float32(np.interp(facts.age, YEARS_SMOOTH, (SMOOTH, 1)))
    if facts.ita is not None:
        strength *= np.float32(np.interp(facts.ita, LIGHT_SKIN, (SMOOTH, 1)))
    return drawn(strength, rng)


def _own_eyes(modes: np.ndarray, ita: float | None, rng: np.random.Generator) -> np.ndarray:
    """What a stranger's eyes add to those of a person [3,h,w], of one side: their light, and of light skin their colour."""
    differs = EYES_OWN * np.clip(rng.standard_normal(len(modes)), -DIFFERS, DIFFERS)
    adds = np.tensordot(differs.astype(np.float32), modes, 1)
    grey = np.tensordot(LUMA, adds, 1)
    return grey + (1 if ita is None else ramp(ita, *LIGHT_SKIN)) * (adds - grey)


def _flow(model, luma, share, points, own) -> np.ndarray:
    """Flow from the template to a frame of luma [S,S], of which share [S,S] counts, with its own marks [7,2]."""
    planes, inside = at_nodes(np.stack([luma, share], -1), points)
    weight = planes[1] * inside
    across, down = nodes()
    counts = weight * ramp(np.abs(across), *BESIDE) * ramp(down, *ABOVE) * ramp(down, *BELOW)
    counts *= ramp(np.hypot(across, down - 1), *MOUTHS)
    begin = begun(own, model.marks)
    counts = counts.astype(np.float32)
    return np.asarray(_register(model.template, planes[0], weight, counts, begin))


@jax.jit
def _register(template, luma, weight, counts, flow):
    plane = registration.of_one_contrast(luma, weight)
    return registration.flow_to(template, plane, counts, flow, LEVELS)


@functools.cache
def appearance() -> Appearance:
    """What ships, float32."""
    return Appearance(**{name: v.astype(np.float32) for name, v in load_file(WEIGHTS).items()})
