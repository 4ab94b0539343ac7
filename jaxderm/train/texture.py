"""How strong the relief of skin is in portraits, by place, scale, direction, sex and age (`models/texture.py`)."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from jaxderm.models.texture import APART, answers, overlaps

AROUND = 8.0  # finer nodes over which power is told
MOST = 0.4  # logarithms: what differs more is no relief
SURELY, EDGE = 0.5, 2.0  # how far it is skin at least; finer nodes from its edge
NOTHING = 1e-6  # power below which there is none
STRONGEST = 0.025  # beyond it is no skin's: hair, and features that do not lie on each other
RIDGES = (0.5, 0.5, 4.0, 4.0, 4.0, 4.0, 8.0)


def strengths_of(
    apart: np.ndarray, skin: np.ndarray, terms: np.ndarray, asked: Sequence[np.ndarray]
) -> np.ndarray:
    """Strengths [A,bands,directions,h,w] of the texture of each asked [A] terms [T], at every APART-th of the finer nodes.

    apart [N,H,W]: what luma of faces differs by from what their terms [N,T] explain; skin [N,H,W]. The middle of the logarithm of
    power is regressed, so that a few with glasses or a strand count as few.
    """
    found, known = [], []
    for luma, share in zip(np.clip(apart, -MOST, MOST), skin):
        weight = ndimage.gaussian_filter((share > SURELY).astype(np.float32), EDGE) ** 4
        near = ndimage.gaussian_filter(weight**2, AROUND)
        power = ndimage.gaussian_filter(answers(luma * weight) ** 2, (0, 0, AROUND, AROUND))
        power = np.log(power / np.maximum(near, 1e-3) + NOTHING)
        found.append(power[..., ::APART, ::APART])
        known.append(near[::APART, ::APART])
    found, known = np.stack(found), np.stack(known)
    middle = np.einsum("nhw,nbdhw->bdhw", known, found) / np.maximum(known.sum(0), 1e-3)
    squares = np.einsum("nhw,ni,nj->hwij", known, terms, terms, optimize=True) + np.diag(RIDGES)
    sums = np.einsum("nhw,nbdhw,ni->bdhwi", known, found - middle, terms, optimize=True)
    by = np.linalg.solve(squares, sums[..., None])[..., 0]
    power = np.exp(middle + np.einsum("bdhwt,at->abdhw", by, np.stack(asked)))
    apart_from = np.linalg.inv(overlaps())
    own = np.einsum("ij,ajhw->aihw", apart_from, power.reshape(len(asked), -1, *power.shape[3:]))
    strengths = np.minimum(np.sqrt(np.maximum(own, 0)), STRONGEST)
    return strengths.reshape(power.shape).astype(np.float32)
