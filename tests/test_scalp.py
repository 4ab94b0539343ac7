"""Scalps: hair goes on from hair, bare skin from bare skin, by what the rim of kept shows and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxderm.attributes import Attributes, BodySite, Sex, lab_to_rgb
from jaxderm.data.bank_arrays import pack
from jaxderm.data.exemplars import DRAWS, Bank
from jaxderm.data.features import Record
from jaxderm.data.scalp import Rim
from jaxderm.frame import Frame
from jaxderm.release.skin import rim_of

SIDE = 96
SKIN = {30.0: (64.0, 12.0, 18.0), -40.0: (32.0, 12.0, 14.0)}  # CIELAB by ITA
HAIR = {"black": (12.0, 1.0, 2.0), "grey": (65.0, 0.0, 2.0)}
NOWHERE = np.full((5, 2), np.nan)


def painted(tone: float, hair: str | None, size: int = SIDE) -> np.ndarray:
    """Skin, or hair of strokes over it, [S,S,3] uint8."""
    rng = np.random.default_rng(0)
    lab = np.tile(np.array(SKIN[tone], np.float32), (size, size, 1))
    lab[..., 0] += rng.normal(0, 1, (size, size))
    if hair:
        strokes = np.repeat(rng.random((size, size // 2)) < 0.8, 2, axis=1)
        lab[strokes] = HAIR[hair] + rng.normal(0, 1, (strokes.sum(), 1)) * [4, 0, 0]
    return np.round(255 * lab_to_rgb(lab)).astype(np.uint8)


def record(tone: float, hair: str | None) -> Record:
    """A head that fills the picture, all of it hair or bare."""
    facts = Attributes(Sex.MALE, 60.0, tone, BodySite.SCALP, field_cm=20.0)
    return Record(
        image=painted(tone, hair),
        attributes=facts,
        landmarks=NOWHERE * SIDE,
        skin=np.full((SIDE, SIDE), hair is None),
        lesion=None,
        person_id=f"{tone} {hair}",
        image_id="",
    )


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank(
        pack([record(tone, hair) for tone in SKIN for hair in (None, "black", "grey")], SIDE)
    )


def disc(x: int, y: int, radius: float) -> np.ndarray:
    v, u = np.ogrid[:SIDE, :SIDE]
    return np.hypot(u - x, v - y) < radius


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(SKIN)),
    st.sampled_from([None, "black", "grey"]),
    st.integers(20, 76),
    st.integers(20, 76),
    st.integers(0, 99),
)
def test_a_scalp_goes_on_as_kept_ends(bank, tone, hair, x, y, seed):
    photo, kept = painted(tone, hair), disc(x, y, 12)
    photo[disc(x, y, 8)] = (90, 40, 45)  # the lesion says nothing of it
    rim = rim_of(photo, kept, Frame((0, 0, SIDE, SIDE), 1.0), 4.0, tone)
    facts = Attributes(Sex.MALE, 60.0, tone, BodySite.SCALP, field_cm=20.0)
    draws = np.random.default_rng(seed).uniform(0.2, 1, DRAWS)
    choice = bank.choose(facts, NOWHERE, kept.astype(np.float32), draws, rim=rim)
    assert bank.entries[choice.entry].person.split()[1] == str(hair)


def test_the_rim_is_read_where_kept_only():
    kept, frame = disc(50, 40, 12), Frame((0, 0, SIDE, SIDE), 1.0)
    photo = painted(30.0, "black")
    other = np.where(kept[..., None], photo, 255 - photo)
    one, two = (rim_of(p, kept, frame, 4.0, 30.0) for p in (photo, other))
    for name in ("points", "colours", "hair"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert np.hypot(*(one.points * SIDE - [50.5, 40.5]).T).max() < 13
    assert np.hypot(*(one.points * SIDE - [50.5, 40.5]).T).min() > 7


def test_without_a_margin_the_rim_says_nothing():
    kept, frame = disc(50, 40, 12), Frame((0, 0, SIDE, SIDE), 1.0)
    assert rim_of(painted(30.0, None), kept, frame, 0.0, 30.0) is None
    assert isinstance(rim_of(painted(30.0, None), kept, frame, 1.0, None), Rim)
