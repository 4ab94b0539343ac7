"""Where files lie: local folders, or object storage and network paths through fsspec.

A path with a protocol (`gs://`, `s3://`, `memory://`) goes to fsspec, every other one to the local
file system. Whatever is written appears whole under its name or not at all.
"""

import abc
import contextlib
import errno
import os
import uuid
from pathlib import Path
from typing import Any

from jaxderm.errors import InputError, StorageError

MAX_BYTES = 2**31  # of a remote file, which is read at once
# Libraries that fsspec needs for a protocol; the extra `cloud` brings these.
LIBRARIES = {"gs": "gcsfs", "gcs": "gcsfs", "s3": "s3fs", "s3a": "s3fs"}
# An object appears under its name when its upload is complete: no temporary name is needed.
WHOLE_OBJECTS = {"gs", "gcs", "s3", "s3a", "abfs", "abfss", "az", "adl", "oci", "memory"}


def is_url(path: str | os.PathLike) -> bool:
    """Whether a path has a protocol."""
    return "://" in os.fspath(path)


def join(folder: str | os.PathLike, name: str) -> str:
    """Path of `name` in a folder; a name that is absolute or has a protocol stays."""
    if is_url(name):
        return name
    if is_url(folder):
        return f"{os.fspath(folder).rstrip('/')}/{name}"
    return os.path.join(folder, name)


def split(path: str | os.PathLike) -> tuple[str, str]:
    """(folder, name) of a path."""
    if is_url(path):
        folder, _, name = os.fspath(path).rpartition("/")
        return folder, name
    return os.path.dirname(path) or ".", os.path.basename(path)


def filesystem(path: str | os.PathLike) -> tuple[Any, str]:
    """(fsspec file system, path in it) of a path with a protocol; InputError names what is missing."""
    protocol = os.fspath(path).partition("://")[0]
    library = LIBRARIES.get(protocol)
    try:
        import fsspec

        return fsspec.core.url_to_fs(os.fspath(path))
    except ImportError:
        needs = f"fsspec and {library}" if library else "fsspec (and its library for this protocol)"
        raise InputError(f"'{path}' needs {needs}: pip install 'jaxderm[cloud]'.") from None
    except ValueError:
        raise InputError(
            f"'{path}' has the protocol '{protocol}', which fsspec does not know; give gs://, s3:// or "
            "a local path."
        ) from None
    except Exception as error:  # libraries raise their own on missing credentials
        raise InputError(f"'{path}' cannot be opened ({_words(error)}).") from None


def open_head(path: str) -> Any:
    """A remote file opened to read its first bytes, without fetching all of it."""
    system, name = filesystem(path)
    return system.open(name, "rb", block_size=2**16)


def read_bytes(path: str | os.PathLike) -> bytes:
    """Bytes of a local or remote file; OSError as the file system raises it, InputError otherwise."""
    if not is_url(path):
        return Path(path).read_bytes()
    system, name = filesystem(path)
    try:
        if (size := system.size(name) or 0) > MAX_BYTES:
            raise InputError(f"'{path}' has {size} bytes, more than {MAX_BYTES}; reduce it first.")
        return system.cat_file(name)
    except (InputError, FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:
        raise InputError(f"'{path}' cannot be read ({_words(error)}).") from None


def write_atomic(
    path: str | os.PathLike, data: bytes, temporary_folder: str | os.PathLike | None = None
) -> None:
    """Write all of data to a local path or nothing: a temporary file in its folder, fsync, rename.

    temporary_folder: another folder of the same file system for the temporary file. InputError when
    the folder is missing or not writable (StorageError), the disk is full (StorageError) or path is
    a folder.
    """
    name = os.fspath(path)
    folder = os.path.dirname(name) or "."
    temporary = os.path.join(temporary_folder or folder, f".jaxderm-{uuid.uuid4().hex}.tmp")
    try:
        # os.open rather than tempfile: the file gets the user's ordinary permissions (umask).
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(os.open(temporary, flags, 0o666), "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, name)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _write_error(error, name, folder) from error
        raise


def _write_error(error: OSError, name: str, folder: str) -> InputError:
    kind = StorageError
    if isinstance(error, IsADirectoryError) or os.path.isdir(name):
        kind, why = InputError, "it is a folder; give a file name."
    elif isinstance(error, FileNotFoundError):
        why = f"the folder '{folder}' does not exist; create it first."
    elif isinstance(error, NotADirectoryError):
        why = f"'{folder}' is not a folder."
    elif isinstance(error, PermissionError) or error.errno == errno.EROFS:
        why = f"the folder '{folder}' is not writable; choose another."
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "the disk is full; free some space or choose another."
    elif error.errno == errno.ENAMETOOLONG:
        kind, why = InputError, "the name is too long."
    else:
        return kind(f"'{name}' cannot be written: {error.strerror or 'unknown error'}.")
    return kind(f"'{name}' cannot be written: {why}")


class Folder(abc.ABC):
    """A folder that releases go to. `work` is the private sub-folder of journal and temporary files."""

    WORK = ".jaxderm"

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)

    def __str__(self) -> str:
        return self.path

    @abc.abstractmethod
    def create(self) -> None:
        """Make the folder where it is not there; StorageError when that is refused."""

    @abc.abstractmethod
    def names(self, within: str = "") -> set[str]:
        """Names of the files in the folder or a sub-folder of it; none where it does not exist."""

    def read(self, name: str) -> bytes:
        """Bytes of a file."""
        return read_bytes(join(self.path, name))

    @abc.abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all; StorageError when the folder cannot be used."""

    @abc.abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file, where there is one."""

    def settle(self) -> None:  # noqa: B027 (nothing to do is right for object storage)
        """What was written so far outlives a power cut before anything that is written later."""

    def close(self) -> None:  # noqa: B027 (the same)
        """The work in this folder is over."""


class LocalFolder(Folder):
    """A local folder; `tag` names this process's share of the work, whose leftovers are its own."""

    def __init__(self, path: str | os.PathLike, tag: str | None = None) -> None:
        super().__init__(path)
        self.temporary = None if tag is None else Path(path) / self.WORK / f"temporary-{tag}"
        self._lock: Any = None
        self._made = False

    def create(self) -> None:
        """Make the folder and, with a tag, its sub-folder for temporary files, emptied of leftovers."""
        try:
            self._made = not os.path.exists(self.path)
            (self.temporary or Path(self.path)).mkdir(parents=True, exist_ok=True)
            if self.temporary is not None:
                self._take_lock()
                for leftover in self.temporary.glob(".jaxderm-*.tmp"):
                    leftover.unlink(missing_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise StorageError(f"output folder '{self.path}' is a file; give a folder.") from None
        except OSError as error:
            raise StorageError(
                f"output folder '{self.path}' cannot be made or is not writable ({error.strerror})."
            ) from None
        if not os.access(self.path, os.W_OK):
            raise StorageError(f"output folder '{self.path}' is not writable.")

    def _take_lock(self) -> None:
        """Two processes on one share would do everything twice; a killed one's lock is gone."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        self._lock = open(f"{self.temporary}.lock", "a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InputError(
                f"another run works on '{self.path}' already; wait for it, or split with --shard."
            ) from None
        except OSError:
            pass  # a network file system without locks

    def close(self) -> None:
        """Drop the lock, and what is empty of the folders that `create` made."""
        if self.temporary is None:
            return
        with contextlib.suppress(OSError):
            self.temporary.rmdir()
            os.unlink(f"{self.temporary}.lock")
            self.temporary.parent.rmdir()
            if self._made:
                os.rmdir(self.path)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def names(self, within: str = "") -> set[str]:
        """Names of the files in the folder or a sub-folder of it."""
        try:
            with os.scandir(os.path.join(self.path, within)) as entries:
                return {entry.name for entry in entries if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def write(self, name: str, data: bytes) -> None:
        """Write a file: temporary name, fsync, rename."""
        write_atomic(join(self.path, name), data, self.temporary)

    def delete(self, name: str) -> None:
        """Delete a file, where there is one."""
        try:
            Path(self.path, name).unlink(missing_ok=True)
        except OSError as error:
            raise _write_error(error, join(self.path, name), self.path) from None

    def settle(self) -> None:
        """Flush the folder's own entries to the disk; only where kills are reckoned with (a batch)."""
        if self.temporary is None:
            return
        with contextlib.suppress(OSError):
            handle = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class RemoteFolder(Folder):
    """A folder of object storage or another fsspec file system."""

    def __init__(self, path: str) -> None:
        super().__init__(path.rstrip("/"))
        self.system, self.root = filesystem(self.path)
        protocol = self.path.partition("://")[0]
        self.whole = protocol in WHOLE_OBJECTS

    @contextlib.contextmanager
    def _named(self, what: str):
        try:
            yield
        except Exception as error:  # every library raises its own
            raise StorageError(
                f"'{self.path}' cannot be {what} ({_words(error)}); check the name and your permissions."
            ) from None

    def create(self) -> None:
        """Object storage has no folders; others get one. A bucket must be there."""
        with self._named("written"):
            if not self.whole or self.path.startswith("memory://"):
                self.system.makedirs(self.root, exist_ok=True)

    def names(self, within: str = "") -> set[str]:
        """Names of the files in the folder or a sub-folder of it, asked anew."""
        with self._named("listed"):
            self.system.invalidate_cache()
            try:
                entries = self.system.ls(f"{self.root}/{within}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return set()
            return {e["name"].rsplit("/", 1)[-1] for e in entries if e["type"] == "file"}

    def write(self, name: str, data: bytes) -> None:
        """Write an object; where objects grow in place, under a temporary name first."""
        with self._named("written"):
            target = f"{self.root}/{name}"
            if self.whole:
                self.system.pipe_file(target, data)
                return
            self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
            temporary = f"{target.rpartition('/')[0]}/.jaxderm-{uuid.uuid4().hex}.tmp"
            self.system.pipe_file(temporary, data)
            self.system.mv(temporary, target)

    def delete(self, name: str) -> None:
        """Delete an object, where there is one."""
        with self._named("written"), contextlib.suppress(FileNotFoundError):
            self.system.rm_file(f"{self.root}/{name}")


def folder(path: str | os.PathLike, tag: str | None = None) -> LocalFolder | RemoteFolder:
    """The folder of a path; tag: see `LocalFolder`."""
    return RemoteFolder(os.fspath(path)) if is_url(path) else LocalFolder(path, tag)


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
