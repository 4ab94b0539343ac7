"""Small inline figures as SVG text: overlaid histograms and a scatter plot."""

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, BOTTOM = 380, 170, 36, 34
COLOURS = ("#0b6e8f", "#c7782b")


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between low and high."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= count)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


class _Axes:
    def __init__(self, x: tuple[float, float], y: tuple[float, float], label: str, up: str) -> None:
        self.x, self.y = x, y
        self.parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(label)}">'
        ]
        for tick in _ticks(*x):
            u = self.at(tick, y[0])[0]
            self.parts.append(
                f'<text class="t" x="{u:.1f}" y="{HEIGHT - BOTTOM + 13}" text-anchor="middle">{tick:g}</text>'
            )
        for tick in _ticks(*y, 4):
            v = self.at(x[0], tick)[1]
            self.parts.append(
                f'<line class="g" x1="{LEFT}" x2="{WIDTH - 6}" y1="{v:.1f}" y2="{v:.1f}"/>'
                f'<text class="t" x="{LEFT - 4}" y="{v + 3:.1f}" text-anchor="end">{tick:g}</text>'
            )
        self.parts.append(
            f'<text class="t" x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
            f"{html.escape(label)}</text>"
            f'<text class="t" x="9" y="{(HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
            f'transform="rotate(-90 9 {(HEIGHT - BOTTOM) / 2})">{html.escape(up)}</text>'
        )

    def at(self, x: float, y: float) -> tuple[float, float]:
        u = LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - 6)
        v = HEIGHT - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - BOTTOM - 8)
        return u, v

    def text(self) -> str:
        return "".join(self.parts) + "</svg>"


def histogram(
    series: dict[str, Sequence[float | None]],
    bounds: tuple[float, float],
    label: str,
    mark: tuple[float, str] | None = None,
    bins: int = 24,
) -> str:
    """Overlaid histograms, each as shares of its own number; None is left out. mark: (x, words)."""
    shares = []
    for values in series.values():
        counts = [0] * bins
        known = [v for v in values if v is not None]
        for value in known:
            place = math.floor((value - bounds[0]) / (bounds[1] - bounds[0]) * bins)
            counts[min(max(place, 0), bins - 1)] += 1
        shares.append([count / max(len(known), 1) for count in counts])
    top = max(max(s) for s in shares) or 1.0
    axes = _Axes(bounds, (0, 1.1 * top), label, "share")
    step = (bounds[1] - bounds[0]) / bins
    for colour, values in zip(COLOURS, shares):
        for place, share in enumerate(values):
            if share:
                (u, v), (u1, v0) = (
                    axes.at(bounds[0] + place * step, share), axes.at(bounds[0] + (place + 1) * step, 0)
                )  # fmt: skip
                axes.parts.append(
                    f'<rect x="{u:.1f}" y="{v:.1f}" width="{u1 - u - 0.5:.1f}" height="{v0 - v:.1f}" '
                    f'fill="{colour}" fill-opacity="0.6"/>'
                )
    if mark is not None:
        (u, v), (_, v0) = axes.at(mark[0], 1.1 * top), axes.at(mark[0], 0)
        axes.parts.append(
            f'<line x1="{u:.1f}" x2="{u:.1f}" y1="{v:.1f}" y2="{v0:.1f}" stroke="#444" '
            f'stroke-dasharray="3 2"/><text class="t" x="{u + 3:.1f}" y="{v + 9:.1f}">'
            f"{html.escape(mark[1])}</text>"
        )
    return axes.text() + _legend(list(series))


def scatter(
    x: Sequence[float], y: Sequence[float], bounds: tuple[float, float], label: str, up: str
) -> str:
    """Points with the diagonal on which they should lie."""
    axes = _Axes(bounds, bounds, label, up)
    (u0, v0), (u1, v1) = axes.at(bounds[0], bounds[0]), axes.at(bounds[1], bounds[1])
    axes.parts.append(
        f'<line x1="{u0:.1f}" y1="{v0:.1f}" x2="{u1:.1f}" y2="{v1:.1f}" stroke="#888" stroke-dasharray="3 2"/>'
    )
    for a, b in zip(x, y):
        u, v = axes.at(*(min(max(value, bounds[0]), bounds[1]) for value in (a, b)))
        axes.parts.append(
            f'<circle cx="{u:.1f}" cy="{v:.1f}" r="3" fill="{COLOURS[0]}" fill-opacity="0.6"/>'
        )
    return axes.text()


def _legend(names: list[str]) -> str:
    items = "".join(
        f'<span><i style="background:{colour}"></i>{html.escape(name)}</span>'
        for name, colour in zip(names, COLOURS)
    )
    return f'<div class="legend">{items}</div>'
