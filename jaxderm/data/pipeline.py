"""From records to batches: frame, geometry, keep-mask, painted lesion, dropout; Grain does the rest.

Every example is a function of (record, its random generator), so a batch depends on the loader's
seed and position only: disjoint by process, resumable, the same on any number of machines.
"""

import dataclasses

import grain.python as grain
import numpy as np
from PIL import Image

from jaxderm.attributes import (
    ADULT_AGE,
    CONDITION_GROUPS,
    BodySite,
    Field,
    Sex,
    Source,
    View,
    encode,
)
from jaxderm.data import bank as banks
from jaxderm.data import lesions, masks, prepare, variants
from jaxderm.data.exemplars import DRAWS, Bank
from jaxderm.data.features import Record
from jaxderm.errors import InputError
from jaxderm.frame import face_box, round_landmarks

DROPOUT = 0.1
YOUNG = 48.0  # years up to which a photographed person counts as young (`young_share`)
LARGE = 0.06  # share of keep-masks that hold much of the face or site
_FLIPPED_VIEW = {View.IMAGE_LEFT: View.IMAGE_RIGHT, View.IMAGE_RIGHT: View.IMAGE_LEFT}
_FLIPPED_POINTS = [1, 0, 2, 4, 3]


def _is_face(record: Record) -> bool:
    facts = record.attributes
    return (
        facts.site is BodySite.FACE
        and facts.field is not Field.CLOSE_UP
        and not np.isnan(record.landmarks[:2]).any()
        and not np.isnan(record.landmarks[3:]).any()
    )


def _box(record: Record, rng: np.random.Generator) -> tuple[float, float, float]:
    """(x, y, side) in pixels of the square to cut: as at a release, with jitter."""
    height, width = record.image.shape[:2]
    if _is_face(record):
        x0, y0, x1, _ = face_box(record.landmarks)
        side = (x1 - x0) * rng.uniform(0.94, 1.1)
        shift = rng.uniform(-0.03, 0.03, 2) * side
        middle = np.array([(x0 + x1) / 2, y0 + (x1 - x0) / 2])
        x, y = middle + shift - side / 2
        return x, y, side
    short = min(height, width)
    side = short * rng.uniform(0.75, 1.0)
    x = (width - side) / 2 + rng.uniform(-0.5, 0.5) * (short - side)
    y = (height - side) / 2 + rng.uniform(-0.5, 0.5) * (short - side)
    return x, y, side


def make_example(
    record: Record,
    rng: np.random.Generator,
    size: int,
    variant_share: float = 0.0,
    bank: Bank | None = None,
    younger_share: float = 0.0,
) -> dict[str, np.ndarray]:
    """Example of a record: image [S,S,3] uint8, mask [S,S] float32, landmarks [5,2], condition [A].

    Landmarks in [0,1] of the frame, NaN unknown. Half of the drawn masks get a painted lesion. That share
    of the photographed faces is changed to other shapes and tones (`variants`). With a bank, an "exemplar"
    [S,S,3] uint8 of the same facts, landmarks and mask is there too, for younger_share of the young photographed
    people of somebody younger: hardly any photograph shows a person in the twenties, who is asked for at a release
    as the youngest that photographs show (`synthesize.asked_of`).
    """
    photographed = _is_face(record) and record.attributes.source is Source.PHOTO
    if variant_share and photographed and rng.random() < variant_share:
        record = variants.vary(record, rng)
    x, y, side = _box(record, rng)
    angle = rng.uniform(-6, 6) if rng.random() < 0.5 else 0.0
    flip = rng.random() < 0.5
    # Output pixel (u, v) -> input pixel: rotation about the square's middle.
    c, s = np.cos(np.radians(angle)) * side / size, np.sin(np.radians(angle)) * side / size
    if flip:
        a = np.array([[-c, -s], [-s, c]])
    else:
        a = np.array([[c, -s], [s, c]])
    middle = np.array([x, y]) + side / 2
    b = middle - a @ np.full(2, size / 2)
    affine = (a[0, 0], a[0, 1], b[0], a[1, 0], a[1, 1], b[1])

    def cut(plane: np.ndarray, resample: Image.Resampling) -> np.ndarray:
        # Edge pixels repeated beyond the picture: a face may reach past a portrait's border.
        pad = int(np.ceil(max(0, -min(x, y), x + side - plane.shape[1], y + side - plane.shape[0])))
        pad += int(0.1 * side) if angle else 0
        if pad:
            plane = np.pad(plane, [(pad, pad)] * 2 + [(0, 0)] * (plane.ndim - 2), "edge")
        moved = (*affine[:2], affine[2] + pad, *affine[3:5], affine[5] + pad)
        picture = Image.fromarray(plane)
        if side > 1.5 * size:  # the affine transform does not average
            factor = int(side / size)
            picture = picture.reduce(factor)
            moved = tuple(v / factor for v in moved)
        return np.asarray(picture.transform((size, size), Image.Transform.AFFINE, moved, resample))

    image = cut(record.image, Image.Resampling.BICUBIC)
    points = round_landmarks(record.landmarks) if _is_face(record) else record.landmarks * np.nan
    points = ((points - b) @ np.linalg.inv(a).T / size).astype(np.float32)
    if flip:
        points = points[_FLIPPED_POINTS]

    def plane(mask: np.ndarray) -> np.ndarray:
        return cut(mask.astype(np.uint8) * 255, Image.Resampling.BILINEAR) >= 128

    if record.skin is not None:
        skin = plane(record.skin)
    else:
        skin = masks.face_region(points * size, (size, size))
    lesion = plane(record.lesion) if record.lesion is not None else np.zeros((size, size), bool)
    image, mask = _keep(image, skin, lesion, rng)

    facts = record.attributes
    if flip:
        facts = dataclasses.replace(facts, view=_FLIPPED_VIEW.get(facts.view, facts.view))
    if _is_face(record):  # framed by its landmarks, as at a release
        facts = dataclasses.replace(facts, field=Field.WHOLE_SITE)
    if facts.field_cm is not None:
        width = facts.field_cm * side / max(record.image.shape[:2])
        facts = dataclasses.replace(facts, field_cm=width)
    more = {}
    if bank is not None:
        draws, likeness = rng.random(DRAWS), facts
        young = photographed and facts.age is not None and ADULT_AGE < facts.age <= YOUNG
        if younger_share and young and rng.random() < younger_share:
            likeness = dataclasses.replace(facts, age=rng.uniform(ADULT_AGE, facts.age))
        more["exemplar"] = bank.exemplar(likeness, points.astype(np.float64), mask, draws, size)
    condition = encode(facts)
    for group in CONDITION_GROUPS.values():
        if rng.random() < DROPOUT:
            condition[group] = 0
    if rng.random() < DROPOUT:
        points = np.full((5, 2), np.nan, np.float32)
    return {
        "image": image,
        "mask": mask.astype(np.float32),
        "landmarks": points,
        "condition": condition,
        **more,
    }


def _keep(image, skin, lesion, rng) -> tuple[np.ndarray, np.ndarray]:
    """Picture (perhaps with a painted lesion) and keep-mask.

    A lesion in the picture is nearly always kept: the model must not learn to invent findings.
    """
    if rng.random() < LARGE:
        return image, masks.draw_large(rng, skin) | lesion
    if lesion.sum() >= 4 and rng.random() < 0.95:
        mask = masks.grow(rng, lesion) if rng.random() < 0.8 else lesion
        if rng.random() < 0.2:
            mask = mask | masks.draw_mask(rng, skin)
        return image, mask
    mask = masks.draw_mask(rng, skin)
    painted = mask
    if rng.random() < 0.5:
        if rng.random() < 0.7:
            mask = masks.grow(rng, mask)
        image = lesions.paint(rng, image, painted)
    return image, mask


class _Make(grain.RandomMapTransform):
    def __init__(self, size: int, variant_share: float, bank: str, younger_share: float) -> None:
        self.size, self.variant_share, self.bank, self.younger_share = (
            size, variant_share, bank, younger_share
        )  # fmt: skip

    def random_map(self, record: Record, rng: np.random.Generator) -> dict[str, np.ndarray]:
        bank = banks.load(self.bank) if self.bank else None  # read once a process
        return make_example(record, rng, self.size, self.variant_share, bank, self.younger_share)


class _Part:
    """The records of a source at given positions, decoded once and kept (the corpora are small)."""

    def __init__(self, source, positions: np.ndarray) -> None:
        self.source, self.positions = source, positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Record:
        return self.source[int(self.positions[index])]


def _groups(
    source: prepare.Records, face_share: float, female_share: float, young_share: float
) -> list[tuple[np.ndarray, float]]:
    """(positions, share) of the groups that a corpus is drawn from."""
    faces = np.array(source.sites) == BodySite.FACE.value
    women = np.array(source.sexes) == Sex.FEMALE.value
    young = np.array(source.ages) <= YOUNG
    *others, of_faces = reversed(_halves([(np.arange(len(source)), 1.0)], faces, face_share))
    if not faces[of_faces[0]].all():
        return [of_faces]
    return others + _halves(_halves([of_faces], women, female_share), young, young_share)


def _halves(
    groups: list[tuple[np.ndarray, float]], chosen: np.ndarray, share: float
) -> list[tuple[np.ndarray, float]]:
    """Each of the groups that holds both in two, the chosen with that share of it; as they are for a share of 0."""
    halves = []
    for positions, whole in groups:
        here = chosen[positions]
        if share and here.any() and not here.all():
            halves += [(positions[here], whole * share), (positions[~here], whole * (1 - share))]
        else:
            halves.append((positions, whole))
    return halves


class _Share(grain.MapDataset):
    """This process's rows of the batches from `start` on: batch t is rows t * batch ... of the parent.

    Contiguous rows, so that a global batch is the same array whatever the number of processes.
    """

    def __init__(self, parent, batch: int, index: int, count: int, start: int) -> None:
        super().__init__(parent)
        self.batch_size, self.rows, self.index, self.start = batch, batch // count, index, start

    def __len__(self) -> int:
        return len(self._parent) // self.batch_size * self.rows

    def __getitem__(self, index: int):
        batch, row = divmod(index, self.rows)
        return self._parent[(self.start + batch) * self.batch_size + self.index * self.rows + row]


class Batches:
    """Endless iterator of batches. Its state is the number of batches taken, the same for every process
    and any number of workers, so that a run resumes bit-equal on another machine."""

    def __init__(self, dataset_from, workers: int) -> None:
        self.dataset_from, self.workers = dataset_from, workers
        self.set_state({"batches": 0})

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self.iterator is None:  # not before the first batch: a restored position comes between
            options = grain.ReadOptions(
                num_threads=0 if self.workers else 1, prefetch_buffer_size=4
            )
            dataset = self.dataset_from(self.taken).to_iter_dataset(options)
            if self.workers:
                dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(self.workers))
            self.iterator = iter(dataset)
        batch = next(self.iterator)
        self.taken += 1
        return batch

    def get_state(self) -> dict[str, int]:
        """{"batches": how many were taken}."""
        return {"batches": self.taken}

    def set_state(self, state: dict[str, int]) -> None:
        """Go on behind that many batches."""
        self.taken, self.iterator = int(state["batches"]), None


def count_records(data_dir: str, corpora: dict[str, float], split: str) -> int:
    """Number of pictures in a split of the corpora that have a weight."""
    return sum(len(prepare.load(data_dir, name, split)) for name, w in corpora.items() if w)


def make_loader(
    data_dir: str,
    corpora: dict[str, float],
    split: str,
    *,
    batch_size: int,
    size: int,
    seed: int,
    face_share: float = 0.0,
    female_share: float = 0.0,
    young_share: float = 0.0,
    variant_share: float = 0.0,
    bank: str = "",
    younger_share: float = 0.0,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Batches:
    """Endless iterator of batches (this process's share of `batch_size`) of prepared corpora.

    corpora: {name: weight}; face_share > 0 draws that share of faces within each corpus that has
    other sites too, female_share > 0 that share of women among the faces of each corpus that has
    both sexes, young_share > 0 that share of the young (YOUNG) among either, variant_share > 0 changes
    that share of the photographed faces, bank
    (a file) adds exemplars, younger_share of those of the young and photographed younger still. Its
    get_state/set_state resume it bit-equal. InputError for a batch that the processes cannot share
    evenly.
    """
    if batch_size % process_count:
        raise InputError(
            f"config.batch {batch_size} is not a multiple of {process_count} processes; change it."
        )
    parts, weights = [], []
    for name, weight in corpora.items():
        if not weight:
            continue
        source = prepare.load(data_dir, name, split)
        if not len(source):
            continue
        for group, share in _groups(source, face_share, female_share, young_share):
            if not share:
                continue
            parts.append(
                grain.MapDataset.source(_Part(source, group)).seed(seed).shuffle().repeat()
            )
            weights.append(weight * share)
    if not parts:
        raise InputError(
            f"no corpus of '{', '.join(corpora)}' has a weight and pictures in split '{split}'; set "
            "config.data.corpora, or label more people (splits go by person)."
        )
    mixed = parts[0] if len(parts) == 1 else grain.MapDataset.mix(parts, weights)
    # Each example is drawn by its place in the one global order, before the processes share it.
    examples = mixed.seed(seed + 1).random_map(_Make(size, variant_share, bank, younger_share))

    def dataset_from(start: int) -> grain.MapDataset:
        share = _Share(examples, batch_size, process_index, process_count, start)
        return share.batch(batch_size // process_count, drop_remainder=True)

    return Batches(dataset_from, workers)
