"""Hostile uploads for the local page: truncated, bombs, wrong types, polyglots, noise."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(rng: np.random.Generator, kind: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """A small random picture file."""
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises width x height pixels in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def hostile(rng: np.random.Generator) -> bytes:
    """One upload that is, most likely, no photograph."""
    kinds = ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"]
    good = picture(rng, kinds[rng.integers(len(kinds))])
    choice = rng.integers(10)
    if choice == 0:
        return good[: rng.integers(len(good))]
    if choice == 1:  # bits turned over
        data = bytearray(good)
        for place in rng.integers(0, len(data), rng.integers(1, 40)):
            data[place] ^= 1 << rng.integers(8)
        return bytes(data)
    if choice == 2:
        return bomb(int(rng.integers(20_000, 2**31 - 1)), int(rng.integers(20_000, 2**31 - 1)))
    if choice == 3:
        return rng.bytes(rng.integers(1, 4000))
    if choice == 4:  # two files in one
        return good + b"PK\x03\x04" + rng.bytes(200) + b"<script>alert(1)</script>"
    if choice == 5:
        texts = [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"GIF89a", b"../../etc/passwd",
                 b"<!doctype html>", b"\x00" * 400, b"PK\x03\x04", b"\x7fELF"]  # fmt: skip
        return texts[rng.integers(len(texts))] + rng.bytes(rng.integers(0, 300))
    if choice == 6:
        return b"\x00" * 128 + b"DICM" + rng.bytes(rng.integers(0, 600))
    if choice == 7:
        return good[:20] + rng.bytes(len(good) - 20)
    if choice == 8:
        return b"\x00\x00\x00\x20ftypheic" + rng.bytes(rng.integers(0, 400))
    return good[: len(good) // 2] + good[: rng.integers(len(good))]
