"""Sizes of a model: a frozen description that travels with the weights, and the networks it names."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from jaxderm.attributes import CONDITION_SIZE, Sex
from jaxderm.models.autoencoder import Autoencoder
from jaxderm.models.discriminator import Discriminator, PatchCritic
from jaxderm.models.generator import Generator, Posterior
from jaxderm.models.refiner import EVIDENCE, SEEN, PatchDiscriminator, Refiner

# What is no size of a network: the activations' type, and what only a release reads.
RELEASED = ("dtype", "truncation", "face_strength", "photographs")


@dataclasses.dataclass(frozen=True)
class Photographs:
    """What a refiner may be asked for as photographs, by what those that it was trained on show, and what it does to age.

    ages_female, ages_male (years), tones (ITA, degrees): least and most; older_female, older_male: years that a person
    looks older than the exemplar.
    """

    ages_female: tuple[float, float] = (0.0, 120.0)
    ages_male: tuple[float, float] = (0.0, 120.0)
    tones: tuple[float, float] = (-90.0, 90.0)
    older_female: float = 0.0
    older_male: float = 0.0

    def __post_init__(self) -> None:
        for name in ("ages_female", "ages_male", "tones"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name}: {least:g} is more than {most:g}")
            object.__setattr__(self, name, (float(least), float(most)))  # a list, read from JSON

    def ages(self, sex: Sex) -> tuple[float, float]:
        """Least and most age of a sex; what both have of an unspecified one."""
        both = {Sex.FEMALE: self.ages_female, Sex.MALE: self.ages_male}
        least, most = zip(*both.values())
        return both.get(sex, (max(least), min(most)))

    def older(self, sex: Sex) -> float:
        """Years that a person of a sex looks older than the exemplar; the least of an unspecified one."""
        both = {Sex.FEMALE: self.older_female, Sex.MALE: self.older_male}
        return both.get(sex, min(both.values()))


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Sizes of the networks; `PRESETS` holds 64 (tests), 128 and 256, `COMPACT` a fast 256."""

    size: int = 128
    reduction: int = 8
    channels: int = 12
    encoder_width: int = 64
    decoder_width: int = 160
    base: int = 256
    z_size: int = 128
    code_size: int = 8
    condition_size: int = CONDITION_SIZE
    dtype: str = "float32"
    exemplars: bool = False  # a refiner of exemplars, in pixels, is the generator
    refiner_width: int = 32
    # At a release: how far z goes from its mean, near which no draw is an outlier.
    truncation: float = 1.0
    # At a release, of a refiner: strength of its change in the inner face, and what it may be asked for.
    face_strength: float = 1.0
    photographs: Photographs = Photographs()

    def __post_init__(self) -> None:
        if isinstance(self.photographs, dict):  # read from JSON
            object.__setattr__(self, "photographs", Photographs(**self.photographs))
        if self.exemplars and self.reduction != 1:
            raise ValueError("a refiner of exemplars works in pixels: set reduction to 1")
        if self.reduction == 1 and self.channels != 3:
            raise ValueError("reduction 1 works in pixels: set channels to 3")
        if self.size % (4 * self.reduction):
            raise ValueError(f"size {self.size} is not a multiple of {4 * self.reduction}")
        for name in ("z_size", "code_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} is not at least 1")
        for name in ("truncation", "face_strength"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name):g} is not between 0 and 1")

    @property
    def grid(self) -> int:
        """Side of the latent."""
        return self.size // self.reduction

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored beside the weights."""
        return dataclasses.asdict(self)

    def autoencoder(self) -> Autoencoder:
        """The autoencoder of this size."""
        return Autoencoder(
            self.channels, self.reduction, self.encoder_width, self.decoder_width, self._dtype
        )

    @property
    def of_networks(self) -> "ModelSpec":
        """The same networks, without the activations' type and what only a release reads."""
        released = {f.name: f.default for f in dataclasses.fields(self) if f.name in RELEASED}
        return dataclasses.replace(self, **released)

    @property
    def evidence_channels(self) -> int:
        """What the generator sees: kept pixels, mask, landmarks, and a refiner's exemplar and window."""
        return SEEN if self.exemplars else EVIDENCE

    def generator(self) -> Generator | Refiner:
        """The generator of this size."""
        if self.exemplars:
            return Refiner(self.refiner_width, self._dtype, self.truncation)
        return Generator(self.grid, self.channels, self.base, self._dtype, self.truncation)

    def posterior(self) -> Posterior:
        """The posterior encoder of this size (training only)."""
        return Posterior(self.z_size, self.base, self._dtype)

    def discriminator(self) -> Discriminator | PatchDiscriminator:
        """The discriminator of this size (training only)."""
        if self.exemplars:
            return PatchDiscriminator(
                self.condition_size, self.code_size, 2 * self.refiner_width, self._dtype
            )
        return Discriminator(self.condition_size, self.code_size, self.base, self._dtype)

    def critic(self) -> PatchCritic:
        """The critic of decoded frames (training only)."""
        return PatchCritic(dtype=self._dtype)

    @property
    def _dtype(self) -> Any:
        return jnp.dtype(self.dtype)


PRESETS = {
    64: ModelSpec(size=64, encoder_width=24, decoder_width=48, base=64, z_size=64),
    128: ModelSpec(size=128),
    256: ModelSpec(
        size=256, channels=16, encoder_width=96, decoder_width=224, base=384, z_size=256
    ),
}
# By (size, reduction). 256 px from 16x16 latents: little more work a release than 128 px. Not trained yet.
COMPACT = {(256, 16): ModelSpec(size=256, reduction=16, channels=40, z_size=256)}
