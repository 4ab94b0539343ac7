"""A case from the texts of a user: the flags of one photo, or the cells of a row of a cases file."""

from collections.abc import Mapping

import numpy as np

from jaxderm import attributes as attr
from jaxderm.attributes import Attributes, BodySite, Field, Sex, View, parse_enum
from jaxderm.frame import parse_landmarks
from jaxderm.photo import Photo
from jaxderm.release.facts import Case, Fact, resolve


def case_of(
    photo: Photo,
    mask: np.ndarray,
    cells: Mapping[str, str | None],
    model_size: int,
    *,
    margin: float | None = None,
    pixels_per_cm: float | None = None,
    force: bool = False,
    facts: dict[str, Fact] | None = None,
    tone: Fact | None = None,
) -> Case:
    """The case of a photo and mask [H,W] bool with cells site, sex, age, skin_type, subsite, view,
    field, landmarks, frame; facts replays a manifest's; tone stands for the skin_type of another photo of the same person.
    Raises InputError (see `facts.resolve`).
    """
    age = attr.parse_age(cells.get("age"))
    kind = attr.parse_skin_type(cells.get("skin_type")) if tone is None else tone.value
    attributes = Attributes(
        sex=parse_enum(Sex, cells.get("sex"), "sex"),
        age=age,
        ita=None if kind == "measured" else kind,
        site=attr.parse_site(cells.get("site"), age, cells.get("subsite") or ""),
        view=parse_enum(View, cells.get("view"), "view"),
        field=parse_enum(Field, cells.get("field"), "field"),
    )
    text = cells.get("landmarks")
    found = None
    if auto := (text or "").strip() == "auto":
        if facts is None and attributes.site is BodySite.FACE:
            from jaxderm.release.detect import find_landmarks  # brings jax in

            found = find_landmarks(photo.pixels)
    elif text:
        found = parse_landmarks(text, photo.pixels.shape[:2])
    case = resolve(
        photo,
        mask,
        attributes,
        model_size,
        landmarks=found,
        landmarks_origin="measured" if auto else "declared",
        measure_tone=kind == "measured",
        margin=margin,
        frame=cells.get("frame") or None,
        pixels_per_cm=pixels_per_cm,
        force=force,
        facts=facts,
    )
    if tone is not None:
        case.facts["skin_tone"] = tone
    return case
