"""Is the patient gone: identification and verification in a gallery, linkage, training leak.

Probe = what was published of a case; gallery = one other photograph of every case, plus distractors.
A probe without a face guesses: it is nobody's match, and its area under the curve is 1/2.
"""

import dataclasses
import math

import numpy as np

from jaxderm.evaluate import statistics
from jaxderm.evaluate.cases import Person
from jaxderm.evaluate.recogniser import DETECTED, Face, Recogniser, stacked
from jaxderm.evaluate.statistics import Figure

FAR = 1e-3
AUC_CHANCE = 0.5
NEAREST = 5  # percentile of strangers' distances to their nearest training face: to be nearer is to be near


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The people one may be taken for: vectors [M,D], id of each (None: a distractor), who they are."""

    vectors: np.ndarray
    ids: tuple[str | None, ...]
    people: dict[str, Person]

    def mate_of(self, case_id: str) -> int | None:
        """Index of a case's other photograph, None without one."""
        return self.ids.index(case_id) if case_id in self.ids else None

    def matched(self, case_id: str) -> np.ndarray:
        """Which entries [M] bool are matched impostors of a case (see `Person.matches`)."""
        me = self.people[case_id]
        return np.array(
            [i is not None and i != case_id and me.matches(self.people[i]) for i in self.ids], bool
        )


@dataclasses.dataclass(frozen=True)
class Match:
    """One probe against the gallery; ranks start at 1.

    distance to the patient's other photograph (infinite without a face), rank among all, rank among
    the matched impostors (None without any), areas: share of impostors further away than the mate, taken: share
    of impostors whom the probe would be verified as (NaN without any).
    """

    id: str
    how: str
    distance: float
    rank: int
    size: int
    matched_rank: int | None
    matched_size: int
    verified: bool
    area: float
    matched_area: float
    taken: float
    matched_taken: float
    impostors: np.ndarray
    matched_impostors: np.ndarray


def match(case_id: str, face: Face, gallery: Gallery, recogniser: Recogniser) -> Match | None:
    """Match of a probe; None where the gallery holds no other photograph of the patient."""
    mate = gallery.mate_of(case_id)
    if mate is None:
        return None
    others = np.arange(len(gallery.ids)) != mate
    alike = gallery.matched(case_id)
    if face.vector is None:
        distances = np.full(len(gallery.ids), math.inf)
    else:
        distances = recogniser.distances(face.vector[None], gallery.vectors)[0]
    genuine = float(distances[mate])

    def rank(which: np.ndarray) -> int:
        # A tie goes against the attacker: without a face the patient comes last.
        return 1 + int((distances[which] <= genuine).sum())

    def taken(which: np.ndarray) -> float:
        return float((distances[which] <= recogniser.threshold).mean()) if which.any() else math.nan

    return Match(
        id=case_id,
        how=face.how,
        distance=genuine,
        rank=rank(others),
        size=len(gallery.ids),
        matched_rank=rank(alike) if alike.any() else None,
        matched_size=int(alike.sum()) + 1,
        verified=bool(genuine <= recogniser.threshold),
        area=statistics.superiority([genuine], distances[others]) if others.any() else math.nan,
        matched_area=statistics.superiority([genuine], distances[alike])
        if alike.any()
        else math.nan,
        taken=taken(others),
        matched_taken=taken(alike),
        impostors=distances[others],
        matched_impostors=distances[alike],
    )


def set_figures(matches: list[Match]) -> dict:
    """Figures of a set of probes, against everybody and against matched impostors.

    {"faces": counts, "verified", "distance", "everybody": {...}, "matched": {...}}; every value a
    `Figure`. TAR at FAR 1e-3: the threshold is what 1 in 1000 of this set's own impostor pairs
    undercuts, as an attacker who has seen the method would set it.
    """
    count = len(matches)
    hows = [m.how for m in matches]
    return {
        "faces": {how: hows.count(how) for how in sorted(set(hows))},
        "verified": statistics.proportion(sum(m.verified for m in matches), count),
        "distance": statistics.median([m.distance for m in matches]),
        "everybody": _against(
            [m.rank for m in matches],
            [m.area for m in matches],
            [m.distance for m in matches],
            [m.impostors for m in matches],
            [m.size for m in matches],
            [m.taken for m in matches],
        ),
        "matched": _against(
            [m.matched_rank for m in matches if m.matched_rank],
            [m.matched_area for m in matches if m.matched_rank],
            [m.distance for m in matches if m.matched_rank],
            [m.matched_impostors for m in matches if m.matched_rank],
            [m.matched_size for m in matches if m.matched_rank],
            [m.matched_taken for m in matches if m.matched_rank],
        ),
    }


def _against(ranks, areas, genuine, impostors, sizes, taken) -> dict[str, Figure]:
    count = len(ranks)
    if not count:
        nothing = statistics.missing("no case has an impostor of this kind")
        chances = ("chance_rank_1", "chance_rank_5", "chance_verified")
        names = ("rank_1", "rank_5", *chances, "tar", "auc", "people")
        return dict.fromkeys(names, nothing)
    inverse = [1 / size for size in sizes]
    return {
        "rank_1": statistics.proportion(sum(r <= 1 for r in ranks), count),
        "rank_5": statistics.proportion(sum(r <= 5 for r in ranks), count),
        "chance_rank_1": statistics.mean(inverse),
        "chance_rank_5": statistics.mean([min(5 * share, 1) for share in inverse]),
        # What the patient would be verified in, if a release were as near to anybody of this kind.
        "chance_verified": statistics.mean(taken),
        "tar": true_accepts(genuine, np.concatenate(impostors)),
        "auc": statistics.bootstrap(areas, np.mean),
        "people": statistics.mean(sizes),
    }


def true_accepts(genuine: list[float], impostors: np.ndarray) -> Figure:
    """Share of genuine distances below what FAR of the impostor distances [N] undercut.

    Not measurable with fewer than 1 / FAR impostor pairs.
    """
    impostors = np.sort(np.asarray(impostors, np.float64))
    if len(impostors) < 1 / FAR:
        return statistics.missing(
            f"{len(impostors)} impostor pairs are fewer than the {round(1 / FAR)} that a false accept "
            f"rate of {FAR:g} needs",
            len(genuine),
        )
    threshold = impostors[math.floor(len(impostors) * FAR)]
    accepted = sum(distance < threshold for distance in genuine)
    return statistics.proportion(
        accepted, len(genuine), f"threshold {threshold:.3f} from {len(impostors)} impostor pairs"
    )


def linkage(first: list[Face], second: list[Face], recogniser: Recogniser) -> dict[str, Figure]:
    """Do two releases of one patient match each other? first[i] and second[i] are of one patient.

    linked: share within the threshold; rank_1: share whose nearest second release is the patient's.
    """
    both = [
        (one.vector, other.vector)
        for one, other in zip(first, second)
        if one.vector is not None and other.vector is not None
    ]
    if not both:
        nothing = statistics.missing("no pair of releases with a face")
        return {"linked": nothing, "rank_1": nothing, "auc": nothing}
    distances = recogniser.distances(*(np.stack(vectors) for vectors in zip(*both)))
    own = np.diag(distances)
    areas = []
    best = 0
    for i, row in enumerate(distances):
        others = np.delete(row, i)
        best += bool(len(others)) and bool((others > own[i]).all())
        if len(others):
            areas.append(statistics.superiority([own[i]], others))
    count = len(both)
    return {
        "linked": statistics.proportion(int((own <= recogniser.threshold).sum()), count),
        "rank_1": statistics.proportion(int(best), count),
        "auc": statistics.bootstrap(areas, np.mean),
    }


def collisions(faces: list[Face], recogniser: Recogniser) -> dict[str, Figure]:
    """Do releases of different patients look like one person?

    share of cases with another within the threshold, and the median distance between two cases.
    """
    vectors = stacked(faces) if faces else np.zeros((0, 1))
    vectors = vectors[~np.isnan(vectors).any(1)]
    if len(vectors) < 2:
        nothing = statistics.missing("fewer than two faces")
        return {"collides": nothing, "pairs": nothing, "distance": nothing}
    distances = recogniser.distances(vectors, vectors)
    np.fill_diagonal(distances, math.inf)
    near = distances <= recogniser.threshold
    np.fill_diagonal(distances, math.nan)
    return {
        "collides": statistics.proportion(int(near.any(1).sum()), len(vectors)),
        # Pairs share people, so the interval is over people.
        "pairs": statistics.bootstrap(near.sum(1) / (len(vectors) - 1), np.mean),
        "distance": statistics.bootstrap(np.nanmedian(distances, axis=1), np.median),
    }


def training_leak(
    releases: dict[str, Face], real: list[Face], training: np.ndarray, recogniser: Recogniser
) -> dict:
    """Are releases nearer to a training face than real strangers are?

    releases {id: face}; real: faces of people who are not in training [M,D]. auc: share of strangers that are further
    from their nearest training face than a release is from its own, 1/2 = no leak; nearer_than_most_strangers: share of
    releases nearer than NEAREST of strangers; suspects: those nearer than every stranger, with their distance.
    """
    kept = {name: face for name, face in releases.items() if face.vector is not None}
    strangers = stacked([face for face in real if face.vector is not None])
    if not kept or not len(training) or np.isnan(strangers).all():
        return {"auc": statistics.missing("no face to compare"), "suspects": [], "distances": []}
    nearest = recogniser.distances(stacked(list(kept.values())), training).min(1)
    reference = recogniser.distances(strangers, training).min(1)
    closest = float(reference.min())
    suspects = [
        {"id": name, "distance": float(distance)}
        for name, distance in zip(kept, nearest)
        if distance < closest
    ]
    areas = [statistics.superiority([distance], reference) for distance in nearest]
    return {
        "auc": statistics.bootstrap(areas, np.mean),
        "nearer_than_most_strangers": statistics.proportion(
            int((nearest < np.percentile(reference, NEAREST)).sum()), len(nearest)
        ),
        "nearer_than_every_stranger": statistics.proportion(len(suspects), len(nearest)),
        "within_threshold": statistics.proportion(
            int((nearest <= recogniser.threshold).sum()), len(nearest)
        ),
        "strangers_within_threshold": statistics.proportion(
            int((reference <= recogniser.threshold).sum()), len(reference)
        ),
        "suspects": suspects,
        "distances": nearest.tolist(),
        "reference": reference.tolist(),
    }


def detected_share(matches: list[Match]) -> Figure:
    """Share of probes in which the detector itself found a face."""
    return statistics.proportion(sum(m.how == DETECTED for m in matches), len(matches))
