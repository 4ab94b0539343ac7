"""Is the person right: skin tone of the generated skin, and what a reader says of sex, age and site.

A user's own reader of attributes is taken by path (`load_reader`); the one that ships is `evaluate.reader`.
"""

import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from jaxderm.attributes import ITA_CLASS_NAMES, ita, ita_class, rgb_to_lab
from jaxderm.errors import InputError
from jaxderm.evaluate import statistics
from jaxderm.evaluate.recogniser import OnnxSession, read_settings
from jaxderm.evaluate.statistics import Figure
from jaxderm.face import face_oval, face_skin_region
from jaxderm.release.skin import skin_like

AGE_BANDS = ((0, 18), (18, 30), (30, 50), (50, 65), (65, 121))
MIN_SKIN = 200  # px


def skin_region(picture: np.ndarray, kept: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Where the tone is measured, [h,w] bool: cheeks and nose of a face, else skin-coloured pixels (of the face, if any).

    picture [h,w,3] uint8 (of the photo or a release: the face's region is the same for both), kept
    [h,w] bool is left out with 2 px around it, landmarks [5,2] px on the picture.
    """
    free = ~ndimage.binary_dilation(kept, iterations=2)
    region = face_skin_region(landmarks, kept.shape) & free
    if region.sum() >= MIN_SKIN:
        return region
    like = skin_like(rgb_to_lab(picture)) & free
    oval = face_oval(landmarks, kept.shape)  # brown hair and walls have colours of skin, too
    return like & oval if oval.any() else like


def tone(picture: np.ndarray, region: np.ndarray) -> float | None:
    """ITA in degrees of a region of a picture; None where it is too small or not skin (blacked out)."""
    if region.sum() < MIN_SKIN or skin_like(rgb_to_lab(picture[region])).mean() < 0.1:
        return None
    return ita(picture, region)


def age_band(age: float | None) -> str | None:
    """Name of the band of an age in years; None where it is unknown."""
    if age is None:
        return None
    low, high = next(band for band in AGE_BANDS if age < band[1])
    return "under 18" if low == 0 else f"{low} and over" if high > 100 else f"{low}-{high - 1}"


def tone_class(angle: float | None) -> str | None:
    """ITA class of an angle in degrees; None where it is unknown."""
    return None if angle is None else ita_class(angle)


def by_group(
    values: Sequence[float | None], labels: Sequence[str | None], share: bool
) -> dict[str, Figure | float | None]:
    """{group: Figure} of values by their labels, and the gap between the extreme groups.

    share: values are 0 or 1. None is left out. gap: largest minus smallest value over the groups with
    at least 3 cases (None with fewer than two such groups).
    """
    groups: dict[str, list[float]] = {}
    for value, label in zip(values, labels):
        if label is not None and value is not None and math.isfinite(value):
            groups.setdefault(label, []).append(float(value))
    figures = {}
    for label in sorted(groups, key=_order):
        found = groups[label]
        if share:
            figures[label] = statistics.proportion(int(sum(found)), len(found))
        else:
            figures[label] = statistics.mean(found)
    large = [figure.value for figure in figures.values() if figure.count >= 3]
    gap = max(large) - min(large) if len(large) >= 2 else None
    return {"groups": figures, "gap": gap}


def _order(label: str) -> tuple:
    if label in ITA_CLASS_NAMES:
        return (ITA_CLASS_NAMES.index(label), "")
    if label == "under 18":
        return (-1, "")
    return (0, label)


class Reader:
    """A user's reader of attributes: pictures in, {"sex", "age", "site"} of each out.

    features [N,D] for realism where it offers them (`has_features`).
    """

    def __init__(
        self,
        name: str,
        read: Callable[[list[np.ndarray]], list[dict]],
        features: Callable[[list[np.ndarray]], np.ndarray] | None = None,
    ) -> None:
        self.name, self._read, self._features = name, read, features

    @property
    def has_features(self) -> bool:
        """Whether `features` may be called."""
        return self._features is not None

    def __call__(self, pictures: list[np.ndarray]) -> list[dict]:
        """What it reads in pictures [h,w,3] uint8, one dictionary each; InputError if it does not."""
        answers = list(self._read(pictures))
        if len(answers) != len(pictures) or not all(isinstance(a, dict) for a in answers):
            raise InputError(
                f"reader '{self.name}' must give one dictionary for each of {len(pictures)} pictures."
            )
        return answers

    def features(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Features [N,D] float of pictures."""
        return np.asarray(self._features(pictures), np.float32)


def load_reader(path: str) -> Reader:
    """A reader by path: FILE.onnx with a JSON beside it, or FILE.py[:function] (docs/evaluation.md)."""
    if path.endswith(".onnx"):
        return _onnx_reader(path)
    file, _, function = path.partition(".py:")
    file = f"{file}.py" if function else path
    if not file.endswith(".py") or not Path(file).is_file():
        raise InputError(f"reader '{path}' is not FILE.onnx or FILE.py[:function] that exists.")
    spec = importlib.util.spec_from_file_location("jaxderm_reader", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    read = getattr(module, function or "read", None)
    if not callable(read):
        raise InputError(f"reader '{file}' has no function '{function or 'read'}'.")
    return Reader(Path(file).stem, read, getattr(module, "features", None))


def _onnx_reader(path: str) -> Reader:
    settings = read_settings(path, {"size", "outputs"})
    session, size = OnnxSession(path, settings), int(settings["size"])
    outputs = settings["outputs"]
    if not isinstance(outputs, dict) or not set(outputs) <= {"sex", "age", "site", "features"}:
        raise InputError(f"'{path}': outputs must name some of sex, age, site and features.")

    def run(pictures: list[np.ndarray]) -> list[np.ndarray]:
        small = [
            np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BICUBIC))
            for p in pictures
        ]
        found = [session(picture[None]) for picture in small]
        return [np.concatenate([f[i] for f in found]) for i in range(len(found[0]))]

    def read(pictures: list[np.ndarray]) -> list[dict]:
        found = run(pictures)
        answers: list[dict] = [{} for _ in pictures]
        for fact, how in outputs.items():
            if fact == "features":
                continue
            try:
                values = found[int(how["index"])].reshape(len(pictures), -1)
                for answer, value in zip(answers, values):
                    answer[fact] = (
                        float(value[0]) if fact == "age" else how["labels"][int(value.argmax())]
                    )
            except (KeyError, IndexError, TypeError, ValueError):
                raise InputError(
                    f"'{path}': output '{fact}' does not fit its description in the JSON file."
                ) from None
        return answers

    features = None
    if "features" in outputs:
        index = int(outputs["features"]["index"])

        def features(pictures):
            return run(pictures)[index].reshape(len(pictures), -1)

    return Reader(Path(path).stem, read, features)
