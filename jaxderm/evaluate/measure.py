"""One case, measured: every picture of it (release, baselines, untouched) by every per-picture figure.

Runs in worker processes, one case at a time: cases are independent, so the order and the number of
workers do not show.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from jaxderm.attributes import rgb_to_lab
from jaxderm.errors import InputError
from jaxderm.evaluate import attributes, baselines, lesion
from jaxderm.evaluate.cases import Published, Subject, published_of, subject_of
from jaxderm.evaluate.recogniser import Face, Recogniser, load_recogniser
from jaxderm.frame import parse_landmarks
from jaxderm.photo import read_photo
from jaxderm.release.batch import Row
from jaxderm.release.kept import KeptOnFace, kept_on_face
from jaxderm.release.skin import skin_like

RELEASE = "release"
THUMB = 256  # px, pictures of the report
REALISM_SIDE = 299  # px, what is handed on to the extractors
# What is no release but a control: identity only.
CONTROLS = (baselines.LANDMARKS, baselines.KEPT)


@dataclasses.dataclass
class Measured:
    """Figures of one picture of a case; None where a figure does not apply or could not be measured."""

    face: Face
    exact: lesion.Exactness | None = None
    outline: lesion.Outline | None = None
    halo: float | None = None
    spots: int | None = None
    seam: lesion.Seam | None = None
    place: lesion.Place | None = None
    ita: float | None = None
    picture: np.ndarray | None = None  # [REALISM_SIDE, REALISM_SIDE, 3] uint8


@dataclasses.dataclass
class CaseResult:
    """All of a case. error: why there is no release; methods {name: Measured}.

    photo_ita, photo_spots: of the photograph in the region where the release's are measured; fact_ita:
    what the release was conditioned on, with its origin; generated: whether a model made the release.
    """

    id: str
    error: str | None = None
    methods: dict[str, Measured] = dataclasses.field(default_factory=dict)
    kept_share: float | None = None
    kept: KeptOnFace | None = None
    photo_ita: float | None = None
    photo_spots: int | None = None
    fact_ita: float | None = None
    fact_origin: str | None = None
    warnings: tuple[str, ...] = ()
    generated: bool = False
    site: str | None = None

    @property
    def wanted_ita(self) -> float | None:
        """The tone that the release should have: the fact, else the photograph's."""
        return self.photo_ita if self.fact_ita is None else self.fact_ita


def measure_case(row: Row, folder: str, recogniser: Recogniser) -> CaseResult:
    """Measure a row's release in `folder`, and its baselines; what is wrong becomes `error`."""
    result = CaseResult(row.id)
    published = None
    try:
        published = published_of(
            folder, row.id, None if _has_manifest(folder, row.id) else _size(row)
        )
    except InputError as error:
        result.error = str(error)
    try:
        subject = subject_of(row, published.document if published else None)
        x0, y0, x1, y1 = (0, 0, 0, 0) if published is None else published.rectangle
        if published and not (
            0 <= x0 < x1 <= subject.photo.shape[1] and 0 <= y0 < y1 <= subject.photo.shape[0]
        ):
            raise InputError("the manifest's frame does not lie on the photo: another photo?")
    except (InputError, OSError) as error:
        result.error = f"{result.error} {error}" if result.error else str(error)
        return result
    _describe(result, subject, published)
    pictures = baselines.pictures(subject)
    if published is not None:
        pictures = {RELEASE: (published.pixels, published.rectangle), **pictures}
    before = _Before(subject, recogniser)
    for name, (pixels, rectangle) in pictures.items():
        result.methods[name] = before.measure(name, pixels, rectangle)
    result.photo_ita, result.photo_spots = before.ita, before.spots
    return result


def _has_manifest(folder: str, row_id: str) -> bool:
    return (Path(folder) / f"{row_id}.json").is_file()


def _size(row: Row) -> tuple[int, int]:
    return read_photo(row.path("photo")).pixels.shape[:2]


def _describe(result: CaseResult, subject: Subject, published: Published | None) -> None:
    x0, y0, x1, y1 = subject.frame.inside(*subject.kept.shape)
    result.site = subject.site
    result.kept_share = float(subject.kept[y0:y1, x0:x1].mean())
    if subject.is_face:
        result.kept = kept_on_face(subject.kept, subject.landmarks)
    if published is not None and published.document is not None:
        fact = published.document["facts"]["skin_tone"]
        result.fact_ita, result.fact_origin = fact["value"], fact.get("origin")
        result.warnings = tuple(published.document.get("warnings", ()))
    result.generated = published is not None and published.generated


class _Before:
    """A subject's photograph with what is computed on it once, and the measuring of pictures against it."""

    def __init__(self, subject: Subject, recogniser: Recogniser) -> None:
        self.subject, self.recogniser = subject, recogniser
        self.box = x0, y0, x1, y1 = subject.frame.inside(*subject.kept.shape)
        self.photo, self.kept = subject.photo[y0:y1, x0:x1], subject.kept[y0:y1, x0:x1]
        self.lesion = subject.lesion[y0:y1, x0:x1]
        self.landmarks = subject.landmarks - np.array([x0, y0], np.float32)
        self.skin = attributes.skin_region(self.photo, self.kept, self.landmarks)
        self.gradient = lesion.gradient(self.photo)
        # The seam's controls may lie on any skin; cheeks alone have no room for large outlines.
        self.plain = skin_like(rgb_to_lab(self.photo))
        self.spots = lesion.spots(self.photo, self._spot_region(), subject.frame.side)
        self.ita = attributes.tone(self.photo, self.skin)
        self.face: Face | None = None

    def _spot_region(self) -> np.ndarray:
        reach = max(2, round(0.02 * self.subject.frame.side))
        return self.skin & ~ndimage.binary_dilation(self.kept, iterations=reach)

    def measure(
        self, name: str, pixels: np.ndarray, rectangle: tuple[int, int, int, int]
    ) -> Measured:
        """Figures of a picture on a rectangle of the photo."""
        subject = self.subject
        x0, y0 = rectangle[:2]
        face = self.recogniser(pixels, subject.landmarks - np.array([x0, y0], np.float32))
        if name == baselines.UNTOUCHED:
            self.face = face
        found = Measured(face)
        if name in CONTROLS:
            return found
        found.exact = lesion.exactness(subject.photo, subject.kept, pixels, rectangle)
        found.picture = np.asarray(
            Image.fromarray(np.ascontiguousarray(pixels)).resize(
                (REALISM_SIDE, REALISM_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0
            )
        )
        if rectangle != self.box:  # a crop: there is no surround to judge
            return found
        found.outline = lesion.outline(self.photo, pixels, self.lesion, self.kept)
        found.halo = lesion.halo(self.photo, pixels, self.lesion, self.kept)
        found.seam = lesion.seam(self.gradient, pixels, self.kept, self.plain)
        side = subject.frame.side
        found.spots = lesion.spots(pixels, self._spot_region(), side)
        region = self.skin
        if np.isnan(
            self.landmarks
        ).any():  # no cheeks to go by: where this picture has skin colours
            region = attributes.skin_region(pixels, self.kept, self.landmarks)
        found.ita = attributes.tone(pixels, region)
        if face.points is not None:
            own = self._own_points()
            if own is not None:
                found.place = lesion.place(own, face.points, self.lesion)
        return found

    def _own_points(self) -> np.ndarray | None:
        if self.face is None:
            self.face = self.recogniser(self.photo, self.landmarks)
        return self.face.points


def sheet_pictures(row: Row, folder: str, publishable: bool) -> dict[str, np.ndarray]:
    """Small pictures of a case for the report, [THUMB,THUMB,3] uint8: original, kept alone, release.

    publishable: without the original, and without a release that a model did not make, since the
    methods of today show the patient's own pixels. Raises InputError.
    """
    published = published_of(folder, row.id, None if _has_manifest(folder, row.id) else _size(row))
    subject = subject_of(row, published.document)
    x0, y0, x1, y1 = published.rectangle
    photo, kept = subject.photo[y0:y1, x0:x1], subject.kept[y0:y1, x0:x1]
    # Hidden before it is reduced, so that no pixel outside kept is averaged into the edge.
    pictures = {"kept pixels alone": np.where(kept[..., None], photo, np.uint8(118))}
    if not publishable:
        pictures = {"original: do not publish": photo, **pictures}
    if published.generated or not publishable:
        pictures["release"] = published.pixels
    return {name: _thumb(picture) for name, picture in pictures.items()}


def _thumb(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(picture))
    scale = THUMB / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    page = Image.new("RGB", (THUMB, THUMB), (255,) * 3)
    page.paste(small, ((THUMB - small.width) // 2, (THUMB - small.height) // 2))
    return np.asarray(page)


def embed_file(path: str, landmarks: str | None, recogniser: Recogniser) -> Face | str:
    """Face of a picture file, landmarks as text where known; a sentence when it cannot be read."""
    try:
        pixels = read_photo(path).pixels
        points = parse_landmarks(landmarks, pixels.shape[:2]) if landmarks else None
        return recogniser(pixels, points)
    except InputError as error:
        return str(error)


def embed_release(folder: str, row_id: str, recogniser: Recogniser) -> tuple[Face, str] | str:
    """(face, seed policy) of a release in another folder; a sentence when it is not there."""
    try:
        published = published_of(folder, row_id, None)
    except InputError as error:
        return str(error)
    points = published.document["facts"]["landmarks"]["value"]
    landmarks = None
    if points is not None:
        landmarks = np.array(points, np.float32) - np.array(published.rectangle[:2], np.float32)
    policy = published.document.get("seed", {}).get("policy", "unknown")
    return recogniser(published.pixels, landmarks), policy


class Workers:
    """Runs jobs in order, in this process or in several of their own, each with its recogniser.

    recogniser: its name (see `load_recogniser`), or an object, which then stays in this process.
    """

    def __init__(self, recogniser: str | Recogniser, count: int | None = None) -> None:
        self.name = recogniser if isinstance(recogniser, str) else None
        self.recogniser = load_recogniser(recogniser) if self.name else recogniser
        if count is None:
            count = min(
                len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity")
                else os.cpu_count() or 1,
                16,
            )
        self.pool = None
        if self.name and count > 1:
            self.pool = concurrent.futures.ProcessPoolExecutor(
                count, multiprocessing.get_context("spawn"), _start, (self.name,)
            )

    def run(self, job: Callable, arguments: list[tuple]) -> Iterator:
        """job(*arguments, recogniser) of each, in order."""
        if self.pool is None:
            for given in arguments:
                yield job(*given, self.recogniser)
            return
        futures = [self.pool.submit(_call, job, given) for given in arguments]
        for future in futures:
            yield future.result()

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


_recogniser: Recogniser | None = None


def _start(name: str) -> None:
    global _recogniser
    _recogniser = load_recogniser(name)


def _call(job: Callable, arguments: tuple):
    return job(*arguments, _recogniser)
