"""DICOM photographs are read exactly, or refused with one sentence that quotes nothing of the file."""

import io
import sys
import warnings

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_files import PLANTED, dicom_file
from PIL import Image
from pydicom.uid import (
    MPEG2MPML,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)  # fmt: skip

from jaxderm import photo as photos
from jaxderm.dicom import read
from jaxderm.errors import InputError


def picture(height: int = 33, width: int = 46) -> np.ndarray:
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 200, height * width * 3).reshape(height, width, 3)
    return (ramp + random.integers(0, 56, ramp.shape)).astype(np.uint8)


def grey_rgb(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, -1)


def test_uncompressed_colour_and_grey(tmp_path):
    rgb = picture()
    found = photos.read_photo(dicom_file(tmp_path / "a.dcm", rgb))
    np.testing.assert_array_equal(found.pixels, rgb)
    assert found.conversion == () and found.alpha is None
    planar = rgb.transpose(2, 0, 1).tobytes()
    path = dicom_file(tmp_path / "b.dcm", rgb, PlanarConfiguration=1, PixelData=planar)
    np.testing.assert_array_equal(photos.read_photo(path).pixels, rgb)
    grey = np.ascontiguousarray(rgb[..., 0])
    path = dicom_file(tmp_path / "c.dcm", 255 - grey, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(photos.read_photo(path).pixels, grey_rgb(grey))
    deep = grey.astype(np.uint16) * 257 + np.uint16(90)
    path = dicom_file(tmp_path / "d.dcm", np.minimum(deep, 65535))
    found = photos.read_photo(path)
    np.testing.assert_array_equal(found.pixels, grey_rgb(grey))
    assert "16 bit to 8 bit, rounded" in found.conversion


@pytest.mark.parametrize("kind", read.KINDS)
def test_kinds_that_hold_photographs(tmp_path, kind):
    path = dicom_file(tmp_path / "a.dcm", picture(), SOPClassUID=kind, NumberOfFrames=1)
    np.testing.assert_array_equal(photos.read_photo(path).pixels, picture())
    data = open(path, "rb").read()
    np.testing.assert_array_equal(photos.read_photo("upload", data).pixels, picture())


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    path = dicom_file(tmp_path / "a.dcm", picture())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.delitem(sys.modules, "jaxderm.dicom.read")
    with pytest.raises(InputError, match=r"pip install jaxderm\[dicom\]"):
        photos.read_photo(path)


def test_palette(tmp_path):
    index = np.arange(256, dtype=np.uint8).reshape(16, 16)
    table = (np.arange(256)[::-1] * 257).astype("<u2").tobytes()
    values = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        values[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        values[f"{colour}PaletteColorLookupTableData"] = table
    path = dicom_file(tmp_path / "p.dcm", index, ImplicitVRLittleEndian, **values)
    np.testing.assert_array_equal(photos.read_photo(path).pixels, grey_rgb(255 - index))


@pytest.mark.parametrize(
    "syntax, encode, photometric",
    [
        (JPEGLSLossless, imagecodecs.jpegls_encode, "RGB"),
        (JPEGLosslessSV1, lambda a: imagecodecs.jpeg8_encode(a, lossless=True), "RGB"),
        (
            JPEG2000Lossless,
            lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=True, level=0),
            "YBR_RCT",
        ),
        (HTJ2KLossless, lambda a: imagecodecs.htj2k_encode(a, reversible=True), "YBR_RCT"),
    ],
)
def test_lossless_compressions_are_exact(tmp_path, syntax, encode, photometric):
    for values, space in ((picture(), photometric), (picture()[..., 1].copy(), "MONOCHROME2")):
        path = dicom_file(tmp_path / "a.dcm", values, syntax, encode(values))
        dataset = pydicom.dcmread(path)
        dataset.PhotometricInterpretation = space
        dataset.save_as(path)
        found = photos.read_photo(path)
        np.testing.assert_array_equal(
            found.pixels, values if values.ndim == 3 else grey_rgb(values)
        )
        assert syntax.name in found.conversion[0]


def test_run_lengths_and_jpeg(tmp_path):
    rgb = picture()
    path = dicom_file(tmp_path / "a.dcm", rgb)
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(path)
    np.testing.assert_array_equal(photos.read_photo(path).pixels, rgb)
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=90)
    values = {"PhotometricInterpretation": "YBR_FULL_422"}
    path = dicom_file(tmp_path / "b.dcm", rgb, JPEGBaseline8Bit, stream.getvalue(), **values)
    difference = photos.read_photo(path).pixels.astype(int) - np.asarray(Image.open(stream))
    assert np.abs(difference).max() <= 1


def test_icc_profile_goes_the_way_of_every_photo(tmp_path):
    path = dicom_file(tmp_path / "a.dcm", picture(), ICCProfile=b"no profile")
    assert "embedded ICC profile unusable, ignored" in photos.read_photo(path).conversion


@pytest.mark.parametrize(
    "values, words",
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "another kind (CT Image Storage)"),
        ({"SOPClassUID": "1.2.826.7.7.7"}, "another kind (no photograph)"),
        ({"NumberOfFrames": 3}, "holds 3 frames"),
        ({"Rows": 100}, "cannot be decoded"),
        ({"Rows": 60000, "Columns": 60000}, "megapixels"),
        ({"PhotometricInterpretation": "XANTHIPPE"}, "colour space"),
        ({"PixelAspectRatio": [1, 2]}, "not square"),
        ({"BitsStored": 77}, "cannot be decoded"),
    ],
)
def test_refusals_name_the_reason_and_nothing_of_the_file(tmp_path, values, words, capfd):
    path = dicom_file(tmp_path / "a.dcm", picture(), **values)
    with pytest.raises(InputError) as caught:
        photos.read_photo(path)
    sentence = str(caught.value)
    assert words in sentence and path in sentence and sentence.count("\n") == 0
    printed = sentence + "".join(capfd.readouterr())
    assert not any(name.lower() in printed.lower() for name in PLANTED)


def test_the_library_quotes_nothing_of_the_file(tmp_path, capfd, caplog):
    """pydicom warns and logs with the odd value in the sentence: neither may reach a terminal or a log."""
    pixels = np.full((40, 50, 3), 120, np.uint8)
    path = dicom_file(tmp_path / "a.dcm", pixels, SpecificCharacterSet="XANTHIPPE")
    capfd.readouterr(), caplog.clear()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(photos.read_photo(path).pixels, pixels)
    assert not [str(w.message) for w in heard if "XANTHIPPE" in str(w.message)]
    assert "XANTHIPPE" not in caplog.text + "".join(capfd.readouterr())
    with pytest.warns(UserWarning, match="XANTHIPPE"):  # it would have
        pydicom.dcmread(path)


def test_compressions_that_are_not_read_and_damage(tmp_path):
    rgb = picture()
    for syntax, words in ((MPEG2MPML, "MPEG2"), (JPEG2000Lossless, "damaged")):
        path = dicom_file(tmp_path / "a.dcm", rgb, syntax, b"x" * 100)
        with pytest.raises(InputError, match=words):
            photos.read_photo(path)
    whole = (tmp_path / "b.dcm").write_bytes
    data = open(dicom_file(tmp_path / "c.dcm", rgb), "rb").read()
    for end in (140, 300, 700, len(data) - 50):
        whole(data[:end])
        with pytest.raises(InputError):
            photos.read_photo(tmp_path / "b.dcm")
