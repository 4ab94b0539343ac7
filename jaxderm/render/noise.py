"""Noise and scattered points in body space: functions of place and seed, never of the pixels."""

import functools
import zlib

import numpy as np
from scipy.ndimage import map_coordinates


def rng_of(seed: int, name: str) -> np.random.Generator:
    """Generator of a named part of a person or scene: adding a part disturbs no other."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, a cubic between; falls when low > high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@functools.cache
def _lattice() -> np.ndarray:
    return np.random.default_rng(7).random((64, 64, 64), np.float32) * 2 - 1


def value_noise(points: np.ndarray, frequency, seed: int) -> np.ndarray:
    """Noise [N] in [-1,1] at points [N,3]; frequency in cycles a cm (a number, or one an axis)."""
    shift = np.array([seed * 17.3 % 61, seed * 5.7 % 59, seed * 11.1 % 53])
    place = (points * frequency + shift).T
    whole = np.floor(place)
    part = place - whole
    place = whole + part * part * (3.0 - 2.0 * part)
    return map_coordinates(_lattice(), place, order=1, mode="grid-wrap", prefilter=False)


def fractal(points, frequency, octaves: int, seed: int, gain: float = 0.55) -> np.ndarray:
    """Sum [N] of octaves of value noise, each at twice the frequency and `gain` of the strength."""
    total, strength = 0.0, 1.0
    for octave in range(octaves):
        total = total + strength * value_noise(
            points, np.asarray(frequency) * 2.03**octave, seed + octave
        )
        strength *= gain
    return total


def _hash(cells: np.ndarray, seed: int) -> np.ndarray:
    """Uniform numbers [N] in [0,1) of integer cells [N,k] (a splitmix64 step a column)."""
    with np.errstate(over="ignore"):
        state = np.full(len(cells), (seed + 1) * 0x9E3779B97F4A7C15 % 2**64, np.uint64)
        for column in cells.T:
            state = (state ^ column.astype(np.int64).view(np.uint64)) * np.uint64(
                0xBF58476D1CE4E5B9
            )
            state ^= state >> np.uint64(27)
            state *= np.uint64(0x94D049BB133111EB)
            state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


def _distinct(cells: np.ndarray) -> np.ndarray:
    """Different rows of integer cells [N,3], in their order; np.unique over an axis takes ten times as long."""
    low = cells.min(0)
    spread = cells.max(0) - low + 1
    key = (
        ((cells[:, 0] - low[0]) * spread[1] + cells[:, 1] - low[1]) * spread[2]
        + cells[:, 2]
        - low[2]
    )
    return cells[np.unique(key, return_index=True)[1]]


_NEIGHBOURS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)


def scatter(
    points: np.ndarray, cell: float, chance: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Random places [M,3] around points [N,3], and three random numbers [M,3] each.

    Space is cut into cubes of side `cell` cm; each holds one place with probability `chance`. A
    place depends on its cube and the seed only, so every resolution sees the same ones.
    """
    cells = _distinct(np.floor(points / cell).astype(np.int64))
    cells = _distinct((cells[:, None] + _NEIGHBOURS).reshape(-1, 3))
    cells = cells[_hash(cells, seed) < chance]
    offset = np.stack([_hash(cells, seed + 1 + axis) for axis in range(3)], 1)
    values = np.stack([_hash(cells, seed + 4 + axis) for axis in range(3)], 1)
    return (cells + offset) * cell, values
