"""What crosses devices: the collectives of a compiled program, their kinds, shapes and bytes."""

import collections
import dataclasses
import math
import re
from collections.abc import Iterable

KINDS = (
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute",
    "collective-broadcast", "ragged-all-to-all",
)  # fmt: skip
_BITS = {"pred": 8, "bf16": 16, "token": 0}
_LINE = re.compile(
    r" = (?P<result>.*?) (?P<kind>" + "|".join(KINDS) + r")(?P<phase>-start|-done)?\("
)
_SHAPE = re.compile(r"\b(?P<type>pred|bf16|token|[fsuc](?P<bits>\d+)\w*)\[(?P<dims>[\d,]*)\]")
# {{0,1},{2,3}}, or [groups,size]<=[...], or mesh['data'=4,'fsdp'=2] {'fsdp'} with no axes for all.
_GROUPS = re.compile(r"replica_groups=(?:\{\{([\d,]+)\}|\[(\d+),(\d+)\])")
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\](?: ?\{([^}]*)\})?")


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective of the program: kind, result shapes, bytes of the results, devices in a group."""

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    bytes: int
    group: int

    def seconds(self, link: float, links: int, latency: float) -> float:
        """Time on a torus of bidirectional rings: `link` bytes/s each way, `links` of a chip used.

        All-reduce moves 2 (n-1)/n of its bytes, gather and scatter (n-1)/n of the whole array;
        `latency` seconds a hop, there and back half way round each ring of a square torus.
        """
        n = max(self.group, 1)
        if n == 1:
            return 0.0
        factor = {"all-reduce": 2.0, "collective-permute": n / (n - 1)}.get(self.kind, 1.0)
        dimensions = links / 2
        hops = dimensions * n ** (1 / dimensions)
        # A reduce-scatter's result is the share of one device.
        moved = self.bytes * (n if self.kind == "reduce-scatter" else 1)
        return factor * moved * (n - 1) / n / (link * links) + hops * latency


def find(text: str) -> list[Collective]:
    """Collectives of a compiled program's text (`compiled.as_text()`); asynchronous pairs count once."""
    found = []
    for line in text.splitlines():
        match = _LINE.search(line)
        if not match or match["phase"] == "-done":
            continue
        results = [_shape(m) for m in _SHAPE.finditer(match["result"])]
        if match["phase"] == "-start" and match["kind"] != "all-reduce" and len(results) > 1:
            # (operands, results, ...): the results are the second half.
            results = [r for r in results if r[0]][len([r for r in results if r[0]]) // 2 :]
        shapes = tuple(shape for shape, _ in results)
        size = sum(size for _, size in results)
        found.append(Collective(match["kind"], shapes, size, _group(line)))
    return found


def _shape(match: re.Match) -> tuple[tuple[int, ...], int]:
    dims = tuple(int(v) for v in match["dims"].split(",") if v)
    bits = _BITS.get(match["type"]) if match["type"] in _BITS else int(match["bits"])
    count = 1
    for value in dims:
        count *= value
    return dims, count * bits // 8


def _group(line: str) -> int:
    if match := _MESH.search(line):
        sizes = {k: int(v) for k, v in re.findall(r"'(\w+)'=(\d+)", match[1])}
        axes = re.findall(r"'(\w+)'", match[2] or "") or list(sizes)
        return math.prod(sizes[axis] for axis in axes)
    match = _GROUPS.search(line)
    if not match:
        return 0
    return len(match[1].split(",")) if match[1] else int(match[3])


def table(found: Iterable[Collective]) -> str:
    """Lines "kind, devices in a group: how many, megabytes"."""
    rows = collections.defaultdict(lambda: [0, 0])
    for one in found:
        rows[one.kind, one.group][0] += 1
        rows[one.kind, one.group][1] += one.bytes
    lines = [
        f"{kind:20s} over {group:4d} devices: {count:4d}, {size / 1e6:10.3f} MB"
        for (kind, group), (count, size) in sorted(rows.items())
    ]
    return "\n".join(lines) or "none"
