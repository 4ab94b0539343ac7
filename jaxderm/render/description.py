"""What a picture is of: a person, clothes, lesion, light and camera as plain values, drawn by the sampler.

Nothing here knows of pixels. View names the side the camera stands on: image_left is the patient's right.
"""

import dataclasses

import numpy as np

from jaxderm.attributes import ADULT_AGE, BodySite, Field, Sex, View


@dataclasses.dataclass(frozen=True)
class Hair:
    """Scalp hair: style (bald, cropped, short, medium, long, tied), curl 0 straight to 3 coiled.

    length in cm; recession 0 to 1 (receding hairline, then crown); grey 0 to 1; parting in [-1,1]
    (its place between the patient's right and left); fringe 0 to 1.
    """

    style: str
    curl: int
    length: float
    recession: float
    colour: tuple[float, float, float]
    grey: float
    parting: float
    fringe: float


# Signs of age, and the years at which a face has them: slow to 40, then steady to the end of life.
_AGEING_YEARS = (20, 30, 40, 50, 60, 75, 95)
_AGEING = (0.0, 0.06, 0.2, 0.45, 0.72, 1.0, 1.35)


@dataclasses.dataclass(frozen=True)
class Person:
    """A person; everything not named here follows from `seed` (moles, details of the face, ...).

    years of age; gender 0 female to 1 male as the body's shape; muscle, weight, height 0 to 1;
    ancestry: shares of ANCESTRIES; tone: albedo ITA in degrees; beard 0 none, below 0.35 stubble, to 1
    full; brows: thickness; makeup 0 to 1; ruddy 0 to 1; freckles 0 to 1; sun 0 to 1 (ageing by light).
    """

    id: str
    seed: int
    sex: Sex
    years: float
    gender: float
    muscle: float
    weight: float
    height: float
    ancestry: tuple[float, float, float]
    tone: float
    hair: Hair
    iris: tuple[float, float, float]
    beard: float
    brows: float
    makeup: float
    ruddy: float
    freckles: float
    body_hair: float
    sun: float

    @property
    def is_minor(self) -> bool:
        """Under 18."""
        return self.years < ADULT_AGE

    @property
    def ageing(self) -> float:
        """How far skin and face show age: 0 at 20 years, 0.45 at 50, 1 at 75, 1.35 at 95."""
        return float(np.interp(self.years, _AGEING_YEARS, _AGEING))


@dataclasses.dataclass(frozen=True)
class Lesion:
    """A lesion to paint: kind (LESIONS), radius in cm, seed, and where on the frame (x, y in [-1,1])."""

    kind: str
    radius_cm: float
    seed: int
    place: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Clothes:
    """Garments as worn: top (none, band, vest, shirt), bottom (shorts, trousers), sleeve 0 to 1.

    collar: how far the neckline reaches up, 0 wide to 1 high; colours linear RGB.
    """

    top: str
    bottom: str
    sleeve: float
    collar: float
    top_colour: tuple[float, float, float]
    bottom_colour: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Light:
    """A rectangle: direction in the camera's frame (right, up, towards the camera), distance as a multiple
    of the camera's, size as a share of its distance, power, colour.
    """

    direction: tuple[float, float, float]
    distance: float
    size: float
    power: float
    colour: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Camera:
    """Phone: exposure factor, white-balance gains, blur (standard deviation, share of the frame), noise,
    distance as a multiple of the field, contrast, jpeg-like sharpening.
    """

    exposure: float
    gains: tuple[float, float, float]
    blur: float
    noise: float
    distance: float
    contrast: float


@dataclasses.dataclass(frozen=True)
class Scene:
    """One picture: the person, what the camera sees of whom, and how it is lit.

    side: +1 the patient's left limb, -1 the right; turn: yaw, pitch, roll of the camera in radians;
    spot: three uniform numbers that choose the place of a close-up; field_cm: width of the frame as a
    fraction of what the site spans (whole site) or in cm (close-up): see body.framing.
    """

    number: int
    attempt: int
    seed: int
    person: Person
    site: BodySite
    view: View
    field: Field
    side: int
    turn: tuple[float, float, float]
    spot: tuple[float, float, float]
    span: float
    curl: float
    smile: float
    eyes_closed: float
    mouth_open: float
    clothes: Clothes
    ambient: float
    ambient_colour: tuple[float, float, float]
    lights: tuple[Light, ...]
    lighting: str
    camera: Camera
    backdrop: str
    backdrop_colour: tuple[float, float, float]
    lesion: Lesion | None
