"""Key files: secrets that jaxderm generated, told from what somebody typed by a header and a check sum."""

import base64
import hashlib
import os
import secrets
from pathlib import Path

from jaxderm.errors import InputError

HEADER = "jaxderm-key-1"
BYTES = 32
MIN_BYTES = 16


def new_key() -> bytes:
    """Text of a new key file: 256 random bits."""
    return _text(secrets.token_bytes(BYTES))


def _text(secret: bytes) -> bytes:
    body = base64.b32encode(secret).decode().rstrip("=")
    return f"{HEADER}\n{body}\n{_check(body)}\n".encode()


def _check(body: str) -> str:
    return hashlib.sha256(f"{HEADER} {body}".encode()).hexdigest()[:8]


def write_key(path: str | os.PathLike) -> None:
    """Write a new key file, readable by its owner only; InputError where one is there already."""
    create_private(path, new_key(), "key file")


def create_private(path: str | os.PathLike, data: bytes, what: str) -> None:
    """Write a file of mode 0600 that must be new; InputError names `what` and the reason."""
    name = os.fspath(path)
    try:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{what} '{name}' exists; choose another name.") from None
    except OSError as error:
        raise InputError(f"{what} '{name}' cannot be written ({error.strerror}).") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_generated_key(path: str | os.PathLike, flag: str) -> bytes:
    """The key of a generated file, at least 128 bits; InputError for one that was typed or is damaged.

    It is the file's whole text without the white space around it, as `--identity_key` takes it.
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes().strip()
    except OSError as error:
        raise InputError(f"{flag} '{name}' cannot be read ({error.strerror}).") from None
    remedy = "make one with `jaxderm case key --new FILE`"
    lines = data.decode("ascii", "replace").split()
    if len(lines) != 3 or lines[0] != HEADER:
        raise InputError(f"{flag} '{name}' was typed or is no key file; {remedy}.")
    try:
        secret = base64.b32decode(lines[1] + "=" * (-len(lines[1]) % 8))
    except ValueError:
        secret = b""
    if len(secret) < MIN_BYTES:
        raise InputError(f"{flag} '{name}' holds {8 * len(secret)} bits, fewer than 128; {remedy}.")
    if _check(lines[1]) != lines[2]:
        raise InputError(f"{flag} '{name}' is damaged or was typed; {remedy}.")
    return data


def destroy_key(path: str | os.PathLike) -> None:
    """Overwrite a generated key file and remove it; InputError for anything else.

    A disk that keeps old copies (SSD, snapshots, backups) may still hold it.
    """
    read_generated_key(path, "key file")
    with open(path, "r+b") as file:
        file.write(bytes(os.path.getsize(path)))
        file.flush()
        os.fsync(file.fileno())
    os.unlink(path)
