"""Statistics of a reader study: accuracy, equivalence, d', ROC, kappa, agreement; 95 % intervals.

Several readers judge the same pictures: a pooled figure counts every picture as a cluster (Rao and Scott 1992). That
readers are themselves a sample is not modelled: figures speak of these readers.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

from jaxderm.evaluate.statistics import Figure, bootstrap, missing, superiority

Z = float(stats.norm.ppf(0.975))


def exact(hits: int, count: int) -> Figure:
    """Share with the exact interval (Clopper and Pearson 1934), which covers at least 95 %, often more."""
    if count == 0:
        return missing("no answer")
    low, high = proportion_confint(hits, count, method="beta")
    return Figure(hits / count, float(low), float(high), count, "exact")


def wilson(hits: float, count: float) -> Figure:
    """Share with Wilson's score interval (1927), which covers 95 % on average; count may be an effective one."""
    if count <= 0:
        return missing("no answer")
    low, high = proportion_confint(hits, count, method="wilson")
    return Figure(hits / count, float(low), float(high), round(count))


def clustered(hits: Sequence[int], counts: Sequence[int]) -> Figure:
    """Share over clusters with Wilson's interval on the effective number of answers (Rao and Scott 1992).

    hits, counts [C]: right answers and answers of each cluster. The effective number is at most the
    number of answers.
    """
    hits, counts = np.asarray(hits, float), np.asarray(counts, float)
    hits, counts = hits[counts > 0], counts[counts > 0]
    total, clusters = counts.sum(), len(counts)
    if total == 0:
        return missing("no answer")
    share = float(hits.sum() / total)
    effect = 1.0
    if clusters > 1 and 0 < share < 1:
        residual = hits - share * counts
        variance = clusters / (clusters - 1) * float(residual @ residual) / total**2
        effect = max(1.0, variance / (share * (1 - share) / total))
        # A t quantile instead of the normal one, for few clusters.
        effect *= (stats.t.ppf(0.975, clusters - 1) / Z) ** 2
    figure = wilson(share * total / effect, total / effect)
    return dataclasses.replace(figure, count=int(total), note=f"{clusters} clusters")


def equivalence(hits: int, count: int, margin: float, centre: float = 0.5) -> float:
    """p of two one-sided exact tests that a share lies within centre +- margin (Schuirmann 1987)."""
    if count == 0:
        return math.nan
    above = stats.binomtest(hits, count, centre - margin, alternative="greater").pvalue
    below = stats.binomtest(hits, count, centre + margin, alternative="less").pvalue
    return float(max(above, below))


def equivalence_power(count: int, margin: float, truth: float = 0.5, level: float = 0.05) -> float:
    """Chance that `equivalence` is shown at a level with `count` independent answers when the share is `truth`."""
    hits = np.arange(count + 1)
    above = stats.binom.sf(hits - 1, count, 0.5 - margin)
    below = stats.binom.cdf(hits, count, 0.5 + margin)
    shown = np.maximum(above, below) < level
    return float(stats.binom.pmf(hits, count, truth)[shown].sum())


def noninferiority_power(count: int, expected: float, bound: float, level: float = 0.05) -> float:
    """Chance that a share of `expected` is shown to lie above `bound`, one-sided exact test, `count` answers."""
    hits = np.arange(count + 1)
    shown = stats.binom.sf(hits - 1, count, bound) < level
    return float(stats.binom.pmf(hits, count, expected)[shown].sum())


def sensitivity_index(hits: int, real: int, false_alarms: int, generated: int) -> Figure:
    """d' with its interval (Gourevitch and Galanter 1967), log-linear correction (Hautus 1995).

    hits of `real` pictures called real, false_alarms of `generated` ones called real.
    """
    if not real or not generated:
        return missing("no answer")
    h, f = (hits + 0.5) / (real + 1), (false_alarms + 0.5) / (generated + 1)
    zh, zf = stats.norm.ppf([h, f])
    variance = h * (1 - h) / (real + 1) / stats.norm.pdf(zh) ** 2
    variance += f * (1 - f) / (generated + 1) / stats.norm.pdf(zf) ** 2
    spread = Z * math.sqrt(variance)
    return Figure(
        float(zh - zf), float(zh - zf - spread), float(zh - zf + spread), real + generated
    )


def roc_area(real: Sequence[float], generated: Sequence[float]) -> Figure:
    """Area under the ROC of scores (higher: more real), interval by DeLong (1988)."""
    real, generated = np.asarray(real, float), np.asarray(generated, float)
    if len(real) < 2 or len(generated) < 2:
        return missing("too few answers")
    area = superiority(generated, real)
    above = np.array([(generated < r).mean() + (generated == r).mean() / 2 for r in real])
    below = np.array([(real > g).mean() + (real == g).mean() / 2 for g in generated])
    spread = Z * math.sqrt(above.var(ddof=1) / len(real) + below.var(ddof=1) / len(generated))
    low, high = max(0.0, area - spread), min(1.0, area + spread)
    return Figure(area, low, high, len(real) + len(generated))


def fleiss(answers: np.ndarray) -> Figure:
    """Fleiss' kappa (1971) of answers [pictures, readers], bootstrap over pictures; complete rows only."""
    rows = np.array([row for row in answers if all(v is not None for v in row)], dtype=object)
    if len(rows) < 3 or rows.shape[1] < 2:
        return missing("too few pictures that two readers judged")
    _, coded = np.unique(rows.astype(str), return_inverse=True)
    coded = coded.reshape(rows.shape)
    categories = coded.max() + 1

    def kappa(sample: np.ndarray) -> float:
        table, _ = aggregate_raters(sample.astype(int), categories)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = fleiss_kappa(table)
        return 1.0 if math.isnan(value) else float(value)

    return bootstrap(coded, kappa)


def cohen(first: Sequence, second: Sequence) -> Figure:
    """Cohen's kappa (1960) of two readers' answers with its asymptotic interval (statsmodels)."""
    pairs = [(str(a), str(b)) for a, b in zip(first, second) if a is not None and b is not None]
    if len(pairs) < 3:
        return missing("too few pictures that both judged")
    kinds = sorted({kind for pair in pairs for kind in pair})
    table = np.zeros((len(kinds), len(kinds)))
    for a, b in pairs:
        table[kinds.index(a), kinds.index(b)] += 1
    if len(kinds) == 1:
        return Figure(1.0, math.nan, math.nan, len(pairs), "only one answer was ever given")
    found = cohens_kappa(table)
    return Figure(float(found.kappa), float(found.kappa_low), float(found.kappa_upp), len(pairs))
