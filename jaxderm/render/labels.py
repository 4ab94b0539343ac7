"""Labels of a picture in the columns that `jaxderm prepare` reads."""

import numpy as np

from jaxderm import attributes
from jaxderm.attributes import BodySite, Field
from jaxderm.render.body import Body, template
from jaxderm.render.description import Scene
from jaxderm.render.framing import Framing

LANDMARKS = ("eye_r", "eye_l", "nose", "mouth_r", "mouth_l")  # the patient's sides


def landmarks(scene: Scene, body: Body, framing: Framing, depth: np.ndarray, size: int) -> dict:
    """{name: [x, y, visible]} in pixels of a size x size picture of a whole face, else {}.

    depth [R,R] in cm of what the picture shows.
    """
    if scene.site is not BodySite.FACE or scene.field is not Field.WHOLE_SITE:
        return {}
    t, points = template(), {}
    for side in "lr":
        centre = body.base_posed[t.eyes[side][0]].mean(0)
        points[f"eye_{side}"] = centre + np.array([0, 0, body.face.radius])
        points[f"mouth_{side}"] = body.points[body.landmark_vertices[f"mouth_{side}"]]
    points["nose"] = body.points[body.landmark_vertices["nose"]]
    result = {}
    for name in LANDMARKS:
        place, _ = framing.project(points[name][None])
        x, y = place[0]
        away = np.linalg.norm(points[name] - framing.position)
        visible = False
        if 0 <= x < 1 and 0 <= y < 1:
            row, column = int(y * len(depth)), int(x * len(depth))
            visible = bool(depth[row, column] > away - 1.2 * body.face.unit_cm)
        result[name] = [round(float(x * size), 2), round(float(y * size), 2), visible]
    return result


def label_row(
    scene: Scene, framing: Framing, image: np.ndarray, skin: np.ndarray, lesion: np.ndarray,
    marks: dict, albedo_ita: float | None, lesion_facts: dict,
) -> dict:  # fmt: skip
    """A row of labels.jsonl without its file name; ITA is that of the final picture."""
    person = scene.person
    tone = attributes.ita(image, skin & ~lesion)
    return {
        "sex": person.sex.value,
        "age": round(person.years, 2),
        "ita": None if tone is None else round(tone, 2),
        "albedo_ita": None if albedo_ita is None else round(albedo_ita, 2),
        "site": scene.site.value,
        "view": scene.view.value,
        "field": scene.field.value,
        "field_cm": round(framing.field_cm, 2),
        "source": "render",
        "person_id": person.id,
        "landmarks": marks,
        "lesion": lesion_facts,
    }
