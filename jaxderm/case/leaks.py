"""Guards: no generated picture is taken for a patient's, and no private word gets into print."""

import contextlib
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from jaxderm.dicom import silenced
from jaxderm.errors import InputError

MIN_LETTERS = 4
_GENERATED = re.compile(rb"digitalsourcetype/\w*trainedAlgorithmicMedia", re.IGNORECASE)
_TEXT = (".txt", ".json")
_TEXT_VR = ("LO", "SH", "LT", "ST", "UT", "UC", "DA")  # numbers would be found in a scale
_IDENTIFIERS = ("AccessionNumber", "InstitutionName", "StudyID", "StudyDate", "ContentDate")


def refuse_generated(path: str, data: bytes) -> None:
    """InputError when a picture says of itself that it is generated or simulated.

    Its own label (XMP, C2PA in plain text, DICOM's Synthetic Data) or the manifest beside it.
    """
    sentence = None
    sidecar = Path(path).with_suffix(".json")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if json.loads(sidecar.read_bytes()).get("simulated") is True:
            sentence = "a simulated picture"
    if sentence is None and (_GENERATED.search(data) or _GENERATED.search(_metadata(data))):
        sentence = "a picture that was generated already"
    if sentence is None and data[128:132] == b"DICM" and _dicom_is_synthetic(data):
        sentence = "a DICOM picture of synthetic data"
    if sentence:
        raise InputError(
            f"'{path}' is {sentence}, not the photograph of a patient: it is for teaching and cannot "
            "be released for print; give the photograph itself."
        )


def _metadata(data: bytes) -> bytes:
    """Texts of a picture's metadata that may be compressed in the file."""
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data)) as image:
        return b"\n".join(
            value.encode() if isinstance(value, str) else value
            for value in image.info.values()
            if isinstance(value, str | bytes)
        )
    return b""


def _dicom_is_synthetic(data: bytes) -> bool:
    try:
        import pydicom

        with silenced():
            dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=["SyntheticData"])
            return str(dataset.get("SyntheticData", "")) == "YES"
    except Exception:  # whatever it is, reading the photo will say what is wrong with it
        return False


def private_words(path: str, data: bytes) -> list[str]:
    """Names and numbers of the photograph's file that must never be printed.

    The file's name where it has a digit, texts of EXIF, names and identifiers of DICOM.
    """
    stem = Path(path).stem
    words = [stem] if any(c.isdigit() for c in stem) else []
    if data[128:132] == b"DICM":
        words += _dicom_words(data)
    else:
        with contextlib.suppress(Exception), Image.open(io.BytesIO(data)) as image:
            exif = image.getexif()
            entries = [*exif.values(), *exif.get_ifd(0x8769).values()]
            words += [value for value in entries if isinstance(value, str)]
    return sorted({word.strip() for word in words if len(word.strip()) >= MIN_LETTERS})


def _dicom_words(data: bytes) -> list[str]:
    import pydicom

    words = []
    with contextlib.suppress(Exception), silenced():
        for element in pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).iterall():
            if element.VR == "PN":
                words += re.split(r"[\^=\s,\\]+", str(element.value))
            elif element.VR in _TEXT_VR and (
                element.tag.group == 0x0010 or element.keyword in _IDENTIFIERS
            ):
                words.append(str(element.value))
    return words


def refuse_leaks(files: dict[str, bytes], private: Iterable[str]) -> None:
    """InputError when a text meant for print has a private word; the word itself is not repeated."""
    for name, data in files.items():
        if not name.endswith(_TEXT):
            continue
        text = data.decode("utf-8", "replace").lower()
        for word in private:
            if len(word) >= MIN_LETTERS and re.search(
                rf"(?<![^\W_]){re.escape(word.lower())}(?![^\W_])", text
            ):
                raise InputError(
                    f"{name} would contain a private word of this case (of the photograph's file, "
                    "the case_id, the patient or the consent reference); change the diagnosis, "
                    "subsite, timepoint, journal or agreement that it comes from."
                )
