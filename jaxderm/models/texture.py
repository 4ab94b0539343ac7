"""Texture of skin: how strong its relief is at each place, by scale and direction, and one drawn by a seed.

A mean over many people has neither pores nor wrinkles, since no two have them at one place; how deep they are, how fine and in
which direction they run is alike. So their power is measured in oriented bands (steerable pyramid, Simoncelli 1995), and
noise is given it (heteroscedastic texture synthesis, Heeger and Bergen 1995).
"""

import functools

import numpy as np
from scipy import fft, ndimage

from jaxderm.models.appearance import FINER, nodes

# Finer nodes: wavelengths at the middle of each band; directions of what is narrow.
WAVELENGTHS, DIRECTIONS = (7.0, 14.0), 4
SHARP = 3  # the power of a cosine by which a direction is told
APART = 8  # from one node of power to the next, which is even
PAD = 32  # finer nodes beyond, so that one edge does not reach the other


@functools.cache
def bands() -> np.ndarray:
    """What passes each band [bands,directions,h,w'] of a padded plane's `rfft2`; noise through each has a deviation of one."""
    height, width = _padded()
    down, across = fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None]
    often, angle = np.maximum(np.hypot(down, across), 1e-6), np.arctan2(down, across)
    passes = []
    for wavelength in WAVELENGTHS:
        octaves = np.clip(np.log2(often * wavelength), -1, 1)
        radial = np.cos(octaves * np.pi / 2) * (often > 1e-5)
        for k in range(DIRECTIONS):
            passes.append(radial * np.abs(np.cos(angle - k * np.pi / DIRECTIONS)) ** SHARP)
    double = np.where((across == 0) | (across == 0.5), 1, 2)
    passes = np.stack(passes)
    power = (double * passes**2).sum((1, 2)) / (height * width)
    passes /= np.sqrt(power)[:, None, None]
    return passes.reshape(len(WAVELENGTHS), DIRECTIONS, *passes.shape[1:]).astype(np.float32)


def answers(plane: np.ndarray) -> np.ndarray:
    """What of a plane [h,w] at the finer nodes each band passes, [bands,directions,h,w]."""
    height, width = plane.shape
    shape = _padded()
    beyond = [(0, whole - side) for whole, side in zip(shape, plane.shape)]
    return fft.irfft2(fft.rfft2(np.pad(plane, beyond)) * bands(), shape)[..., :height, :width]


def drawn(strength: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise [h,w] at the finer nodes, a sum of all bands', each of a strength [bands,directions,h',w'] given at some."""
    height, width = nodes(FINER)[0].shape
    total = np.zeros((height, width), np.float32)
    flat, passes = (part.reshape(-1, *part.shape[2:]) for part in (strength, bands()))
    scale = [side / few for side, few in zip(total.shape, flat.shape[1:])]
    for one, much in zip(passes, flat):
        noise = fft.irfft2(fft.rfft2(rng.standard_normal(_padded(), np.float32)) * one, _padded())
        total += ndimage.zoom(much, scale, order=1) * noise[:height, :width]
    return total


def overlaps() -> np.ndarray:
    """How much power of noise drawn for each band [K] every other one passes, [K,K] of all bands and directions."""
    passes = bands().reshape(-1, *bands().shape[2:]) ** 2
    double = np.full(passes.shape[-1], 2.0)
    double[0] = 1  # the last column, of even sides, is nothing's
    return np.einsum("w,ihw,jhw->ij", double, passes, passes) / np.prod(_padded())


@functools.cache
def _padded() -> tuple[int, int]:
    height, width = (fft.next_fast_len(side + PAD, real=True) for side in nodes(FINER)[0].shape)
    return height, width
