"""What the kept area may give away, asked before anything is released; and the patient's side."""

import numpy as np

from jaxderm.attributes import BodySite, View
from jaxderm.errors import InputError
from jaxderm.release.facts import Case
from jaxderm.release.kept import FEATURE_WARNING, kept_on_face

SHOWS = {
    "tattoo": "a tattoo",
    "jewellery": "jewellery or a piercing",
    "label": "a label, a ruler with writing, or other text",
    "scar": "a scar or birthmark that people know",
    "iris": "an iris",
    "teeth": "teeth",
    "ridges": "ridges of fingers, palms or soles",
    "rare_disease": "a disease so rare that it identifies by itself",
}
LATERALITIES = ("left", "right", "midline", "bilateral", "unspecified")
OFF_MIDLINE = 0.25  # of the inter-ocular distance: nearer to the midline either side may be said
BURNT_IN_TEXT = "the photograph's file says that text is burnt in"


def found_in_kept(case: Case, burnt_in: bool) -> dict[str, str]:
    """{name of SHOWS: why it is suspected} that the software can tell by itself."""
    found = {}
    site, view = case.attributes.site, case.attributes.view
    if site is BodySite.FACE and (face := kept_on_face(case.kept, case.landmarks)):
        if max(face.eyes) >= FEATURE_WARNING:
            found["iris"] = "the kept area covers an eye"
        if face.mouth >= FEATURE_WARNING:
            found["teeth"] = "the kept area covers the mouth"
    if site in (BodySite.PALM, BodySite.SOLE) or (
        site is BodySite.HAND and view is not View.DORSAL
    ):
        found["ridges"] = f"the site is {site.value}"
    if burnt_in:
        found["label"] = BURNT_IN_TEXT
    return found


def check_kept(shows: str | None, acknowledged: str | None, found: dict[str, str]) -> list[str]:
    """Names of SHOWS that the kept area has, all acknowledged; else InputError with what to write.

    shows: the user's answer, "none" or names; found: what the software suspects.
    """
    if shows is None or not shows.strip():
        listed = "; ".join(f"{name}: {what}" for name, what in SHOWS.items())
        raise InputError(
            "look at the kept area and say what it shows: --kept_shows none, or names from this "
            f"list, separated by commas ({listed})."
        )
    declared = [] if shows.strip().lower() == "none" else _names(shows, "kept_shows")
    known = list(dict.fromkeys([*declared, *found]))
    accepted = set(_names(acknowledged, "acknowledge")) if acknowledged else set()
    missing = [name for name in known if name not in accepted]
    if missing:
        why = "; ".join(f"{name}: {found.get(name, 'you named it')}" for name in missing)
        raise InputError(
            f"the kept area may identify the patient ({why}); draw a smaller mask, or release it "
            f"with --acknowledge {','.join(known)} if patient and editor accept that."
        )
    return known


def _names(text: str, flag: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SHOWS:
            raise InputError(f"{flag} '{name}' is unknown; use: none, {', '.join(SHOWS)}.")
    return names


def parse_laterality(value: str | None) -> str:
    """One of LATERALITIES; InputError when it was not answered."""
    text = (value or "").strip().lower()
    if text not in LATERALITIES:
        said = f"laterality '{value}' is unknown" if text else "the patient's side is not stated"
        raise InputError(
            f"{said}; give --laterality {', '.join(LATERALITIES[:-1])} or unspecified, as the "
            "patient's (the image's left is the patient's right in a frontal photograph)."
        )
    return text


def laterality_warning(case: Case, laterality: str) -> str | None:
    """A sentence when a face's lesion lies on the other side than declared.

    Only for a face with both eyes known; a mirrored photograph (a selfie) looks the same.
    """
    eyes = case.landmarks[:2]
    if case.attributes.site is not BodySite.FACE or np.isnan(eyes).any():
        return None
    rows, columns = np.nonzero(case.kept)
    middle = np.array([columns.mean(), rows.mean()])
    across = eyes[1] - eyes[0]
    length = float(np.linalg.norm(across))
    if length == 0:
        return None
    place = float((middle - eyes.mean(0)) @ across) / length**2
    seen = "midline" if abs(place) < OFF_MIDLINE else "right" if place < 0 else "left"
    if laterality not in ("left", "right") or seen in ("midline", laterality):
        return None
    image = "left" if seen == "right" else "right"
    return (
        f"the lesion lies on the image's {image}, the patient's {seen} unless the photograph is "
        f"mirrored, but the laterality says {laterality}"
    )
