"""From photo, mask and what is declared to a case: kept, frame, and the named facts with their origin.

Whatever the release depends on besides kept pixels and seed passes through here and is listed.
"""

import dataclasses
from typing import Any

import numpy as np
from scipy import ndimage

from jaxderm.attributes import (
    ADULT_AGE,
    Attributes,
    BodySite,
    Field,
    Sex,
    Source,
    View,
    ita,
)
from jaxderm.errors import InputError
from jaxderm.frame import (
    Frame,
    bounding_box,
    custom_frame,
    default_margin,
    grow_mask,
    landmarks_in_frame,
    make_frame,
    round_landmarks,
    share_of_frame,
)
from jaxderm.photo import Photo, require_opaque
from jaxderm.release import skin
from jaxderm.release.kept import kept_on_face

MAX_KEPT_SHARE = 0.6
RIM_WARNING = 25.0  # degrees of ITA: more than one class of skin tone
CLOSE_UP_CM = 15.0  # frames up to this width are close-ups (DESIGN: 5-15 cm)
UNKNOWN = np.full((5, 2), np.nan, np.float32)


@dataclasses.dataclass(frozen=True)
class Fact:
    """A named value and where it comes from: declared, measured or assumed."""

    value: Any
    origin: str


@dataclasses.dataclass(frozen=True)
class Case:
    """A photo ready for release. photo [H,W,3] uint8, kept [H,W] bool, landmarks [5,2] rounded."""

    photo: np.ndarray
    kept: np.ndarray
    frame: Frame
    attributes: Attributes  # as the model sees them
    landmarks: np.ndarray
    facts: dict[str, Fact]
    warnings: tuple[str, ...]
    conversion: tuple[str, ...]

    @property
    def landmarks_in_frame(self) -> np.ndarray:
        """Landmarks [5,2] in [0,1] of the frame."""
        return landmarks_in_frame(self.landmarks, self.frame)


def _number(value: float | None) -> float | int | None:
    return None if value is None else int(value) if float(value).is_integer() else float(value)


def resolve(
    photo: Photo | np.ndarray,
    mask: np.ndarray,
    attributes: Attributes,
    model_size: int,
    *,
    landmarks: np.ndarray | None = None,
    landmarks_origin: str = "declared",
    measure_tone: bool = True,
    margin: float | None = None,
    frame: str | None = None,
    pixels_per_cm: float | None = None,
    force: bool = False,
    facts: dict[str, Fact] | None = None,
) -> Case:
    """The case of a photo [H,W,3] and mask [H,W] (True = lesion).

    landmarks [5,2] in photo pixels (None: not given; all NaN: none, a close-up), of origin
    "declared" or "measured" (release/detect.py); measure_tone: find
    the skin tone in the photo when attributes.ita is None; margin in px; frame "x,y,side";
    facts replays a manifest's facts and overrides all of these. Raises InputError.
    """
    if not isinstance(photo, Photo):
        pixels = np.asarray(photo)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise InputError(
                f"photo has shape {pixels.shape} {pixels.dtype}; give [H,W,3] uint8 sRGB."
            )
        photo = Photo(pixels, None, ())
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != photo.pixels.shape[:2]:
        raise InputError(
            f"mask has shape {mask.shape} {mask.dtype}; give [H,W] bool of the photo's size "
            f"{photo.pixels.shape[:2]}."
        )
    if not mask.any():
        raise InputError("mask is empty; mark the lesion in it.")
    if facts is not None:
        return _replay(photo, mask, facts, model_size, force)

    if pixels_per_cm is not None and not 0 < pixels_per_cm < 1e5:
        raise InputError(f"pixels_per_cm '{pixels_per_cm}' is not a positive number.")
    found = {name: Fact(None, "declared") for name in ("sex", "age")}
    if attributes.sex is not Sex.UNSPECIFIED:
        found["sex"] = Fact(attributes.sex.value, "declared")
    found["age"] = Fact(_number(attributes.age), "declared")
    found["site"] = Fact(attributes.site.value, "declared")
    found["view"] = Fact(attributes.view.value, "declared")
    given = landmarks is not None and not np.isnan(landmarks).all()
    face = attributes.site is BodySite.FACE
    if face and landmarks is None:
        raise InputError(
            'site face needs landmarks: give --landmarks "x,y x,y x,y x,y x,y" (the eye on the '
            "image's left, the eye on its right, nose tip, mouth corner on its left, on its right), "
            "--landmarks auto to find them, or --landmarks none for a close-up."
        )
    rounded = round_landmarks(landmarks) if face and given else UNKNOWN
    found["landmarks"] = Fact(_points(rounded), landmarks_origin if face and given else "declared")

    own_margin = default_margin(mask, pixels_per_cm) if margin is None else margin
    found["margin_px"] = Fact(_number(own_margin), "assumed" if margin is None else "declared")
    kept = grow_mask(mask, own_margin)
    square = make_frame(kept, model_size, attributes.site, rounded, frame)
    found["frame"] = Fact(list(square.box), "assumed" if frame is None else "declared")
    found["pixels_per_cm"] = Fact(_number(pixels_per_cm), "declared")

    if attributes.field is not Field.UNSPECIFIED:
        found["field"] = Fact(attributes.field.value, "declared")
    else:
        found["field"] = Fact(_field(face, given, square, pixels_per_cm).value, "assumed")
    if attributes.source is not Source.UNSPECIFIED:
        found["source"] = Fact(attributes.source.value, "declared")
    else:
        found["source"] = Fact(_default_source(face, given, attributes.age).value, "assumed")

    if attributes.ita is not None:
        found["skin_tone"] = Fact(_number(attributes.ita), "declared")
    elif measure_tone:
        tone = skin.measure_tone(
            photo.pixels, kept, square, rounded if given else None, attributes.site
        )
        found["skin_tone"] = Fact(_number(tone), "measured")
    else:
        found["skin_tone"] = Fact(None, "declared")
    return _case(photo, mask, kept, square, rounded, found, force)


def _rim_ita(photo: np.ndarray, kept: np.ndarray) -> float:
    """ITA in degrees of kept's outermost two pixels."""
    x0, y0, x1, y1 = bounding_box(kept)
    inner = kept[y0:y1, x0:x1]
    rim = inner & ~ndimage.binary_erosion(inner, iterations=2)
    return ita(photo[y0:y1, x0:x1], rim)


def _field(face: bool, landmarks: bool, frame: Frame, pixels_per_cm: float | None) -> Field:
    if face:
        return Field.WHOLE_SITE if landmarks else Field.CLOSE_UP
    if pixels_per_cm is None:
        return Field.UNSPECIFIED
    return Field.CLOSE_UP if frame.side / pixels_per_cm <= CLOSE_UP_CM else Field.WHOLE_SITE


def _default_source(face: bool, landmarks: bool, age: float | None) -> Source:
    """What the corpora hold: photographs of adults' whole faces, renders of everything."""
    child = age is not None and age < ADULT_AGE
    return Source.PHOTO if face and landmarks and not child else Source.RENDER


def _points(landmarks: np.ndarray) -> list | None:
    if np.isnan(landmarks).all():
        return None
    return [[None if np.isnan(v) else _number(v) for v in point] for point in landmarks.tolist()]


def _replay(photo: Photo, mask: np.ndarray, facts: dict[str, Fact], size: int, force: bool) -> Case:
    points = facts["landmarks"].value
    landmarks = UNKNOWN if points is None else np.array(points, np.float32)
    kept = grow_mask(mask, facts["margin_px"].value)
    x0, y0, x1, _ = facts["frame"].value
    frame = custom_frame(f"{x0},{y0},{x1 - x0}", kept, size)
    return _case(photo, mask, kept, frame, landmarks, dict(facts), force)


def _case(photo, mask, kept, frame: Frame, landmarks, facts: dict[str, Fact], force: bool) -> Case:
    require_opaque(photo, kept, "photo")
    value = {name: fact.value for name, fact in facts.items()}
    scale = value["pixels_per_cm"]
    attributes, withheld = Attributes(
        sex=Sex(value["sex"] or "unspecified"),
        age=value["age"],
        ita=value["skin_tone"],
        site=BodySite(value["site"]),
        view=View(value["view"]),
        field=Field(value["field"]),
        field_cm=None if scale is None else frame.side / scale,
        source=Source(value["source"]),
    ).for_model()
    warnings = [withheld] if withheld else []
    share = share_of_frame(kept, frame)
    if share > MAX_KEPT_SHARE:
        sentence = (
            f"the kept area is {100 * share:.0f} % of the frame and may itself identify the patient"
        )
        if not force:
            raise InputError(f"{sentence}; draw a smaller mask, or give --force to release it.")
        warnings.append(sentence)
    if attributes.site is BodySite.FACE and (face := kept_on_face(kept, landmarks)):
        warnings.extend([face.warning] if face.warning else [])
    conversion = list(photo.conversion)
    if photo.clipped is not None and (clipped := int(np.count_nonzero(photo.clipped & kept))):
        conversion.append(f"{clipped} kept pixels were clipped to the sRGB gamut")
    if (
        "skin_tone" in facts
        and value["skin_tone"] is None
        and facts["skin_tone"].origin == "measured"
    ):
        warnings.append("no unaffected skin was found to measure a tone on; declare --skin_type")
    if value["skin_tone"] is not None:
        step = abs(_rim_ita(photo.pixels, kept) - value["skin_tone"])
        if step > RIM_WARNING:
            warnings.append(
                f"the edge of the kept area differs from the skin tone by {step:.0f} degrees of ITA; "
                "a larger --margin may keep the whole lesion"
            )
    return Case(
        photo.pixels, kept, frame, attributes, landmarks, facts, tuple(warnings), tuple(conversion)
    )
