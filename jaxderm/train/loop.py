"""The training loop: restore, step, log, evaluate, checkpoint; a stop at any image resumes bit-equal."""

import json
import math
import signal
import time
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter
from tqdm import tqdm

from jaxderm.data import bank as banks
from jaxderm.errors import InputError
from jaxderm.models.spec import ModelSpec
from jaxderm.train import augment, checkpoints, distributed, on_device, records, setup, sharding
from jaxderm.train.evaluators import Grids, HeldOut, Subject, load_evaluators
from jaxderm.train.setup import spec_of, total_steps
from jaxderm.train.state import TrainState, release_networks
from jaxderm.train.step import is_penalized, make_step

__all__ = ["TrainingStopped", "is_finished", "spec_of", "train"]


class TrainingStopped(RuntimeError):
    """A guard stopped the run: a non-finite loss or a discriminator that ran away."""


def train(
    config, workdir: str, progress: bool = True, profile_steps: tuple[int, int] | None = None
) -> TrainState:
    """Run `config.stage` in `workdir` up to `config.total_kimg` and return the final state.

    SIGTERM and SIGINT save a checkpoint and return (see `is_finished`); the same call resumes, on any
    number of devices and processes. profile_steps (first, count) writes a trace of those steps to
    `workdir/<stage>/profile`. Raises TrainingStopped when a guard fires and InputError for a config
    that cannot run.
    """
    mesh = sharding.make_mesh(config.mesh.fsdp)
    setup.check(config, mesh.size)
    spec, folder = spec_of(config), Path(workdir)
    (folder / config.stage).mkdir(parents=True, exist_ok=True)
    loader = setup.make_loader(config, spec, "train", config.batch, config.seed)
    held_out = setup.held_out_batch(config, spec)

    fixed = {name: config[name] for name in checkpoints.FIXED}
    manager = checkpoints.Checkpoints(folder, config.stage, fixed=fixed)
    try:
        abstract, shardings = setup.state_layout(config, spec, mesh)
        state = manager.restore(abstract, loader)
        if state is None:
            state = setup.start_state(config, spec, folder, mesh, shardings)
        number = int(state.step)
        records.write(folder / config.stage, config, number, dict(mesh.shape))
        records.forget_after(folder / config.stage / "metrics.jsonl", number * config.batch)
        unfinished = number < total_steps(config)
        pool = setup.make_pool(config, spec, mesh, number) if unfinished else None
        step = compiled_step(config, spec, mesh, shardings, pool is not None)
        runner = _Runner(config, spec, folder, mesh, held_out, manager, profile_steps)
        try:
            return runner.run(state, step, loader, pool, progress)
        finally:
            runner.close()
    finally:
        manager.close()


def compiled_step(config, spec: ModelSpec, mesh, shardings: TrainState, from_pool: bool = False):
    """The jitted step of a stage on a mesh, state donated: (state, batch or pool, penalize) -> ..."""
    step = make_step(config, spec, mesh)
    return jax.jit(
        on_device.drawing(step, config.seed, mesh) if from_pool else step,
        in_shardings=(shardings, sharding.batch_sharding(mesh)),
        out_shardings=(shardings, None),
        static_argnums=2,
        donate_argnums=0,
    )


def is_finished(config, state: TrainState) -> bool:
    """Whether a stage has seen all its images, or was stopped before."""
    return int(state.step) >= total_steps(config)


class _Runner:
    """Book-keeping around the step: everything here happens every so many images."""

    def __init__(self, config, spec, folder, mesh, held_out, manager, profile_steps) -> None:
        self.config, self.spec, self.mesh = config, spec, mesh
        self.folder, self.manager, self.held_out = folder, manager, held_out
        self.writer = None
        if distributed.is_first():
            self.writer = SummaryWriter(str(folder / config.stage / "summaries"))
        self.bank = banks.load(config.data.bank) if config.data.bank else None
        self.figures, self.grids = HeldOut(), Grids(bank=self.bank)
        self.others = load_evaluators(config)
        self.profile, self.tracing = profile_steps, False
        self.stopping, self.waited, self.since = False, 0.0, time.monotonic()

    def run(self, state: TrainState, step, loader, pool, progress: bool) -> TrainState:
        """The state after the last step, or as saved when a signal or notice stopped it."""
        before = self._listen()
        try:
            return self._run(state, step, loader, pool, progress)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)

    def _run(self, state: TrainState, step, loader, pool, progress: bool) -> TrainState:
        c, total = self.config, total_steps(self.config)
        number, pending = int(state.step), None
        if number >= total:
            return state
        show = progress and distributed.is_first()
        bar = tqdm(total=total, initial=number, unit="step", disable=not show, mininterval=5)
        stopping = False
        while number < total and not stopping:
            self._trace(number)
            batch = self._next(loader, pool, number)
            state, metrics = step(state, batch, is_penalized(c, number))
            number += 1
            if pool is not None:
                loader.set_state({"batches": number})
            bar.update()
            # Read once: a later signal stops the next step.
            self.stopping = self.stopping or distributed.preempted(number)
            stopping, last = self.stopping, number == total
            evaluate = self._due(number, c.evaluate_kimg) or last
            save = self._due(number, c.checkpoint_kimg) or last or stopping
            if self._due(number, c.log_kimg) or save:
                # Read the metrics of an earlier step: the device is never waited for.
                if pending:
                    self._log(*pending, bar)
                pending = (number, metrics)
            if pending and (evaluate or save):  # these wait for the device; guards come first
                self._log(*pending, bar)
                pending = None
            # A due evaluation adapts augment_p: a stopped run must come out as one that ran through.
            if evaluate:
                state = self._evaluate_and_adapt(number, state)
            if not stopping:  # a notice leaves seconds: save, draw nothing
                self._show(number, state, last)
            if c.snapshot_kimg and self._due(number, c.snapshot_kimg):
                checkpoints.save_snapshot(self.folder, c.stage, state, self.spec, self.bank)
            if save:
                self.manager.save(state, loader)
                checkpoints.save_networks(self.folder, c.stage, state, self.spec, self.bank)
        bar.close()
        return state

    def _show(self, number: int, state: TrainState, last: bool) -> None:
        """Sample grids and the config's own evaluators, where they are due."""
        if self._due(number, self.config.grid_kimg) or last:
            self._publish(number, "", self.grids(self._subject(state)))
        for name, (every, evaluator) in self.others.items():
            if self._due(number, every) or last:
                self._publish(number, f"{name}/", evaluator(self._subject(state, probe=True)))

    def close(self) -> None:
        """Close the trace and the summaries."""
        if self.tracing:
            jax.profiler.stop_trace()
        if self.writer:
            self.writer.close()

    def _listen(self) -> dict:
        """Stop at a signal from now on; the handlers that were there before."""
        before = {}
        if jax.process_count() > 1:
            return before  # JAX's preemption service has SIGTERM: all must stop at one step
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                before[number] = signal.signal(number, self._stop)
            except ValueError:  # not the main thread: the caller stops the run
                break
        return before

    def _stop(self, *_) -> None:
        self.stopping = True

    def _next(self, loader, pool: on_device.Renewed | None, number: int) -> dict[str, jax.Array]:
        start = time.monotonic()
        if pool is not None:
            batch = pool.at(number)
        else:
            batch = sharding.put_batch(next(loader), self.mesh)
        self.waited += time.monotonic() - start
        return batch

    def _trace(self, number: int) -> None:
        if not self.profile:
            return
        first, count = self.profile
        if number == first and not self.tracing:
            jax.profiler.start_trace(str(self.folder / self.config.stage / "profile"))
            self.tracing = True
        elif number >= first + count and self.tracing:
            jax.profiler.stop_trace()
            self.tracing, self.profile = False, None

    def _due(self, number: int, kimg: float) -> bool:
        every = max(round(1000 * kimg / self.config.batch), 1)
        return number % every == 0

    def _log(self, number: int, metrics, bar) -> None:
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        kimg = number * self.config.batch / 1000
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise TrainingStopped(f"step {number}: {', '.join(bad)} not finite; lower the rate.")
        gap = values.get("discriminator/gap", 0.0)
        if gap > self.config.gan.guard_gap:
            raise TrainingStopped(
                f"step {number}: D(real) - D(fake) is {gap:.1f}, above config.gan.guard_gap "
                f"{self.config.gan.guard_gap}; raise gamma or augmentation."
            )
        now = time.monotonic()
        # Share of the time since the last line that the host spent on waiting for input and moving it.
        values["input/share"] = self.waited / max(now - self.since, 1e-9)
        self.waited, self.since = 0.0, now
        self._write(number, values)
        shown = {
            k: f"{values[k]:.3g}" for k in ("loss", "psnr", "discriminator/gap") if k in values
        }
        bar.set_postfix(kimg=f"{kimg:.1f}", **shown, refresh=False)

    def _write(self, number: int, values: dict[str, float]) -> None:
        if not self.writer or not values:
            return
        images = number * self.config.batch
        for name, value in values.items():
            self.writer.add_scalar(name, value, images)
        row = {"images": images, **{k: round(v, 6) for k, v in values.items()}}
        with open(self.folder / self.config.stage / "metrics.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")

    def _publish(self, number: int, prefix: str, values: dict) -> None:
        """Figures to metrics.jsonl and TensorBoard, pictures to PNG and TensorBoard."""
        figures = {prefix + k: float(v) for k, v in values.items() if np.ndim(v) == 0}
        self._write(number, figures)
        images = number * self.config.batch
        for name, picture in values.items():
            if np.ndim(picture) and self.writer:
                file = f"{(prefix + name).replace('/', '-')}-{images:09d}.png"
                Image.fromarray(picture).save(self.folder / self.config.stage / file)
                self.writer.add_image(prefix + name, picture, images, dataformats="HWC")

    def _subject(self, state: TrainState, probe: bool = False) -> Subject:
        return Subject(
            checkpoints.local(release_networks(state)),
            checkpoints.local(state.params),
            self.spec,
            self.config.stage,
            self.held_out,
            self._probe() if probe else None,
        )

    def _evaluate_and_adapt(self, number: int, state: TrainState) -> TrainState:
        subject = self._subject(state)
        values = self.figures(subject)
        self._write(number, values)
        # Only at its own rhythm: a run of another length, or a resumed one, adapts at the same images.
        if self.config.stage not in ("gan", "refine") or not self._due(
            number, self.config.evaluate_kimg
        ):
            return state
        a, kimg = self.config.augment, number * self.config.batch / 1000
        if kimg < a.p_ramp_kimg:
            p = a.p_start + (a.p_ramp - a.p_start) * kimg / a.p_ramp_kimg
        else:
            seen = self.figures.of(subject, self._probe())
            top, real, fake = seen["real"], values["held_out/real"], seen["fake"]
            overfit = (top - real) / max(top - fake, 1e-3)
            old = float(state.augment_p.addressable_data(0))
            p = augment.adapted(old, overfit, a.target, a.rate, a.p_max)
            self._write(number, {"augment/overfit": overfit})
        return state.replace(augment_p=sharding.put(np.float32(p), state.augment_p.sharding))

    def _probe(self) -> dict[str, np.ndarray]:
        if not hasattr(self, "probe"):
            count = len(self.held_out["image"])
            self.probe = setup.probe_batch(self.config, self.spec, count)
        return self.probe


def parse_profile_steps(text: str) -> tuple[int, int] | None:
    """(first step, how many) of "100:5"; "" is None; InputError for anything else."""
    if not text:
        return None
    first, _, count = text.partition(":")
    if not (first.isdigit() and count.isdigit() and int(count)):
        raise InputError(f"--profile_steps '{text}' is not FIRST:COUNT, e.g. 100:5.")
    return int(first), int(count)
