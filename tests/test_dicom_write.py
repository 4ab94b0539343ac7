"""DICOM releases: pixels exact, PS3.15 stated, valid, and nothing of the photograph's own file in them."""

import io
import json
import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from dicom_files import PLANTED, dicom_file
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import photo_and_mask, weight_file

from jaxderm import cli
from jaxderm.attributes import BodySite
from jaxderm.dicom.read import VL_PHOTOGRAPHIC
from jaxderm.dicom.write import encode_dicom
from jaxderm.photo import encode_png, read_photo

STRICT = pydicom.config.RAISE


def parsed(data: bytes) -> pydicom.Dataset:
    """The data set, with every value checked by pydicom's validator."""
    old = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = STRICT
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        for element in dataset.iterall():
            assert not element.tag.is_private and element.value is not None
        pydicom.dataset.validate_file_meta(dataset.file_meta)
    finally:
        pydicom.config.settings.reading_validation_mode = old
    return dataset


def methods(dataset: pydicom.Dataset) -> list[str]:
    return [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(list(BodySite)),
    st.sampled_from([None, "left", "right", "bilateral", "midline"]), st.booleans(), st.booleans(),
    st.one_of(st.none(), st.floats(0.5, 5000)),
)  # fmt: skip
def test_round_trip_and_profile(height, width, site, side, burned_in, audited, scale):
    rng = np.random.default_rng(height * 41 + width)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    options = dict(site=site, laterality=side, burned_in=burned_in, audited=audited)
    data = encode_dicom(pixels, pixels_per_cm=scale, **options)
    assert data == encode_dicom(pixels, pixels_per_cm=scale, **options)
    dataset = parsed(data)
    np.testing.assert_array_equal(dataset.pixel_array, pixels)
    assert dataset.SOPClassUID == VL_PHOTOGRAPHIC and dataset.Modality == "XC"
    assert dataset.PatientIdentityRemoved == "YES" and dataset.SyntheticData == "YES"
    assert dataset.LongitudinalTemporalInformationModified == "REMOVED"
    found = methods(dataset)
    assert "113100" in found
    assert ("113101" in found) == (not burned_in) == (dataset.BurnedInAnnotation == "NO")
    assert ("113102" in found) == audited == (dataset.get("RecognizableVisualFeatures") == "NO")
    assert dataset.get("ImageLaterality") == (
        {"left": "L", "right": "R", "bilateral": "B", "midline": "U"}[side] if side else None
    )
    if scale:
        assert float(dataset.PixelSpacing[0]) == pytest.approx(10 / scale, rel=1e-4)
    uids = {dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID}
    assert len(uids) == 3 and all(uid.startswith("2.25.") and uid.is_valid for uid in uids)


def test_read_back_by_jaxderm_without_conversion(tmp_path):
    pixels, _ = photo_and_mask(31, 45)
    (tmp_path / "a.dcm").write_bytes(encode_dicom(pixels))
    read = read_photo(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read.pixels, pixels)
    assert read.conversion == ()


@pytest.mark.parametrize("side", ["left", None])
def test_validators_find_no_error(tmp_path, side):
    """pydicom's validator, and dciodvfy (Debian package dicom3tools) where it is installed."""
    pixels, _ = photo_and_mask(33, 47)
    path = tmp_path / "a.dcm"
    path.write_bytes(
        encode_dicom(pixels, site=BodySite.FACE, laterality=side, pixels_per_cm=50.0, audited=True)
    )
    parsed(path.read_bytes())
    if tool := shutil.which("dciodvfy"):
        done = subprocess.run([tool, "-new", path], capture_output=True, text=True, timeout=60)
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        # Synthetic Data is younger than some versions of the tool.
        assert [line for line in errors if "(0008,001c)" not in line] == []
        assert "VLPhotographicImage" in done.stderr


def test_deidentify_from_dicom_to_dicom(tmp_path, capfd):
    photo, mask = photo_and_mask(180, 200)
    source = dicom_file(tmp_path / "Xanthippe.dcm", photo, BurnedInAnnotation="YES")
    (tmp_path / "mask.png").write_bytes(encode_png(mask))
    out = tmp_path / "out"
    out.mkdir()
    argv = ["jaxderm", "deidentify", "--photo", source, "--mask", str(tmp_path / "mask.png"),
            "--site", "arm", "--age", "40", "--skin_type", "II", "--model", str(weight_file()),
            "--candidates", "2", "--pixels_per_cm", "40"]  # fmt: skip
    assert cli.main([*argv, "--output", str(out / "y.dcm")]) == 0
    printed = "".join(capfd.readouterr())
    names = {"y.dcm", "y.mask.png", "y.json", "y.legend.txt"}
    assert {p.name for p in out.iterdir()} == names | {n.replace("y", "y-1", 1) for n in names}
    dataset = parsed((out / "y.dcm").read_bytes())
    assert dataset.BurnedInAnnotation == "YES" and "113101" not in methods(dataset)
    kept = read_photo(out / "y.mask.png").pixels[..., 0] > 0
    frame = json.loads((out / "y.json").read_text())["frame"]
    x, y = frame["x"], frame["y"]
    part = photo[y : y + frame["height"], x : x + frame["width"]]
    np.testing.assert_array_equal(dataset.pixel_array[kept], part[kept])
    for text in (printed.encode(), *(path.read_bytes() for path in out.iterdir())):
        assert not any(name.lower().encode() in text.lower() for name in PLANTED)
    assert cli.main([*argv, "--output", str(out / "z.dcm"), "--method", "blur"]) == 2
    assert ".png" in capfd.readouterr().err and not (out / "z.dcm").exists()
