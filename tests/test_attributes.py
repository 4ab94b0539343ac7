"""Facts: parsing, tone, encoding, and the rule that protects minors."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxderm import attributes as attr
from jaxderm.attributes import Attributes, BodySite, Field, Sex, Source, View
from jaxderm.errors import InputError


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_lab_and_back(rgb):
    back = attr.lab_to_rgb(attr.rgb_to_lab(np.array([rgb], np.uint8)))
    np.testing.assert_allclose(255 * back[0], rgb, atol=0.1)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 128, 0), (46.23, -51.70, 49.90)),
        ((188, 143, 143), (63.61, 17.01, 6.61)),
    ],
)
def test_lab_of_published_colours(rgb, lab):
    np.testing.assert_allclose(attr.rgb_to_lab(np.uint8([rgb]))[0], lab, atol=0.02)
    np.testing.assert_allclose(attr.rgb_to_lab(np.array([rgb]) / 255)[0], lab, atol=0.02)


@pytest.mark.parametrize("angle", list(attr.SKIN_TYPE_ITA.values()))
def test_ita_of_a_colour_made_for_it(angle):
    b = 16.0
    lab = np.array([50 + b * np.tan(np.radians(angle)), 10.0, b], np.float32)
    picture = np.broadcast_to(attr.lab_to_rgb(lab), (4, 4, 3))
    skin = np.eye(4, dtype=bool)
    if 5 < lab[0] < 95:
        assert attr.ita(picture, skin) == pytest.approx(angle, abs=0.5)
    assert attr.ita(picture, np.zeros((4, 4), bool)) is None


def test_declared_types_are_the_middle_of_their_class():
    names = [attr.ita_class(angle) for angle in attr.SKIN_TYPE_ITA.values()]
    assert names == list(attr.ITA_CLASS_NAMES)
    values = list(attr.SKIN_TYPE_ITA.values())
    assert values == sorted(values, reverse=True)


def test_every_combination_protects_minors():
    """No attributes with an age under 18 and a trunk, thigh or unnamed site reach the model."""
    ages = [None, 0.0, 8.0, 17.9, 18.0, 60.0]
    for site, age, field in itertools.product(BodySite, ages, Field):
        shown, sentence = Attributes(age=age, site=site, field=field, field_cm=30.0).for_model()
        if site in attr.PROTECTED_SITES and (age is None or age < 18):
            assert shown.age is None and shown.field is Field.CLOSE_UP and shown.field_cm is None
            assert "withheld" in sentence
        else:
            assert (shown.age, shown.field, sentence) == (age, field, None)
        attr.encode(shown)  # raises for a minor at a protected site
        if site in attr.PROTECTED_SITES and age is not None and age < 18:
            with pytest.raises(ValueError, match="withheld"):
                attr.encode(Attributes(age=age, site=site))


def test_unspecified_is_zero_and_every_fact_shows():
    assert not attr.encode(Attributes()).any()
    facts = {
        "sex": Sex.MALE, "age": 33.0, "ita": -10.0, "site": BodySite.PALM, "view": View.VOLAR,
        "field": Field.CLOSE_UP, "field_cm": 8.0, "source": Source.RENDER,
    }  # fmt: skip
    for name, value in facts.items():
        vector = attr.encode(Attributes(**{name: value}))
        assert vector[attr.CONDITION_GROUPS[name]].any()
        vector[attr.CONDITION_GROUPS[name]] = 0
        assert not vector.any()
    assert attr.CONDITION_SIZE == len(attr.encode(Attributes()))


def test_different_facts_have_different_codes():
    codes = {
        attr.encode(Attributes(sex=sex, age=age, ita=ita, site=site)).tobytes()
        for sex in Sex
        for age in (None, 20.0, 21.0, 80.0)
        for ita in (None, *attr.SKIN_TYPE_ITA.values())
        for site in (BodySite.FACE, BodySite.HAND)
    }
    assert len(codes) == 3 * 4 * 7 * 2


@pytest.mark.parametrize("empty", ["", "NA", "n/a", "unspecified", None, " nan "])
def test_empty_cells_are_unspecified(empty):
    assert attr.parse_enum(Sex, empty, "sex") is Sex.UNSPECIFIED
    if empty != " nan ":
        assert attr.parse_age(empty) is None and attr.parse_skin_type(empty) is None


def test_unknown_values_list_what_is_allowed():
    with pytest.raises(InputError, match="female, male, unspecified"):
        attr.parse_enum(Sex, "f", "sex")
    with pytest.raises(InputError, match="I, II, III, IV, V, VI, measured"):
        attr.parse_skin_type("VII")
    with pytest.raises(InputError, match="lower_leg"):
        attr.parse_site("shin")
    for age in ("-1", "121", "old", "nan "):
        with pytest.raises(InputError, match="0 to 120"):
            attr.parse_age(age)


def test_leg_is_told_apart():
    assert attr.parse_site("leg", 8.0, "thigh") is BodySite.LOWER_LEG
    assert attr.parse_site("leg", 40.0, "left thigh") is BodySite.THIGH
    assert attr.parse_site("Lower leg", 40.0) is BodySite.LOWER_LEG
    assert attr.parse_site("leg", 40.0, "shin") is BodySite.LOWER_LEG
