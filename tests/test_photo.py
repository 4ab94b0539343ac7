"""Every kind of picture is read exactly or refused with one sentence; PNGs carry nothing else."""

import errno
import io
import os
import struct
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from jaxderm import photo as photos
from jaxderm.errors import InputError

WORDS = np.array([[0, 128, 255, 256, 257, 65535], [129, 385, 386, 32767, 32768, 65406]], np.uint16)
BYTES = np.array([[0, 0, 1, 1, 1, 255], [1, 1, 2, 127, 128, 254]], np.uint8)


def picture(height: int = 33, width: int = 47, seed: int = 0) -> np.ndarray:
    """Noise on a gradient [H,W,3] uint8."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, height * width * 3).reshape(height, width, 3)
    return (ramp + random.integers(0, 56, ramp.shape)).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def put(folder, data: bytes, name: str = "in.bin") -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def refusal(path, read=photos.read_photo) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    sentence = str(caught.value)
    assert str(path) in sentence and sentence.endswith(".") and "\n" not in sentence
    return sentence


def icc_profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A minimal ICC version 2 display profile."""
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = offset + len(body)
    white = struct.pack(">3i", 63190, 65536, 54061)  # D50
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02400000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def curve(gamma: float) -> bytes:
    return struct.pack(">4sIIH", b"curv", 0, 1, round(gamma * 256))


def xyz(*values: float) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(value * 65536) for value in values))


TEXT = b"desc" + bytes(4) + struct.pack(">I", 12) + b"SECRETPROF \0" + bytes(78)
WHITE = {b"desc": TEXT, b"wtpt": xyz(0.9642, 1.0, 0.8249)}
# Display P3 primaries, adapted to D50, with a plain gamma.
P3 = icc_profile(
    b"RGB ",
    WHITE
    | {b"rXYZ": xyz(0.5151, 0.2412, -0.0011), b"gXYZ": xyz(0.2919, 0.6922, 0.0419)}
    | {b"bXYZ": xyz(0.1572, 0.0666, 0.7841)}
    | {name: curve(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")},
)
GREY = icc_profile(b"GRAY", WHITE | {b"kTRC": curve(1.0)})


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("shape", [(33, 47), (1, 1), (64, 3)])
def test_lossless_rgb_is_read_as_it_is(tmp_path, kind, shape):
    pixels = picture(*shape)
    photo = photos.read_photo(put(tmp_path, saved(Image.fromarray(pixels), kind, lossless=True)))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.pixels.dtype == np.uint8 and photo.pixels.flags.c_contiguous
    assert (photo.alpha, photo.conversion, photo.clipped) == (None, (), None)


def test_jpeg_is_read_as_pillow_decodes_it(tmp_path):
    data = saved(Image.fromarray(picture()), "JPEG", quality=90)
    photo = photos.read_photo(put(tmp_path, data))
    assert np.array_equal(photo.pixels, np.asarray(Image.open(io.BytesIO(data))))
    assert photo.conversion == ()


def test_grey_palette_one_bit(tmp_path):
    grey = picture()[..., 0]
    photo = photos.read_photo(put(tmp_path, saved(Image.fromarray(grey), "PNG")))
    assert np.array_equal(photo.pixels, np.repeat(grey[..., None], 3, -1))
    assert photo.conversion == ("grey to RGB",)

    palette = Image.fromarray(picture()).quantize(16)
    photo = photos.read_photo(put(tmp_path, saved(palette, "PNG")))
    assert np.array_equal(photo.pixels, np.asarray(palette.convert("RGB")))
    assert photo.conversion == ("palette to RGB",)

    photo = photos.read_photo(put(tmp_path, saved(Image.fromarray(grey > 99), "TIFF")))
    assert np.array_equal(photo.pixels[..., 1], np.where(grey > 99, 255, 0))
    assert photo.conversion == ("1 bit to 8 bit", "grey to RGB")


def test_alpha(tmp_path):
    pixels = picture()
    alpha = np.full((33, 47), 255, np.uint8)

    def read(alpha: np.ndarray, kind: str = "PNG") -> photos.Photo:
        image = Image.fromarray(np.dstack([pixels, alpha]))
        return photos.read_photo(put(tmp_path, saved(image, kind, lossless=True, exact=True)))

    for kind in ("PNG", "TIFF", "WEBP"):
        photo = read(alpha, kind)
        assert photo.alpha is None and np.array_equal(photo.pixels, pixels)
    alpha[4, 5] = 254
    for kind in ("PNG", "TIFF", "WEBP"):
        photo = read(alpha, kind)
        assert np.array_equal(photo.alpha, alpha) and np.array_equal(photo.pixels, pixels)
        assert photo.conversion == ("alpha channel dropped",)
    kept = alpha == 255
    photos.require_opaque(photo, kept, "x.png")
    with pytest.raises(InputError, match=r"x\.png.* transparent in 1 of"):
        photos.require_opaque(photo, ~kept, "x.png")

    grey = Image.fromarray(pixels[..., 0])
    grey.putalpha(Image.fromarray(alpha))
    photo = photos.read_photo(put(tmp_path, saved(grey, "PNG")))
    assert np.array_equal(photo.alpha, alpha)
    assert np.array_equal(photo.pixels[..., 2], pixels[..., 0])

    palette = Image.fromarray(pixels).quantize(4)
    photo = photos.read_photo(put(tmp_path, saved(palette, "PNG", transparency=2)))
    assert np.array_equal(photo.alpha == 0, np.asarray(palette) == 2)


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """What a viewer shows, by rotations and flips rather than as the code under test does it."""
    image = values
    if orientation in (2, 4, 5, 7):
        image = np.fliplr(image)
    return np.rot90(image, {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "TIFF16", "PNG16"])
def test_orientation(tmp_path, orientation, kind):
    pixels = picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "TIFF16":
        path = str(tmp_path / "in.tif")
        words = pixels.astype(np.uint16) * 257
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, words, photometric="rgb", extratags=[tag])
        plain = pixels
    elif kind == "PNG16":
        data = imagecodecs.png_encode(pixels.astype(np.uint16) * 257)
        body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        path, plain = put(tmp_path, data[:33] + chunk + data[33:]), pixels
    else:
        options = {"lossless": True} if kind == "WEBP" else {}
        path = put(tmp_path, saved(Image.fromarray(pixels), kind, exif=exif, **options))
        plain = np.asarray(Image.open(path)) if kind == "JPEG" else pixels
    photo = photos.read_photo(path)
    assert np.array_equal(photo.pixels, turned(plain, orientation))
    named = f"EXIF orientation {orientation} applied" in photo.conversion
    assert named == (orientation != 1)


def test_a_wrong_orientation_value_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 9
    photo = photos.read_photo(put(tmp_path, saved(Image.fromarray(picture()), "PNG", exif=exif)))
    assert np.array_equal(photo.pixels, picture()) and photo.conversion == ()


@pytest.mark.parametrize("kind", ["png", "tif", "planar", "lzw", "miniswhite"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_is_rounded(tmp_path, kind, channels):
    words = WORDS if channels == 1 else np.repeat(WORDS[..., None], channels, -1)
    if channels == 4:
        words[..., 3] = 65535
        words[0, 0, 3] = 65534
    path = str(tmp_path / f"in.{kind[:3]}")
    if kind == "png":
        put(tmp_path, imagecodecs.png_encode(words), "in.png")
    elif kind == "miniswhite":
        words = 65535 - WORDS
        tifffile.imwrite(path, words, photometric="miniswhite")
    else:
        options = {"photometric": "rgb" if channels > 1 else "minisblack"}
        if kind == "planar" and channels > 1:
            words, options["planarconfig"] = np.moveaxis(words, -1, 0), "separate"
        if kind == "lzw":
            options |= {"compression": "lzw", "predictor": True}
        if channels == 4:
            options["extrasamples"] = ["unassalpha"]
        tifffile.imwrite(path, words, **options)
    photo = photos.read_photo(path)
    assert np.array_equal(photo.pixels, np.repeat(BYTES[..., None], 3, -1))
    assert photo.conversion[0] == "16 bit to 8 bit, rounded v/257"
    if channels == 4 and kind != "miniswhite":
        assert photo.alpha[0, 0] == 254 and (photo.alpha == 255).sum() == photo.alpha.size - 1


def test_sixteen_bit_transparent_colour(tmp_path):
    data = imagecodecs.png_encode(WORDS)
    body = b"tRNS" + struct.pack(">H", 256)
    chunk = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    photo = photos.read_photo(put(tmp_path, data[:33] + chunk + data[33:]))
    assert np.array_equal(photo.alpha == 0, WORDS == 256)
    assert np.array_equal(photo.pixels[..., 0], BYTES)


def test_eight_bit_files_do_not_load_the_sixteen_bit_libraries(tmp_path, monkeypatch):
    path = put(tmp_path, saved(Image.fromarray(picture()), "PNG"))
    for name in ("imagecodecs", "tifffile"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it would now fail
    assert photos.read_photo(path).pixels.shape == (33, 47, 3)


def p3_to_srgb(pixels: np.ndarray) -> np.ndarray:
    """Unclipped sRGB bytes of P3 with gamma 2.2, computed from the primaries."""
    p3 = [[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0.0, 0.04511, 1.04394]]
    srgb = [[0.41239, 0.35758, 0.18048], [0.21264, 0.71517, 0.07219], [0.01933, 0.11919, 0.95053]]
    linear = (pixels / 255.0) ** 2.2 @ (np.linalg.inv(srgb) @ np.array(p3)).T
    curved = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return 255 * np.where(linear > 0.0031308, curved, 12.92 * linear)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PNG16"])
def test_icc_is_converted_to_srgb(tmp_path, kind):
    pixels = picture()
    pixels[0, :3] = [[0, 255, 0], [255, 0, 0], [120, 120, 120]]
    if kind == "PNG16":
        words = pixels.astype(np.uint16) * 257
        data = imagecodecs.png_encode(words)
        body = b"iCCP" + b"x\0\0" + zlib.compress(P3)
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        data = data[:33] + chunk + data[33:]
    else:
        data = saved(Image.fromarray(pixels), kind, icc_profile=P3)
    photo = photos.read_photo(put(tmp_path, data))
    expected = p3_to_srgb(pixels)
    assert np.abs(photo.pixels - np.clip(expected, 0, 255)).max() <= 2
    assert photo.conversion[-1] == "ICC profile to sRGB, relative colorimetric"
    assert "SECRET" not in str(photo.conversion)
    surely = ((expected < -8) | (expected > 260)).any(-1)
    assert surely.any() and photo.clipped[surely].all()
    within = ((expected > 2) & (expected < 253)).all(-1)
    assert within.any() and not photo.clipped[within].any()


def test_srgb_profile_changes_nothing(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = photos.read_photo(
        put(tmp_path, saved(Image.fromarray(picture()), "PNG", icc_profile=srgb))
    )
    assert np.array_equal(photo.pixels, picture())
    assert photo.conversion == () and photo.clipped is None


def test_grey_icc(tmp_path):
    grey = np.arange(256, dtype=np.uint8)[None]
    photo = photos.read_photo(put(tmp_path, saved(Image.fromarray(grey), "PNG", icc_profile=GREY)))
    linear = grey / 255
    expected = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    assert np.abs(photo.pixels - 255 * expected[..., None]).max() <= 1.5
    assert photo.conversion == ("grey to RGB", "ICC profile to sRGB, relative colorimetric")
    # An RGB profile in a grey picture, then a profile that cannot be used.
    photo = photos.read_photo(put(tmp_path, saved(Image.fromarray(grey), "PNG", icc_profile=P3)))
    assert photo.conversion[-1] == "ICC profile to sRGB, relative colorimetric"
    for profile in (GREY, b"not a profile at all"):
        data = saved(Image.fromarray(picture()), "TIFF", icc_profile=profile)
        photo = photos.read_photo(put(tmp_path, data))
        assert photo.conversion == ("embedded ICC profile unusable, ignored",)
        assert np.array_equal(photo.pixels, picture())


def test_refused_files(tmp_path):
    assert "does not exist" in refusal(str(tmp_path / "none.png"))
    assert "is a folder" in refusal(str(tmp_path))
    assert "empty" in refusal(put(tmp_path, b""))
    assert "not a picture" in refusal(put(tmp_path, b"hello " * 99))
    image = Image.fromarray(picture())
    assert "GIF" in refusal(put(tmp_path, saved(image, "GIF")))
    assert "BMP" in refusal(put(tmp_path, saved(image, "BMP")))
    assert "CMYK" in refusal(put(tmp_path, saved(image.convert("CMYK"), "JPEG")))
    assert "CMYK" in refusal(put(tmp_path, saved(image.convert("CMYK"), "TIFF")))
    assert "LAB" in refusal(put(tmp_path, saved(image.convert("LAB"), "TIFF")))
    assert "float" in refusal(put(tmp_path, saved(image.convert("F"), "TIFF")))
    assert "float" in refusal(put(tmp_path, saved(image.convert("I"), "TIFF")))
    for kind in ("TIFF", "WEBP", "PNG"):
        more = {"save_all": True, "append_images": [Image.fromarray(picture(seed=1))]}
        assert "2 pictures" in refusal(put(tmp_path, saved(image, kind, **more)))
    for array in (picture().astype(np.float32), np.zeros((33, 47, 5), np.uint16)):
        tifffile.imwrite(tmp_path / "x.tif", array, photometric="rgb")
        refusal(str(tmp_path / "x.tif"))


def test_heic_without_its_library_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    sentence = refusal(put(tmp_path, b"\0\0\0\x18ftypheic" + bytes(40)))
    assert "pip install jaxderm[heic]" in sentence


def test_unreadable_file(tmp_path, monkeypatch):
    path = put(tmp_path, b"x")

    def denied(*arguments, **options):
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr("builtins.open", denied)
    assert "may not be read" in refusal(path)


def test_too_little_memory_is_not_taken_for_damage(tmp_path, monkeypatch):
    path = put(tmp_path, saved(Image.new("RGB", (4, 4)), "PNG"))

    def load(self):
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(MemoryError):
        photos.read_photo(path)


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (60_000, 60_000), (1, 2**30)])
def test_a_bomb_is_refused_by_its_header(tmp_path, width, height):
    data = saved(Image.new("RGB", (1, 1)), "PNG")
    head = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    data = data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    assert "more than 100 megapixels" in refusal(put(tmp_path, data))


def test_exactly_the_limit_is_allowed_by_the_header(tmp_path):
    data = saved(Image.new("RGB", (1, 1)), "PNG")
    head = b"IHDR" + struct.pack(">II", 10_000, 10_000) + data[24:29]
    data = data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    assert "truncated" in refusal(put(tmp_path, data))  # only one pixel follows


TRUNCATED = {
    "jpeg": saved(Image.fromarray(picture()), "JPEG"),
    "progressive": saved(Image.fromarray(picture()), "JPEG", progressive=True),
    "png": saved(Image.fromarray(picture()), "PNG"),
    "webp": saved(Image.fromarray(picture()), "WEBP"),
    "tiff": saved(Image.fromarray(picture()), "TIFF", compression="tiff_lzw"),
    "png16": imagecodecs.png_encode(picture().astype(np.uint16) * 200),
}
for _kind, _options in {"tiff16": {}, "tiff16lzw": {"compression": "lzw"}}.items():
    _stream = io.BytesIO()
    tifffile.imwrite(_stream, picture().astype(np.uint16) * 200, photometric="rgb", **_options)
    TRUNCATED[_kind] = _stream.getvalue()


@pytest.mark.parametrize("kind", TRUNCATED)
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.02, 0.999))
def test_a_truncated_file_is_never_half_a_picture(tmp_path_factory, kind, share):
    data = TRUNCATED[kind]
    folder = tmp_path_factory.mktemp("cut")
    whole = photos.read_photo(put(folder, data)).pixels
    cut = put(folder, data[: int(share * len(data))])
    try:
        # Only bytes after the last pixel's (an end marker, a tag) may be missing.
        assert np.array_equal(photos.read_photo(cut).pixels, whole)
        assert share > 0.9
    except InputError as error:
        assert cut in str(error)


def test_mask_rule(tmp_path):
    levels = np.array([[0, 1, 127, 128, 200, 255]], np.uint8)
    keep = levels >= 128

    def read(data: bytes, size: tuple[int, int] = (1, 6)) -> np.ndarray:
        mask = photos.read_mask(put(tmp_path, data, "mask.png"), size)
        assert mask.dtype == bool
        return mask

    assert np.array_equal(read(saved(Image.fromarray(levels), "PNG")), keep)
    assert np.array_equal(read(saved(Image.fromarray(keep), "PNG")), keep)
    assert np.array_equal(read(saved(Image.fromarray(levels).convert("RGB"), "TIFF")), keep)
    words = levels.astype(np.uint16) * 257
    assert np.array_equal(read(imagecodecs.png_encode(words)), keep)
    edge = np.array([[32767, 32768]], np.uint16)
    assert np.array_equal(read(imagecodecs.png_encode(edge), (1, 2)), [[False, True]])
    colours = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    assert np.array_equal(read(saved(colours, "PNG"), (1, 3)), [[False, True, False]])
    alpha = Image.merge("LA", [Image.fromarray(levels), Image.fromarray(levels[:, ::-1].copy())])
    assert not (levels.astype(int) * levels[:, ::-1] >= 128 * 255).any()
    assert "keeps nothing" in refusal(
        put(tmp_path, saved(alpha, "PNG")), lambda path: photos.read_mask(path, (1, 6))
    )
    alpha.putalpha(Image.fromarray(np.array([[255, 255, 255, 255, 100, 200]], np.uint8)))
    assert np.array_equal(read(saved(alpha, "PNG"))[0], [0, 0, 0, 1, 0, 1])
    exif = Image.Exif()
    exif[0x0112] = 6
    turned_mask = read(saved(Image.fromarray(levels), "PNG", exif=exif), (6, 1))
    assert np.array_equal(turned_mask, keep.T)


def test_mask_refusals(tmp_path):
    path = put(tmp_path, saved(Image.new("L", (47, 33), 255), "PNG"))
    sentence = refusal(path, lambda path: photos.read_mask(path, (47, 33)))
    assert "47 x 33" in sentence and "33 x 47" in sentence
    path = put(tmp_path, saved(Image.new("L", (47, 33), 127), "PNG"))
    assert "keeps nothing" in refusal(path, lambda path: photos.read_mask(path, (33, 47)))


def chunk_names(data: bytes) -> list[bytes]:
    names, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        names.append(data[at + 4 : at + 8])
        at += 12 + length
    return names


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9), st.integers(0, 9))
def test_png_is_lossless_and_bare(height, width, level, seed):
    pixels = picture(height, width, seed)
    for array in (pixels, pixels[..., 0], pixels[..., 0] > 99, pixels[::-1, ::-1]):
        data = photos.encode_png(array, level=level)
        assert chunk_names(data) == [b"IHDR", b"sRGB", b"IDAT", b"IEND"]
        expected = array * np.uint8(255) if array.dtype == bool else array
        image = Image.open(io.BytesIO(data))
        assert np.array_equal(np.asarray(image), expected)
        assert np.array_equal(imagecodecs.png_decode(data), expected)
        assert data == photos.encode_png(array, level=level)


def test_png_with_xmp():
    xmp = "<x:xmpmeta>é</x:xmpmeta>".encode()
    data = photos.encode_png(picture(), xmp=xmp)
    assert chunk_names(data) == [b"IHDR", b"sRGB", b"iTXt", b"IDAT", b"IEND"]
    assert Image.open(io.BytesIO(data)).info["XML:com.adobe.xmp"] == xmp.decode()


@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8)])
def test_png_refuses_other_arrays(array):
    with pytest.raises(ValueError, match="uint8 expected"):
        photos.encode_png(array)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_nothing_rides_along(tmp_path, kind):
    marker = "SECRETNAME"
    exif = Image.Exif()
    exif[0x010F] = exif[0x013B] = exif[0x9286] = marker
    exif.get_ifd(0x8825)[0x001D] = marker  # GPS date
    exif[0x0112] = 8
    options = {"exif": exif, "icc_profile": P3}
    if kind in ("JPEG", "WEBP"):
        options["xmp"] = f"<x:xmpmeta>{marker}</x:xmpmeta>".encode()
    if kind == "JPEG":
        options["comment"] = marker.encode()
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Author", marker)
    data = saved(Image.fromarray(picture()), kind, **options)
    assert marker.encode() in data
    photo = photos.read_photo(put(tmp_path, data, f"{marker}.bin"))
    released = photos.encode_png(photo.pixels)
    assert chunk_names(released) == [b"IHDR", b"sRGB", b"IDAT", b"IEND"]
    assert b"SECRET" not in released and "SECRET" not in str(photo.conversion)
    assert len(photo.conversion) == 2


def test_write_atomic(tmp_path, monkeypatch):
    path = str(tmp_path / "out.png")
    photos.write_atomic(path, b"one")
    photos.write_atomic(path, b"two")
    assert (tmp_path / "out.png").read_bytes() == b"two" and os.listdir(tmp_path) == ["out.png"]

    def attempt(target: str) -> str:
        with pytest.raises(InputError) as caught:
            photos.write_atomic(target, b"three")
        assert sorted(os.listdir(tmp_path)) == before
        return str(caught.value)

    (tmp_path / "folder").mkdir()
    before = ["folder", "out.png"]
    assert "does not exist" in attempt(str(tmp_path / "none" / "out.png"))
    assert "it is a folder" in attempt(str(tmp_path / "folder"))
    assert "not a folder" in attempt(path + "/out.png")

    def failing(code: int):
        def fail(*arguments):
            raise OSError(code, os.strerror(code))

        return fail

    for name, code, sentence in (
        ("fsync", errno.ENOSPC, "disk is full"),
        ("replace", errno.EACCES, "not writable"),
        ("open", errno.EROFS, "not writable"),
        ("fsync", errno.EIO, os.strerror(errno.EIO)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing(code))
            assert sentence in attempt(path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        photos.write_atomic(path, b"three")
    assert sorted(os.listdir(tmp_path)) == before and (tmp_path / "out.png").read_bytes() == b"two"
