"""Sample grids: one row a body site, one column a skin type, fixed seeds, a small island of evidence."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderm.attributes import (
    SKIN_TYPE_ITA,
    Attributes,
    BodySite,
    Field,
    Sex,
    Source,
    encode,
    lab_to_rgb,
)
from jaxderm.data.exemplars import DRAWS, Bank

SITES = tuple(site for site in BodySite if site is not BodySite.UNSPECIFIED)
# A frontal face in the frame of frame.face_frame: image-left eye, image-right eye, nose, mouth corners.
FRONTAL = np.array(
    [[0.353, 0.43], [0.647, 0.43], [0.5, 0.57], [0.39, 0.72], [0.61, 0.72]], np.float32
)


def skin_rgb(ita: float) -> np.ndarray:
    """A plausible sRGB skin colour [3] in [0,1] of an ITA in degrees."""
    b = 17.0 if ita > -30 else 12.0
    return lab_to_rgb(np.array([50 + b * np.tan(np.radians(ita)), 11.0, b], np.float32))


def grid_batch(size: int) -> dict[str, np.ndarray]:
    """Batch of all sites x 6 examples: {"image" uint8, "mask", "landmarks", "condition"}."""
    y, x = np.mgrid[:size, :size] / size
    images, landmarks, conditions = [], [], []
    mask = np.hypot(x - 0.62, y - 0.6) < 0.07
    spot = np.hypot(x - 0.62, y - 0.6) < 0.04
    for row, site in enumerate(SITES):
        for column, ita in enumerate(SKIN_TYPE_ITA.values()):
            image = np.zeros((size, size, 3), np.float32)
            image[mask] = skin_rgb(ita)
            image[spot] *= 0.55
            images.append(np.round(255 * image).astype(np.uint8))
            face = site is BodySite.FACE
            landmarks.append(FRONTAL if face else np.full((5, 2), np.nan, np.float32))
            conditions.append(encode(grid_facts(row, column)))
    count = len(images)
    return {
        "image": np.stack(images),
        "mask": np.broadcast_to(mask, (count, size, size)).astype(np.float32),
        "landmarks": np.stack(landmarks),
        "condition": np.stack(conditions),
    }


def with_exemplars(batch: dict[str, np.ndarray], bank: Bank) -> dict[str, np.ndarray]:
    """A `grid_batch` with an exemplar for each example."""
    size, drawn = batch["image"].shape[1], []
    columns = len(SKIN_TYPE_ITA)
    for k, (points, mask) in enumerate(zip(batch["landmarks"], batch["mask"])):
        facts = grid_facts(k // columns, k % columns)
        draws = np.random.default_rng([7, k]).random(DRAWS)
        drawn.append(bank.exemplar(facts, points.astype(np.float64), mask, draws, size))
    return {**batch, "exemplar": np.stack(drawn)}


def grid_facts(row: int, column: int) -> Attributes:
    """Facts of a place in the grid: a site a row, a skin type a column."""
    site = SITES[row]
    sex = (Sex.FEMALE, Sex.MALE)[(row + column) % 2]
    age = (30.0, 65.0, 45.0)[column % 3]
    source = Source.PHOTO if site is BodySite.FACE else Source.RENDER
    ita = list(SKIN_TYPE_ITA.values())[column]
    return Attributes(sex, age, ita, site, field=Field.WHOLE_SITE, source=source)


def tile(frames: np.ndarray, columns: int) -> np.ndarray:
    """One picture uint8 of frames [N,S,S,3] in [-1,1], row by row."""
    frames = np.asarray(jnp.clip(frames, -1, 1))
    n, size = frames.shape[:2]
    rows = -(-n // columns)
    padded = np.full((rows * columns, size, size, 3), -1.0, np.float32)
    padded[:n] = frames
    picture = padded.reshape(rows, columns, size, size, 3).transpose(0, 2, 1, 3, 4)
    return np.round((picture.reshape(rows * size, columns * size, 3) + 1) * 127.5).astype(np.uint8)


def grid_noise(count: int, z_size: int, code_size: int) -> tuple[jax.Array, jax.Array]:
    """The fixed z [count,Z] and codes [count,K] of every grid."""
    z = jax.random.normal(jax.random.key(7), (count, z_size))
    return z, jnp.zeros((count, code_size))
