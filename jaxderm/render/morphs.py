"""Which morph targets make a person: age, sex, build and ancestry, the details of a face, expressions."""

import functools

import numpy as np

from jaxderm.attributes import Sex
from jaxderm.render import assets
from jaxderm.render.description import Person, Scene
from jaxderm.render.noise import rng_of, smoothstep
from jaxderm.render.sampler import ANCESTRIES

AGES = ("baby", "child", "young", "old")
# Years that MakeHuman's four ages look like; between baby and child growth slows down.
AGE_YEARS = (1.0, 3.0, 6.0, 11.0, 24.0, 90.0)
AGE_STEPS = (0.0, 0.38, 0.68, 1.0, 2.0, 3.0)

# How men's and women's faces differ beyond the macro targets (weights at full strength).
MALE_FACE = {
    "chin/chin-width-incr": 0.3, "chin/chin-jaw-drop-incr": 0.15, "chin/chin-prominent-incr": 0.35,
    "chin/chin-bones-incr": 0.35, "eyebrows/eyebrows-trans-down": 0.35,
    "eyebrows/eyebrows-trans-forward": 0.7, "nose/nose-scale-horiz-incr": 0.3,
    "nose/nose-trans-up": 0.5, "mouth/mouth-trans-up": 0.6, "nose/nose-hump-incr": 0.35, "nose/nose-scale-depth-incr": 0.25,
    "neck/neck-scale-horiz-incr": 0.5, "neck/neck-scale-depth-incr": 0.4, "head/head-rectangular": 0.15,
    "head/head-square": 0.05, "eyes/*-eye-scale-incr": 0.1, "mouth/mouth-upperlip-height-decr": 0.4,
    "mouth/mouth-lowerlip-height-decr": 0.25, "mouth/mouth-upperlip-volume-decr": 0.3,
    "mouth/mouth-scale-horiz-incr": 0.3, "cheek/*-cheek-volume-decr": 0.3,
    "eyebrows/eyebrows-angle-down": 0.2,
}  # fmt: skip
FEMALE_FACE = {
    "chin/chin-width-decr": 0.75, "eyes/*-eye-scale-incr": 0.5, "chin/chin-jaw-drop-decr": 0.3, "chin/chin-triangle": 0.25,
    "eyebrows/eyebrows-trans-up": 0.5, "eyebrows/eyebrows-angle-up": 0.25,
    "eyebrows/eyebrows-trans-backward": 0.3, "nose/nose-scale-horiz-decr": 0.3,
    "nose/nose-scale-vert-decr": 0.15, "nose/nose-point-up": 0.2, "nose/nose-volume-decr": 0.2,
    "neck/neck-scale-horiz-decr": 0.85, "head/head-oval": 0.7, "mouth/mouth-upperlip-volume-incr": 0.3,
    "mouth/mouth-lowerlip-volume-incr": 0.35, "mouth/mouth-lowerlip-height-incr": 0.2,
    "mouth/mouth-upperlip-height-incr": 0.2, "cheek/*-cheek-bones-incr": 0.45,
}  # fmt: skip
OLD_FACE = {
    "head/head-age-incr": 0.9, "eyes/*-eye-bag-incr": 0.7, "eyes/*-eye-bag-out": 0.4,
    "eyes/*-eye-eyefold-down": 0.3, "eyes/*-eye-eyefold-convex": 0.3, "eyes/*-eye-corner2-down": 0.25,
    "cheek/*-cheek-trans-down": 0.5, "cheek/*-cheek-inner-decr": 0.4, "mouth/mouth-angles-down": 0.35,
    "mouth/mouth-laugh-lines-in": 0.6, "mouth/mouth-upperlip-volume-decr": 0.5,
    "mouth/mouth-upperlip-height-decr": 0.4, "mouth/mouth-lowerlip-height-decr": 0.3,
    "nose/nose-point-down": 0.1, "nose/nose-volume-incr": 0.2, "neck/neck-double-incr": 0.5,
    "ears/*-ear-lobe-incr": 0.5, "ears/*-ear-scale-incr": 0.3, "chin/chin-jaw-drop-incr": 0.15,
}  # fmt: skip
# The mesh's eyes are close together at every age: 5.6 cm where women's are 6.2 and men's 6.4 (Dodgson 2004);
# an adult's are small besides and the head is broad.
FACE = {"eyes/*-eye-trans-out": 0.65}
ADULT_FACE = {"eyes/*-eye-scale-incr": 0.6, "head/head-scale-horiz-decr": 0.2}
YOUNG_FACE = {"head/head-age-decr": 0.5, "nose/nose-scale-vert-decr": 0.2}
SMILE = {
    "mouth-corner-puller": 0.8,
    "mouth-part-later": 0.15,
    "eye-left-slit": 0.25,
    "eye-right-slit": 0.25,
}
CLOSED = {"eye-left-closure": 1.0, "eye-right-closure": 1.0}
OPEN = {"mouth-open": 0.5, "mouth-part-later": 0.5}
# Details that make a face grotesque rather than somebody's.
_TOO_MUCH = ("trans", "push", "scale-", "head-age", "square", "triang", "diamond", "pointed", "bag", "fold",
             "height1", "height2", "height3")  # fmt: skip
_DETAIL_FOLDERS = ("eyes", "mouth", "nose", "head", "chin", "cheek", "forehead", "eyebrows", "ears")


def _between(x: float, anchors, names) -> dict[str, float]:
    """Weights of the two names around x (linear)."""
    x = float(np.clip(x, anchors[0], anchors[-1]))
    j = min(int(np.searchsorted(anchors, x, "right")) - 1, len(anchors) - 2)
    t = (x - anchors[j]) / (anchors[j + 1] - anchors[j])
    return {names[j]: 1 - t, names[j + 1]: t}


def phenotype(
    age_step: float, gender: float, muscle: float, weight: float, height: float, ancestry
) -> dict[str, float]:
    """Weights of the macro targets, as in MakeHuman; age_step 0 baby, 1 child, 2 young, 3 old.

    gender 0 female to 1 male (a little beyond exaggerates); muscle, weight, height 0 to 1; ancestry:
    shares of ANCESTRIES.
    """
    ages = _between(age_step, (0, 1, 2, 3), AGES)
    genders = {"female": 1 - gender, "male": gender}
    muscles = _between(muscle, (0, 0.5, 1), ("minmuscle", "averagemuscle", "maxmuscle"))
    weights = _between(weight, (0, 0.5, 1), ("minweight", "averageweight", "maxweight"))
    heights = _between(height, (0, 0.5, 1), ("minheight", "", "maxheight"))
    result: dict[str, float] = {}
    for g, of_gender in genders.items():
        for a, of_age in ages.items():
            for race, of_race in zip(ANCESTRIES, ancestry):
                result[f"macrodetails/{race}-{g}-{a}"] = of_gender * of_age * of_race
            for m, of_muscle in muscles.items():
                for w, of_weight in weights.items():
                    share = of_gender * of_age * of_muscle * of_weight
                    result[f"macrodetails/universal-{g}-{a}-{m}-{w}"] = share
                    for h, of_height in heights.items():
                        if h:
                            name = f"macrodetails/height/{g}-{a}-{m}-{w}-{h}"
                            result[name] = share * of_height
    return result


def _add(total: dict[str, float], table: dict[str, float], strength: float) -> None:
    for name, weight in table.items():
        for full in (name.replace("*", "l"), name.replace("*", "r")) if "*" in name else (name,):
            total[full] = total.get(full, 0.0) + weight * strength


@functools.cache
def _details() -> tuple[str, ...]:
    names = {
        name.replace("/l-", "/*-").replace("/r-", "/*-")
        for folder in _DETAIL_FOLDERS
        for name in assets.target_names(folder)
    }
    return tuple(sorted(n for n in names if not any(word in n for word in _TOO_MUCH)))


def person_targets(person: Person) -> dict[str, float]:
    """Weights of all targets of a person at rest with a neutral face."""
    step = float(np.interp(person.years, AGE_YEARS, AGE_STEPS))
    total = phenotype(
        step, person.gender, person.muscle, person.weight, person.height, person.ancestry
    )
    grown = float(smoothstep(person.years, 10, 20))
    old = person.ageing
    face = MALE_FACE if person.sex is Sex.MALE else FEMALE_FACE
    rng = rng_of(person.seed, "face")
    _add(total, face, (0.06 + 0.94 * grown) * rng.uniform(0.9, 1.25))
    _add(total, FACE, 1.0)
    _add(total, ADULT_FACE, grown)
    aged = OLD_FACE
    if person.sex is not Sex.MALE:  # large noses, ears and chins are read as a man's
        aged = {
            k: w
            for k, w in OLD_FACE.items()
            if not k.startswith(("nose/nose-volume", "ears/", "chin/"))
        }
    _add(total, aged, old * rng.uniform(0.95, 1.25) * (1.0 if person.sex is Sex.MALE else 0.85))
    _add(total, YOUNG_FACE, 1 - float(smoothstep(person.years, 2, 16)))
    strength = 0.14 + 0.2 * grown
    for name in _details():
        if rng.random() < 0.25:
            _add(total, {name: 1.0}, min(abs(rng.normal()) * strength, 0.6))
    return total


def expression_targets(scene: Scene) -> dict[str, float]:
    """Weights of the targets of the scene's expression."""
    total: dict[str, float] = {}
    for race, share in zip(ANCESTRIES, scene.person.ancestry):
        for table, strength in (
            (SMILE, scene.smile), (CLOSED, scene.eyes_closed), (OPEN, scene.mouth_open),
        ):  # fmt: skip
            _add(
                total,
                {f"expression/units/{race}/{k}": w for k, w in table.items()},
                share * strength,
            )
    return total


def displaced(vertices: np.ndarray, targets: dict[str, float]) -> np.ndarray:
    """Vertices [V,3] moved by weighted morph targets."""
    moved = vertices.copy()
    for name, weight in targets.items():
        if abs(weight) > 1e-4:
            index, shift = assets.target(name)
            moved[index] += weight * shift
    return moved
