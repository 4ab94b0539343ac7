"""A pod without the pod: compile the real training step ahead of time for a TPU topology, and predict.

libtpu compiles on a machine that has no TPU. From the compiled programs come memory, FLOPs, bytes and
collectives a chip; a roofline over the chip's published figures makes a step time of them, and the scaling
efficiency from one chip to the whole topology (the batch a chip stays the same, nothing overlaps).
"""

import dataclasses
import json
import math
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxderm.errors import InputError
from jaxderm.models.spec import ModelSpec
from jaxderm.train import collectives, loop, setup, sharding
from jaxderm.train.state import ADVERSARIAL


@dataclasses.dataclass(frozen=True)
class Chip:
    """Published figures of a chip: FLOP/s in bf16, bytes of memory, bytes/s of it, of a link one way."""

    flops: float
    memory: float
    bandwidth: float
    link: float
    links: int  # of a chip: two a torus dimension


# Cloud TPU documentation (peak, HBM, interconnect a chip); a link one way is the interconnect figure
# over the number of links, less a tenth for the protocol.
CHIPS = {
    "v4": Chip(275e12, 32e9, 1228e9, 45e9, 6),
    "v5e": Chip(197e12, 16e9, 819e9, 45e9, 4),
    "v5p": Chip(459e12, 95e9, 2765e9, 90e9, 6),
    "v6e": Chip(918e12, 32e9, 1640e9, 90e9, 4),
}
HOP_SECONDS = 1e-6
# What libtpu asks for when there is no TPU; the values only have to be there.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


@dataclasses.dataclass(frozen=True)
class Program:
    """One compiled step on one chip: how often it runs, FLOPs, bytes moved, bytes of memory, collectives."""

    name: str
    share: float
    flops: float
    bytes: float
    memory: float
    collectives: list[collectives.Collective]

    def summary(self) -> str:
        """One line of figures."""
        moved = sum(one.bytes for one in self.collectives) / 1e6
        return (
            f"'{self.name}': {self.memory / 1e9:.3f} GB, {self.flops / 1e12:.3f} TFLOP, "
            f"{self.bytes / 1e9:.2f} GB moved, {len(self.collectives)} collectives of {moved:.1f} MB"
        )

    def compute_seconds(self, chip: Chip) -> float:
        """Roofline: the slower of arithmetic and memory."""
        return max(self.flops / chip.flops, self.bytes / chip.bandwidth)

    def collective_seconds(self, chip: Chip, devices: int) -> float:
        """Time of all collectives if `devices` took part, one after the other."""
        total = 0.0
        for one in self.collectives:
            shared = dataclasses.replace(one, group=min(devices, one.group))
            total += shared.seconds(chip.link, chip.links, HOP_SECONDS)
        return total


def check_topology(topology: str) -> None:
    """InputError unless it is a known kind of chip with a shape, such as v5e:16x16."""
    kind = topology.partition(":")[0]
    if kind not in CHIPS or not re.fullmatch(r"\w+:\d+(x\d+){1,2}", topology):
        raise InputError(
            f"--topology '{topology}' is unknown; give {', '.join(CHIPS)} with a shape, e.g. v5e:16x16."
        )


def topology_devices(topology: str) -> list:
    """Devices of a topology such as v5e:16x16; InputError names what is missing or known."""
    check_topology(topology)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import libtpu  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            "plan needs libtpu, which compiles for TPUs on any Linux machine: pip install 'jaxderm[plan]'."
        ) from None
    from jax.experimental import topologies

    jax.config.update("jax_platforms", "cpu")  # else JAX looks for a TPU to run on
    try:
        return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
    except Exception as error:  # libtpu raises what it likes
        first = str(error).strip().splitlines()[0]
        raise InputError(f"--topology '{topology}' cannot be made by libtpu: {first}") from None


def abstract_batch(config, spec: ModelSpec, mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a global batch with their shardings."""
    b, s, where = config.batch, spec.size, sharding.batch_sharding(mesh)
    shapes = {
        "image": ((b, s, s, 3), jnp.uint8),
        "mask": ((b, s, s), jnp.float32),
        "landmarks": ((b, 5, 2), jnp.float32),
        "condition": ((b, spec.condition_size), jnp.float32),
    }
    if spec.exemplars:
        shapes["exemplar"] = ((b, s, s, 3), jnp.uint8)
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=where)
        for name, (shape, dtype) in shapes.items()
    }


def compile_programs(config, devices: list, say=lambda text: None) -> list[Program]:
    """The programs of a stage compiled for the devices: one, or with and without penalties."""
    mesh = sharding.make_mesh(config.mesh.fsdp, devices)
    setup.check(config, mesh.size)
    spec = setup.spec_of(config)
    abstract, shardings = setup.state_layout(config, spec, mesh)
    step = loop.compiled_step(config, spec, mesh, shardings)
    every = config.gan.penalty_every if config.stage in ADVERSARIAL else 1
    kinds = {"step": (False, 1.0)}
    if config.stage in ADVERSARIAL:
        kinds = {"plain": (False, 1 - 1 / every), "with penalties": (True, 1 / every)}
    programs = []
    for name, (penalize, share) in kinds.items():
        if not share:
            continue
        say(f"compiling '{name}' for {mesh.size} devices; this takes minutes")
        compiled = step.lower(abstract, abstract_batch(config, spec, mesh), penalize).compile()
        programs.append(_program(name, share, compiled))
        say(programs[-1].summary())
    return programs


def _program(name: str, share: float, compiled) -> Program:
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    cost = cost if isinstance(cost, dict) else cost[0]
    held = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.generated_code_size_in_bytes
    )
    found = collectives.find(compiled.as_text())
    return Program(name, share, cost["flops"], cost["bytes accessed"], held, found)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Compiled programs of a configuration on a topology, and what follows from them."""

    topology: str
    devices: int
    batch: int
    programs: list[Program]
    estimated_from: str = ""

    @property
    def chip(self) -> Chip:
        """Figures of the chip."""
        return CHIPS[self.topology.partition(":")[0]]

    def seconds(self, devices: int) -> tuple[float, float]:
        """(compute, collectives) of a mean step on so many chips, the batch a chip unchanged."""
        compute = sum(p.share * p.compute_seconds(self.chip) for p in self.programs)
        if devices == 1:
            return compute, 0.0
        return compute, sum(
            p.share * p.collective_seconds(self.chip, devices) for p in self.programs
        )

    def scaling(self) -> list[tuple[int, float, float, float]]:
        """(chips, step seconds, images/s, efficiency) from one chip to all of them, doubling."""
        rows = []
        counts = [2**i for i in range(int(math.log2(self.devices)) + 1)]
        for n in sorted({*counts, self.devices}):
            compute, moved = self.seconds(n)
            images = self.batch / self.devices * n / (compute + moved)
            rows.append((n, compute + moved, images, compute / (compute + moved)))
        return rows

    def fits(self) -> bool:
        """Whether the largest program's memory is there on a chip."""
        return max(p.memory for p in self.programs) <= self.chip.memory

    def estimated_for(self, topology: str) -> "Plan":
        """The same programs with another chip's figures: an estimate, since its compiler was not asked."""
        check_topology(topology)
        count = math.prod(int(v) for v in topology.partition(":")[2].split("x"))
        if count != self.devices:
            raise InputError(
                f"'{topology}' has {count} chips, the plan {self.devices}: give as many, or compile."
            )
        return dataclasses.replace(self, topology=topology, estimated_from=self.topology)

    def table(self) -> str:
        """Everything as text (Markdown)."""
        chip, per = self.chip, self.batch // self.devices
        origin = f"ESTIMATED from the programs of {self.estimated_from}, not compiled; "
        lines = [
            (origin if self.estimated_from else "")
            + f"{self.topology}: {self.devices} chips, {per} images a chip, {self.batch} a step; "
            f"{chip.memory / 1e9:.0f} GB a chip: {'fits' if self.fits() else 'DOES NOT FIT'}",
            "",
            "| program | share of steps | memory a chip, GB | TFLOP a chip | GB moved a chip | "
            "roofline, ms | bound by | collectives, ms |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for p in self.programs:
            bound = "arithmetic" if p.flops / chip.flops > p.bytes / chip.bandwidth else "memory"
            lines.append(
                f"| {p.name} | {p.share:.2f} | {p.memory / 1e9:.2f} | {p.flops / 1e12:.3f} | "
                f"{p.bytes / 1e9:.2f} | {1e3 * p.compute_seconds(chip):.2f} | {bound} | "
                f"{1e3 * p.collective_seconds(chip, self.devices):.2f} |"
            )
        lines += [
            "",
            "| program | collective | chips in a group | arrays | MB |",
            "|---|---|---|---|---|",
        ]
        for p in self.programs:
            lines += [
                f"| {p.name} | {c.kind} | {c.group} | {len(c.shapes)} | {c.bytes / 1e6:.3f} |"
                for c in p.collectives
            ]
        lines += ["", "| chips | step, ms | images/s | efficiency |", "|---|---|---|---|"]
        lines += [
            f"| {n} | {1e3 * t:.2f} | {images:,.0f} | {100 * e:.1f} % |"
            for n, t, images, e in self.scaling()
        ]
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Write the figures as JSON, for `load`: a compilation takes minutes, a table none."""
        Path(path).write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Plan":
        """Inverse of `save`; InputError for another file."""
        try:
            values = json.loads(Path(path).read_text())
            programs = []
            for entry in values.pop("programs"):
                found = [
                    collectives.Collective(
                        c["kind"], tuple(map(tuple, c["shapes"])), c["bytes"], c["group"]
                    )
                    for c in entry.pop("collectives")
                ]
                programs.append(Program(**entry, collectives=found))
            return cls(**values, programs=programs)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"plan '{path}' cannot be read ({error}); make it with jaxderm plan --save."
            ) from None


def draw(plans: list[Plan], path: str | Path) -> None:
    """Plot of predicted images/s and efficiency over chips (PNG or SVG); needs matplotlib."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise InputError(
            "--plot needs matplotlib: pip install 'jaxderm[plan]', or leave it out for the table."
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for plan in plans:
        chips, _, images, efficiency = zip(*plan.scaling())
        label = plan.topology + (" (estimate)" if plan.estimated_from else "")
        (line,) = left.loglog(chips, images, "o-", base=2, label=label)
        ideal = [images[0] * n for n in chips]
        left.loglog(chips, ideal, ":", base=2, color=line.get_color(), alpha=0.6)
        right.semilogx(chips, [100 * e for e in efficiency], "o-", base=2, label=label)
    left.set(xlabel="chips", ylabel="images/s", title="predicted; dotted: linear")
    right.set(xlabel="chips", ylabel="efficiency, %", title="against one chip", ylim=(80, 101))
    right.axhline(95, color="grey", lw=0.8)
    right.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
