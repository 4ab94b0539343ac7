"""Is it believable: distances between two sets of pictures in a feature space, each with its interval.

Features stream in; pictures are never held. Moments are exact over everything seen; what compares
pairs (kernel distance, neighbours, slices) works on a fixed random sample of at most SAMPLE features.
"""

import math

import numpy as np
from scipy import stats

from jaxderm.evaluate import statistics
from jaxderm.evaluate.features import Extractor
from jaxderm.evaluate.statistics import Figure, missing
from jaxderm.release import randomness

SAMPLE = 5000
GROUPS = 10  # of the delete-a-group jackknife
DIRECTIONS = 256
NEAREST_PRECISION, NEAREST_DENSITY = 3, 5
METRICS = ("frechet", "kernel", "precision", "recall", "density", "coverage", "sliced")


class Moments:
    """Count, sum and sum of outer products of features [N,D], float64; may be merged."""

    def __init__(self, features: int) -> None:
        self.count, self.sum = 0, np.zeros(features)
        self.outer = np.zeros((features, features))

    def add(self, x: np.ndarray) -> None:
        """Take in features [N,D]."""
        x = np.asarray(x, np.float64)
        self.count += len(x)
        self.sum += x.sum(0)
        self.outer += x.T @ x

    def absorb(self, other: "Moments") -> None:
        """Take in the moments of another set (of another part, device or process)."""
        self.count += other.count
        self.sum += other.sum
        self.outer += other.outer

    @property
    def mean(self) -> np.ndarray:
        """Mean [D]."""
        return self.sum / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance [D,D]."""
        mean = self.mean
        return (self.outer - self.count * np.outer(mean, mean)) / (self.count - 1)


def frechet(first: Moments, second: Moments) -> float:
    """Squared Frechet distance of two Gaussians (Dowson and Landau 1982; Heusel 2017, eq. 6).

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)); exactly 0 for equal moments.
    """
    c1, c2 = first.covariance, second.covariance
    if np.array_equal(c1, c2):  # rounding must not make a distance of nothing
        cross = np.trace(c1)
    else:
        values, vectors = np.linalg.eigh(c1)
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        product = root @ c2 @ root
        cross = np.sqrt(np.maximum(np.linalg.eigvalsh((product + product.T) / 2), 0)).sum()
    difference = first.mean - second.mean
    return float(max(difference @ difference + np.trace(c1) + np.trace(c2) - 2 * cross, 0.0))


def kernel_matrix(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cubic polynomial kernel [N,M] (Binkowski 2018, eq. 3)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kernel_distance(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of kernel matrices (Gretton 2012, lemma 6).

    For sets of one size its equation 4, in which picture i meets no picture i of the other set:
    exactly 0 for identical sets, and a photo is not compared with its own release.
    """
    n, m = len(xx), len(yy)
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    if n == m:
        return float(within - 2 * (xy.sum() - np.trace(xy)) / (n * (n - 1)))
    return float(within - 2 * xy.mean())


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances [N,M], float32, not below 0."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    total = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    return np.maximum(total, 0).astype(np.float32)


def neighbours(rr: np.ndarray, ff: np.ndarray, rf: np.ndarray) -> dict[str, Figure]:
    """Precision, recall (Kynkaanniemi 2019, eq. 1-2), density, coverage (Naeem 2020, eq. 4-6).

    Of squared distances real-real [N,N], fake-fake [M,M], real-fake [N,M]. The intervals are those of
    the tested pictures, for the neighbourhoods as they are.
    """

    def radius(d: np.ndarray, k: int) -> np.ndarray:
        # The k-th neighbour besides the point itself, whose own distance may be a rounding above 0.
        d = d.copy()
        np.fill_diagonal(d, -1.0)
        return np.partition(d, k, axis=1)[:, k]

    real3, fake3 = radius(rr, NEAREST_PRECISION), radius(ff, NEAREST_PRECISION)
    within = rf <= radius(rr, NEAREST_DENSITY)[:, None]
    believable, varied = (rf <= real3[:, None]).any(0), (rf <= fake3[None]).any(1)
    covered = within.any(1)
    return {
        "precision": statistics.proportion(int(believable.sum()), len(believable)),
        "recall": statistics.proportion(int(varied.sum()), len(varied)),
        "density": statistics.mean(within.sum(0) / NEAREST_DENSITY),
        "coverage": statistics.proportion(int(covered.sum()), len(covered)),
    }


def directions(features: int) -> np.ndarray:
    """Fixed unit vectors [D,DIRECTIONS], uniform on the sphere."""
    values = randomness.normal(b"jaxderm slices", b"%d" % features, features * DIRECTIONS)
    values = values.reshape(features, DIRECTIONS).astype(np.float64)
    return values / np.linalg.norm(values, axis=0)


def sliced(x: np.ndarray, y: np.ndarray) -> float:
    """Sliced 2-Wasserstein distance (Rabin 2011) of projections [N,K] and [M,K], see `directions`."""
    a, b = np.sort(x, axis=0), np.sort(y, axis=0)
    if len(a) != len(b):
        grid = (np.arange(max(len(a), len(b))) + 0.5) / max(len(a), len(b))
        a, b = (np.quantile(v, grid, axis=0, method="inverted_cdf") for v in (a, b))
    return float(np.sqrt(np.square(a - b).mean()))


class FeatureSet:
    """Features of one set of pictures as they stream in: a sample, and moments of everything.

    The sample is drawn by a reservoir (Vitter 1985, algorithm R) with a fixed seed. Up to SAMPLE
    pictures it is everything; beyond that, moments are kept in GROUPS parts.
    """

    def __init__(self, features: int) -> None:
        self.features, self.count = features, 0
        self.rows: list[np.ndarray] = []
        self.parts: list[Moments] | None = None
        self.rng = np.random.Generator(np.random.PCG64(7))

    def add(self, x: np.ndarray) -> None:
        """Take in features [N,D]."""
        if self.parts is None and self.count + len(x) > SAMPLE:
            self.parts = _grouped(self.sample(), 0, self.features)
        if self.parts is not None:
            for part, more in zip(self.parts, _grouped(x, self.count, self.features)):
                part.absorb(more)
        for number, row in enumerate(x, self.count):
            if number < SAMPLE:
                self.rows.append(row)
            elif (place := int(self.rng.integers(0, number + 1))) < SAMPLE:
                self.rows[place] = row
        self.count += len(x)

    def moments(self) -> list[Moments]:
        """Moments of GROUPS parts (picture i belongs to part i modulo GROUPS)."""
        return self.parts or _grouped(self.sample(), 0, self.features)

    def sample(self) -> np.ndarray:
        """The sample [n,D] float64."""
        return np.asarray(self.rows, np.float64).reshape(len(self.rows), self.features)


def _grouped(x: np.ndarray, first: int, features: int) -> list[Moments]:
    numbers = first + np.arange(len(x))
    parts = [Moments(features) for _ in range(GROUPS)]
    for group, part in enumerate(parts):
        part.add(x[numbers % GROUPS == group])
    return parts


def _total(parts: list[Moments], without: int | None) -> Moments:
    total = Moments(len(parts[0].sum))
    for number, part in enumerate(parts):
        if number != without:
            total.absorb(part)
    return total


def compare(real: FeatureSet, fake: FeatureSet) -> dict[str, Figure]:
    """All METRICS of two sets; an invalid one is missing, with the reason as its note."""
    figures = {}
    features, fewest = real.features, min(real.count, fake.count)
    if fewest <= features:
        figures["frechet"] = missing(
            f"not valid: {fewest} pictures are not more than the {features} features, so that the "
            "covariance is singular",
            fewest,
        )
    else:
        parts = real.moments(), fake.moments()
        figures["frechet"] = _jackknife(
            lambda group: frechet(*(_total(p, group) for p in parts)), fewest
        )
    if fewest < 2 * GROUPS:
        why = f"not valid: fewer than {2 * GROUPS} pictures"
        return {**figures, **{name: missing(why, fewest) for name in METRICS[1:]}}
    x, y = real.sample(), fake.sample()
    xx, yy, xy = kernel_matrix(x, x), kernel_matrix(y, y), kernel_matrix(x, y)
    rr, ff, rf = squared_distances(x, x), squared_distances(y, y), squared_distances(x, y)
    axes = directions(features)
    px, py = x @ axes, y @ axes

    def rows(count: int, group: int | None) -> np.ndarray:
        numbers = np.arange(count)
        return numbers if group is None else numbers[numbers % GROUPS != group]

    def pick(group: int | None):
        i, j = rows(len(x), group), rows(len(y), group)
        return np.ix_(i, i), np.ix_(j, j), np.ix_(i, j), i, j

    def kernel(group: int | None) -> float:
        a, b, c, _, _ = pick(group)
        return kernel_distance(xx[a], yy[b], xy[c])

    def slices(group: int | None) -> float:
        _, _, _, i, j = pick(group)
        return sliced(px[i], py[j])

    figures["kernel"] = _jackknife(kernel, fewest)
    figures |= neighbours(rr, ff, rf)
    figures["sliced"] = _jackknife(slices, fewest)
    return {name: figures[name] for name in METRICS}


def _jackknife(statistic, count: int) -> Figure:
    """statistic(None) with the interval of the delete-a-group jackknife (Kott 2001), t with GROUPS - 1."""
    value = statistic(None)
    parts = np.array([statistic(group) for group in range(GROUPS)])
    error = math.sqrt((GROUPS - 1) / GROUPS * np.square(parts - parts.mean()).sum())
    reach = float(stats.t.ppf(0.975, GROUPS - 1)) * error
    return Figure(value, value - reach, value + reach, count)


def compare_pictures(
    extractor: Extractor, real: list[np.ndarray], fake: list[np.ndarray]
) -> dict[str, Figure]:
    """All METRICS of two lists of pictures [S,S,3] uint8 of the extractor's size."""
    sets = []
    for pictures in (real, fake):
        found = FeatureSet(extractor.features)
        if pictures:
            found.add(extractor(np.stack(pictures)))
        sets.append(found)
    return compare(*sets)
