"""Who and what: people and scenes drawn from a seed and a number, and the rule of clothing and minors.

The rule (DESIGN, contract 6): everybody wears trousers or shorts; women and everybody under 18
also wear a top; people under 18 are drawn at MINOR_SITES only, with a shirt that covers the shoulders.
"""

import dataclasses
import math

import numpy as np

from jaxderm.attributes import PROTECTED_SITES, BodySite, Field, Sex, View
from jaxderm.data import lesion_looks
from jaxderm.data.pigment import linear_of_srgb
from jaxderm.errors import InputError
from jaxderm.render.description import (
    Camera,
    Clothes,
    Hair,
    Lesion,
    Light,
    Person,
    Scene,
)
from jaxderm.render.noise import rng_of

IMAGES_PER_PERSON = 4
# Share of each site among the pictures of adults.
SITES = {
    BodySite.FACE: 0.30, BodySite.EAR: 0.04, BodySite.SCALP: 0.05, BodySite.NECK: 0.05,
    BodySite.CHEST: 0.06, BodySite.ABDOMEN: 0.05, BodySite.BACK: 0.08, BodySite.ARM: 0.09,
    BodySite.HAND: 0.07, BodySite.PALM: 0.04, BodySite.THIGH: 0.05, BodySite.LOWER_LEG: 0.06,
    BodySite.FOOT: 0.04, BodySite.SOLE: 0.02,
}  # fmt: skip
MINOR_SITES = tuple(site for site in SITES if site not in PROTECTED_SITES)
LESIONS = (
    "naevus", "melanoma", "seborrhoeic_keratosis", "basal_cell_carcinoma",
    "squamous_cell_carcinoma", "pyogenic_granuloma", "eczema", "psoriasis", "vitiligo",
    "haemangioma", "acne",
)  # fmt: skip
TONES = -62.0, 66.0
AGE_BANDS = (0.3, 3.0), (3.0, 18.0), (18.0, 50.0), (50.0, 95.0)  # years
ANCESTRIES = ("african", "asian", "caucasian")
HAIR_COLOURS = {  # sRGB of clean, unlit hair
    "black": (28, 23, 21), "dark brown": (48, 34, 26), "brown": (82, 56, 38),
    "light brown": (124, 92, 60), "blond": (176, 142, 98), "red": (134, 66, 34),
}  # fmt: skip
IRIS_COLOURS = {
    "dark brown": (58, 36, 24), "brown": (92, 60, 36), "hazel": (98, 82, 54), "green": (88, 94, 70),
    "blue": (92, 108, 122), "grey": (104, 110, 114),
}  # fmt: skip


def _floats(values) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a corpus shall show. sites: the only ones, None = all; calm: as a model's bank wants it, see `_calm`.

    ages: years, from the first to below the second; tones: of the skin's ITA in degrees; None = as `draw_person` has
    them. per_person: pictures of each.
    """

    sites: tuple[BodySite, ...] | None = None
    calm: bool = False
    ages: tuple[float, float] | None = None
    tones: tuple[float, float] | None = None
    per_person: int = IMAGES_PER_PERSON

    @property
    def people(self) -> str:
        """What the ids of its people end with: those of a seed are others where ages or tones are."""
        bounds = (*(self.ages or ()), *(self.tones or ()))
        return "".join(f"_{bound:g}" for bound in bounds)


EVERYTHING = Wanted()


def draw_person(seed: int, number: int, adult: bool = False, wanted: Wanted = EVERYTHING) -> Person:
    """Person `number` of a corpus; adult: at least 18 (for corpora of adult sites only)."""
    rng = np.random.default_rng([seed, 1, number])
    bands, shares = AGE_BANDS, (0.05, 0.17, 0.43, 0.35)
    if adult:
        bands, shares = bands[2:], (0.55, 0.45)
    low, high = bands[rng.choice(len(bands), p=shares)]
    years = float(rng.uniform(*(wanted.ages or (low, high))))
    sex = Sex.MALE if rng.random() < 0.5 else Sex.FEMALE
    male = sex is Sex.MALE
    tone = float(rng.uniform(*(wanted.tones or TONES)))
    light, middle, dark = tone > 25, -10 < tone < 45, tone < 0
    ancestry = _floats(rng.dirichlet([0.3 + 3.0 * dark, 0.4 + 1.2 * middle, 0.3 + 3.0 * light]))
    adult_body = min(1.0, max(0.0, (years - 10) / 8))  # children's bodies hardly differ by sex
    spread = 0.25 + 0.75 * adult_body
    gender = 0.5 + (0.5 if male else -0.5) * spread + rng.normal() * 0.06
    hair = _draw_hair(rng, male, years, tone, ancestry)
    grown = male and years > 17
    beard = 0.0
    if grown:
        beard = float(
            rng.choice([rng.uniform(0.05, 0.2), rng.uniform(0.2, 0.35), rng.uniform(0.4, 1)],
                       p=[0.5, 0.4, 0.1])
        ) * min(1.0, (years - 15) / 6)  # fmt: skip
    irises = ["dark brown", "brown", "hazel", "green", "blue", "grey"]
    chances = [0.14, 0.22, 0.16, 0.12, 0.28, 0.08] if tone > 25 else [0.68, 0.3, 0.02, 0, 0, 0]
    makeup = rng.uniform(0.55, 1) if not male and years > 16 and rng.random() < 0.9 else 0.0
    return Person(
        id=f"render-{seed}-{number:06d}{wanted.people}",
        seed=int(rng.integers(2**31)),
        sex=sex,
        years=years,
        gender=float(np.clip(gender, -0.1, 1.1)),
        muscle=float(np.clip(rng.normal(0.5 + (0.12 if male else -0.04) * adult_body, 0.14), 0.05, 0.95)),
        weight=float(np.clip(rng.normal(0.5, 0.18), 0.05, 0.95)),
        height=float(np.clip(rng.normal(0.5, 0.15), 0.1, 0.9)),
        ancestry=ancestry,
        tone=tone,
        hair=hair,
        iris=_floats(linear_of_srgb(IRIS_COLOURS[irises[rng.choice(6, p=chances)]])),
        beard=beard,
        brows=float(rng.uniform(0.65, 1.1) if male and years > 12 else rng.uniform(0.3, 0.65)),
        makeup=float(makeup),
        ruddy=float(rng.uniform(0, 1)),
        freckles=float(rng.uniform(0.3, 1)) if tone > 28 and rng.random() < 0.28 else 0.0,
        body_hair=float(rng.uniform(0.2, 1.0) if male else rng.uniform(0, 0.35)),
        sun=float(rng.uniform(0.3, 1)),
    )  # fmt: skip


def _draw_hair(rng, male: bool, years: float, tone: float, ancestry) -> Hair:
    african = ancestry[0] > 0.5
    names = list(HAIR_COLOURS)
    light = [0.12, 0.22, 0.26, 0.18, 0.14, 0.08]
    chances = light if tone > 35 and not african else [0.72, 0.22, 0.06, 0, 0, 0]
    colour = linear_of_srgb(HAIR_COLOURS[names[rng.choice(6, p=chances)]])
    if years < 10 and tone > 35:
        colour = colour * 1.25
    # Half of people are half grey at about 55 (Panhard 2012); a few women dye it.
    grey = float(np.clip((years - 55 + rng.normal() * 7) / 30 + 0.5, 0, 1)) if years > 32 else 0.0
    if not male and rng.random() < 0.6:
        grey *= 0.3
    recession = 0.0
    if male and years > 20:
        recession = float(np.clip(rng.normal((years - 32) / 50, 0.25), 0, 1))
    elif years > 65:
        recession = float(rng.uniform(0, 0.1))
    curl = int(rng.choice(4, p=[0.02, 0.05, 0.25, 0.68] if african else [0.5, 0.32, 0.15, 0.03]))
    draw = rng.random()
    if years < 1.5:
        style = "cropped" if draw < 0.7 else "short"
    elif male:
        style = "bald" if recession > 0.75 and draw < 0.3 else "cropped" if draw < 0.35 else "short"
    elif years > 60:
        style = ("short", "medium", "tied", "long")[np.searchsorted([0.1, 0.55, 0.62], draw)]
    else:
        style = ("short", "medium", "tied", "long")[np.searchsorted([0.04, 0.36, 0.43], draw)]
    low, high = {
        "bald": (0.1, 0.2), "cropped": (0.4, 1.2), "short": (2.5, 6) if male else (5, 9), "medium": (12, 20),
        "long": (24, 42), "tied": (12, 16),
    }[style]  # fmt: skip
    return Hair(
        style=style,
        curl=curl,
        length=float(rng.uniform(low, high)),
        recession=recession,
        colour=_floats(colour),
        grey=grey,
        parting=float(np.clip(rng.normal() * 0.5, -1, 1)),
        fringe=float(rng.uniform(0, 1)) if rng.random() < (0.25 if male else 0.4) else 0.0,
    )


_CLOTH = (
    (235, 235, 230), (120, 160, 190), (60, 90, 130), (90, 120, 100), (60, 60, 66), (190, 190, 195),
    (150, 60, 60), (200, 170, 150), (70, 110, 120), (205, 190, 120), (40, 44, 60), (170, 140, 170),
)  # fmt: skip
_BACKDROPS = (
    (60, 110, 150), (70, 130, 120), (225, 225, 222), (150, 150, 150), (48, 50, 56), (190, 178, 160),
    (130, 145, 160), (205, 210, 215),
)  # fmt: skip
_STUDIO = (104, 139, 156)  # sRGB: what a refiner puts behind whoever it makes a photograph of


def draw_clothes(rng: np.random.Generator, person: Person, site: BodySite) -> Clothes:
    """Garments that leave the site free and keep the rule of the module's docstring."""
    male = person.sex is Sex.MALE
    if person.is_minor:
        top = "shirt"
    elif site in (BodySite.CHEST, BodySite.ABDOMEN, BodySite.BACK):
        top = "none" if male else "band"
    elif site in (BodySite.ARM, BodySite.SCALP, BodySite.EAR, BodySite.NECK):
        top = "vest" if rng.random() < 0.5 else "shirt"
    else:
        top = "shirt" if rng.random() < 0.8 else "vest"
    legs = site in (BodySite.THIGH, BodySite.LOWER_LEG, BodySite.FOOT, BodySite.SOLE)
    bottom = "shorts" if legs else ("trousers" if rng.random() < 0.7 else "shorts")
    short_sleeve = site in (BodySite.ARM, BodySite.HAND, BodySite.PALM)
    colours = [linear_of_srgb(np.clip(np.array(_CLOTH[rng.integers(len(_CLOTH))])
               * rng.uniform(0.8, 1.1), 8, 250)) for _ in range(2)]  # fmt: skip
    return Clothes(
        top=top,
        bottom=bottom,
        sleeve=float(rng.uniform(0.15, 0.5) if short_sleeve else rng.uniform(0.3, 1)),
        collar=float(rng.uniform(0.0, 0.55) if site is BodySite.NECK else rng.uniform(0.2, 1)),
        top_colour=_floats(colours[0]),
        bottom_colour=_floats(colours[1]),
    )


def draw_scene(
    seed: int,
    number: int,
    attempt: int = 0,
    wanted: Wanted = EVERYTHING,
) -> Scene:
    """Scene `number` of a corpus; attempt > 0 draws another one after a failed picture.

    InputError for a site that is not in SITES.
    """
    sites = tuple(SITES) if wanted.sites is None else wanted.sites
    if unknown := [site for site in sites if site not in SITES]:
        raise InputError(
            f"site '{unknown[0].value}' cannot be rendered; use one of: "
            f"{', '.join(site.value for site in SITES)}."
        )
    adults_only = not set(sites) & set(MINOR_SITES)
    person = draw_person(seed, number // wanted.per_person, adults_only, wanted)
    rng = np.random.default_rng([seed, 2, number, attempt])
    allowed = [site for site in sites if not person.is_minor or site in MINOR_SITES]
    if number % wanted.per_person == 0 and BodySite.FACE in allowed:
        site = BodySite.FACE  # every person has a face: identities can be told apart
    else:
        shares = np.array([SITES[s] for s in allowed])
        site = allowed[rng.choice(len(allowed), p=shares / shares.sum())]
    scene = _draw_scene_at(rng, number, attempt, person, site)
    return _calm(scene) if wanted.calm else scene


def _calm(scene: Scene) -> Scene:
    """The scene without a lesion, eyes open and mouth closed; an adult's face before a studio's backdrop.

    A refiner that has to make the studio of a room leaves rims along the hair, and takes what is dark for hair.
    """
    whole = scene.site is BodySite.FACE and scene.field is Field.WHOLE_SITE
    if whole and not scene.person.is_minor:
        shade = rng_of(scene.seed, "studio").uniform(0.92, 1.08)
        colour = linear_of_srgb(np.array(_STUDIO) * shade)
        scene = dataclasses.replace(scene, backdrop="studio", backdrop_colour=_floats(colour))
    return dataclasses.replace(
        scene,
        lesion=None,
        mouth_open=0.0,
        eyes_closed=min(scene.eyes_closed, 0.1),
        smile=min(scene.smile, 0.5),
    )


def _draw_scene_at(rng, number: int, attempt: int, person: Person, site: BodySite) -> Scene:
    close = bool(rng.random() < (0.12 if site is BodySite.FACE else 0.4))
    field = Field.CLOSE_UP if close else Field.WHOLE_SITE
    side = 1 if rng.random() < 0.5 else -1
    view, yaw = _draw_view(rng, site, side, close)
    smile = float(rng.uniform(0.3, 0.9)) if rng.random() < 0.25 else 0.0
    closed = 1.0 if rng.random() < 0.06 else float(rng.uniform(0, 0.15))
    lighting, ambient, lights = _draw_lights(rng)
    warm = rng.uniform(-1, 1)
    lesion = None
    if rng.random() < 0.5:
        kind, radius = lesion_looks.draw_kind(rng, site, person.years, LESIONS)
        lesion = Lesion(
            kind=kind,
            radius_cm=radius,
            seed=int(rng.integers(2**31)),
            place=_floats(rng.uniform(-0.55, 0.55, 2)),
        )
    limb = site in (
        BodySite.ARM, BodySite.HAND, BodySite.PALM, BodySite.THIGH, BodySite.LOWER_LEG, BodySite.FOOT,
        BodySite.SOLE,
    )  # fmt: skip
    if site in (BodySite.EAR, BodySite.NECK) and person.hair.style in ("medium", "long"):
        # Long hair is tied back for such a picture.
        person = dataclasses.replace(
            person, hair=dataclasses.replace(person.hair, style="tied", length=14.0, fringe=0.0)
        )
    kinds = ["plain", "drape", "room"]
    backdrop = kinds[rng.choice(3, p=[0.3, 0.55, 0.15] if limb else [0.5, 0.1, 0.4])]
    colour = np.array(_BACKDROPS[rng.integers(len(_BACKDROPS))]) * rng.uniform(0.8, 1.1)
    return Scene(
        number=number,
        attempt=attempt,
        seed=int(rng.integers(2**31)),
        person=person,
        site=site,
        view=view,
        field=field,
        side=side,
        turn=_floats([yaw, rng.normal() * 0.1, rng.normal() * (0.5 if limb or close else 0.05)]),
        spot=_floats(rng.random(3)),
        span=float(rng.uniform(0, 1)),
        curl=float(rng.uniform(-0.25, 0.12)),
        smile=smile,
        eyes_closed=closed,
        mouth_open=float(rng.uniform(0.1, 0.25)) if rng.random() < 0.1 else 0.0,
        clothes=draw_clothes(rng, person, site),
        ambient=ambient,
        ambient_colour=_floats([1 + 0.03 * warm, 1.0, 1 - 0.05 * warm]),
        lights=lights,
        lighting=lighting,
        camera=Camera(
            exposure=float(np.exp(rng.normal() * 0.14)),
            gains=_floats(np.exp(rng.normal(size=3) * [0.03, 0.012, 0.04])),
            blur=float(rng.uniform(0.0012, 0.0032)),
            noise=float(rng.uniform(0.3, 1.6)),
            distance=float(rng.uniform(1.6, 3.5)),
            contrast=float(rng.uniform(0.9, 1.12)),
        ),
        backdrop=backdrop,
        backdrop_colour=_floats(linear_of_srgb(np.clip(colour, 5, 250))),
        lesion=lesion,
    )


def _draw_view(rng, site: BodySite, side: int, close: bool) -> tuple[View, float]:
    """View and yaw in radians (0: the camera straight in front of the site; positive: patient's left)."""
    if site is BodySite.FACE:
        if close:
            return View.UNSPECIFIED, 0.0
        if rng.random() < 0.72:
            return View.FRONTAL, float(np.radians(rng.uniform(-10, 10)))
        yaw = float(np.radians(rng.uniform(25, 60))) * side
        return (View.IMAGE_RIGHT if side > 0 else View.IMAGE_LEFT), yaw
    if site is BodySite.EAR:
        return (View.IMAGE_RIGHT if side > 0 else View.IMAGE_LEFT), float(rng.normal() * 0.2)
    if site in (BodySite.HAND, BodySite.FOOT):
        return View.DORSAL, float(rng.normal() * 0.25)
    if site in (BodySite.PALM, BodySite.SOLE):
        return View.VOLAR, float(rng.normal() * 0.2)
    if site is BodySite.ARM:
        volar = rng.random() < 0.4
        return (View.VOLAR if volar else View.DORSAL), float(rng.normal() * 0.35)
    if site is BodySite.BACK:
        return View.DORSAL, float(rng.normal() * 0.3)
    if site in (BodySite.CHEST, BodySite.ABDOMEN, BodySite.THIGH):
        return View.FRONTAL, float(rng.normal() * 0.35)
    yaw = float(rng.uniform(-math.pi, math.pi))  # scalp, neck, lower leg: from anywhere
    if abs(yaw) < 0.5:
        return View.FRONTAL, yaw
    if abs(yaw) > 2.6:
        return View.DORSAL, yaw
    return (View.IMAGE_RIGHT if yaw > 0 else View.IMAGE_LEFT), yaw


def _draw_lights(rng) -> tuple[str, float, tuple[Light, ...]]:
    """Soft room light, a window, or a ring flash."""
    kind = ("room", "window", "flash")[rng.choice(3, p=[0.45, 0.3, 0.25])]
    tint = lambda: _floats([1.0, rng.uniform(0.95, 1), rng.uniform(0.86, 1.03)])  # noqa: E731
    if kind == "room":
        lights = tuple(
            Light(_floats([rng.normal() * 0.7, rng.uniform(0.1, 0.9), 0.9]), rng.uniform(1, 2),
                  rng.uniform(0.25, 0.5), rng.uniform(0.5, 1.0), tint())
            for _ in range(2)
        )  # fmt: skip
        return kind, float(rng.uniform(0.22, 0.4)), lights
    if kind == "window":
        # From half in front, and a light wall fills the shadow: whoever takes such a picture turns the patient to
        # the window. Harder light reads as a man's face.
        side = 1 if rng.random() < 0.5 else -1
        light = Light(_floats([side * rng.uniform(0.35, 1.0), rng.uniform(0.1, 0.7), 0.9]), rng.uniform(1, 2),
                      rng.uniform(0.25, 0.5), rng.uniform(0.9, 1.5), tint())  # fmt: skip
        return kind, float(rng.uniform(0.3, 0.45)), (light,)
    light = Light(_floats([rng.normal() * 0.08, rng.uniform(0.05, 0.25), 1.0]), 1.0,
                  rng.uniform(0.06, 0.12), rng.uniform(0.9, 1.5), tint())  # fmt: skip
    return kind, float(rng.uniform(0.2, 0.4)), (light,)
