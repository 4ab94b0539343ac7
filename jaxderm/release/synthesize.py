"""Deidentifier: a loaded model that releases photographs, the lesion exact, the rest generated."""

import numpy as np

from jaxderm import frame as framing
from jaxderm.attributes import Attributes, encode
from jaxderm.errors import InputError
from jaxderm.photo import Photo
from jaxderm.release import randomness
from jaxderm.release.compose import compose
from jaxderm.release.engine import Engine, load_engine
from jaxderm.release.facts import Case, Fact, resolve
from jaxderm.release.output import Release, document_of
from jaxderm.release.tone import calibrate


class Deidentifier:
    """A model, compiled for this machine; safe to call again and again."""

    def __init__(self, engine: Engine, model: dict[str, str]) -> None:
        self.engine, self.model = engine, model

    @classmethod
    def load(cls, name: str = "default") -> "Deidentifier":
        """Load and compile a model by name or weight-file path; InputError lists the known names."""
        return cls(*load_engine(name))

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
        **options,
    ) -> list[Release]:
        """Releases of a photo [H,W,3] uint8 with mask [H,W] bool, one a candidate.

        seed: who the stranger is; identity_key with patient: one stranger for all photos of a patient.
        options: landmarks, measure_tone, margin, frame, pixels_per_cm, force, facts (`facts.resolve`).
        """
        case = self.resolve(photo, mask, attributes, **options)
        return [
            self.release(case, seed, number, identity_key, patient) for number in range(candidates)
        ]

    def release(
        self,
        case: Case,
        seed: int = 0,
        candidate: int = 0,
        identity_key: bytes | None = None,
        patient: str | None = None,
    ) -> Release:
        """One release of a case: a pure function of kept pixels, kept mask, facts and seed."""
        spec = self.engine.spec
        x0, y0, x1, y1 = case.frame.inside(*case.kept.shape)
        kept = case.kept[y0:y1, x0:x1]
        kept_pixels = case.photo[y0:y1, x0:x1][kept]
        if identity_key is not None:
            if not patient:
                raise InputError(
                    "identity_key needs a patient id: give --patient, or a patient column."
                )
            root = randomness.keyed_digest(identity_key, patient, seed, candidate)
            policy = {"policy": "hmac", "seed": seed, "candidate": candidate}
        else:
            root = randomness.digest(seed, kept_pixels, kept, candidate)
            policy = {"policy": "kept", "seed": seed, "candidate": candidate}
        pixels, mask = framing.evidence(case.photo, case.kept, case.frame, spec.size)
        inputs = {
            "pixels": pixels,
            "mask": mask,
            "landmarks": case.landmarks_in_frame,
            "z": randomness.normal(root, randomness.Z, spec.z_size),
            "codes": randomness.symmetric(root, randomness.CODES, spec.code_size),
            "condition": encode(case.attributes),
        }
        generated = self.engine({name: value[None] for name, value in inputs.items()})[0]
        generated = calibrate(generated, case.attributes, case.landmarks_in_frame)
        composed = compose(
            case.photo,
            case.kept,
            generated,
            case.frame,
            case.facts["margin_px"].value,
            randomness.grain_generator(root),
        )
        document = document_of(case, (x0, y0, x1, y1), kept, self.model, policy)
        return Release(composed, kept, document, case.warnings)


__all__ = ["Case", "Deidentifier", "Fact", "Release"]
