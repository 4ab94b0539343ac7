"""Paths: local and remote ones joined alike; what is missing or refused is one sentence."""

import sys

import pytest

from jaxderm import storage
from jaxderm.errors import InputError, StorageError
from jaxderm.photo import read_photo
from jaxderm.release.batch import read_cases


def test_join_and_split():
    assert storage.join("gs://b/in", "a/p.png") == "gs://b/in/a/p.png"
    assert storage.join("gs://b/in/", "s3://c/p.png") == "s3://c/p.png"
    assert storage.join("in", "s3://c/p.png") == "s3://c/p.png"
    assert storage.join("in", "p.png").replace("\\", "/") == "in/p.png"
    assert storage.join("in", "/abs/p.png") == "/abs/p.png"
    assert storage.split("gs://b/in/p.png") == ("gs://b/in", "p.png")
    assert storage.split("p.png") == (".", "p.png")
    assert not storage.is_url("C:/p.png") and storage.is_url("memory://x")


@pytest.mark.parametrize(
    ("path", "library"), [("gs://b/x", "fsspec and gcsfs"), ("s3://b/x", "fsspec and s3fs")]
)
def test_a_missing_library_names_the_extra(path, library, monkeypatch, tmp_path):
    for name in ("gcsfs", "s3fs"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (read_photo, read_cases, storage.folder):
        with pytest.raises(InputError) as caught:
            call(f"{path}/p.png")
        assert library in str(caught.value) and "pip install 'jaxderm[cloud]'" in str(caught.value)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match="cloud"):
        storage.folder("memory://x")


def test_an_unknown_protocol_is_one_sentence():
    with pytest.raises(InputError, match="'gopher', which fsspec does not know"):
        storage.folder("gopher://b/x")


@pytest.fixture
def bucket(monkeypatch):
    """An fsspec file system whose bucket can be made unwritable or vanish."""
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    class Bucket(MemoryFileSystem):
        protocol, store, pseudo_dirs, state = "gs", {}, [""], {"error": None}
        cachable = False

        def pipe_file(self, path, value, **options):
            if self.state["error"]:
                raise self.state["error"]
            super().pipe_file(path, value, **options)

    fsspec.register_implementation("gs", Bucket, clobber=True)
    yield Bucket.state
    fsspec.register_implementation("gs", "gcsfs.GCSFileSystem", clobber=True)


def test_an_unwritable_or_vanished_bucket_is_one_sentence(bucket, tmp_path, capsys):
    from PIL import Image
    from small_model import photo_and_mask, weight_file

    from jaxderm.cli import main

    photo, mask = photo_and_mask(60, 70)
    Image.fromarray(photo).save(tmp_path / "p.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    (tmp_path / "cases.csv").write_text(
        "id,photo,mask,site\na,p.png,m.png,hand\nb,p.png,m.png,foot\n"
    )
    argv = ["jaxderm", "deidentify", f"--cases={tmp_path / 'cases.csv'}", "--output_dir=gs://b/out"]
    argv += [f"--model={weight_file()}", "--noprogress"]
    for error in (
        PermissionError("403 forbidden"),
        FileNotFoundError("b"),
        ConnectionError("gone"),
    ):
        bucket["error"] = error
        assert main(argv) == 2
        err = capsys.readouterr().err
        assert "'gs://b/out' cannot be written" in err and "permissions" in err
        assert len(err.strip().splitlines()) == 1, err
    bucket["error"] = None
    assert main(argv) == 0
    folder = storage.folder("gs://b/out")
    assert "a.png" in folder.names() and "journal.json" in folder.names(".jaxderm")
    folder.delete("a.json")
    folder.delete("a.json")
    bucket["error"] = ConnectionError("gone")
    with pytest.raises(StorageError):
        folder.write("x", b"y")


def test_objects_that_grow_in_place_get_a_temporary_name_first():
    import fsspec

    folder = storage.folder("memory://grows")
    folder.whole = False
    folder.create()
    folder.write("sub/a", b"1")
    folder.write("sub/a", b"2")
    assert folder.read("sub/a") == b"2" and folder.names("sub") == {"a"}
    assert folder.names() == set() and folder.names("none") == set()
    fsspec.filesystem("memory").rm("/grows", recursive=True)


def test_remote_files_are_not_read_without_bound(monkeypatch):
    import fsspec

    fsspec.filesystem("memory").pipe_file("/large/p.png", b"12345")
    monkeypatch.setattr(storage, "MAX_BYTES", 4)
    with pytest.raises(InputError, match="more than 4"):
        storage.read_bytes("memory://large/p.png")
