"""The model that ships: its size, that declared facts show in the picture, and the demo."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

from jaxderm import demo
from jaxderm.attributes import SKIN_TYPE_ITA, Attributes, BodySite, Sex, ita, rgb_to_lab
from jaxderm.face import face_skin_region
from jaxderm.models import weights
from jaxderm.release import randomness
from jaxderm.release.skin import skin_like
from jaxderm.release.synthesize import Deidentifier
from jaxderm.train.state import init_networks
from jaxderm.train.warm_start import warm_start

LANDMARKS = np.array([[90, 110], [166, 110], [128, 146], [100, 184], [156, 184]], np.float32)


@functools.cache
def model() -> Deidentifier:
    return Deidentifier.load("default")


def lesion() -> tuple[np.ndarray, np.ndarray]:
    """A dark spot on an otherwise empty photo; the mask is the spot alone."""
    photo = np.full((256, 256, 3), 150, np.uint8)
    y, x = np.ogrid[:256, :256]
    mask = np.hypot(y - 150, x - 165) < 8
    photo[mask] = (90, 55, 45)
    return photo, mask


def release(**facts) -> tuple[np.ndarray, np.ndarray]:
    """(pixels, where skin was generated) of the spot with given facts."""
    photo, mask = lesion()
    given = Attributes(**{"age": 40.0, "site": BodySite.FACE, "sex": Sex.FEMALE, **facts})
    face = given.site is BodySite.FACE
    options = {"landmarks": LANDMARKS, "margin": 0} if face else {"frame": "0,0,256", "margin": 0}
    result = model()(photo, mask, given, measure_tone=False, **options)[0]
    if face:
        frame = result.manifest["frame"]
        skin = face_skin_region(LANDMARKS - [frame["x"], frame["y"]], result.kept.shape)
    else:
        skin = skin_like(rgb_to_lab(result.pixels))
    return result.pixels, skin & ~result.kept


def test_it_fits():
    path = weights.find_model("default")
    # The whole folder: with heads and cards.
    assert sum(f.stat().st_size for f in path.parent.rglob("*") if f.is_file()) <= 25_000_000
    networks, spec, card = weights.load_weights(path)
    assert spec.size == 256 and set(networks) == {"generator", "latent", "bank"}
    assert card["stage"] == "refine"
    assert path.with_suffix(".md").is_file(), "a model ships with its card"


def test_training_can_go_on_from_it(tmp_path):
    shipped = weights.find_model("default")
    judge = Path(__file__).parent.parent / "training" / "discriminator.safetensors"
    spec = weights.read_spec(shipped)
    shapes = jax.eval_shape(lambda: init_networks(spec, 0, "refine"))
    empty = jax.tree.map(lambda s: np.zeros(s.shape, np.float32), shapes)
    _, lines = warm_start(tmp_path, "refine", f"{shipped},{judge}", empty)
    for line in lines:
        network, taken, _, known, *_ = line.split()
        assert taken == known, line


@pytest.mark.parametrize("site", [BodySite.FACE, BodySite.ARM, BodySite.HAND, BodySite.LOWER_LEG])
def test_tone_follows_the_declared_type(site):
    measured = []
    for angle in SKIN_TYPE_ITA.values():
        pixels, skin = release(site=site, ita=angle)
        measured.append(ita(pixels, skin))
    assert stats.spearmanr(list(SKIN_TYPE_ITA.values()), measured).statistic > 0.9
    assert max(measured) - min(measured) > 60


def test_sex_age_and_site_show():
    base, _ = release(ita=34.5)
    for facts in ({"sex": Sex.MALE}, {"age": 75.0}, {"site": BodySite.HAND}):
        other, _ = release(ita=34.5, **facts)
        if other.shape == base.shape:
            assert np.abs(other.astype(int) - base).mean() > 1.0, facts


def test_codes_turn_the_light_of_hair_and_of_the_backdrop(monkeypatch):
    """Each its own, dark to light; the skin's tone is the declared one's at both ends."""
    drawn = randomness.symmetric

    def with_codes(*codes: float) -> tuple[np.ndarray, np.ndarray]:
        def symmetric(root: bytes, purpose: bytes, count: int) -> np.ndarray:
            if purpose == randomness.CODES:
                return np.asarray(codes, np.float32)
            return drawn(root, purpose, count)

        monkeypatch.setattr(randomness, "symmetric", symmetric)
        pixels, skin = release(ita=34.5)
        return pixels.astype(float), skin

    base, skin = with_codes(0, 0)
    y = np.arange(len(base))[:, None] < 0.6 * len(base)  # above the collar
    blue = base[..., 2] - base[..., 0]
    backdrop, hair = (blue > 30) & y, (blue < 10) & (base.mean(-1) < 100) & y & ~skin
    assert backdrop.mean() > 0.05 and hair.mean() > 0.05
    turned = []
    for code in ((1, 0), (0, 1)):
        (dark, _), (light, _) = (with_codes(*(sign * v for v in code)) for sign in (-1, 1))
        turned.append([(light - dark)[where].mean() for where in (hair, backdrop)])
        assert abs(ita(light.astype(np.uint8), skin) - ita(dark.astype(np.uint8), skin)) < 3
    (hair_by_first, backdrop_by_first), (hair_by_second, backdrop_by_second) = turned
    assert hair_by_first > 12 and hair_by_first > 2 * abs(backdrop_by_first)
    assert backdrop_by_second > 12 and backdrop_by_second > 2 * abs(hair_by_second)


def test_demo(tmp_path, capsys):
    assert demo.run(str(tmp_path / "demo")) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "demo" / "contact_sheet.png") in out
    assert len(list((tmp_path / "demo" / "release").glob("*.png"))) == 8
    assert not (tmp_path / "demo" / "release" / "contact_sheet.png").exists()
