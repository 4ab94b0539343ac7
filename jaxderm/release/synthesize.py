"""Deidentifier: a loaded model that releases photographs, the lesion exact, the rest generated."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jaxderm import frame as framing
from jaxderm.attributes import ADULT_AGE, Attributes, BodySite, Sex, Source, View, encode
from jaxderm.data.exemplars import DRAWS, Choice, Exemplar
from jaxderm.data.proportions import ordinary
from jaxderm.errors import InputError
from jaxderm.models.spec import ModelSpec
from jaxderm.photo import Photo
from jaxderm.release import randomness
from jaxderm.release.appearance import portrayed
from jaxderm.release.compose import compose
from jaxderm.release.detail import detailed
from jaxderm.release.engine import Engine, Generated
from jaxderm.release.facts import Case, Fact, resolve
from jaxderm.release.loading import load_engine
from jaxderm.release.microbatches import Microbatches
from jaxderm.release.output import Release, document_of
from jaxderm.release.settle import settled
from jaxderm.release.shape import reshaped
from jaxderm.release.skin import rim_of
from jaxderm.release.tone import calibrate

OTHERS = 8  # candidates in a row that show other people
GROWN, LESS_OLDER = (28.0, 34.0), 4.0  # years of a woman, and how many less refining adds to them


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A person before detail, tone and compositing: settled frame, exemplar if any, and what it was drawn by.

    mask [S,S], landmarks [5,2] in [0,1] of the frame; refined: whether it shall look like a photograph.
    """

    root: bytes
    generated: Generated
    person: Exemplar | None
    refined: bool
    mask: np.ndarray
    landmarks: np.ndarray


class Deidentifier:
    """A model, compiled for this machine; any number of threads may call it at once."""

    def __init__(self, engine: Engine, model: dict[str, str]) -> None:
        self.engine, self.model = engine, model
        self._frames = Microbatches(engine)

    @classmethod
    def load(cls, name: str = "default", dtype: str | None = None) -> "Deidentifier":
        """Load and compile a model by name, weight-file path or artefact; InputError lists the names.

        dtype: float32 or bfloat16 activations; the model's own by default.
        """
        return cls(*load_engine(name, dtype))

    def resolve(
        self, photo: Photo | np.ndarray, mask: np.ndarray, attributes: Attributes, **options
    ) -> Case:
        """The case of a photo and mask: see `facts.resolve` for the options."""
        return resolve(photo, mask, attributes, self.engine.spec.size, **options)

    def __call__(
        self,
        photo: Photo | np.ndarray,
        mask: np.ndarray,
        attributes: Attributes,
        *,
        seed: int = 0,
        candidates: int = 1,
        identity_key: bytes | None = None,
        patient: str | None = None,
        style_seed: int | None = None,
        **options,
    ) -> list[Release]:
        """Releases of a photo [H,W,3] uint8 with mask [H,W] bool, one a candidate.

        seed: who the stranger is; identity_key with patient: one stranger for all photos of a patient. style_seed: whose
        fine styles (texture, colours) the stranger has, if not their own (style mixing, Karras 2019).
        options: landmarks, measure_tone, margin, frame, pixels_per_cm, force, facts (`facts.resolve`).
        """
        case = self.resolve(photo, mask, attributes, **options)
        return list(self.releases(case, seed, range(candidates), identity_key, patient, style_seed))

    def release(
        self,
        case: Case,
        seed: int = 0,
        candidate: int = 0,
        identity_key: bytes | None = None,
        patient: str | None = None,
    ) -> Release:
        """One release of a case: a pure function of kept pixels, kept mask, facts and seed."""
        (release,) = self.releases(case, seed, (candidate,), identity_key, patient)
        return release

    def releases(
        self,
        case: Case,
        seed: int,
        candidates: Iterable[int],
        identity_key: bytes | None = None,
        patient: str | None = None,
        style_seed: int | None = None,
    ) -> Iterator[Release]:
        """Releases of a case by candidate number: drawn together, composed one at a time."""
        policy = "kept" if identity_key is None else "hmac"
        for number, drawn in self.drawn(case, seed, candidates, identity_key, patient, style_seed):
            origin = {"policy": policy, "seed": seed, "candidate": number}
            if style_seed is not None:
                origin["style_seed"] = style_seed
            yield self._finish(case, drawn, origin)

    def drawn(
        self,
        case: Case,
        seed: int,
        candidates: Iterable[int],
        identity_key: bytes | None = None,
        patient: str | None = None,
        style_seed: int | None = None,
    ) -> Iterator[tuple[int, "Drawn"]]:
        """(candidate number, frame as the model draws and settles it) of a case: all drawn together."""
        if identity_key is not None and not patient:
            raise InputError(
                "identity_key needs a patient id: give --patient, or a patient column."
            )
        numbers = list(candidates)
        spec = self.engine.spec
        x0, y0, x1, y1 = case.frame.inside(*case.kept.shape)
        kept = case.kept[y0:y1, x0:x1]
        kept_pixels = case.photo[y0:y1, x0:x1][kept]

        def root_of(number: int, of: int = seed) -> bytes:
            if identity_key is not None:
                return randomness.keyed_digest(identity_key, patient, of, number)
            return randomness.digest(of, kept_pixels, kept, number)

        roots = [root_of(number) for number in numbers]
        fine_of = [None if style_seed is None else root_of(n, style_seed) for n in numbers]
        pixels, mask = framing.evidence(case.photo, case.kept, case.frame, spec.size)
        landmarks = ordinary(case.landmarks_in_frame, case.attributes, mask)
        asked = asked_of(case.attributes, spec)
        refined = asked.source is Source.PHOTO  # a render stays as its exemplar
        age = likeness_of(case.attributes, spec).age
        aged = age is not None and asked.age > case.attributes.age
        evidence = {
            "pixels": pixels,
            "mask": mask,
            "landmarks": landmarks,
            "condition": encode(asked),
        }
        steady = identity_key is not None
        people = self.exemplars(case, mask, landmarks, numbers, root_of, steady)
        drawn = self._frames(
            [
                {
                    **evidence,
                    "z": randomness.styles(root, other, spec.z_size),
                    "codes": randomness.symmetric(root, randomness.CODES, spec.code_size),
                    **({} if person is None else {"exemplar": scaled(person.picture)}),
                }
                for root, other, person in zip(roots, fine_of, people)
            ]
        )
        for number, root, person, generated in zip(numbers, roots, people, drawn):
            frame = self._checked(generated.frame)
            if refined and person is not None:
                frame = settled(frame, person, mask, landmarks, age, aged, case.attributes.sex)
            generated = dataclasses.replace(generated, frame=frame)
            yield number, Drawn(root, generated, person, refined, mask, landmarks)

    def exemplars(
        self,
        case: Case,
        mask: np.ndarray,
        landmarks: np.ndarray,
        numbers: Sequence[int],
        root_of: Callable[[int], bytes],
        steady: bool = False,
    ) -> list[Exemplar | None]:
        """Exemplars of candidates, by named facts, kept mask and seed, on a scalp by kept's rim; None without a bank.

        Of each OTHERS candidates none shows a person of one before, whether it is asked for or not, so that a
        candidate is the same alone and among others.
        """
        bank = self.engine.bank
        if bank is None:
            return [None] * len(numbers)
        facts = likeness_of(case.attributes, self.engine.spec)
        landmarks = landmarks.astype(np.float64)
        rim = None
        if facts.site is BodySite.SCALP:
            margin = case.facts["margin_px"].value
            rim = rim_of(case.photo, case.kept, case.frame, margin, facts.ita)
        chosen: dict[int, Choice] = {}
        for number in numbers:
            first = number - number % OTHERS
            for n in range(first, number + 1):
                if n not in chosen:
                    before = [int(bank.people[chosen[k].entry]) for k in range(first, n)]
                    draws = randomness.uniform(root_of(n), randomness.EXEMPLAR, DRAWS)
                    chosen[n] = bank.choose(facts, landmarks, mask, draws, steady, before, rim)
        return [bank.draw(chosen[n], facts, landmarks, self.engine.spec.size) for n in numbers]

    def _checked(self, frame: np.ndarray) -> np.ndarray:
        if not np.isfinite(frame).all():
            raise InputError(
                f"model '{self.model['name']}' drew values that are not finite; its weights are damaged, "
                "or its dtype is too coarse for it."
            )
        return frame

    def _finish(self, case: Case, drawn: "Drawn", seed: dict[str, Any]) -> Release:
        frame, skin = drawn.generated.frame, None
        if drawn.person is not None and drawn.refined:
            of_case = drawn.mask, drawn.landmarks, case.attributes
            frame = as_photograph(frame, drawn.person, *of_case, drawn.root)
        elif drawn.person is not None:
            skin = drawn.person.skin / np.float32(255)
        frame = calibrate(frame, case.attributes, drawn.landmarks, skin)
        composed = compose(
            case.photo,
            case.kept,
            frame,
            case.frame,
            case.facts["margin_px"].value,
            randomness.generator(drawn.root, randomness.GRAIN),
            ita=case.attributes.ita,
        )
        model: dict[str, Any] = dict(self.model)
        if drawn.generated.microbatch != self.engine.microbatch:
            model["microbatch"] = drawn.generated.microbatch  # bytes may differ by a level: said
        x0, y0, x1, y1 = rectangle = case.frame.inside(*case.kept.shape)
        kept = case.kept[y0:y1, x0:x1]
        document = document_of(case, rectangle, kept, model, seed)
        return Release(composed, kept, document, case.warnings)


def as_photograph(
    frame: np.ndarray,
    person: Exemplar,
    mask: np.ndarray,
    landmarks: np.ndarray,
    facts: Attributes,
    root: bytes,
) -> np.ndarray:
    """Settled frame [S,S,3] in [-1,1] with the skin, the shape and the detail of a photograph, by what a root draws.

    mask [S,S]: what is kept; landmarks [5,2] in [0,1] of the frame.
    """

    def drawn(step, purpose):
        return step(frame, person, mask, landmarks, facts, randomness.generator(root, purpose))

    frame = drawn(portrayed, randomness.APPEARANCE)
    frame, person = drawn(reshaped, randomness.SHAPE)
    return drawn(detailed, randomness.DETAIL)


def asked_of(facts: Attributes, spec: ModelSpec) -> Attributes:
    """What a generator is asked for by facts: a refiner for the nearest that its photographs showed, and no child.

    No photograph that it saw was labelled with a view or a scale; asked for one with them, it draws ghosts. The
    exemplar and the tone calibration have the facts themselves.
    """
    if not spec.exemplars or facts.source is not Source.PHOTO:
        return facts
    age, ita = facts.age, facts.ita
    if age is not None and age < ADULT_AGE:  # stays as rendered
        return dataclasses.replace(facts, source=Source.RENDER)
    return dataclasses.replace(
        facts,
        view=View.UNSPECIFIED,
        field_cm=None,
        age=None if age is None else float(np.clip(age, *spec.photographs.ages(facts.sex))),
        ita=None if ita is None else float(np.clip(ita, *spec.photographs.tones)),
    )


def likeness_of(facts: Attributes, spec: ModelSpec) -> Attributes:
    """Whom an exemplar shall show: an adult who is refined to a photograph is younger by what that adds to the years.

    It adds them to the young; a grown woman looks as old as her exemplar.
    """
    if facts.source is not Source.PHOTO or facts.age is None or facts.age < ADULT_AGE:
        return facts
    older = spec.photographs.older(facts.sex)
    if facts.sex is Sex.FEMALE and older:
        older -= float(np.interp(facts.age, GROWN, (0, LESS_OLDER)))
    return dataclasses.replace(facts, age=max(facts.age - older, ADULT_AGE))


def scaled(picture: np.ndarray) -> np.ndarray:
    """Bytes as the networks take them: [-1,1] float32."""
    return picture.astype(np.float32) / 127.5 - 1


__all__ = ["Case", "Deidentifier", "Fact", "Release"]
