"""Training: stages run one after the other, a stop resumes bit-equal, guards stop, closed forms hold.

The loop's runs share one tiny corpus, one tiny model and, per configuration, one compiled step.
"""

import csv
import dataclasses
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file
from small_model import FACTS, REFINER, SIZES, bank_arrays, photo_and_mask

from configs import smoke
from jaxderm.attributes import (
    CONDITION_GROUPS,
    Attributes,
    BodySite,
    Field,
    Sex,
    Source,
    View,
    encode,
    encode_age,
)
from jaxderm.cli import main
from jaxderm.data.photo_folder import split_of
from jaxderm.data.prepare import prepare
from jaxderm.errors import InputError
from jaxderm.models import refiner, weights
from jaxderm.models.spec import PRESETS, Photographs
from jaxderm.release import synthesize
from jaxderm.release.synthesize import Deidentifier
from jaxderm.train import (
    augment,
    average,
    loop,
    losses,
    refine,
    schedules,
    setup,
    state,
    step,
    warm_start,
)
from jaxderm.train.grids import FRONTAL

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)
STEPS = 6
SPEC = SIZES[64]
LATENT = tuple(stage for stage in state.STAGES if stage != "refine")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> str:
    """A corpus `portraits` of 8 small pictures to train on and 4 to validate on."""
    folder = tmp_path_factory.mktemp("corpus")
    names = [f"person{i}" for i in range(400)]
    persons = [n for n in names if split_of(n) == "train"][:8]
    persons += [n for n in names if split_of(n) == "validation"][:4]
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "person_id", "site", "sex", "age", "ita"])
        for i, person in enumerate(persons):
            Image.fromarray(photo_and_mask(64, 80, i)[0]).save(folder / f"{i}.png")
            writer.writerow([f"{i}.png", person, "arm", ("female", "male")[i % 2], 30 + i, 5 * i])
    prepare(str(folder), str(folder / "data"), "portraits")
    return str(folder / "data")


@functools.cache
def fresh_networks() -> dict:
    """Networks as `init_networks` shapes them, drawn by NumPy: JAX compiles a program a shape."""
    rng = np.random.default_rng(0)

    def fill(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if len(leaf.shape) < 2:
            return np.zeros(leaf.shape, np.float32)
        fan_in = np.float32(np.prod(leaf.shape[:-1]))
        return rng.standard_normal(leaf.shape, np.float32) / np.sqrt(fan_in)

    shapes = jax.eval_shape(lambda: state.init_networks(SPEC, 0, "decoder"))
    critic = shapes.pop("critic")
    networks = jax.tree.map(fill, shapes)
    networks["critic"] = jax.tree.map(fill, critic)
    networks["latent"]["std"] += 1
    return networks


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A tiny model, little optimisation, and pure functions of a configuration made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, 64, SPEC)
        before = jax.config.read("jax_disable_most_optimizations")
        jax.config.update("jax_disable_most_optimizations", True)
        made = {}

        def make_step(config, spec, mesh):
            key = config.copy_and_resolve_references()
            key.init_from, key.gan.guard_gap, key.data.data_dir = "", 0.0, ""
            return made.setdefault(key.to_json(), step.make_step(config, spec, mesh))

        def init_networks(spec, seed, stage):
            if spec != SPEC:
                return state.init_networks(spec, seed, stage)
            networks = fresh_networks()
            return (
                networks
                if stage == "decoder"
                else {k: networks[k] for k in networks if k != "critic"}
            )

        patch.setattr(loop, "make_step", make_step)
        patch.setattr(setup, "init_networks", init_networks)
        yield
        jax.config.update("jax_disable_most_optimizations", before)


def config_of(stage: str, data_dir: str, **changes):
    """Smoke configuration of six steps: evaluation every 2, checkpoint every 5, augmentation adapted."""
    c = smoke.get_config()
    c.stage, c.data.data_dir = stage, data_dir
    c.data.corpora.rendered_people, c.data.corpora.portraits = 0.0, 1.0
    c.total_kimg = STEPS * c.batch / 1000
    c.optimizer.learning_rate, c.optimizer.warmup_kimg = 1e-3, 0.0
    c.gan.penalty_every = 1  # one program of the step, not two
    c.augment.p_start, c.augment.p_ramp_kimg, c.augment.rate = 0.3, 0.002, 0.1
    c.update_from_flattened_dict(changes)
    return c


class Run:
    """What a call of `train` left: final state, the training loader, the folder of the stage."""

    def __init__(self, config, workdir: Path, stop_at: int | None = None, grid: bool = False):
        loaders, make_loader, self.steps = [], setup.make_loader, []

        def keep_loader(*args, **options):
            loaders.append(make_loader(*args, **options))
            return loaders[-1]

        def is_penalized(config, n: int) -> bool:
            self.steps.append(n)
            if n + 1 == stop_at:  # the signal comes in the middle of step `stop_at`
                signal.raise_signal(signal.SIGTERM)
            return step.is_penalized(config, n)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(setup, "make_loader", keep_loader)
            patch.setattr(loop, "is_penalized", is_penalized)
            if not grid:
                patch.setattr(loop._Runner, "_show", lambda *_: None)
            self.state = loop.train(config, str(workdir), progress=False)
        self.batch, self.folder = next(loaders[0]), workdir / config.stage

    def metrics(self, name: str) -> list[float]:
        rows = map(json.loads, (self.folder / "metrics.jsonl").read_text().splitlines())
        return [row[name] for row in rows if name in row]

    def networks(self) -> dict:
        return weights.load_weights(self.folder / "networks.safetensors")[0]


@pytest.fixture(scope="module")
def runs(data_dir, tmp_path_factory) -> dict[str, Run]:
    """The four stages of the latent, each run through in one workdir."""
    workdir = tmp_path_factory.mktemp("straight")
    return {
        stage: Run(config_of(stage, data_dir), workdir, grid=stage == "gan") for stage in LATENT
    }


@pytest.fixture(scope="module")
def bank_file(tmp_path_factory) -> str:
    """A file of exemplars."""
    path = tmp_path_factory.mktemp("bank") / "bank.safetensors"
    save_file(bank_arrays(), path)
    return str(path)


def refine_config(data_dir: str, bank_file: str, **changes):
    """`config_of` stage refine, of a very narrow refiner."""
    given = {"model.exemplars": True, "model.base": 8, "data.bank": bank_file, **changes}
    return config_of("refine", data_dir, **given)


@pytest.fixture(scope="module")
def refined(data_dir, bank_file, tmp_path_factory) -> Run:
    """The refiner's stage, run through."""
    return Run(refine_config(data_dir, bank_file), tmp_path_factory.mktemp("refined"), grid=True)


def assert_same(a, b) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b)):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))


def differs(a, b) -> bool:
    return any(not np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


# The loop


def test_every_stage_learns_and_leaves_its_files(runs):
    for stage, run in runs.items():
        assert int(run.state.step) == STEPS
        images = run.metrics("images")
        assert images == sorted(images) and images[-1] == STEPS * 4
        names = {path.name for path in run.folder.iterdir()}
        assert names >= {"checkpoints", "config.json", "metrics.jsonl", "summaries"}
        assert json.loads((run.folder / "config.json").read_text())["stage"] == stage
        networks = run.networks()
        flat = weights.flatten(jax.device_get(state.release_networks(run.state)))
        assert_same(weights.flatten(networks), flat)
        assert all(np.isfinite(value).all() for value in flat.values())
    psnr = runs["autoencoder"].metrics("held_out/psnr")
    assert len(psnr) == 3 and psnr[0] < psnr[1] < psnr[2]
    mse = runs["vae"].metrics("held_out/vae_mse")
    assert len(mse) == 3 and mse[0] > mse[1] > mse[2]
    assert {"held_out-000000024.png", "sites-000000024.png"} <= {
        path.name for path in runs["gan"].folder.iterdir()
    }


def test_a_stage_trains_its_players_and_leaves_the_rest_alone(runs):
    before = fresh_networks()
    for stage, run in runs.items():
        after = run.networks()
        players = {name for names in state.PLAYERS[stage].values() for name in names}
        for name in ("autoencoder", "generator", "posterior", "discriminator", "critic"):
            if name not in after:
                assert name == "critic" and stage != "decoder"
                continue
            assert differs(before[name], after[name]) == (name in players), f"{stage}: {name}"
        before = {**before, **after}
    fresh = fresh_networks()["latent"]
    assert differs(runs["vae"].networks()["latent"], fresh), "measured before the VAE"
    assert_same(runs["vae"].networks()["latent"], runs["gan"].networks()["latent"])
    assert differs(runs["gan"].state.params, runs["gan"].state.ema_params)


def test_the_decoder_sharpens_and_latents_keep_their_meaning(runs):
    before, after = (runs[stage].networks()["autoencoder"] for stage in ("gan", "decoder"))
    for old, new in zip(jax.tree.leaves(before["encoder"]), jax.tree.leaves(after["encoder"])):
        np.testing.assert_allclose(old, new, rtol=1e-5)  # the EMA of equal numbers rounds
    assert differs(before["decoder"], after["decoder"])
    released, _, card = weights.load_weights(runs["decoder"].folder / "release.safetensors")
    assert card["stage"] == "decoder" and set(released) == {"autoencoder", "generator", "latent"}


def test_the_average_of_two_runs_is_a_model(runs, tmp_path, capsys):
    first, second = (runs[stage].folder / "release.safetensors" for stage in ("vae", "gan"))
    decoder, output = runs["decoder"].folder / "release.safetensors", tmp_path / "mean.safetensors"
    words = [str(first), str(second), "--decoder", str(decoder), "--output", str(output)]
    for share in (0.0, 0.25, 1.0):
        assert average.main([*words, "--share", str(share)]) == 0
        found, a, b, c = (
            weights.load_weights(path)[0] for path in (output, first, second, decoder)
        )
        flat = [weights.flatten(n["generator"]) for n in (found, a, b)]
        for name, value in flat[0].items():
            wanted = (1 - share) * flat[1][name] + share * flat[2][name]
            np.testing.assert_allclose(value, wanted, rtol=1e-3, atol=1e-6)
        assert_same(found["autoencoder"], c["autoencoder"])
    assert average.main([*words, "--decoder_share", "0.5"]) == 0
    parts = [weights.load_weights(path)[0]["autoencoder"] for path in (output, first, decoder)]
    for found, a, b in zip(*map(jax.tree.leaves, parts)):
        np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-3, atol=1e-6)
    output.unlink()
    assert average.main([*words, "--share", "2"]) == 2 and "--share 2" in capsys.readouterr().err
    words[1] = str(runs["autoencoder"].folder / "release.safetensors")
    assert average.main(words) == 2 and "average runs of one autoencoder" in capsys.readouterr().err
    assert not output.exists()
    words[1], words[-1] = str(second), str(tmp_path / "nowhere" / "mean.safetensors")
    assert average.main(words) == 2 and "cannot be written" in capsys.readouterr().err


def test_the_decoder_is_not_trained_before_a_generator(runs, data_dir, tmp_path):
    (tmp_path / "autoencoder").mkdir()
    shutil.copy(runs["autoencoder"].folder / "networks.safetensors", tmp_path / "autoencoder")
    with pytest.raises(InputError, match="holds no trained generator"):
        Run(config_of("decoder", data_dir), tmp_path)


def test_the_discriminator_has_a_head_start(runs):
    c = config_of("gan", "", **{"gan.head_start_kimg": 2 * 4 / 1000})
    begun = state.create(c, SPEC, runs["vae"].networks())
    advance, at = step.make_step(c, SPEC), begun
    for number in range(3):
        new, _ = jax.jit(advance, static_argnums=2)(at, runs["gan"].batch, False)
        assert differs(at.params["discriminator"], new.params["discriminator"])
        assert differs(at.params["generator"], new.params["generator"]) == (number == 2)
        at = new


def test_augmentation_starts_as_configured_and_adapts_at_evaluations(runs):
    p = runs["gan"].metrics("augment_p")
    assert p[0] == pytest.approx(0.3)
    # Metrics of steps 2, 4, 5 and 6; an evaluation follows steps 2, 4 and 6.
    np.testing.assert_allclose(np.abs(np.diff(p)), [0.1, 0.1, 0], atol=1e-6)
    assert len(runs["gan"].metrics("augment/overfit")) == 3


def test_release_file_is_a_model(runs):
    path = runs["gan"].folder / "release.safetensors"
    networks, spec, card = weights.load_weights(path)
    assert spec == SPEC and card == {"stage": "gan", "step": STEPS}
    assert set(networks) == {"autoencoder", "generator", "latent"}
    photo, mask = photo_and_mask(90, 100)
    [release] = Deidentifier.load(str(path))(photo, mask, FACTS)
    x, y, width, height = (release.manifest["frame"][k] for k in ("x", "y", "width", "height"))
    part = np.s_[y : y + height, x : x + width]
    np.testing.assert_array_equal(release.pixels[mask[part]], photo[part][mask[part]])


def test_the_refiner_starts_from_the_exemplar_and_learns(refined, data_dir, bank_file):
    spec = loop.spec_of(refine_config(data_dir, bank_file))
    assert spec.exemplars and spec.grid == spec.size
    fresh = state.init_networks(spec, 0, "refine")
    batch = {**refined.batch, "landmarks": np.stack([FRONTAL] * 4)}
    image = jnp.asarray(batch["image"], jnp.float32) / 127.5 - 1
    photograph = np.stack([encode(Attributes(site=BodySite.FACE, source=Source.PHOTO))] * 4)
    seen = refine.seen_of(batch, image, photograph)
    noise = jnp.ones((4, spec.z_size)), jnp.zeros((4, spec.code_size))
    args = (*noise, photograph)
    first = spec.generator().apply({"params": fresh["generator"]}, seen, *args)
    exemplar = batch["exemplar"].astype(np.float32) / 127.5 - 1
    np.testing.assert_array_equal(first, exemplar)
    trained = {"params": refined.state.params["generator"]}
    later = spec.generator().apply(trained, seen, *args)
    assert 0 < np.abs(later - exemplar).mean() < 0.5
    render = np.stack([encode(Attributes(site=BodySite.FACE, source=Source.RENDER))] * 4)
    rendered = refine.seen_of(batch, image, render)
    np.testing.assert_array_equal(
        spec.generator().apply(trained, rendered, *noise, render), exemplar
    )
    moved = refined.metrics("generator/moved")
    assert all(value > 0 for value in moved)
    p = refined.metrics("augment_p")
    np.testing.assert_allclose(np.abs(np.diff(p)), [0.1, 0.1, 0], atol=1e-6)
    names = {path.name for path in refined.folder.iterdir()}
    assert {"held_out-000000024.png", "sites-000000024.png"} <= names


@EXAMPLES
@given(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15), st.floats(0.6, 1.1), st.floats(-0.5, 0.5))
def test_the_inner_face_is_refined_less(dx, dy, scale, roll):
    turn = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    points = (FRONTAL - 0.5) @ turn.T + 0.5 + [dx, dy]
    facts = Attributes(site=BodySite.FACE, source=Source.PHOTO)
    conditions = [
        encode(facts),
        encode(facts),
        encode(dataclasses.replace(facts, source=Source.RENDER)),
    ]
    where = jnp.asarray(np.stack([points, np.full((5, 2), np.nan), points]), jnp.float32)
    empty = jnp.zeros((3, 64, 64, refiner.EVIDENCE)), jnp.zeros((3, 64, 64, 3)), where
    seen = refiner.seen(*empty, jnp.asarray(np.stack(conditions)), 0.25)
    face, unknown, rendered = np.asarray(seen)[..., refiner.LOOK][..., 0]
    cells = np.clip((points * 64).astype(int), 0, 63)
    assert (face[cells[:, 1], cells[:, 0]] < 0.4).all() and (face >= 0.249).all()
    apart = np.linalg.norm(points[:2].mean(0) - points[3:].mean(0))
    y, x = (np.mgrid[:64, :64] + 0.5) / 64
    far = np.hypot(x - points[2, 0], y - points[2, 1]) > 2.2 * apart
    assert (face[far] > 0.98).all()
    assert (unknown == 1).all() and not rendered.any()


LIMITS = Photographs((50, 70), (40, 80), (-20, 30), 4, 10)


def test_a_refiner_is_asked_for_what_its_photographs_showed():
    spec = dataclasses.replace(REFINER, photographs=LIMITS)
    man = Attributes(Sex.MALE, 25.0, 50.0, BodySite.FACE, source=Source.PHOTO)
    asked = synthesize.asked_of(man, spec)
    assert asked == dataclasses.replace(man, age=40.0, ita=30.0)
    for sex, young, old in ((Sex.FEMALE, 50, 70), (Sex.MALE, 40, 80), (Sex.UNSPECIFIED, 50, 70)):
        facts = dataclasses.replace(man, sex=sex)
        for age, wanted in ((19.0, young), (60.0, 60), (95.0, old)):
            found = synthesize.asked_of(dataclasses.replace(facts, age=age), spec).age
            assert found == wanted, (sex, age)
    # No photograph is labelled with a view or a scale.
    told = dataclasses.replace(man, view=View.FRONTAL, field_cm=20.0)
    assert synthesize.asked_of(told, spec) == asked
    inside = dataclasses.replace(man, age=55.0, ita=-5.0)
    assert synthesize.asked_of(inside, spec) == inside
    unknown = dataclasses.replace(man, age=None, ita=None)
    assert synthesize.asked_of(unknown, spec) == unknown
    child = dataclasses.replace(told, age=9.0)
    assert synthesize.asked_of(child, spec) == dataclasses.replace(child, source=Source.RENDER)
    render = dataclasses.replace(told, source=Source.RENDER)
    for same, sizes in ((render, spec), (told, dataclasses.replace(spec, exemplars=False))):
        assert synthesize.asked_of(same, sizes) == same


@EXAMPLES
@given(st.sampled_from(list(Sex)), st.floats(0, 100), st.sampled_from(list(Source)))
def test_the_exemplar_of_a_photograph_is_younger_a_grown_womans_as_old_and_no_child(
    sex, age, source
):
    spec = dataclasses.replace(REFINER, photographs=LIMITS)
    facts = Attributes(sex, age, 10.0, BodySite.FACE, source=source)
    likeness = synthesize.likeness_of(facts, spec)
    assert dataclasses.replace(likeness, age=age) == facts, "nothing else is another"
    if source is Source.PHOTO and age >= 18:
        less = {Sex.MALE: 10, Sex.FEMALE: 4, Sex.UNSPECIFIED: 4}[sex]
        if sex is Sex.FEMALE and age > 28:
            less = max(4 - 4 * (age - 28) / 6, 0)
        assert likeness.age == pytest.approx(max(age - less, 18))
    else:
        assert likeness == facts
    unknown = dataclasses.replace(facts, age=None)
    assert synthesize.likeness_of(unknown, spec) == unknown


def test_what_is_kept_asks_nothing_of_the_refiner(refined, data_dir, bank_file):
    """Kept pixels are put back before the judge looks: where all is kept, only the exemplar draws."""
    own = ("exemplar", "shape", "code_skin", "code_overlap", "code_change")
    weightless = {f"refine.{name}_weight": 0.0 for name in own}
    c = refine_config(data_dir, bank_file, **weightless)
    spec = loop.spec_of(c)
    whole = {**refined.batch, "mask": np.ones_like(refined.batch["mask"])}
    begun = state.create(c, spec, state.init_networks(spec, 0, "refine"))
    found, _ = step.make_gradients(c, spec)(begun, whole, False)
    assert all(np.abs(g).max() == 0 for g in jax.tree.leaves(found["generator"]))


def test_only_codes_learn_where_only_they_are_asked_to(refined, data_dir, bank_file):
    c = refine_config(data_dir, bank_file, **{"refine.codes_only": True})
    spec = loop.spec_of(c)
    before = state.create(c, spec, state.release_networks(refined.state))
    after, metrics = jax.jit(step.make_step(c, spec), static_argnums=2)(before, refined.batch, True)
    old, new = (s.params["generator"] for s in (before, after))
    assert differs(old[refiner.CODES], new[refiner.CODES])
    assert differs(before.params["discriminator"], after.params["discriminator"])
    rest = [{k: v for k, v in params.items() if k != refiner.CODES} for params in (old, new)]
    assert_same(*rest)
    assert metrics["generator/codes"] > 0


@pytest.mark.parametrize(
    ("weight", "counted", "left"),
    [
        ("code_skin_weight", "coded_skin", 0.55),  # without the loss 0.67
        ("code_overlap_weight", "code_overlap", 0.9),
        ("code_change_weight", "code_unseen", 0.9),
    ],
)
def test_codes_learn_to_leave_skin_and_each_other_alone_and_to_be_seen(
    refined, data_dir, bank_file, weight, counted, left
):
    """With this loss before all others, what it counts falls, of the same draws."""
    nothing = {"gan.code_weight": 0.0, "gan.attribute_weight": 0.0, "refine.codes_only": True}
    nothing |= {f"refine.{name}_weight": 0.0 for name in ("exemplar", "shape", "code_skin")}
    nothing |= {"refine.code_overlap_weight": 0.0, "refine.code_change_weight": 0.0}
    nothing |= {"optimizer.warmup_kimg": 0.0, "refine.code_change": 1.0}
    c = refine_config(data_dir, bank_file, **{**nothing, f"refine.{weight}": 100.0})
    spec = loop.spec_of(c)
    networks = state.release_networks(refined.state)
    noise = iter(jax.random.split(jax.random.key(2), 99))
    loud = jax.tree.map(
        lambda v: v + 0.1 * jax.random.normal(next(noise), v.shape),
        networks["generator"][refiner.CODES],
    )
    networks["generator"] = {**networks["generator"], refiner.CODES: loud}
    at = state.create(c, spec, networks)
    facts = encode(Attributes(site=BodySite.FACE, source=Source.PHOTO))
    batch = {**refined.batch, "landmarks": np.stack([FRONTAL] * 4).astype(np.float32)}
    batch["condition"] = np.stack([facts] * 4)
    advance = jax.jit(step.make_step(c, spec), static_argnums=2)
    found, begun = [], np.int32(0)
    for _ in range(12):
        at, metrics = advance(at.replace(step=begun), batch, False)
        found.append(float(metrics[f"generator/{counted}"]))
    assert found[-1] < left * found[0]


def test_where_codes_act_and_where_skin_is():
    apart = np.zeros((2, 4, 4, 3), np.float32)
    for k in range(3):
        apart[:, k, :, k] = 1 + k
    assert losses.overlap(jnp.asarray(apart)) < 1e-3
    together = np.ones((2, 4, 4, 3), np.float32) * [1, -2, 3]
    assert losses.overlap(jnp.asarray(together, jnp.float32)) == pytest.approx(1, abs=1e-3)
    assert losses.overlap(jnp.asarray(apart[..., :1])) == pytest.approx(0, abs=1e-6)
    seen = np.zeros((2, 4, 4, 3), np.float32)
    assert losses.unseen(jnp.asarray(seen), 0.1) == pytest.approx(0.1)
    seen[..., 0], seen[:, ::2, :, 1] = 0.06, -0.06  # end to end 0.12 and 0.06 in the mean
    assert losses.unseen(jnp.asarray(seen), 0.1) == pytest.approx((0.0 + 0.04 + 0.1) / 3)
    picture = np.full((2, 64, 64, 3), -0.8, np.float32)
    picture[:, 10:56, 12:52] = (0.5, 0.1, -0.1)
    picture[:, 58:, :10] = (0.5, 0.1, -0.1)  # an arm, far from the face
    where = np.stack([FRONTAL, np.full((5, 2), np.nan)]).astype(np.float32)
    skin, unknown = np.asarray(refine.face_coloured(jnp.asarray(picture), jnp.asarray(where)))
    nose = (FRONTAL[2] * 64).astype(int)
    assert skin[nose[1], nose[0]] > 0.9 and skin[60, 4] > 0.5 and skin[2, 60] < 0.05
    assert not unknown.any()


def test_z_and_codes_have_the_sizes_that_are_asked_for(data_dir, bank_file):
    preset = loop.spec_of(refine_config(data_dir, bank_file))
    c = refine_config(data_dir, bank_file, **{"model.z_size": 5, "model.code_size": 2})
    spec = loop.spec_of(c)
    assert (spec.z_size, spec.code_size) == (5, 2) != (preset.z_size, preset.code_size)
    networks = state.init_networks(spec, 0, "refine")
    assert (
        networks["generator"]["Mapping_0"]["Dense_1"]["kernel"].shape[0]
        == 5 + 2 * spec.refiner_width
    )
    for name in ("z_size", "code_size"):
        with pytest.raises(InputError, match=f"{name} -1"):
            loop.spec_of(refine_config(data_dir, bank_file, **{f"model.{name}": -1}))


def test_the_refiners_release_file_holds_its_bank(refined):
    path = refined.folder / "release.safetensors"
    networks, spec, card = weights.load_weights(path)
    assert card == {"stage": "refine", "step": STEPS} and spec.exemplars
    assert set(networks) == {"generator", "latent", "bank"}
    for name, array in bank_arrays().items():
        np.testing.assert_array_equal(networks["bank"][name], array)
    photo, mask = photo_and_mask(90, 100)
    model = Deidentifier.load(str(path))
    one, two = (model(photo, mask, FACTS, seed=seed)[0] for seed in (0, 1))
    assert (one.pixels != two.pixels).any()


def test_a_refiner_of_another_version_is_refused_in_a_sentence(refined, tmp_path):
    networks, spec, card = weights.load_weights(refined.folder / "release.safetensors")
    kernel = networks["generator"]["Mapping_0"]["Dense_1"]["kernel"]
    for name, changed in (
        ("without codes", {k: v for k, v in networks["generator"].items() if k != refiner.CODES}),
        (
            "codes in the mapping",
            {**networks["generator"], "Mapping_0": {
                **networks["generator"]["Mapping_0"],
                "Dense_1": {
                    **networks["generator"]["Mapping_0"]["Dense_1"],
                    "kernel": np.concatenate([kernel, kernel[: spec.code_size]]),
                },
            }},
        ),
    ):  # fmt: skip
        path = tmp_path / f"{name}.safetensors"
        weights.save_weights(path, {**networks, "generator": changed}, spec, "float16", **card)
        with pytest.raises(InputError, match=f"{name}.*other networks.*train it again"):
            Deidentifier.load(str(path))


def test_a_refiner_gets_another_bank_and_limits(refined, runs, bank_file, tmp_path, capsys):
    path, output = str(refined.folder / "release.safetensors"), tmp_path / "release.safetensors"
    words = [path, path, "--output", str(output)]
    limits = "--face_strength 0.5 --ages_female 50 70 --ages_male 40 80 --tones -20 30 --older 4 10"
    limits += " --truncation 0.25"
    assert average.main([*words, *limits.split()]) == 0
    networks, spec, _ = weights.load_weights(output)
    own = weights.load_weights(Path(path))[0]
    for part in ("bank", "generator"):
        jax.tree.map(np.testing.assert_array_equal, networks[part], own[part])
    assert (spec.face_strength, spec.truncation) == (0.5, 0.25)
    assert spec.photographs == LIMITS
    limited, again = str(output), str(tmp_path / "again.safetensors")
    assert average.main([limited, path, "--output", again]) == 0  # limits are no sizes
    assert weights.load_weights(Path(again))[1] == spec
    count = spec.code_size
    strengths = [str(k / 4) for k in range(count)]
    assert average.main([*words, "--code_strength", *strengths]) == 0
    of_codes, before = (
        tree[refiner.CODES]
        for tree in (weights.load_weights(output)[0]["generator"], own["generator"])
    )
    kernel = before["Conv_0"]["Conv_0"]["kernel"]
    weakened, expected = of_codes["Conv_0"]["Conv_0"]["kernel"], kernel * np.arange(count) / 4
    assert np.abs(kernel).max() > 0
    np.testing.assert_allclose(weakened, expected, rtol=1e-3, atol=1e-6)
    for wrong in (["0.5"], [*strengths[1:], "-1"]):
        assert average.main([*words, "--code_strength", *wrong]) == 2
        assert f"'{path}' has {count}" in capsys.readouterr().err
    assert average.main([*words, "--bank", bank_file]) == 0
    assert weights.load_weights(output)[1].face_strength == 1
    assert average.main([*words, "--bank_quality", "30", "0", "0"]) == 0
    bank, before = (tree["bank"] for tree in (weights.load_weights(output)[0], own))
    assert bank["pictures"].size < before["pictures"].size
    np.testing.assert_array_equal(bank["skins"], before["skins"])
    for wrong in (["0", "101", "50"], ["-1", "0", "0"]):
        assert average.main([*words, "--bank_quality", *wrong]) == 2
        assert f"--bank_quality {' '.join(wrong)} is not between" in capsys.readouterr().err
    whole = str(refined.folder / "networks.safetensors")  # it has no bank
    assert average.main([whole, whole, "--output", str(output)]) == 2
    assert "--bank" in capsys.readouterr().err
    assert average.main([*words, "--bank", path]) == 2 and "bank" in capsys.readouterr().err
    assert (
        average.main([*words, "--ages_male", "70", "40"]) == 2 and "70" in capsys.readouterr().err
    )
    assert average.main([*words, "--truncation", "1.5"]) == 2
    assert "--truncation 1.5" in capsys.readouterr().err
    latent = str(runs["gan"].folder / "release.safetensors")
    words = [latent, latent, "--output", str(output)]
    assert average.main([*words, "--face_strength", "0.5"]) == 2
    assert "is no refiner" in capsys.readouterr().err
    assert average.main([*words, "--bank_quality", "50", "0", "0"]) == 2
    assert "is no refiner: --bank, --bank_quality" in capsys.readouterr().err
    assert average.main([*words, "--code_strength", "0.5"]) == 2
    assert "has none" in capsys.readouterr().err


def test_the_refiner_stops_and_resumes_bit_equal(refined, data_dir, bank_file, tmp_path):
    c = refine_config(data_dir, bank_file)
    assert int(Run(c, tmp_path, stop_at=3).state.step) == 3
    resumed = Run(c, tmp_path)
    assert_same(resumed.state, refined.state)
    assert_same(resumed.batch, refined.batch)


@pytest.mark.parametrize("stage", ["autoencoder", "gan"])
def test_stop_and_resume_is_bit_equal(stage, runs, data_dir, tmp_path):
    for earlier in LATENT[: LATENT.index(stage)]:
        (tmp_path / earlier).mkdir()
        shutil.copy(runs[earlier].folder / "networks.safetensors", tmp_path / earlier)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    stopped = Run(config_of(stage, data_dir), tmp_path, stop_at=3)
    assert int(stopped.state.step) == 3 and differs(stopped.state, runs[stage].state)
    assert (stopped.folder / "release.safetensors").is_file()
    assert handlers == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    # A checkpoint goes before every other start: what init_from names is not even opened.
    resumed = Run(config_of(stage, data_dir, init_from="nowhere"), tmp_path)
    assert (stopped.steps, resumed.steps) == ([0, 1, 2], [3, 4, 5]), "what penalties go by"
    assert_same(resumed.state, runs[stage].state)
    assert_same(resumed.batch, runs[stage].batch)
    assert_same(resumed.networks(), runs[stage].networks())
    size = (resumed.folder / "metrics.jsonl").stat().st_size
    again = Run(config_of(stage, data_dir), tmp_path)
    assert_same(again.state, resumed.state)
    assert (resumed.folder / "metrics.jsonl").stat().st_size == size, "a finished run does nothing"


def test_a_loss_that_is_not_finite_stops_and_nothing_is_saved(runs, data_dir, tmp_path):
    networks = runs["autoencoder"].networks()
    jax.tree.leaves(networks["autoencoder"])[0].flat[0] = np.nan
    path = tmp_path / "broken.safetensors"
    weights.save_weights(path, networks, SPEC, "float32")
    with pytest.raises(loop.TrainingStopped, match=r"step 2: .*loss.* not finite"):
        Run(config_of("autoencoder", data_dir, init_from=str(path)), tmp_path)
    folder = tmp_path / "autoencoder"
    assert not (folder / "networks.safetensors").exists()
    assert not (folder / "metrics.jsonl").exists()
    assert not any(path.name.isdigit() for path in (folder / "checkpoints").iterdir())


def test_a_discriminator_that_runs_away_stops(runs, data_dir, tmp_path):
    path = str(runs["vae"].folder / "networks.safetensors")
    changes = {"init_from": path, "gan.guard_gap": -100.0}
    with pytest.raises(loop.TrainingStopped, match=r"D\(real\) - D\(fake\) .*guard_gap -100"):
        Run(config_of("gan", data_dir, **changes), tmp_path)


def test_golden_values(runs):
    """What six steps of each stage give; a change of model, loss, data or schedule shows here."""
    golden = {  # the adversary's of its first two steps: it amplifies the last bits
        ("autoencoder", "loss", -1): 0.406977,
        ("autoencoder", "held_out/psnr", -1): 15.436286,
        ("vae", "vae/fit", -1): 2.92316,
        ("vae", "held_out/vae_mse", -1): 1.053914,
        ("gan", "loss", 0): 0.704769,
        ("gan", "generator/attribute", 0): 1.128243,
        ("gan", "vae/fit", 0): 2.895788,
        ("decoder", "loss", 0): 0.651387,
        ("decoder", "decoder/fit", 0): 0.399785,
    }
    found = {key: runs[key[0]].metrics(key[1])[key[2]] for key in golden}
    assert found == pytest.approx(golden, rel=1e-3), (
        "training gives other numbers than before. If you meant to change it, say so in "
        f"docs/training_log.md and put these values into `golden`:\n{found}"
    )


BAD = {
    "stage": ({"stage": "gam"}, "config.stage 'gam' is unknown"),
    "size": ({"model.size": 96}, "config.model.size 96 is unknown"),
    "reduction": ({"model.reduction": 4}, "config.model.reduction 4"),
    "channels in pixels": ({"model.reduction": 1, "stage": "vae"}, "channels to 3"),
    "no autoencoder in pixels": ({"model.reduction": 1, "model.channels": 3}, "has no autoencoder"),
    "dtype": ({"model.dtype": "float61"}, "config.model.dtype 'float61'"),
    "penalty": ({"gan.penalty": "none"}, "config.gan.penalty 'none'"),
    "mesh": ({"mesh.fsdp": 64}, "config.mesh.fsdp 64"),
    "no corpus": ({"data.data_dir": "nowhere"}, "jaxderm prepare"),
    "no weight": ({"data.corpora.portraits": 0.0}, "weight"),
    "gan without an autoencoder": ({"stage": "gan"}, "needs a trained autoencoder"),
    "vae without an autoencoder": ({"stage": "vae"}, "needs a trained autoencoder"),
    "no weight file": ({"init_from": "nowhere.safetensors"}, "init_from 'nowhere.safetensors'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_config_that_cannot_run_is_one_sentence(case, data_dir, tmp_path):
    changes, words = dict(BAD[case][0]), BAD[case][1]
    with pytest.raises(InputError) as error:
        Run(config_of(changes.pop("stage", "autoencoder"), data_dir, **changes), tmp_path)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_another_model_in_the_same_workdir_is_one_sentence(runs, data_dir):
    workdir = runs["autoencoder"].folder.parent
    with pytest.raises(InputError, match="checkpoint"):
        Run(config_of("autoencoder", data_dir, **{"model.channels": 8}), workdir)


def toy(value: float) -> dict:
    """Networks of one number each."""
    names = ("autoencoder", "generator", "posterior", "discriminator", "latent")
    return {name: {"a": np.full(3, value, np.float32)} for name in names}


def test_a_fresh_stage_starts_from_the_stage_before_else_init_from(tmp_path):
    def start(stage: str, init_from: str = "") -> tuple[float, list[str]]:
        networks, lines = warm_start.warm_start(tmp_path, stage, init_from, toy(0))
        assert networks.keys() == toy(0).keys()
        return float(networks["generator"]["a"][0]), lines

    given = tmp_path / "given.safetensors"
    weights.save_weights(given, toy(9), SPEC, "float32")
    assert start("gan") == (0, [])
    assert start("gan", str(given))[0] == start("autoencoder", str(given))[0] == 9
    for number, stage in enumerate(state.STAGES, 1):
        (tmp_path / stage).mkdir()
        weights.save_weights(
            tmp_path / stage / "networks.safetensors", toy(number), SPEC, "float32"
        )
    for init_from in ("", str(given)):
        assert start("vae", init_from)[0] == 1 and start("gan", init_from)[0] == 2
    value, lines = start("gan")
    assert lines[1].startswith("generator: 1 of 1 arrays from") and "vae" in lines[1]


def test_only_arrays_of_equal_shapes_are_taken(tmp_path):
    stored = toy(5)
    stored["generator"] = {"a": np.ones(4, np.float32), "b": np.ones(2, np.float32)}
    path = tmp_path / "given.safetensors"
    weights.save_weights(path, stored, SPEC, "float32")
    fresh = toy(0)
    fresh["generator"]["b"] = np.zeros(2, np.float32)
    networks, lines = warm_start.warm_start(tmp_path, "gan", str(path), fresh)
    assert_same(networks["generator"], {"a": np.zeros(3), "b": np.ones(2)})
    assert any(line.startswith("generator: 1 of 2") for line in lines)
    fresh["autoencoder"] = {"a": np.zeros(7, np.float32)}
    with pytest.raises(InputError, match="holds no autoencoder of the sizes"):
        warm_start.warm_start(tmp_path, "gan", str(path), fresh)


@pytest.mark.parametrize(
    "changes",
    [
        {"model.reduction": 1, "model.channels": 3},
        {"model.reduction": 16},
        {"gan.penalty": "finite_difference", "gan.vae_weight": 0.0},
        {"gan.diversity_weight": 1.0, "gan.vae_weight": 0.0},
        {"gan.photograph_share": 0.5, "gan.age_share": 0.5},
    ],
    ids=["pixels", "compact", "finite difference", "diversity", "other facts asked for"],
)
def test_other_adversaries_have_a_step(changes):
    c = config_of("gan", "", **changes)
    spec = loop.spec_of(c)
    shapes = jax.eval_shape(lambda: state.create(c, spec, state.init_networks(spec, 0)))
    like = jax.ShapeDtypeStruct
    batch = {
        "image": like((4, 64, 64, 3), jnp.uint8), "mask": like((4, 64, 64), jnp.float32),
        "landmarks": like((4, 5, 2), jnp.float32),
        "condition": like((4, spec.condition_size), jnp.float32),
    }  # fmt: skip
    new, metrics = jax.eval_shape(lambda s, b: step.make_step(c, spec)(s, b, True), shapes, batch)
    assert_same(jax.tree.map(lambda v: (*v.shape, str(v.dtype)), new),
                jax.tree.map(lambda v: (*v.shape, str(v.dtype)), shapes))  # fmt: skip
    assert {"discriminator/r1", "discriminator/gap"} <= metrics.keys()
    assert ("vae/fit" in metrics) == bool(c.gan.vae_weight)
    assert ("generator/sameness" in metrics) == bool(c.gan.diversity_weight)


def test_penalties_come_every_so_many_adversarial_steps():
    c = config_of("gan", "", **{"gan.penalty_every": 4})
    assert [n for n in range(10) if step.is_penalized(c, n)] == [0, 4, 8]
    assert not any(step.is_penalized(config_of("vae", ""), n) for n in range(10))


# The command


def test_the_smoke_configuration_runs_as_a_command(data_dir, tmp_path):
    """As its docstring says, on the one corpus that this test has."""
    command = [sys.executable, "-m", "jaxderm.cli", "train", "--config=configs/smoke.py",
               f"--workdir={tmp_path}", f"--config.data.data_dir={data_dir}", "--noprogress",
               "--config.data.corpora.rendered_people=0", "--config.total_kimg=0.008"]  # fmt: skip
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "autoencoder" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["images"] == 8
    assert (tmp_path / "autoencoder" / "release.safetensors").is_file()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], ["--config", "--workdir"]),
        (["--config=CONFIG"], ["--workdir"]),
        (["--config=nowhere.py", "--workdir=w"], ["nowhere.py"]),
        (["--config=CONFIG", "--workdir=w", "--config.batch=many"], ["batch", "many"]),
        (["--config=CONFIG", "--workdir=w", "--config.bach=3"], ["bach", "batch"]),
        (["--config=CONFIG", "--workdir=w", "--steps=3"], ["steps"]),
        (["--config=CONFIG", "--workdir=w", "gan"], ["gan", "not a flag"]),
        (["--config=CONFIG", "--workdir=w", "--config.stage=gam"], ["gam", "autoencoder"]),
        (["--config=CONFIG", "--workdir=w", "--config.data.data_dir=nowhere"], ["prepare"]),
    ],
)
def test_bad_flags_are_one_sentence_and_status_2(flags, words, capsys, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)
    config = str(ROOT / "configs" / "smoke.py")
    argv = ["jaxderm", "train", *(flag.replace("CONFIG", config) for flag in flags)]
    monkeypatch.setattr(sys, "argv", argv)  # where ml_collections looks for --config.name=value
    status = main()
    error = capsys.readouterr().err.strip()
    assert status == 2
    assert error.startswith("jaxderm train: ") and len(error.splitlines()) == 1, error
    assert "Traceback" not in error and all(word in error for word in words), error


# Schedules


def test_learning_rate():
    images = np.arange(0, 1100, 25.0)
    rate = np.array([schedules.learning_rate(i, 2.0, 100, 1000, 200) for i in images])
    want = 2 * np.minimum((images + 1) / 100, 1) * np.clip((1000 - images) / 200, 0, 1)
    np.testing.assert_allclose(rate, want, rtol=1e-6)
    assert schedules.learning_rate(5000, 2.0, 0, 1000, 0) == 2.0


def test_cosine():
    start, middle, end, after = (float(schedules.cosine(i, 10, 1, 800)) for i in (0, 400, 800, 999))
    assert (start, middle, end, after) == pytest.approx((10, 5.5, 1, 1))


def test_ema_halves_in_its_half_life():
    # 500 images at batch 5 with a half-life of 500: half of the old average is left.
    decays = [float(schedules.ema_decay(jnp.float32(1e6 + 5 * i), 5, 500, 0.03)) for i in range(100)]  # fmt: skip
    assert np.prod(decays) == pytest.approx(0.5, rel=1e-4)
    assert schedules.ema_decay(jnp.float32(0), 5, 500, 0.03) == 0, "the first step is copied"
    assert float(schedules.ema_decay(jnp.float32(1000), 5, 500, 0.03)) == pytest.approx(0.5 ** (5 / 30))  # fmt: skip


# Losses

WEIGHTS = jax.random.normal(jax.random.key(1), (6, 6, 3))


def linear(x: jax.Array) -> jax.Array:
    return (x * WEIGHTS).sum((1, 2, 3))


@EXAMPLES
@given(st.floats(-50, 50), st.floats(0.1, 20))
def test_relativistic_loss_sees_only_the_difference(level, gap):
    equal = jnp.full(4, level)
    assert float(losses.relativistic(equal, equal)) == pytest.approx(np.log(2), rel=1e-6)
    ahead, behind = losses.relativistic(equal + gap, equal), losses.relativistic(equal, equal + gap)
    assert float(ahead) < np.log(2) < float(behind)
    assert float(behind - ahead) == pytest.approx(gap, rel=1e-3), "softplus(g) - softplus(-g) = g"


def test_gradient_penalty_of_a_linear_function_is_the_square_of_its_weights():
    x = jax.random.normal(jax.random.key(0), (4, 6, 6, 3))
    square = float(jnp.square(WEIGHTS).sum())
    assert float(losses.gradient_penalty(linear, x)) == pytest.approx(square, rel=1e-5)
    x = jnp.zeros((4000, 6, 6, 3))
    estimate = float(losses.finite_difference_penalty(linear, x, jax.random.key(2)))
    assert estimate == pytest.approx(square, rel=0.1), "equal in expectation: 4000 draws"


@EXAMPLES
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_kl_to_normal(mean, log_variance):
    zero = jnp.zeros((2, 5))
    np.testing.assert_array_equal(losses.kl_to_normal(zero, zero), [0, 0])
    kl = float(losses.kl_to_normal(zero + mean, zero + log_variance)[0])
    assert kl >= -1e-5
    want = 5 * 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance)
    assert kl == pytest.approx(want, rel=1e-4, abs=1e-4)


@EXAMPLES
@given(st.sampled_from(list(CONDITION_GROUPS)), st.integers(0, 99))
def test_attribute_loss_ignores_what_is_unspecified(name, seed):
    known = encode(Attributes(sex=Sex.MALE, age=40.0, ita=10.0, site=BodySite.ARM, field_cm=9.0))
    condition = np.stack([known, known])
    condition[1, CONDITION_GROUPS[name]] = 0
    predicted = np.random.default_rng(seed).normal(size=condition.shape).astype(np.float32)
    other = predicted.copy()
    other[1, CONDITION_GROUPS[name]] += 7
    loss = losses.attribute_loss(predicted, condition)
    assert loss == losses.attribute_loss(other, condition) and np.isfinite(loss)
    if condition[0, CONDITION_GROUPS[name]].any():
        other[0, CONDITION_GROUPS[name].start] += 7
        assert loss != losses.attribute_loss(other, condition)
    assert losses.attribute_loss(predicted, np.zeros_like(condition)) == 0


def test_sameness_asks_for_distance_until_it_is_there():
    fake = jax.random.normal(jax.random.key(0), (4, 4, 4, 3))
    assert float(losses.sameness(fake, fake, 0.5)) == 1
    assert float(losses.sameness(fake, fake + 0.25, 0.5)) == pytest.approx(0.5)
    assert losses.sameness(fake, fake[::-1], 0.5) == 0, "strangers differ enough"
    pull = jax.grad(losses.sameness)(fake, fake + 0.01, 0.5)
    assert (pull > 0).all(), "a step down the gradient moves them apart"


def test_reconstruction_and_evidence_vanish_where_they_should():
    x = jax.random.uniform(jax.random.key(0), (2, 32, 32, 3), minval=-1)
    assert losses.reconstruction(x, x, 0.5, 0.1) == 0
    assert losses.reconstruction(x, -x, 0.5, 0.1) > losses.reconstruction(x, 0.9 * x, 0.5, 0.0) > 0
    assert float(losses.psnr(x * 0 + 0.5, x * 0)) == pytest.approx(10 * np.log10(4 / 0.25))
    mask = np.zeros((2, 32, 32), np.float32)
    mask[:, :16] = 1
    real, fake = np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 3))
    fake[:, 2:] = 9
    assert losses.evidence_difference(fake, real, mask) == 0, "what is not kept is free"
    fake[:, :2] = 2
    assert float(losses.evidence_difference(fake, real, mask)) == pytest.approx(2)


# Augmentation


@settings(EXAMPLES, max_examples=25)
@given(
    st.sampled_from([BodySite.FACE, BodySite.EAR]), st.sampled_from(list(Field)),
    st.sampled_from(list(Source)), st.none() | st.floats(20, 90), st.booleans(), st.booleans(),
)  # fmt: skip
def test_only_whole_faces_are_asked_for_otherwise(site, field, source, age, photograph, other_age):
    told = {"view": View.FRONTAL, "field_cm": 20.0}
    facts = Attributes(Sex.FEMALE, age, -40.0, site, field=field, source=source, **told)
    condition = jnp.stack([encode(facts)] * 4)
    asked = augment.asked(jax.random.key(0), condition, float(photograph), float(other_age))
    asked = np.array(asked)
    face = site is BodySite.FACE and field is Field.WHOLE_SITE
    if photograph and face and source is Source.RENDER:
        unlabelled = {"view": View.UNSPECIFIED, "field_cm": None}
        facts = dataclasses.replace(facts, source=Source.PHOTO, **unlabelled)
    expected = np.stack([encode(facts)] * 4)
    group = CONDITION_GROUPS["age"]
    if other_age and face and age is not None:
        ages = 40 * asked[:, group.start + 1] + 40
        assert len(set(ages)) == 4 and (ages > 2.9).all() and (ages < 92.1).all()
        np.testing.assert_allclose(asked[:, group], encode_age(ages), atol=1e-5)
        asked[:, group] = expected[:, group]
    # XLA flushes subnormal numbers of the age's code to zero.
    np.testing.assert_allclose(asked, expected, rtol=0, atol=1e-37)


@settings(EXAMPLES, max_examples=10)
@given(st.integers(0, 2**31 - 1))
def test_augmentation_changes_two_tensors_alike(seed):
    grid, keys = 8, jax.random.split(jax.random.key(seed))
    change = augment.draw(keys[0], 3, grid, jnp.float32(1.0))
    x = jax.random.normal(keys[1], (3, grid, grid, 4))
    both = augment.apply(jnp.concatenate([x, 2 * x], -1), change)
    np.testing.assert_array_equal(both[..., :4], augment.apply(x, change))
    np.testing.assert_array_equal(both[..., 4:], 2 * both[..., :4])
    # Every value that is left is one that was there: no blur, no colour.
    left = np.asarray(both[..., :4])[np.asarray(both[..., 0] != 0)]
    assert set(left[:, 0].tolist()) <= set(np.asarray(x[..., 0]).ravel().tolist())
    assert 0.3 < len(left) / (3 * grid * grid) < 1


@settings(EXAMPLES, max_examples=10)
@given(st.integers(0, 2**31 - 1))
def test_augmentation_with_p_zero_is_the_identity(seed):
    keys = jax.random.split(jax.random.key(seed))
    x = jax.random.normal(keys[1], (3, 8, 8, 4))
    np.testing.assert_array_equal(augment.apply(x, augment.draw(keys[0], 3, 8, jnp.zeros(()))), x)


def test_augmentation_adapts_within_bounds():
    assert augment.adapted(0.5, 0.9, 0.6, 0.01, 0.8) == pytest.approx(0.51)
    assert augment.adapted(0.5, 0.2, 0.6, 0.01, 0.8) == pytest.approx(0.49)
    assert augment.adapted(0.8, 0.9, 0.6, 0.01, 0.8) == 0.8
    assert augment.adapted(0.0, 0.2, 0.6, 0.01, 0.8) == 0.0
