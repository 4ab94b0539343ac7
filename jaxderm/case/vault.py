"""The case folder: one sealed file and its id. Without passphrase or key it tells nothing else.

The seal is age (age-encryption.org/v1): scrypt for a passphrase, X25519 for public keys, ChaCha20-
Poly1305 for the content, so that the standard `age` tool opens it too: `age -d sealed.age | tar x`.
"""

import dataclasses
import getpass
import io
import json
import os
import secrets
import shutil
import sys
import tarfile
from pathlib import Path

import pyrage

from jaxderm.errors import InputError
from jaxderm.photo import write_atomic

SEALED, ID_FILE = "sealed.age", "case.json"
VERSION = 1
PADDING = 1 << 18  # so that the sealed file's size tells little of the photograph
MIN_PASSPHRASE = 12
ID_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclasses.dataclass(frozen=True)
class Lock:
    """How a case is sealed and opened: a passphrase, or recipients' public keys and a secret key."""

    passphrase: str | None = None
    recipients: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()

    def seal(self, data: bytes) -> bytes:
        """Encrypt."""
        if self.passphrase is not None:
            return pyrage.passphrase.encrypt(data, self.passphrase)
        return pyrage.encrypt(data, [_recipient(text) for text in self.recipients])

    def unseal(self, data: bytes, name: str) -> bytes:
        """Decrypt; InputError for the wrong passphrase or key, or a damaged file."""
        try:
            if self.passphrase is not None:
                return pyrage.passphrase.decrypt(data, self.passphrase)
            keys = [pyrage.x25519.Identity.from_str(text) for text in self.identities]
            return pyrage.decrypt(data, keys)
        except (pyrage.DecryptError, pyrage.IdentityError):
            which = "passphrase" if self.passphrase is not None else "key"
            raise InputError(
                f"case '{name}' does not open: wrong {which}, or a damaged {SEALED}; give the "
                f"{which} that the case was sealed with."
            ) from None


@dataclasses.dataclass
class Vault:
    """An open case: its id and its documents, {name: bytes}."""

    id: str
    documents: dict[str, bytes]

    def json(self, name: str) -> dict:
        """A document as JSON."""
        return json.loads(self.documents[name])

    def put_json(self, name: str, value: dict) -> None:
        """Store a document as JSON."""
        self.documents[name] = (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def new_id() -> str:
    """A random case id, 50 bits: it says nothing of the patient."""
    return "JD-" + "".join(secrets.choice(ID_LETTERS) for _ in range(10))


def create(folder: str | os.PathLike, vault: Vault, lock: Lock) -> None:
    """Make the folder (mode 0700) and seal the case in it: all of it or nothing."""
    path = Path(folder)
    if path.exists():
        raise InputError(f"case '{path}' exists; choose another folder.")
    sealed = lock.seal(_pack(vault.documents))
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # whatever the umask is
    except OSError as error:
        raise InputError(f"case '{path}' cannot be made ({error.strerror}).") from None
    try:
        _write(path / SEALED, sealed)
        text = json.dumps({"jaxderm_case": VERSION, "id": vault.id}) + "\n"
        _write(path / ID_FILE, text.encode())
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def save(folder: str | os.PathLike, vault: Vault, lock: Lock) -> None:
    """Seal a changed case again, for the same passphrase or the same recipients."""
    _write(Path(folder) / SEALED, lock.seal(_pack(vault.documents)))


def open_case(folder: str | os.PathLike, lock: Lock) -> Vault:
    """The documents of a case folder; InputError when it is none or does not open."""
    path = Path(folder)
    try:
        about = json.loads((path / ID_FILE).read_bytes())
        sealed = (path / SEALED).read_bytes()
        name = str(about["id"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"'{path}' is no case folder that can be read; make one with `jaxderm case new`."
        ) from None
    documents = _unpack(lock.unseal(sealed, str(path)))
    if documents.get("id", b"").decode() != name:
        raise InputError(f"case '{path}' is damaged: {SEALED} is not of the case {name}.")
    return Vault(name, documents)


def _write(path: Path, data: bytes) -> None:
    write_atomic(path, data)
    os.chmod(path, 0o600)


def _pack(documents: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(documents.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    data = stream.getvalue()
    return data + bytes(-len(data) % PADDING)  # tar ignores zeros behind its end


def _unpack(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive.getmembers()}


def _recipient(text: str):
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise InputError(
            f"recipient '{text}' is no age public key (age1...); make a pair with "
            "`jaxderm case key --new_reader FILE`."
        ) from None


def lock_to_seal(passphrase_file: str | None, recipients: list[str]) -> Lock:
    """The lock of a new case: from flags, or a passphrase asked for twice at the terminal."""
    if recipients and passphrase_file:
        raise InputError("give --passphrase_file or --recipients, not both.")
    if recipients:
        for text in recipients:
            _recipient(text)
        return Lock(recipients=tuple(recipients))
    phrase = _passphrase(passphrase_file, twice=True)
    if len(phrase) < MIN_PASSPHRASE:
        raise InputError(
            f"the passphrase has fewer than {MIN_PASSPHRASE} characters; take five or six words."
        )
    return Lock(passphrase=phrase)


def lock_to_open(passphrase_file: str | None, identity: str | None) -> Lock:
    """The lock of a case that is there: from flags, or a passphrase asked for at the terminal."""
    if identity and passphrase_file:
        raise InputError("give --passphrase_file or --identity, not both.")
    if not identity:
        return Lock(passphrase=_passphrase(passphrase_file, twice=False))
    text = _read_text(identity, "identity")
    keys = tuple(line for line in text.split() if line.startswith("AGE-SECRET-KEY-"))
    try:
        found = [pyrage.x25519.Identity.from_str(key) for key in keys]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise InputError(f"identity '{identity}' holds no age secret key (AGE-SECRET-KEY-...).")
    return Lock(identities=keys)


def _passphrase(path: str | None, twice: bool) -> str:
    if path is not None:
        return _read_text(path, "passphrase_file").strip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("give --passphrase_file FILE, or the key flags (--help lists them).")
    phrase = getpass.getpass("passphrase: ")
    if twice and getpass.getpass("once more: ") != phrase:
        raise InputError("the two passphrases differ; start again.")
    return phrase


def _read_text(path: str, flag: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{flag} '{path}' cannot be read as text; check the name.") from None


def new_reader() -> tuple[bytes, str]:
    """(text of a secret key file, its public key): what a reviewer makes to be sent a case."""
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    return f"# public key: {public}\n{identity}\n".encode(), public
