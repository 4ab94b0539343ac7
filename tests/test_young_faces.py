"""Young people are few among the photographs: they are drawn more often, and begin from somebody younger still."""

import dataclasses

import numpy as np
import pytest
from test_lesions_and_masks import portrait

from jaxderm.attributes import Attributes, BodySite, Sex, Source
from jaxderm.data import pipeline
from jaxderm.data.pipeline import YOUNG


class Asked:
    """A bank that remembers for whom an exemplar was asked."""

    def __init__(self) -> None:
        self.facts: list[Attributes] = []

    def exemplar(self, facts, landmarks, mask, draws, size) -> np.ndarray:
        self.facts.append(facts)
        return np.zeros((size, size, 3), np.uint8)


def asked(age: float | None, source: Source = Source.PHOTO, **options):
    """(facts of the exemplars, examples) of forty draws of a face."""
    record, bank = portrait(), Asked()
    facts = dataclasses.replace(record.attributes, age=age, source=source)
    record = dataclasses.replace(record, attributes=facts)
    made = [
        pipeline.make_example(record, np.random.default_rng(seed), 64, bank=bank, **options)
        for seed in range(40)
    ]
    return bank.facts, made


def test_the_young_get_exemplars_who_are_younger_still():
    usual, plain = asked(40.0)
    assert {f.age for f in usual} == {40.0}
    younger, examples = asked(40.0, younger_share=1.0)
    ages = np.array([f.age for f in younger])
    assert 18 <= ages.min() < 22 and 36 < ages.max() <= 40
    assert [dataclasses.replace(f, age=40.0) for f in younger] == usual, "nothing else is another"
    for a, b in zip(plain, examples):
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["mask"], b["mask"])
    some = [f.age != 40 for f in asked(40.0, younger_share=0.5)[0]]
    assert 0.25 < np.mean(some) < 0.75


@pytest.mark.parametrize(
    "age, source",
    [(60.0, Source.PHOTO), (12.0, Source.PHOTO), (None, Source.PHOTO), (40.0, Source.RENDER)],
)
def test_nobody_else_does(age, source):
    assert {f.age for f in asked(age, source, younger_share=1.0)[0]} == {age}


@dataclasses.dataclass
class Labels:
    """What `_groups` reads of a corpus."""

    sites: list[str]
    sexes: list[str]
    ages: list[float]

    def __len__(self) -> int:
        return len(self.sites)


def corpus(count: int = 400, sites=(BodySite.FACE, BodySite.ARM)) -> Labels:
    rng = np.random.default_rng(0)
    return Labels(
        [sites[k].value for k in rng.integers(0, len(sites), count)],
        [(Sex.MALE, Sex.FEMALE)[int(k < 0.2)].value for k in rng.random(count)],
        list(np.where(rng.random(count) < 0.1, np.nan, rng.uniform(20, 90, count))),
    )


def share_of(groups, chosen: np.ndarray) -> float:
    """Probability that a draw from the groups is one of the chosen."""
    return sum(share * chosen[positions].mean() for positions, share in groups)


def test_shares_of_faces_women_and_the_young_are_as_asked():
    source = corpus()
    face = np.array(source.sites) == "face"
    woman, young = np.array(source.sexes) == "female", np.array(source.ages) <= YOUNG
    groups = pipeline._groups(source, 0.7, 0.5, 0.4)
    assert sum(share for _, share in groups) == pytest.approx(1)
    assert sorted(np.concatenate([p for p, _ in groups])) == list(range(len(source)))
    assert share_of(groups, face) == pytest.approx(0.7)
    assert share_of(groups, face & woman) == pytest.approx(0.35)
    assert share_of(groups, face & woman & young) == pytest.approx(0.14)
    assert share_of(groups, face & ~woman & young) == pytest.approx(0.14)
    [(everything, share)] = pipeline._groups(source, 0, 0.5, 0.4)
    assert len(everything) == len(source) and share == 1
    assert share_of(pipeline._groups(source, 1.0, 0, 0), face) == pytest.approx(1)


def test_what_cannot_be_shared_stays_as_it_comes():
    faces = corpus(sites=(BodySite.FACE,))
    [(positions, _)] = pipeline._groups(faces, 0.7, 0, 0)
    assert len(positions) == len(faces)
    old = dataclasses.replace(faces, ages=[80.0] * len(faces))
    young = np.array(old.ages) <= YOUNG
    assert len(pipeline._groups(old, 0, 0.5, 0.4)) == 2 and not young.any()
