"""Figures with their 95 % intervals: proportions, means, areas under curves, gaps between groups.

A figure never stands alone: "0 of 51" is reported as "0, at most 7 %".
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000
SEED = 20


@dataclasses.dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval [low, high], from `count` cases; NaN where nothing was measured.

    note says why a value is missing or what to keep in mind.
    """

    value: float
    low: float
    high: float
    count: int
    note: str = ""

    def as_dict(self) -> dict:
        """Plain values for JSON: None in the place of NaN."""
        numbers = {
            name: None if math.isnan(getattr(self, name)) else float(getattr(self, name))
            for name in ("value", "low", "high")
        }
        return {**numbers, "count": int(self.count), **({"note": self.note} if self.note else {})}


def missing(note: str, count: int = 0) -> Figure:
    """A figure that could not be measured, and why."""
    return Figure(math.nan, math.nan, math.nan, count, note)


def proportion(hits: int, count: int, note: str = "") -> Figure:
    """Share hits / count with the Clopper-Pearson interval (Clopper and Pearson 1934)."""
    if count == 0:
        return missing(note or "no case")
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else float(stats.beta.ppf(tail, hits, count - hits + 1))
    high = 1.0 if hits == count else float(stats.beta.ppf(1 - tail, hits + 1, count - hits))
    return Figure(hits / count, low, high, count, note)


def bootstrap(
    samples: Sequence, statistic: Callable[[np.ndarray], float], note: str = ""
) -> Figure:
    """statistic(samples) with the percentile bootstrap interval over the cases (Efron 1979).

    samples [N] or [N,...], one entry a case. Deterministic: the same samples, the same interval.
    """
    samples = np.asarray(samples, np.float64)
    if len(samples) == 0:
        return missing(note or "no case")
    value = float(statistic(samples))
    if len(samples) < 3:
        return Figure(value, math.nan, math.nan, len(samples), note or "too few for an interval")
    rng = np.random.Generator(np.random.PCG64(SEED))
    picks = rng.integers(0, len(samples), (RESAMPLES, len(samples)))
    values = np.array([statistic(samples[pick]) for pick in picks])
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, (tail, 100 - tail))
    return Figure(value, float(low), float(high), len(samples), note)


def mean(samples: Sequence, note: str = "") -> Figure:
    """Mean of the finite samples with its bootstrap interval."""
    return bootstrap(finite(samples), np.mean, note)


def median(samples: Sequence, note: str = "") -> Figure:
    """Median of the finite samples with its bootstrap interval."""
    return bootstrap(finite(samples), np.median, note)


def finite(samples: Sequence) -> np.ndarray:
    """The samples [N] that are neither None nor NaN nor infinite, float64."""
    values = np.array([math.nan if v is None else float(v) for v in samples], np.float64)
    return values[np.isfinite(values)]


def superiority(first: Sequence, second: Sequence) -> float:
    """P(first < second) + P(first = second) / 2: the area under the ROC curve (Mann and Whitney 1947)."""
    first, second = np.asarray(first, np.float64), np.sort(np.asarray(second, np.float64))
    below = np.searchsorted(second, first, "left")
    equal = np.searchsorted(second, first, "right") - below
    return float((len(second) - below - equal / 2).mean() / len(second))


def interval_text(figure: Figure, percent: bool = False, digits: int = 2) -> str:
    """A figure in words, e.g. "0.12 (0.04 to 0.24)"; a bound where the value is 0 or 1 of a share."""
    if math.isnan(figure.value):
        return "not measured"

    def number(value: float) -> str:
        return f"{100 * value:.0f} %" if percent else f"{value:.{digits}f}"

    if math.isnan(figure.low):
        return number(figure.value)
    return f"{number(figure.value)} ({number(figure.low)} to {number(figure.high)})"
