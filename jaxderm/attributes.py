"""Sex, age, skin tone, body site, view and field: the named facts, and their encoding for the model.

Everything may be unspecified. In the condition vector an unspecified fact is a group of zeros, so
that dropping a fact in training is a multiplication by zero.
"""

import dataclasses
import enum
import math

import numpy as np

from jaxderm.errors import InputError


class Sex(enum.Enum):
    """Sex of the person in the picture."""

    FEMALE = "female"
    MALE = "male"
    UNSPECIFIED = "unspecified"


class BodySite(enum.Enum):
    """Body site that the picture shows."""

    FACE = "face"
    EAR = "ear"
    SCALP = "scalp"
    NECK = "neck"
    CHEST = "chest"
    ABDOMEN = "abdomen"
    BACK = "back"
    ARM = "arm"
    HAND = "hand"
    PALM = "palm"
    THIGH = "thigh"
    LOWER_LEG = "lower_leg"
    FOOT = "foot"
    SOLE = "sole"
    UNSPECIFIED = "unspecified"


class View(enum.Enum):
    """Side from which the camera looks; image left is the patient's right."""

    FRONTAL = "frontal"
    IMAGE_LEFT = "image_left"
    IMAGE_RIGHT = "image_right"
    DORSAL = "dorsal"
    VOLAR = "volar"
    UNSPECIFIED = "unspecified"


class Field(enum.Enum):
    """Field of view: the whole site (18-50 cm) or a close-up (5-15 cm)."""

    WHOLE_SITE = "whole_site"
    CLOSE_UP = "close_up"
    UNSPECIFIED = "unspecified"


class Source(enum.Enum):
    """Kind of picture: a photograph or a render."""

    PHOTO = "photo"
    RENDER = "render"
    UNSPECIFIED = "unspecified"


# Sites that are never drawn as a whole for a person under 18 or of unknown age (DESIGN, contract 6).
PROTECTED_SITES = frozenset(
    {BodySite.CHEST, BodySite.ABDOMEN, BodySite.BACK, BodySite.THIGH, BodySite.UNSPECIFIED}
)
ADULT_AGE = 18.0
MAX_AGE = 120.0

# Middle of the ITA class that a declared Fitzpatrick type stands for (classes cut at
# 55/41/28/10/-30 degrees, Chardon 1991; the two open classes by their usual extent).
SKIN_TYPE_ITA = {"I": 62.0, "II": 48.0, "III": 34.5, "IV": 19.0, "V": -10.0, "VI": -45.0}
ITA_CLASS_BOUNDS = (55.0, 41.0, 28.0, 10.0, -30.0)
ITA_CLASS_NAMES = ("very light", "light", "intermediate", "tan", "brown", "dark")


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Facts about the person and the picture that the model is conditioned on.

    age in years, ita in degrees, field_cm (width of the frame) in centimetres; None = unspecified.
    """

    sex: Sex = Sex.UNSPECIFIED
    age: float | None = None
    ita: float | None = None
    site: BodySite = BodySite.UNSPECIFIED
    view: View = View.UNSPECIFIED
    field: Field = Field.UNSPECIFIED
    field_cm: float | None = None
    source: Source = Source.UNSPECIFIED

    def for_model(self) -> "tuple[Attributes, str | None]":
        """Attributes as the model may see them, and a sentence when something was withheld."""
        adult = self.age is not None and self.age >= ADULT_AGE
        if self.site not in PROTECTED_SITES or adult:
            return self, None
        kept = dataclasses.replace(self, age=None, field=Field.CLOSE_UP, field_cm=None)
        return kept, (
            f"site {self.site.value} with age under 18 or unspecified: drawn as close-up skin, "
            "the age was withheld from the model"
        )


def parse_enum(kind: type[enum.Enum], value: str | None, name: str) -> enum.Enum:
    """Member of `kind` for a user's text; empty or NA is unspecified; InputError lists what is allowed."""
    text = (value or "").strip().lower().replace(" ", "_").replace("-", "_")
    if text in ("", "na", "n/a", "nan", "none"):
        return kind("unspecified")
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InputError(f"{name} '{value}' is unknown; use one of: {allowed}.") from None


def parse_age(value: str | float | None) -> float | None:
    """Years in [0, 120], None for empty, NA or unspecified."""
    if value is None or str(value).strip().lower() in ("", "na", "n/a", "none", "unspecified"):
        return None
    try:
        age = float(value)
    except ValueError:
        age = math.nan
    if not 0.0 <= age <= MAX_AGE:
        raise InputError(f"age '{value}' is not a number of years from 0 to 120, or 'unspecified'.")
    return age


def parse_skin_type(value: str | None) -> float | str | None:
    """ITA in degrees of a declared type I..VI, "measured", or None for unspecified."""
    text = (value or "").strip()
    if text.lower() in ("", "na", "n/a", "none", "unspecified"):
        return None
    if text.lower() == "measured":
        return "measured"
    if text.upper() in SKIN_TYPE_ITA:
        return SKIN_TYPE_ITA[text.upper()]
    raise InputError(
        f"skin_type '{value}' is unknown; use one of: I, II, III, IV, V, VI, measured, unspecified."
    )


def parse_site(value: str | None, age: float | None = None, subsite: str = "") -> BodySite:
    """Body site for a user's text; a plain `leg` is told apart by age and subsite."""
    if (value or "").strip().lower() == "leg":
        if age is not None and age < ADULT_AGE:
            return BodySite.LOWER_LEG
        thigh = any(word in subsite.lower() for word in ("thigh", "upper", "groin", "hip"))
        return BodySite.THIGH if thigh else BodySite.LOWER_LEG
    return parse_enum(BodySite, value, "site")


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB (D65, 2 degrees) of 8-bit or [0, 1] float sRGB [..., 3] (IEC 61966-2-1, CIE 15)."""
    rgb = np.asarray(rgb)
    if rgb.dtype == np.uint8:
        linear = _LINEAR_OF_BYTE[rgb]
    else:
        value = np.clip(rgb.astype(np.float32), 0.0, 1.0)
        linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ (_XYZ_OF_RGB / _WHITE[:, None]).T
    cube = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = cube[..., 0], cube[..., 1], cube[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """Float sRGB in [0, 1] (clipped) of CIELAB [..., 3]; inverse of `rgb_to_lab`."""
    lab = np.asarray(lab, np.float32)
    fy = (lab[..., 0] + 16) / 116
    cube = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], -1)
    xyz = np.where(cube > 6 / 29, cube**3, 3 * (6 / 29) ** 2 * (cube - 4 / 29))
    linear = np.clip(xyz @ np.linalg.inv(_XYZ_OF_RGB / _WHITE[:, None]).T, 0.0, 1.0)
    value = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(value, 0.0, 1.0).astype(np.float32)


def ita(rgb: np.ndarray, skin: np.ndarray) -> float | None:
    """Individual typology angle in degrees: median over skin pixels of atan2(L* - 50, b*).

    rgb [H,W,3] uint8 sRGB or float in [0, 1], skin [H,W] bool; None without skin pixels (Chardon 1991).
    """
    if not np.any(skin):
        return None
    return ita_of_lab(rgb_to_lab(rgb[skin]))


def ita_of_lab(lab: np.ndarray) -> float:
    """Median individual typology angle in degrees of CIELAB samples [N,3]."""
    return float(np.median(np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))))


def ita_class(angle: float) -> str:
    """Name of the ITA class of an angle in degrees."""
    return ITA_CLASS_NAMES[sum(angle <= bound for bound in ITA_CLASS_BOUNDS)]


# The condition vector: one group of numbers a fact; all zero = unspecified.
_SEXES = (Sex.FEMALE, Sex.MALE)
_SITES = tuple(site for site in BodySite if site is not BodySite.UNSPECIFIED)
_VIEWS = tuple(view for view in View if view is not View.UNSPECIFIED)
_FIELDS = (Field.WHOLE_SITE, Field.CLOSE_UP)
_SOURCES = (Source.PHOTO, Source.RENDER)
_AGE_CENTRES = np.array([1, 5, 11, 18, 28, 40, 53, 67, 82], np.float32)
_AGE_WIDTHS = np.array([3, 4, 5, 7, 10, 12, 13, 14, 15], np.float32)
_ITA_CENTRES = np.array([62, 48, 34, 19, -10, -45], np.float32)
_ITA_WIDTHS = np.array([12, 10, 10, 14, 24, 28], np.float32)


def _layout() -> dict[str, slice]:
    sizes = {
        "sex": len(_SEXES),
        "age": 2 + len(_AGE_CENTRES),
        "ita": 2 + len(_ITA_CENTRES),
        "site": len(_SITES),
        "view": len(_VIEWS),
        "field": len(_FIELDS),
        "field_cm": 2,
        "source": len(_SOURCES),
    }
    slices, start = {}, 0
    for name, size in sizes.items():
        slices[name] = slice(start, start + size)
        start += size
    return slices


CONDITION_GROUPS = _layout()
CONDITION_SIZE = CONDITION_GROUPS["source"].stop
_CHOICES = {"sex": _SEXES, "site": _SITES, "view": _VIEWS, "field": _FIELDS, "source": _SOURCES}


def position_of(member: enum.Enum) -> int:
    """Index in the condition vector of a choice, such as Source.PHOTO; ValueError for `unspecified`."""
    for name, members in _CHOICES.items():
        if isinstance(member, type(members[0])):
            return CONDITION_GROUPS[name].start + members.index(member)
    raise ValueError(f"{member} is no choice of the condition vector")


def encode_age(age, xp=np):
    """The age's entries of the condition vector: years [...] -> [...,A] float32. xp: numpy or jax.numpy."""
    age = xp.asarray(age, np.float32)[..., None]
    bumps = xp.exp(-0.5 * ((age - _AGE_CENTRES) / _AGE_WIDTHS) ** 2)
    return xp.concatenate([xp.ones_like(age), (age - 40) / 40, bumps], -1)


def encode(attributes: Attributes) -> np.ndarray:
    """Condition vector [CONDITION_SIZE] float32 of the attributes; zeros where unspecified.

    Raises ValueError for a person under 18 at a protected site: call `Attributes.for_model` first.
    """
    young = attributes.age is not None and attributes.age < ADULT_AGE
    if young and attributes.site in PROTECTED_SITES:
        raise ValueError(f"age {attributes.age} at site {attributes.site.value} must be withheld")
    vector = np.zeros(CONDITION_SIZE, np.float32)
    for name, members in _CHOICES.items():
        value = getattr(attributes, name)
        if value in members:
            vector[position_of(value)] = 1.0
    if attributes.age is not None:
        vector[CONDITION_GROUPS["age"]] = encode_age(attributes.age)
    if attributes.ita is not None:
        bumps = np.exp(-0.5 * ((attributes.ita - _ITA_CENTRES) / _ITA_WIDTHS) ** 2)
        vector[CONDITION_GROUPS["ita"]] = [1.0, attributes.ita / 50, *bumps]
    if attributes.field_cm is not None:
        vector[CONDITION_GROUPS["field_cm"]] = [1.0, math.log(attributes.field_cm / 15)]
    return vector


_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ],
    np.float32,
)
_WHITE = _XYZ_OF_RGB.sum(1)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of R'G'B', ITU-R BT.601
_BYTES = np.arange(256, dtype=np.float32) / 255
_LINEAR_OF_BYTE = np.where(
    _BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4
).astype(np.float32)
