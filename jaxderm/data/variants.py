"""Variants of a photographed face for training: features moved, skin of another tone.

Portraits that may be trained on are few and mostly of light-skinned people. A generator learns each by heart, and
draws dark skin as a light face dimmed. Features moved a little make another person of each, and melanin
added as a render's skin has it makes photographs of every tone, labelled with the tone they then have.
"""

import dataclasses

import numpy as np
from PIL import Image
from scipy import ndimage

from jaxderm import attributes as attr
from jaxderm.data import pigment
from jaxderm.data.features import Record
from jaxderm.face import face_skin_region
from jaxderm.frame import face_box

CELLS = 8  # of the warp's grid a side
BENDS = 4  # control points a side
BEND = 0.021  # standard deviation of their displacement, of the face frame's side
LOPSIDED = 0.25  # share of the displacement that is not mirrored
STRETCH = 0.07  # at most, of width and height
TONES = (-52.0, 60.0)  # degrees of ITA that the new tone is drawn from
SKIN_WIDTHS = np.array([28.0, 12.0, 14.0], np.float32)  # CIELAB, of what counts as the same skin


def vary(record: Record, rng: np.random.Generator) -> Record:
    """The record with features moved and, in two of three, skin of another tone; landmarks and ITA follow.

    Needs a face with both eyes and both mouth corners.
    """
    image, landmarks, masks = _bent(record, _nodes(rng))
    varied = dataclasses.replace(
        record, image=image, landmarks=landmarks, skin=masks[0], lesion=masks[1]
    )
    return _retoned(varied, rng) if rng.random() < 2 / 3 else varied


def _nodes(rng: np.random.Generator) -> np.ndarray:
    """Displacements [CELLS+1,CELLS+1,2] (x, y) of a grid over the face frame, in units of its side."""
    control = rng.normal(0, BEND, (BENDS, BENDS, 2))
    mirrored = control[:, ::-1] * [-1, 1]
    control = (1 - LOPSIDED) * (control + mirrored) / np.sqrt(2) + LOPSIDED * control
    nodes = ndimage.zoom(control, ((CELLS + 1) / BENDS, (CELLS + 1) / BENDS, 1), order=3)
    place = np.linspace(-0.5, 0.5, CELLS + 1)
    stretch = rng.uniform(-STRETCH, STRETCH, 2)
    nodes[..., 0] += stretch[0] * place[None]
    nodes[..., 1] += stretch[1] * place[:, None]
    return nodes


def _bent(record: Record, nodes: np.ndarray):
    """(image, landmarks, (skin, lesion)) with what lies at p + nodes(p) moved to p."""
    x0, y0, x1, _ = face_box(record.landmarks)
    side, origin = x1 - x0, np.array([x0, y0], np.float64)
    height, width = record.image.shape[:2]
    reach = np.array([width, height])
    # The displacement of the frame's edge goes on to the picture's edge.
    across, down = (np.linspace(0, n, CELLS + 1) for n in (width, height))

    def displacement(points: np.ndarray) -> np.ndarray:
        place = (points - origin) / side * CELLS
        moved = [
            ndimage.map_coordinates(nodes[..., k], place.T[::-1], order=1, mode="nearest")
            for k in (0, 1)
        ]
        return np.stack(moved, -1) * side

    grid = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2)
    source = (grid + displacement(grid)).reshape(CELLS + 1, CELLS + 1, 2)
    edges = [np.round(v).astype(int) for v in (across, down)]
    pieces = []
    for j in range(CELLS):
        for i in range(CELLS):
            box = (edges[0][i], edges[1][j], edges[0][i + 1], edges[1][j + 1])
            corners = (source[j, i], source[j + 1, i], source[j + 1, i + 1], source[j, i + 1])
            pieces.append((box, tuple(float(v) for corner in corners for v in corner)))
    pad = int(0.12 * side)

    def warp(plane: np.ndarray, resample: Image.Resampling) -> np.ndarray:
        padded = np.pad(plane, [(pad, pad)] * 2 + [(0, 0)] * (plane.ndim - 2), "edge")
        shifted = [(box, tuple(v + pad for v in quad)) for box, quad in pieces]
        picture = Image.fromarray(padded)
        return np.asarray(
            picture.transform((width, height), Image.Transform.MESH, shifted, resample)
        )

    # The landmark that lay at s lies at p with p + d(p) = s; d is small and smooth.
    points = record.landmarks.astype(np.float64)
    known = ~np.isnan(points).any(-1)
    place = points[known]
    for _ in range(8):
        place = points[known] - displacement(place)
    points[known] = np.clip(place, 0, reach)
    masks = tuple(
        None if m is None else warp(m.astype(np.uint8) * 255, Image.Resampling.NEAREST) >= 128
        for m in (record.skin, record.lesion)
    )
    return warp(record.image, Image.Resampling.BICUBIC), points.astype(np.float32), masks


def _retoned(record: Record, rng: np.random.Generator) -> Record:
    """The record with melanin added to (or taken from) the face's skin."""
    image, shape = record.image, record.image.shape[:2]
    cheeks = face_skin_region(record.landmarks, shape)
    if cheeks.sum() < 50:
        return record
    lab = attr.rgb_to_lab(image)
    middle = np.median(lab[cheeks], axis=0)
    gain, added = pigment.gain(middle, rng.uniform(*TONES))
    alike = np.exp(-0.5 * np.square((lab - middle) / SKIN_WIDTHS).sum(-1))
    weight = ndimage.gaussian_filter(alike * _around_face(record.landmarks, shape), 0.01 * shape[0])
    linear = pigment.LINEAR[image] * gain ** weight[..., None]
    # Gloss tells dark skin from skin in the dark.
    gloss = np.clip((lab[..., 0] - middle[0]) / 100, 0, 0.3) * weight * max(added, 0)
    linear += pigment.GLOSS * gloss[..., None]
    image = np.round(255 * pigment.srgb_of_linear(linear)).astype(np.uint8)
    facts = dataclasses.replace(record.attributes, ita=attr.ita(image, cheeks))
    return dataclasses.replace(record, image=image, attributes=facts)


def _around_face(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """1 on face, ears and neck, softly 0 beyond: [H,W] float64."""
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    down = mouth - eyes
    size = float(down @ down)
    y, x = (axis.astype(np.float64) for axis in np.ogrid[: shape[0], : shape[1]])
    dx, dy = x - eyes[0], y - eyes[1]
    u = (dx * down[1] - dy * down[0]) / size
    v = (dx * down[0] + dy * down[1]) / size
    return np.clip((1.15 - np.hypot(u / 1.6, (v - 0.6) / 2.2)) / 0.3, 0, 1)
