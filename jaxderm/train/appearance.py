"""Fit of the appearance of faces to portraits: registered to their mean, regressed on sex and age, and what is left.

Each value at each place is regressed on sex, age, smile and tone, robustly, for glasses and strands, and evaluated for
somebody who does not smile; the mouth is that of those who keep it closed. `commands/train_appearance.py` is the program.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from jaxderm.attributes import LUMA, Sex
from jaxderm.data import complexion
from jaxderm.models.appearance import (
    ACROSS,
    AGES,
    FINER,
    SEXES,
    SPARSE,
    STEP,
    TONE,
    Appearance,
    middles,
    mouth_of,
    nodes,
    one_half,
)
from jaxderm.train.closed_mouths import closed, closed_mouths
from jaxderm.train.eyes import eyes_of
from jaxderm.train.registered import Face, coarse, even, laid, registered
from jaxderm.train.regression import modes_of, regressed
from jaxderm.train.shapes import shapes_of
from jaxderm.train.texture import strengths_of

# Where teeth show, in distances from the eyes to the mouth: across, down; how much of their light is that they are not red.
TEETH, PALE = ((-0.2, 0.2), (0.98, 1.12)), 0.5
# What is regressed on: middles and units of age and of the width of the mouth; ridges in faces; and the somebody whom it is
# evaluated for: width, teeth in deviations.
AGE, WIDTH = (45.0, 20.0), (0.8, 0.1)
ITA = -1  # among the terms
RIDGES = (1e-3, 1e-3, 4.0, 4.0, 4.0, 4.0, 8.0)
UNSMILING, CLOSED = 0.66, -1.8
# An ellipse in which all is a face's, eyes too, in distances from the eyes to the mouth: middle, half axes, softness;
# elsewhere only what is like skin, and where so much of that is, it is told.
FACE, EDGE, TOLD = (0.42, (0.72, 0.85)), (1.1, 0.9), (0.15, 0.4)
UNLIKE = 0.003  # weight of what is not like skin
SPREAD = 0.1, 0.4  # in distances from the eyes to the mouth: how far the others are filled from
# Creases narrower than this, in distances from the eyes to the mouth, are smiles' and years': ages up to which all go, and
# from which none do. Forehead, nose, mouth and what is below keep what is narrow.
CREASE, CREASED, EVEN = 0.36, (30.0, 75.0), 0.08
UNDER_EYES, NOSE, CHIN = (0.1, 0.35), (0.62, 0.42), (1.2, 1.4)
MOUTH, MOUTH_EDGE = (1.04, (0.62, 0.3)), (1.3, 1.0)
# Where the skin around lips is filled in, in distances from the eyes to the mouth: middle, half axes, softness; lips: where they
# meet, how high each is, how wide both, and how softly they end.
LIPS, LIPS_EDGE = (1.06, (0.46, 0.17)), (1.3, 0.85)
MEET, UPPER, LOWER, LONG, SOFT = 1.015, 0.09, 0.16, 0.44, (-0.1, 0.4)
# What women's lips differ by from the skin around, in logarithms of red, green and blue: the median of 130 portraits.
LIP = -0.05, -0.28, -0.16
# Around a brow, in distances from the eyes to the mouth: how far below the eyes, half axes; where it ends, and is whole; how far
# beside the middle. How high one is at most.
BROW, BROW_EDGE, BESIDE, BROW_HIGH = (-0.32, (0.56, 0.2)), (1.0, 0.65), 0.5, 0.36
# Of what differs from portrait to portrait: how many; nodes over which it is even.
MODES, BROAD = 24, 2.0
ENDS = 4, 10  # nodes from the border to where all is taken
# Shares of portraits with skin at a place where none is taken, and all; of where brows may be, where they surely are.
SHOWN, WITHIN = (0.35, 0.6), 0.8


def fit(faces: Sequence[Face]) -> Appearance:
    """The appearance of faces; both sexes are among them."""
    flows, template, marks = registered(faces)
    light, inside, skins = laid(faces, flows)
    shown = even(skins.sum(0) / np.maximum(inside.sum(0), 1))
    face, mouth = _ellipse(*FACE, EDGE), mouth_of(*nodes(FINER))
    weight = inside * np.maximum(face, skins + UNLIKE)
    terms = _terms(faces, light)
    coefficients, apart = regressed(light, weight, terms, RIDGES)
    told = _ramp(np.maximum(face, shown), *TOLD)
    brow = _ellipse(*BROW, BROW_EDGE, BESIDE)
    men = np.array([face.sex is Sex.MALE for face in faces]).nonzero()[0]
    those = men[closed(coarse(light[men]))]  # few women keep it closed
    mouths = closed_mouths([faces[k] for k in those], marks)
    people = np.empty((len(SEXES), len(AGES), *light.shape[1:]), np.float32)
    for s, sex in enumerate(SEXES):
        for a, age in enumerate(AGES):
            of_all = np.tensordot(_asked(sex, age), coefficients, 1)
            whole = _uncreased(_filled(even(of_all), told), age)
            whole += brow * (_browless(whole) - whole)
            men_s = whole + mouth * (mouths[a] - whole)
            people[s, a] = men_s if sex is Sex.MALE else _of_woman(mouths[a], whole)
    darker = _filled(even(-coefficients[ITA]), face)
    modes = modes_of(coarse(apart * weight * np.maximum(face, shown)), MODES, BROAD)
    modes = _filled(modes, 1 - coarse(mouth))[:, ::SPARSE, ::SPARSE]  # without the smiles of some
    brows = middles(np.maximum(-template, 0) * _brows(), nodes()[0])[:, ::-1]
    skin = _ramp(coarse(shown) * _ends(), *SHOWN)
    marks = np.concatenate([marks, brows])
    shapes, by = shapes_of(flows, terms)
    fine = inside[:, None] * (light - np.tensordot(terms, coefficients, 1).astype(np.float32))
    asked = [_asked(sex, age) for sex in SEXES for age in AGES]
    textures = strengths_of(np.tensordot(fine, LUMA, (1, 0)), skins, terms, asked)
    textures = textures.reshape(len(SEXES), len(AGES), *textures.shape[1:])
    of_faces = one_half(people), one_half(darker), modes, shapes, -by[ITA], eyes_of(fine), textures
    return Appearance(*of_faces, skin, template, marks)


def _ramp(x, zero, one):
    return np.clip((x - zero) / (one - zero), 0, 1)


def _ellipse(
    below: float, half: tuple[float, float], edge: tuple[float, float], beside: float = 0.0
) -> np.ndarray:
    """1 inside of an ellipse on the middle of a face, or of one on each side of it, 0 outside, at the finer nodes [h,w]."""
    across, down = nodes(FINER)
    away = np.hypot((np.abs(across) - beside) / half[0], (down - below) / half[1])
    return _ramp(away, *edge)


def _asked(sex: Sex, age: float) -> np.ndarray:
    """Terms [T] of somebody who does not smile, of the middle tone."""
    return _term(sex, age, UNSMILING, CLOSED, TONE[0])


def _term(sex, age, wide, teeth, ita) -> np.ndarray:
    of = np.array([sex is each for each in SEXES], float)
    age, wide, ita = (
        (value - middle) / unit
        for value, (middle, unit) in ((age, AGE), (wide, WIDTH), (ita, TONE))
    )
    return np.array([*of, *(age * of), wide, teeth, ita])


def _terms(faces: Sequence[Face], light: np.ndarray) -> np.ndarray:
    """Terms [N,T] of faces of registered light [N,3,h,w]."""
    across, down = nodes(FINER)
    (left, right), (top, bottom) = TEETH
    there = (across > left) & (across < right) & (down > top) & (down < bottom)
    red, blue = light[:, 0, there].mean(1), light[:, 2, there].mean(1)
    teeth = np.tensordot(light[:, :, there].mean(2), LUMA, 1) - PALE * (red - blue)
    for sex in SEXES:  # lips are painted
        those = np.array([face.sex is sex for face in faces])
        teeth[those] -= teeth[those].mean()
    teeth /= teeth.std()
    rows = [
        _term(face.sex, face.age, face.wide, shows, TONE[0] if face.ita is None else face.ita)
        for face, shows in zip(faces, teeth)
    ]
    return np.stack(rows)


def _filled(planes: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Planes [C,H,W] where they are told [H,W], and around that as near by."""
    step = (ACROSS[1] - ACROSS[0]) / (told.shape[1] - 1)

    def near(sigma):
        sigma /= step
        sums = ndimage.gaussian_filter(planes * told, (0, sigma, sigma))
        return sums, ndimage.gaussian_filter(told, sigma)

    (close, weight), (far, other) = (near(sigma) for sigma in SPREAD)
    around = (close + 1e-2 * far) / np.maximum(weight + 1e-2 * other, 1e-7)
    return around + told * (planes - around)


def _uncreased(planes: np.ndarray, age: float) -> np.ndarray:
    """Planes [3,h,w] of somebody of an age, less narrow creases: a closing of each."""
    (across, down), step = nodes(FINER), STEP / FINER
    below, width = NOSE
    keeps = np.maximum(
        _ramp(np.hypot(across, down - below) / width, 1.0, 0.75),
        _ramp(down + 0.15 * np.abs(across), *CHIN),
    )
    keeps = np.maximum(keeps, 1 - _ramp(down, *UNDER_EYES))
    keeps = np.maximum(keeps, _ellipse(*MOUTH, MOUTH_EDGE))
    half = round(CREASE / step / 2)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    closed = [ndimage.grey_closing(plane, footprint=np.hypot(x, y) <= half) for plane in planes]
    less = ndimage.gaussian_filter(np.stack(closed), (0, EVEN / step, EVEN / step)) - planes
    return planes + np.interp(age, CREASED, (1, 0)) * (1 - keeps) * less


def _of_woman(closed: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A woman's face, planes [3,h,w], with the relief of a closed mouth, and lips of the colour of women's."""
    around = 1 - _ellipse(*LIPS, LIPS_EDGE)
    relief = np.tensordot(LUMA, closed - _filled(closed, around), 1)
    across, down = nodes(FINER)
    high = np.where(down < MEET, UPPER, LOWER)
    lips = _ramp(1 - np.square(across / LONG) - np.abs(down - MEET) / high, *SOFT)
    return _filled(whole, around) + relief + lips * np.array(LIP)[:, None, None]


def _browless(planes: np.ndarray) -> np.ndarray:
    """Planes [3,h,w] less what is dark and low: a frame has its own brows, and those of all are no second pair."""
    step = STEP / FINER
    high = 2 * round(BROW_HIGH / step / 2) + 1
    closed = ndimage.grey_closing(planes, (1, high, 1))
    return ndimage.gaussian_filter(closed, (0, EVEN / step / 2, EVEN / step))


def _brows() -> np.ndarray:
    """1 where brows are looked for, [H,W]."""
    across, down = nodes()
    (beside, below), (wide, high) = complexion.BROWS
    return np.hypot((np.abs(across) - beside) / wide, (down - below) / high) < WITHIN


def _ends() -> np.ndarray:
    """0 at the border of the nodes, 1 within, [H,W]."""
    inside = np.pad(np.ones(np.array(nodes()[0].shape) - 2), 1)
    return _ramp(ndimage.distance_transform_edt(inside), *ENDS).astype(np.float32)
