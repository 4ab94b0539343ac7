"""A release and the four files it becomes."""

import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxderm import storage
from jaxderm.attributes import BodySite
from jaxderm.errors import InputError
from jaxderm.frame import share_of_frame
from jaxderm.photo import encode_png
from jaxderm.release import manifest
from jaxderm.release.credentials import Credentials
from jaxderm.release.facts import Case
from jaxderm.storage import Folder


@dataclasses.dataclass(frozen=True)
class Release:
    """A release: pixels [h,w,3] uint8, kept [h,w] bool, the manifest without its output, warnings."""

    pixels: np.ndarray
    kept: np.ndarray
    manifest: dict[str, Any]
    warnings: tuple[str, ...]
    credentials: Credentials | None = None

    def png(self) -> bytes:
        """PNG of the pixels, labelled by its digital source type, and signed where credentials are given."""
        generated = self.manifest["model"]["sha256"] is not None
        source = manifest.SOURCE_TYPE if generated else manifest.MASKED_SOURCE_TYPE
        png = encode_png(self.pixels, manifest.xmp(source))
        return png if self.credentials is None else self.credentials.sign(png)

    def dicom(self, laterality: str | None = None, audited: bool = False) -> bytes:
        """DICOM file of the pixels (`dicom.write.encode_dicom`); InputError without pydicom."""
        if self.manifest["model"]["sha256"] is None:
            raise InputError("a DICOM release is for --method gan; write a .png.")
        if max(self.pixels.shape) > 65535:
            raise InputError("a DICOM picture has at most 65,535 pixels a side; write a .png.")
        try:
            from jaxderm.dicom import read, write
        except ModuleNotFoundError:
            raise InputError(
                "a DICOM release needs pydicom: pip install 'jaxderm[dicom]'."
            ) from None
        facts = self.manifest["facts"]
        return write.encode_dicom(
            self.pixels,
            site=BodySite(facts["site"]["value"]),
            laterality=laterality,
            pixels_per_cm=facts["pixels_per_cm"]["value"],
            burned_in=read.BURNED_IN in self.manifest["conversion"],
            audited=audited,
        )

    def files(self, path: str | os.PathLike) -> dict[Path, bytes]:
        """{name: bytes} of OUT.png (or OUT.dcm), OUT.mask.png, OUT.legend.txt and OUT.json, the manifest last."""
        out = Path(path)
        picture = self.dicom() if out.suffix.lower() == ".dcm" else self.png()
        document = {
            **self.manifest,
            "output": {
                "sha256": hashlib.sha256(picture).hexdigest(),
                "width": self.pixels.shape[1],
                "height": self.pixels.shape[0],
            },
        }
        return {
            out: picture,
            out.with_suffix(".mask.png"): encode_png(self.kept),
            out.with_suffix(".legend.txt"): manifest.legend(document).encode(),
            out.with_suffix(".json"): manifest.dump(document),
        }

    def save(self, path: str | os.PathLike) -> None:
        """Write the four files beside each other: see `save_to`."""
        folder, name = storage.split(path)
        self.save_to(storage.folder(folder), name)

    def save_to(self, folder: Folder, name: str) -> None:
        """Write the four files; the manifest last, so that a release with one is complete."""
        written: list[str] = []
        files = self.files(name)
        try:
            for file, data in files.items():
                if len(written) == len(files) - 1:
                    folder.settle()
                folder.write(str(file), data)
                written.append(str(file))
        except InputError:
            with contextlib.suppress(InputError):
                for file in written:
                    folder.delete(file)
            raise


def document_of(
    case: Case,
    rectangle: tuple[int, int, int, int],
    kept: np.ndarray,
    model: dict[str, Any],
    seed: dict[str, Any],
) -> dict[str, Any]:
    """Manifest of a release of a case (without "output"): kept [h,w] on its rectangle."""
    x0, y0, x1, y1 = rectangle
    return manifest.make_manifest(
        model=model,
        rectangle=rectangle,
        kept=kept,
        kept_pixels=case.photo[y0:y1, x0:x1][kept],
        margin_px=case.facts["margin_px"].value,
        share_of_frame=share_of_frame(case.kept, case.frame),
        facts=case.facts,
        seed=seed,
        conversion=case.conversion,
        warnings=case.warnings,
    )
