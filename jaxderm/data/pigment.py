"""Skin colour from melanin and haemoglobin: one curve through measured skin, in linear RGB."""

import functools

import numpy as np

from jaxderm.attributes import ita_of_lab, lab_to_rgb, rgb_to_lab


def linear_of_srgb(colour) -> np.ndarray:
    """Linear RGB of 8-bit sRGB values."""
    value = np.asarray(colour, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


LINEAR = linear_of_srgb(np.arange(256)).astype(np.float32)  # of each byte
GLOSS = 0.5  # of what is brighter than the skin: the surface's, not the pigment's, so that it stays on darker skin
# Skin from very light to very dark (sRGB), equally spaced in melanin; reflectance is interpolated in logarithm.
_SHADES = np.log(linear_of_srgb([
    (250, 231, 222), (239, 206, 187), (214, 168, 138), (186, 139, 112), (144, 102, 79), (98, 67, 52),
    (61, 43, 36), (41, 30, 27),
]))  # fmt: skip
_STEPS = np.linspace(0, 1, len(_SHADES))
_HAEMOGLOBIN = np.array([0.07, 0.42, 0.30])  # absorption a channel
_VENOUS = np.array([0.30, 0.10, -0.02])
RESTING_BLOOD = 0.35


def reflectance(melanin, haemoglobin, venous=0.0) -> np.ndarray:
    """Albedo [N,3] of melanin (0 to 1), haemoglobin (about 0.35 at rest) and venous blood [N]."""
    base = np.stack([np.interp(melanin, _STEPS, _SHADES[:, k]) for k in range(3)], -1)
    venous = np.broadcast_to(venous, np.shape(melanin))
    absorbed = np.asarray(haemoglobin)[..., None] * _HAEMOGLOBIN + venous[..., None] * _VENOUS
    return np.exp(base - absorbed)


def srgb_of_linear(colour: np.ndarray) -> np.ndarray:
    """sRGB in [0,1] of linear RGB."""
    value = np.clip(colour, 0.0, 1.0)
    return np.where(
        value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-6) ** (1 / 2.4) - 0.055
    )


def albedo_ita(albedo: np.ndarray) -> float:
    """Median individual typology angle in degrees of linear albedo [N,3]."""
    return ita_of_lab(rgb_to_lab(srgb_of_linear(albedo).astype(np.float32)))


@functools.cache
def _curve() -> tuple[np.ndarray, np.ndarray]:
    melanin = np.linspace(0, 1, 400)
    albedo = reflectance(melanin, np.full(400, RESTING_BLOOD))
    lab = rgb_to_lab(srgb_of_linear(albedo).astype(np.float32))
    return melanin, np.degrees(np.arctan2(lab[:, 0] - 50, lab[:, 2]))


def melanin_of_ita(angle: float) -> float:
    """Melanin (0 to 1) whose albedo has this individual typology angle in degrees."""
    melanin, angles = _curve()
    return float(np.interp(-angle, -angles, melanin))


def gain(lab: np.ndarray, tone: float) -> tuple[np.ndarray, float]:
    """Factors [3] of linear RGB that give the colour lab [3] that ITA in degrees; melanin added (-1 to 1).

    Where the curve of skin colours ends, what comes nearest.
    """
    now = melanin_of_ita(ita_of_lab(lab[None]))
    steps = np.linspace(0, 1, 101)
    shades = reflectance(np.append(steps, now), np.full(102, RESTING_BLOOD))
    gains = (shades[:-1] / shades[-1]).astype(np.float32)
    colours = gains * linear_of_srgb(255 * lab_to_rgb(lab))
    labs = rgb_to_lab(srgb_of_linear(colours).astype(np.float32))
    tones = np.degrees(np.arctan2(labs[:, 0] - 50, labs[:, 2]))
    best = int(np.abs(tones - tone).argmin())
    return gains[best], float(steps[best] - now)
