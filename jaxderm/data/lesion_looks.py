"""What lesions look like: the one source for lesions on rendered bodies and lesions painted in training.

A look is a function of place, never of pixels: where a point lies between centre and rim, and noise that the
caller brings (solid noise in body space, planar noise in a picture). Sizes are the usual clinical ones
(Bolognia, Dermatology, 4th ed.); sites are those where a kind is common enough not to surprise.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxderm.attributes import BodySite as Site

# noise(frequency in cycles a lesion radius, octaves, salt) -> [N] in about [-1,1]
Noise = Callable[[float, int, int], np.ndarray]

_FLAT = (Site.PALM, Site.SOLE)
_FACE = (Site.FACE, Site.EAR, Site.SCALP, Site.NECK)
_HAIRY = (*_FACE, Site.CHEST, Site.ABDOMEN, Site.BACK, Site.ARM, Site.HAND, Site.THIGH,
          Site.LOWER_LEG, Site.FOOT)  # fmt: skip
_SUN = (*_FACE, Site.CHEST, Site.BACK, Site.ARM, Site.HAND, Site.LOWER_LEG)


@dataclasses.dataclass(frozen=True)
class Kind:
    """radius in cm from-to; sites; how ragged (0 to 1) and how soft (share of the
    radius) the border is; from_years: not drawn in people younger than this.
    """

    radius_cm: tuple[float, float]
    sites: tuple[Site, ...]
    ragged: float
    soft: float
    from_years: float = 0.0


KINDS = {
    "naevus": Kind((0.15, 0.6), (*_HAIRY, *_FLAT), 0.06, 0.14),
    "melanoma": Kind((0.3, 2.0), (*_HAIRY, *_FLAT), 0.22, 0.06, 18),
    "seborrhoeic_keratosis": Kind((0.25, 1.5), _HAIRY, 0.10, 0.04, 35),
    "basal_cell_carcinoma": Kind((0.2, 1.5), _SUN, 0.08, 0.12, 35),
    "squamous_cell_carcinoma": Kind((0.3, 2.0), _SUN, 0.12, 0.12, 40),
    "pyogenic_granuloma": Kind((0.15, 0.8), (*_HAIRY, *_FLAT), 0.05, 0.04),
    "eczema": Kind((1.0, 4.0), (*_HAIRY, *_FLAT), 0.25, 0.4),
    "psoriasis": Kind((0.6, 4.0), (*_HAIRY, *_FLAT), 0.14, 0.04),
    "vitiligo": Kind((0.5, 4.0), _HAIRY, 0.28, 0.05),
    "haemangioma": Kind((0.15, 1.5), _HAIRY, 0.12, 0.06),
    "acne": Kind((0.6, 3.0), (Site.FACE, Site.NECK, Site.CHEST, Site.BACK), 0.2, 0.1, 11),
    "crust": Kind((0.2, 1.5), _HAIRY, 0.2, 0.08),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Changes:
    """What a lesion adds to skin at N points.

    melanin (of 0 to 1), haemoglobin and venous blood (0.35 is skin at rest), height in cm, scale (0 to 1,
    white keratin), gloss (0 to 1), coverage (0 to 1, the lesion's own extent).
    """

    melanin: np.ndarray
    haemoglobin: np.ndarray
    venous: np.ndarray
    height: np.ndarray
    scale: np.ndarray
    gloss: np.ndarray
    coverage: np.ndarray


def draw_kind(
    rng: np.random.Generator, site: Site, years: float, kinds: tuple[str, ...]
) -> tuple[str, float]:
    """A kind of `kinds` that occurs at the site and age, and a radius in cm from its range (log-uniform)."""
    possible = [k for k in kinds if site in KINDS[k].sites and years >= KINDS[k].from_years]
    kind = possible[rng.integers(len(possible))]
    low, high = KINDS[kind].radius_cm
    return kind, float(np.exp(rng.uniform(np.log(low), np.log(high))))


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, a cubic between; falls when low > high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def outline(kind: str, rng: np.random.Generator, place: np.ndarray, noise: Noise) -> np.ndarray:
    """Place [N,2] in radii from the centre -> away [N]: 0 at the centre, 1 at the lesion's own rim."""
    ragged = KINDS[kind].ragged
    angle = np.arctan2(place[:, 1], place[:, 0])
    edge = 1 + sum(
        rng.normal() * ragged / k * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(1, 6)
    )
    away = np.hypot(place[:, 0], place[:, 1]) / np.clip(edge, 0.55, 1.4)
    # Small bays and notches; a border is never a drawn curve.
    return away * (1 + ragged * noise(2.0, 2, 1) * np.minimum(away, 1))


def look(
    kind: str, rng: np.random.Generator, place: np.ndarray, away: np.ndarray, coverage: np.ndarray,
    melanin: float, radius_cm: float, noise: Noise,
) -> Changes:  # fmt: skip
    """Changes at points: place [N,2] in radii, away [N] (0 centre to 1 rim), coverage [N] of its shape.

    melanin: of the skin around (0 to 1).
    """
    c = _Layers(len(away), coverage)
    _LOOKS[kind](c, rng, place, away, float(melanin), noise)
    cover = np.clip(c.coverage, 0, 1)
    return Changes(
        melanin=cover * c.melanin,
        haemoglobin=cover * c.haemoglobin,
        venous=cover * c.venous,
        height=cover * np.clip(c.height, -0.3, 0.6) * min(radius_cm, 1.2),
        scale=np.clip(cover * c.scale, 0, 1),
        gloss=np.clip(cover * c.gloss, 0, 1),
        coverage=cover,
    )


class _Layers:
    """Changes being built; height in radii."""

    def __init__(self, count: int, coverage: np.ndarray) -> None:
        self.coverage = coverage
        self.melanin, self.haemoglobin, self.venous = np.zeros((3, count))
        self.height, self.scale, self.gloss = np.zeros((3, count))


def _room(melanin: float) -> float:
    """How much darker than its surround pigment can be: less on dark skin."""
    return 1 - 0.6 * melanin


def _dome(away: np.ndarray) -> np.ndarray:
    return np.sqrt(np.clip(1 - away**2, 0, 1))


def _naevus(c, rng, place, away, melanin, noise) -> None:
    network = 1 - np.abs(noise(5.0, 1, 2)) * 2
    depth = rng.uniform(0.2, 0.36) * _room(melanin)
    c.melanin = depth * (0.82 + 0.12 * network + 0.2 * noise(1.0, 2, 3) + 0.15 * (0.6 - away))
    c.haemoglobin += rng.uniform(0, 0.2)
    c.height = rng.uniform(0.0, 0.25) * (rng.random() < 0.4) * _dome(away)


def _melanoma(c, rng, place, away, melanin, noise) -> None:
    patches, others = noise(0.9, 3, 2), noise(1.1, 3, 7)
    depth = rng.uniform(0.3, 0.44) * _room(melanin)
    c.melanin = depth * (0.8 + 0.65 * patches + 0.15 * noise(5.0, 1, 3))
    c.melanin += 0.18 * smoothstep(patches, 0.25, 0.6)  # nearly black
    veil = smoothstep(others, 0.2, 0.55) * smoothstep(away, 0.9, 0.5)
    c.venous = 1.3 * veil
    c.melanin -= 0.35 * depth * veil
    regressed = smoothstep(-others, 0.25, 0.55)
    c.melanin *= 1 - 0.75 * regressed
    c.haemoglobin = 0.25 + 0.55 * regressed
    c.melanin = np.maximum(c.melanin, 0.03)
    c.height = 0.07 + 0.18 * (rng.random() < 0.5) * smoothstep(patches, 0.1, 0.7)


def _seborrhoeic_keratosis(c, rng, place, away, melanin, noise) -> None:
    folds, grain = np.abs(noise(2.6, 2, 2)), noise(6.0, 2, 3)
    depth = rng.uniform(0.15, 0.32) * _room(melanin)
    plugs = smoothstep(noise(4.5, 1, 4), 0.5, 0.75)
    c.melanin = depth * (0.85 + 0.25 * grain + 0.3 * smoothstep(folds, 0.14, 0.0)) + 0.14 * plugs
    c.haemoglobin += 0.12
    c.height = 0.14 * smoothstep(away, 1.0, 0.82) + 0.10 * folds + 0.03 * grain - 0.06 * plugs
    c.scale = 0.2 * (1 - 0.8 * melanin) * smoothstep(grain, 0.25, 0.8)
    c.gloss += 0.1


def _vessels(noise: Noise, salt: int, width: float = 0.07) -> np.ndarray:
    """Branching thin lines: the zero crossings of noise."""
    line = np.exp(-((noise(1.3, 2, salt) / width) ** 2))
    return np.maximum(line, 0.8 * np.exp(-((noise(2.4, 1, salt + 5) / (1.3 * width)) ** 2)))


def _basal_cell_carcinoma(c, rng, place, away, melanin, noise) -> None:
    vessels = _vessels(noise, 2)
    c.melanin = -0.25 * melanin * (0.6 + 0.4 * noise(1.5, 2, 3)) + 0.02
    c.haemoglobin = 0.4 + 0.15 * noise(1.2, 2, 4) + 0.75 * vessels * smoothstep(away, 0.1, 0.6)
    rim = np.exp(-(((away - 0.78) / 0.2) ** 2))
    beads = 0.75 + 0.5 * noise(2.4, 1, 5)
    c.height = 0.2 * rim * beads + 0.06
    c.gloss = 0.75 * rim + 0.25
    if rng.random() < 0.3 + 0.4 * melanin:  # pigmented, the rule on dark skin
        c.melanin += 0.25 * _room(melanin) * smoothstep(noise(2.0, 2, 6), 0.1, 0.5)
        c.venous += 0.5 * smoothstep(noise(2.0, 2, 6), 0.2, 0.5)
    if rng.random() < 0.6:
        ulcer = smoothstep(away + 0.25 * noise(1.6, 2, 8), 0.5, 0.3)
        crust = ulcer * smoothstep(noise(2.2, 2, 9), -0.2, 0.3)
        c.haemoglobin += 1.5 * ulcer
        c.melanin += 0.22 * crust * _room(melanin)
        c.height -= 0.12 * ulcer - 0.1 * crust
        c.gloss *= 1 - ulcer + 0.6 * (ulcer - crust)


def _squamous_cell_carcinoma(c, rng, place, away, melanin, noise) -> None:
    c.haemoglobin = 0.85 + 0.3 * noise(1.4, 2, 2)
    c.melanin = 0.03 + 0.05 * melanin
    c.height = rng.uniform(0.15, 0.4) * _dome(away) + 0.05 * noise(3.0, 2, 3)
    centre = smoothstep(away + 0.3 * noise(1.5, 2, 4), 0.72, 0.42)
    flakes = smoothstep(noise(3.2, 2, 5), -0.25, 0.35)
    # Keratin is yellow-grey horn over a red base, not white paint.
    c.scale = 0.62 * centre * flakes + 0.2 * smoothstep(noise(5.0, 1, 6), 0.3, 0.7)
    c.scale *= 1 - 0.45 * melanin
    c.melanin += 0.10 * centre
    c.height += 0.12 * centre * flakes
    if rng.random() < 0.6:
        raw = centre * smoothstep(noise(1.7, 2, 8), 0.05, 0.35)
        c.haemoglobin += 1.3 * raw
        c.melanin += 0.2 * raw * _room(melanin)
        c.scale *= 1 - 0.9 * raw
        c.height -= 0.15 * raw


def _pyogenic_granuloma(c, rng, place, away, melanin, noise) -> None:
    lobes = noise(1.8, 2, 2)
    c.haemoglobin = rng.uniform(2.0, 2.7) + 0.5 * lobes
    c.melanin += 0.05
    c.venous = rng.uniform(0.1, 0.5) + 0.2 * lobes
    c.height = 0.5 * _dome(away) + 0.05 * lobes
    c.gloss = np.full(len(away), rng.uniform(0.6, 1.0))
    c.scale = 0.4 * np.exp(-(((away - 0.97) / 0.06) ** 2)) * smoothstep(noise(3.0, 1, 3), -0.4, 0.3)
    if rng.random() < 0.5:
        crust = smoothstep(noise(1.5, 2, 4), 0.15, 0.45)
        c.melanin += 0.3 * crust * _room(melanin)
        c.gloss *= 1 - 0.8 * crust


def _eczema(c, rng, place, away, melanin, noise) -> None:
    patches, fine = noise(1.1, 3, 2), noise(6.0, 2, 3)
    c.coverage = c.coverage * smoothstep(patches - 0.45 * away, -0.85, 0.0)
    c.haemoglobin = 0.95 + 0.4 * patches + 0.15 * fine
    c.melanin = 0.10 * melanin * (1 + patches)  # dark skin thickens grey-brown
    c.scale = 0.3 * smoothstep(fine, 0.15, 0.6) * smoothstep(noise(1.6, 2, 4), -0.1, 0.4)
    c.height = 0.012 * fine
    scratched = smoothstep(noise(4.2, 1, 5), 0.55, 0.75) * (away < 0.75)
    c.haemoglobin += 1.1 * scratched
    c.melanin += 0.10 * scratched


def _psoriasis(c, rng, place, away, melanin, noise) -> None:
    plates = noise(2.0, 2, 2) + 0.45 * noise(6.0, 2, 3)
    amount = rng.uniform(0.45, 0.8)
    scale = smoothstep(plates, 0.45 - 0.7 * amount, 0.75 - 0.5 * amount) * smoothstep(
        away, 0.97, 0.8
    )
    crack = smoothstep(np.abs(noise(3.2, 1, 4)), 0.05, 0.16)
    c.scale = amount * scale * (0.55 + 0.45 * crack)
    c.haemoglobin = rng.uniform(1.0, 1.4) + 0.2 * noise(1.2, 2, 5)
    c.venous += 0.35 * melanin  # violet on dark skin
    c.melanin += 0.06 * melanin
    c.height = 0.05 + 0.035 * scale * crack


def _vitiligo(c, rng, place, away, melanin, noise) -> None:
    islands = smoothstep(noise(4.0, 1, 2), 0.5, 0.75) * (rng.random() < 0.5)
    trichrome = 0.25 * (rng.random() < 0.3) * smoothstep(away, 0.7, 0.95)
    c.melanin = -melanin * 0.88 * (1 - 0.85 * islands) * (1 - trichrome)
    c.melanin += 0.03 * np.exp(-(((away - 1.0) / 0.06) ** 2))
    c.haemoglobin -= 0.06


def _haemangioma(c, rng, place, away, melanin, noise) -> None:
    lobes = noise(2.6, 2, 2)
    c.haemoglobin = rng.uniform(1.7, 2.5) + 0.6 * lobes
    c.venous = rng.uniform(0.0, 0.7) + 0.35 * np.clip(lobes, 0, 1)
    c.melanin += 0.03
    c.height = rng.uniform(0.1, 0.35) * _dome(away) + 0.05 * lobes
    c.gloss += 0.3


def _acne(c, rng, place, away, melanin, noise) -> None:
    number, phase = int(rng.integers(6, 14)), rng.uniform(0, 6.3)
    area = smoothstep(away, 1.0, 0.4)
    spots, haemoglobin = np.zeros(len(away)), 0.4 * area
    for k in range(number):
        reach = 0.85 * np.sqrt((k + rng.uniform(0.1, 0.9)) / number)
        turn = phase + 2.4 * k + rng.normal() * 0.5  # spread out, in no pattern
        at = reach * np.array([np.cos(turn), np.sin(turn)])
        size = rng.uniform(0.09, 0.2)
        draw = rng.random()
        d = np.hypot(*(place - at).T) / size * (1 + 0.12 * noise(3.0, 1, 20 + k % 3))
        bump = smoothstep(d, 1.0, 0.2)
        spots = np.maximum(spots, smoothstep(d, 1.3, 0.9))
        if draw < 0.2:  # comedo
            c.melanin += 0.25 * smoothstep(d, 0.55, 0.3) * _room(melanin)
            haemoglobin = haemoglobin + 0.2 * bump
            c.height += 0.25 * size * bump
        elif draw < 0.4:  # what remains of one: red on light, brown on dark skin
            haemoglobin = haemoglobin + 0.55 * (1 - melanin) * bump
            c.melanin += (0.03 + 0.12 * melanin) * bump
        else:
            haemoglobin = haemoglobin + rng.uniform(0.8, 1.5) * smoothstep(d, 1.5, 0.2)
            c.height += 0.5 * size * _dome(np.minimum(d, 1.0))
            c.gloss = np.maximum(c.gloss, 0.4 * bump)
            if draw > 0.7:  # pustule
                c.scale = np.maximum(c.scale, 0.5 * smoothstep(d, 0.5, 0.3))
    c.haemoglobin = haemoglobin
    # The lesions are the spots; the skin between them counts as a flush only.
    c.coverage = c.coverage * np.maximum(spots, 0.5 * (away < 1))


def _crust(c, rng, place, away, melanin, noise) -> None:
    plates, fine = noise(1.8, 3, 2), noise(5.0, 2, 3)
    thick = smoothstep(plates, -0.35, 0.25)
    c.haemoglobin = 0.8 + 0.9 * (1 - thick) + 0.4 * thick
    c.melanin = (0.06 + 0.32 * thick * (0.8 + 0.3 * fine)) * _room(melanin)
    c.height = 0.10 * thick + 0.03 * fine
    c.scale = 0.15 * smoothstep(fine, 0.3, 0.7) * (1 - thick)


_LOOKS = {name: globals()[f"_{name}"] for name in KINDS}
