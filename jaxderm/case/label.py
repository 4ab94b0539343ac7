"""What may be printed of a case: the public label, and the texts that are filled from templates.

The public label is no part of the private manifest: no landmark, no hash, no consent reference, no
exact age, no file name.
"""

import importlib.resources
import string
from typing import Any

import jaxderm
from jaxderm.attributes import SKIN_TYPE_ITA, ita_class
from jaxderm.release.manifest import SOURCE_TYPE

TEMPLATES = ("legend", "disclosure", "letter")
AGE_BOUNDS = (2, 5, 10, *range(20, 91, 10))
OLDEST = "90+"


def age_band(age: float | None) -> str | None:
    """ "under 2", "2-4", "5-9", "10-19" ... "80-89", "90+" of an age in years; None = not stated."""
    if age is None:
        return None
    if age < AGE_BOUNDS[0]:
        return f"under {AGE_BOUNDS[0]}"
    for low, high in zip(AGE_BOUNDS, AGE_BOUNDS[1:]):
        if age < high:
            return f"{low}-{high - 1}"
    return OLDEST


def skin_tone_words(fact: dict[str, Any]) -> str | None:
    """ "skin type II" as declared, or "light skin (measured)"; None where unknown."""
    value = fact["value"]
    if value is None:
        return None
    for kind, angle in SKIN_TYPE_ITA.items():
        if fact["origin"] == "declared" and value == angle:
            return f"skin type {kind}"
    return f"{ita_class(value)} skin ({fact['origin']})"


def public_label(
    manifest: dict[str, Any], *, diagnosis: str, site_words: str, laterality: str, shows: str,
    size: tuple[int, int], withheld: tuple[str, ...], scale_bar_mm: float | None,
) -> dict[str, Any]:  # fmt: skip
    """The label of one figure from its private manifest; size is (height, width)."""
    facts = manifest["facts"]
    return {
        "version": 1,
        "diagnosis": diagnosis,
        "site": site_words,
        "laterality": None if laterality == "unspecified" else f"the patient's {laterality}",
        "kept_area": shows.replace("_", " "),
        "declared_of_the_person_shown": {
            "sex": "withheld" if "sex" in withheld else facts["sex"]["value"],
            "age_years": "withheld" if "age" in withheld else age_band(facts["age"]["value"]),
            "skin_tone": skin_tone_words(facts["skin_tone"]),
        },
        "pixels_per_cm": facts["pixels_per_cm"]["value"],
        "scale_bar_mm": scale_bar_mm,
        "figure": {"width": size[1], "height": size[0]},
        "digital_source_type": SOURCE_TYPE,
        "generator": {
            "name": "jaxderm", "version": jaxderm.__version__, "model": manifest["model"]["name"],
        },
        "clinical_evidence": "the outlined area only",
    }  # fmt: skip


def person_words(label: dict[str, Any]) -> str:
    """The declared person of a label, in words."""
    who = label["declared_of_the_person_shown"]
    parts = []
    for name, text in (("sex", who["sex"]), ("age", who["age_years"])):
        if text == "withheld":
            parts.append(f"{name} withheld")
        elif text is None:
            parts.append(f"{name} not stated")
        else:
            parts.append(text if name == "sex" else f"age group {text} years")
    parts.append(who["skin_tone"] or "skin tone not stated")
    return ", ".join(parts)


def scale_words(label: dict[str, Any]) -> str:
    """The scale of a label in a sentence."""
    scale, bar = label["pixels_per_cm"], label["scale_bar_mm"]
    if scale is None:
        return "The scale is not known."
    width = label["figure"]["width"] / scale
    sentence = f"Scale: the figure is {width:.3g} cm wide at the lesion."
    return sentence if bar is None else f"{sentence} Scale bar: {bar:g} mm."


def fill(name: str, **values: str) -> str:
    """A template of docs/journal_policy.md with its fields filled."""
    path = importlib.resources.files("jaxderm.case") / "templates" / f"{name}.txt"
    return string.Template(path.read_text("utf-8")).substitute(values)
