"""jaxderm: publish the lesion, not the patient.

    from jaxderm import Attributes, Deidentifier
    releases = Deidentifier.load("default")(photo, mask, Attributes(...), seed=0, candidates=4)

Rooms, top to bottom (a room imports only from rooms above it): errors, storage, attributes, photo and
dicom, frame, models, data, train, release, evaluate, case, commands, cli. What ships is a refiner of rendered
people (data/exemplars.py, models/refiner.py), not the design's generator in a latent: BUILD.md says why.
"""

from jaxderm.attributes import Attributes

__version__ = "0.1.0"
__all__ = ["Attributes", "Deidentifier", "__version__"]


def __getattr__(name: str):
    # Deidentifier brings jax in: only who asks for it waits for that.
    if name == "Deidentifier":
        from jaxderm.release.synthesize import Deidentifier

        return Deidentifier
    raise AttributeError(f"module 'jaxderm' has no attribute '{name}'")
