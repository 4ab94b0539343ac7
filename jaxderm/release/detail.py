"""Detail of a settled frame: combed hair, by the detail head what portraits show that is fine, and clean outlines.

A refined frame mixes two pictures of one person, and settling averages: of the contrast that portraits that may be
trained on, enlarged alike, have in what is finer than 1.4 px, its eyes, mouth, hair and skin have half to two thirds
(docs/training_log.md, "After leg 11, fourteenth"). All is drawn from the frame, its exemplar, the places of the face and
of what is kept, sex, age, tone and the seed's generator: no pixel of a photograph is read.
"""

import functools
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from jaxderm.attributes import LUMA, Attributes
from jaxderm.data.exemplars import Exemplar
from jaxderm.face import face_coordinates
from jaxderm.models import detail_head
from jaxderm.models.weights import unflatten
from jaxderm.release.outlines import backdrop_of, redrawn
from jaxderm.release.settle_features import EYES, beside_features, brows_of
from jaxderm.release.smoothing import beside_kept, ramp
from jaxderm.release.strands import combed, hair_of

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "heads" / "detail.safetensors"
DARK = 0.02  # luma of [0,1]: what is darker has no hue that counts
# How much of what the head adds is taken on brows, which it pales (those of portraits are old people's), and on hair, which
# is combed and has strands already.
BROWS, HAIR = 0.35, 0.4
# Degrees of ITA: what darker people's eyes and brows get of what makes them lighter, none and all. Portraits are of light ones.
FAIR = 10.0, 41.0
ON_DARK = 0.35  # how much is taken of what it adds to dark skin: up to three times as much as to light skin, in stripes
# Shifts in px under which a frame is looked at: the head's lattice, of its blocks, cancels in their mean.
PLACES = (0, 0), (1, 2), (2, 1), (3, 3)
OCTAVES = -3, 2  # how far a frame is made smaller or larger for the head, at most


def detailed(
    frame: np.ndarray,
    exemplar: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    facts: Attributes,
    rng: np.random.Generator,
) -> np.ndarray:
    """Frame [S,S,3] in [-1,1], settled, in the detail of a photograph; where the face lies nowhere as it is.

    mask [S,S]: what is kept; near it all stays as it is. landmarks [5,2] in [0,1] of the frame; facts: sex, age and tone;
    rng: the seed's.
    """
    size, points = len(frame), landmarks * len(frame)
    place = face_coordinates(points, frame.shape[:2])
    if place is None:
        return frame
    share, noise = beside_kept(mask), rng.standard_normal((size, size), np.float32)
    hair = hair_of(frame, exemplar, place)
    frame = combed(frame, exemplar, hair, share, place, noise)
    brows = np.clip(3 * brows_of(exemplar, points, place), 0, 1)
    before, beside = (frame + 1) @ (LUMA / 2), share * (1 - (1 - BROWS) * brows)
    beside *= 1 - (1 - HAIR) * hair
    beside *= 1 - backdrop_of(frame)  # around heads the head draws light lines in it
    light = detail_head.light(frame)
    added = beside * _learned(light, points, facts, rng)
    if facts.ita is not None:
        dark = np.maximum(1 - beside_features(points, size, EYES), brows)
        less = 1 - ramp(facts.ita, *FAIR)
        added *= 1 - less * dark * (added > 0)
        added *= 1 - less * (1 - ON_DARK) * (1 - dark)
    light += added
    # Less or more light of one hue: what is taken from all colours alike makes dark lines red.
    after = np.maximum(np.exp(light) - detail_head.BLACK, 0) / np.maximum(before, DARK)
    frame = (frame + 1) * after[..., None] - 1
    return np.clip(redrawn(frame, exemplar, hair, share, place), -1, 1)


@functools.cache
def _head():
    """(parameters, compiled change): `detail_head.change`."""
    flat = {name: value.astype(np.float32) for name, value in load_file(WEIGHTS).items()}
    return jax.device_put(unflatten(flat)), jax.jit(detail_head.change)


def _learned(light, landmarks, facts, rng) -> np.ndarray:
    """What the head adds to light [S,S] of a face at landmarks [5,2] px, seen about as large as it learnt."""
    size, apart = len(light), max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 1)
    # Whole octaves, so that few sizes are compiled; faces in frames by their landmarks need none.
    octaves = np.clip(round(np.log2(detail_head.APART / apart)), *OCTAVES)
    side = max(round(size * 2.0**octaves / detail_head.BLOCK), 1) * detail_head.BLOCK
    seen = detail_head.seen(_resized(light, side), landmarks * (side / size))
    noise = rng.standard_normal((side, side, 1), np.float32)
    beyond = [(detail_head.BLOCK, detail_head.BLOCK)] * 2 + [(0, 0)]
    padded = np.pad(np.concatenate([seen, noise], -1), beyond, "edge")
    wide = side + detail_head.BLOCK
    shown = np.stack([padded[i : i + wide, j : j + wide] for i, j in PLACES])
    params, change = _head()
    told = np.tile(detail_head.facts(facts.sex, facts.age), (len(PLACES), 1))
    added = np.asarray(change(params, shown[..., :-1], told, shown[..., -1]))
    back = detail_head.BLOCK - np.array(PLACES)
    parts = [part[i : i + side, j : j + side] for part, (i, j) in zip(added, back)]
    return detail_head.CONTRAST * _resized(np.mean(parts, 0), size)


def _resized(plane: np.ndarray, side: int) -> np.ndarray:
    """[S,S] float32 -> [side,side], averages where it becomes smaller."""
    if len(plane) == side:
        return plane
    return np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BICUBIC))
