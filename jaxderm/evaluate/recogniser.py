"""Face recognisers behind one interface: dlib, or any ONNX embedder by path.

A picture becomes one vector. Where the detector finds no face, the landmarks that the auditor knows
are used, so that a blur cannot hide behind the detector; the outcome says which way was taken.
"""

import dataclasses
import importlib.util
import json
import math
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from jaxderm.errors import InputError

DETECTOR_SIDE = 480  # px: the detector sees pictures reduced to this; it finds faces from 80 px up
DETECTED, BY_LANDMARKS, NO_FACE = "detected", "by landmarks", "no face"
# Where the bottom of the nose lies between the eyes and the mouth, and half an eye's width as a share
# of the distance between the eyes: means of 20 portraits on which dlib found its own points.
NOSE_BASE, HALF_EYE = 0.65, 0.205
NOSE_BELOW_EYES = 0.69  # of the inter-ocular distance, where the mouth is unknown


@dataclasses.dataclass(frozen=True)
class Face:
    """An embedded face: vector [D] float64 (None = no face), how it was found, the detector's points.

    points [5,2] px of the detector: outer and inner corner of the eye on the image's right, outer and
    inner corner of the eye on its left, bottom of the nose; None unless detected.
    """

    vector: np.ndarray | None
    how: str
    points: np.ndarray | None = None


class Recogniser(Protocol):
    """What the audit asks of a recogniser."""

    name: str
    threshold: float  # published: at most this distance is "the same person"

    def __call__(self, picture: np.ndarray, landmarks: np.ndarray | None = None) -> Face:
        """Face of a picture [H,W,3] uint8; landmarks [5,2] px as in `frame`, used if none is found."""

    def distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Distances [N,M] between vectors [N,D] and [M,D]."""


def usable_eyes(landmarks: np.ndarray | None, shape: tuple[int, ...]) -> bool:
    """Whether landmarks [5,2] give both eyes, and at least three points lie in a picture of that shape."""
    if landmarks is None or np.isnan(landmarks[:2]).any():
        return False
    if np.linalg.norm(landmarks[1] - landmarks[0]) < 4:
        return False
    inside = (landmarks >= 0).all(1) & (landmarks < [shape[1], shape[0]]).all(1)
    return int(inside.sum()) >= 3


class DlibDetector:
    """dlib's HOG detector and free five-point shape model (King 2009); needs the extra `audit`."""

    def __init__(self) -> None:
        self.dlib = _import_dlib()
        self.detector = self.dlib.get_frontal_face_detector()
        self.shape = self.dlib.shape_predictor(_model_file("shape_predictor_5_face_landmarks.dat"))

    def points(self, picture: np.ndarray) -> np.ndarray | None:
        """Five points [5,2] px (see `Face.points`) of the largest face; None without a face."""
        picture = np.ascontiguousarray(picture)
        scale = min(1.0, DETECTOR_SIDE / max(picture.shape[:2]))
        small = picture
        if scale < 1:
            size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
            small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
        if min(small.shape[:2]) < 40:  # dlib's detector looks for 80 px after one doubling
            return None
        found = self.detector(small, 0)
        if not len(found):
            return None
        face = max(found, key=lambda box: box.area())
        box = self.dlib.rectangle(
            *(round(v / scale) for v in (face.left(), face.top(), face.right(), face.bottom()))
        )
        return np.array([[p.x, p.y] for p in self.shape(picture, box).parts()], np.float64)


class DlibRecogniser:
    """dlib's ResNet-29 embedder (King 2017): 128 numbers, Euclidean distance, threshold 0.6."""

    name, threshold = "dlib", 0.6

    def __init__(self) -> None:
        self.detector = DlibDetector()
        self.dlib = self.detector.dlib
        self.network = self.dlib.face_recognition_model_v1(
            _model_file("dlib_face_recognition_resnet_model_v1.dat")
        )

    def __call__(self, picture: np.ndarray, landmarks: np.ndarray | None = None) -> Face:
        """Face of a picture [H,W,3] uint8."""
        picture = np.ascontiguousarray(picture)
        points = self.detector.points(picture)
        if points is not None:
            return Face(self._embed(picture, points), DETECTED, points)
        if usable_eyes(landmarks, picture.shape):
            return Face(self._embed(picture, dlib_points(landmarks)), BY_LANDMARKS)
        return Face(None, NO_FACE)

    def distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Euclidean distances [N,M]."""
        return euclidean(first, second)

    def _embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        parts = [self.dlib.point(int(round(x)), int(round(y))) for x, y in points]
        box = self.dlib.rectangle(0, 0, picture.shape[1] - 1, picture.shape[0] - 1)
        shape = self.dlib.full_object_detection(box, parts)
        return np.array(self.network.compute_face_descriptor(picture, shape), np.float64)


class OnnxRecogniser:
    """Any face embedder as an ONNX file, described by a JSON file of the same name beside it.

    JSON: {"size": 112, "mean": 127.5, "std": 127.5, "channels": "RGB" | "BGR", "layout": "NCHW" |
    "NHWC", "metric": "cosine" | "euclidean", "threshold": 0.6, "eyes": [[x, y], [x, y]]}; the eyes are
    where the aligned picture has them, in its pixels (image left first; default: those of ArcFace).
    """

    # Eye centres of ArcFace's 112-px template (Deng 2019, insightface's alignment).
    EYES = np.array([[38.2946, 51.6963], [73.5318, 51.5014]]) / 112

    def __init__(self, path: str) -> None:
        settings = read_settings(path, {"size", "threshold"})
        self.name = Path(path).stem
        self.threshold = float(settings["threshold"])
        self.size = int(settings["size"])
        self.settings = settings
        self.metric = settings.get("metric", "cosine")
        if self.metric not in ("cosine", "euclidean"):
            raise InputError(f"'{path}': metric '{self.metric}' is not cosine or euclidean.")
        eyes = settings.get("eyes")
        self.eyes = self.EYES * self.size if eyes is None else np.array(eyes, np.float64)
        if self.eyes.shape != (2, 2):
            raise InputError(f"'{path}': eyes must be two points [[x, y], [x, y]].")
        self.session = OnnxSession(path, settings)
        probe = self.session(np.zeros((1, self.size, self.size, 3), np.uint8))[0]
        if probe.ndim != 2 or probe.shape[0] != 1 or probe.shape[1] < 8:
            raise InputError(
                f"'{path}' gives an output of shape {list(probe.shape)} for one picture; a face "
                "embedder gives [1, D] with D at least 8."
            )
        try:
            self.detector = DlibDetector()
        except InputError:
            self.detector = None  # then every face needs landmarks

    def __call__(self, picture: np.ndarray, landmarks: np.ndarray | None = None) -> Face:
        """Face of a picture [H,W,3] uint8."""
        points = None if self.detector is None else self.detector.points(picture)
        if points is not None:
            eyes = np.stack([points[2:4].mean(0), points[:2].mean(0)])
            return Face(self._embed(picture, eyes), DETECTED, points)
        if usable_eyes(landmarks, picture.shape):
            return Face(self._embed(picture, np.asarray(landmarks[:2], float)), BY_LANDMARKS)
        return Face(None, NO_FACE)

    def distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Distances [N,M]: Euclidean, or 1 - cosine."""
        if self.metric == "euclidean":
            return euclidean(first, second)
        unit = [
            v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (first, second)
        ]
        return 1 - unit[0] @ unit[1].T

    def _embed(self, picture: np.ndarray, eyes: np.ndarray) -> np.ndarray:
        aligned = align(picture, eyes, self.eyes, self.size)
        return self.session(aligned[None])[0][0].astype(np.float64)


class OnnxSession:
    """An ONNX network of pictures [N,S,S,3] uint8; settings as in `OnnxRecogniser`."""

    def __init__(self, path: str, settings: dict) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise InputError(f"'{path}' needs onnxruntime: pip install 'jaxderm[audit]'.") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # cases run in parallel instead
        try:
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own kinds
            raise InputError(f"'{path}' is not an ONNX network ({_first_line(error)}).") from None
        self.path, self.settings = path, settings
        self.input = self.session.get_inputs()[0].name

    def __call__(self, pictures: np.ndarray) -> list[np.ndarray]:
        """All outputs for pictures [N,S,S,3] uint8."""
        s = self.settings
        x = (pictures.astype(np.float32) - np.float32(s.get("mean", 127.5))) / np.float32(
            s.get("std", 127.5)
        )
        if s.get("channels", "RGB") == "BGR":
            x = x[..., ::-1]
        if s.get("layout", "NCHW") == "NCHW":
            x = x.transpose(0, 3, 1, 2)
        try:
            return self.session.run(None, {self.input: np.ascontiguousarray(x)})
        except Exception as error:
            expected = self.session.get_inputs()[0].shape
            raise InputError(
                f"'{self.path}' does not take pictures of shape {list(x.shape)}, it expects "
                f"{expected} ({_first_line(error)}); correct size and layout in its JSON file."
            ) from None


def read_settings(path: str, needed: set[str]) -> dict:
    """The JSON beside a network file, with the keys that are needed; InputError otherwise."""
    if not Path(path).is_file():
        raise InputError(f"'{path}' does not exist; give the path of an ONNX file.")
    sidecar = Path(path).with_suffix(".json")
    try:
        settings = json.loads(sidecar.read_text())
    except OSError:
        raise InputError(
            f"'{path}' has no '{sidecar.name}' beside it; write one with {', '.join(sorted(needed))} "
            "(docs/evaluation.md)."
        ) from None
    except ValueError:
        raise InputError(f"'{sidecar}' is not JSON.") from None
    if not isinstance(settings, dict) or not needed <= set(settings):
        raise InputError(f"'{sidecar}' lacks one of: {', '.join(sorted(needed))}.")
    for name in ("size", "threshold"):
        value = settings.get(name, 1)
        if not isinstance(value, int | float) or not 0 < value < 1e5:
            raise InputError(f"'{sidecar}': {name} '{value}' is not a positive number.")
    return settings


def load_recogniser(name: str) -> "Recogniser":
    """A recogniser: "dlib", or the path of an ONNX file; InputError says what is missing."""
    if name == "dlib":
        return DlibRecogniser()
    if name.endswith(".onnx"):
        return OnnxRecogniser(name)
    raise InputError(f"recogniser '{name}' is unknown; give dlib, or the path of an .onnx file.")


def dlib_points(landmarks: np.ndarray) -> np.ndarray:
    """dlib's five points [5,2] px (see `Face.points`) from landmarks [5,2] with both eyes."""
    left, right = np.asarray(landmarks[0], float), np.asarray(landmarks[1], float)
    along, middle = right - left, (left + right) / 2
    mouth = np.asarray(landmarks[3:], float)
    mouth = mouth[~np.isnan(mouth).any(1)]
    if len(mouth):
        nose = middle + NOSE_BASE * (mouth.mean(0) - middle)
    else:
        nose = middle + NOSE_BELOW_EYES * np.array([-along[1], along[0]])
    eye = HALF_EYE * along
    return np.stack([right + eye, right - eye, left - eye, left + eye, nose])


def align(picture: np.ndarray, eyes: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Square [size,size,3] uint8 in which the eyes [2,2] of a picture stand at target [2,2]."""
    # A similarity as a complex number: source = a * target + b.
    source = eyes[:, 0] + 1j * eyes[:, 1]
    goal = target[:, 0] + 1j * target[:, 1]
    a = (source[1] - source[0]) / (goal[1] - goal[0])
    b = source[0] - a * goal[0]
    image = Image.fromarray(np.ascontiguousarray(picture))
    factor = max(1, int(abs(a)))
    if factor > 1:  # the transform does not average
        image, a, b = image.reduce(factor), a / factor, b / factor
    matrix = (a.real, -a.imag, b.real, a.imag, a.real, b.imag)
    return np.asarray(
        image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    )


def euclidean(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances [N,M] of vectors [N,D] and [M,D], float64; exactly 0 for equal vectors."""
    return np.stack([np.linalg.norm(second - vector, axis=1) for vector in first])


def _import_dlib():
    try:
        import dlib
    except ModuleNotFoundError:
        raise InputError(
            "the recogniser dlib needs dlib-bin: pip install 'jaxderm[audit]', or give "
            "--recogniser FILE.onnx."
        ) from None
    return dlib


def _model_file(name: str) -> str:
    # The package's own look-up needs pkg_resources, which new setuptools no longer has.
    spec = importlib.util.find_spec("face_recognition_models")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        path = Path(folder) / "models" / name
        if path.is_file():
            return str(path)
    raise InputError(
        "the recogniser dlib needs face_recognition_models: pip install 'jaxderm[audit]'."
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:160] if text else type(error).__name__


def stacked(faces: list[Face]) -> np.ndarray:
    """Vectors [N,D] float64 of faces; rows of NaN where there is no face; [N,1] when there is none."""
    size = next((len(face.vector) for face in faces if face.vector is not None), 1)
    empty = np.full(size, math.nan)
    return np.stack([empty if face.vector is None else face.vector for face in faces])
