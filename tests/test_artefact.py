"""Exported models: they agree with their source, and say what is wrong with them in one sentence."""

import functools
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_model import FACTS, deidentifier, photo_and_mask, weight_file

from jaxderm.cli import main
from jaxderm.errors import InputError
from jaxderm.release import artefact
from jaxderm.release.synthesize import Deidentifier

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def exported(exemplars: bool = False) -> Path:
    """An artefact of a small model, made by the command."""
    path, source = Path(tempfile.mkdtemp()) / "model.jaxderm", weight_file(64, exemplars)
    assert main(["jaxderm", "export", f"--model={source}", f"--output={path}"]) == 0
    return path


def contents() -> dict[str, bytes]:
    with zipfile.ZipFile(exported()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(folder: Path, files: dict[str, bytes], **changes) -> str:
    """A zip of files, the card changed and signed again where changes are given."""
    files = dict(files)
    if changes:
        card = {**json.loads(files["card.json"]), **changes}
        card["card_sha256"] = artefact._card_sha256(card)
        files["card.json"] = json.dumps(card).encode()
    path = folder / "changed.jaxderm"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


@pytest.mark.parametrize("exemplars", [False, True])
def test_it_agrees_with_the_source(exemplars):
    source, model = deidentifier(64, exemplars), Deidentifier.load(str(exported(exemplars)))
    assert model.model["name"] == weight_file().stem
    for seed in range(4):
        photo, mask = photo_and_mask(150, 170, seed)
        ours, theirs = (m(photo, mask, FACTS, seed=seed)[0] for m in (source, model))
        difference = np.abs(ours.pixels.astype(int) - theirs.pixels)
        assert difference.max() <= 1 and (difference == 0).mean() >= 0.999
        assert theirs.manifest["model"]["sha256"] != ours.manifest["model"]["sha256"]


def test_the_batch_is_symbolic_and_three_platforms_are_there():
    import jax

    card = json.loads(contents()["card.json"])
    assert card["platforms"] == ["cpu", "cuda", "tpu"]
    program = jax.export.deserialize(bytearray(contents()["program.jax_export"]))
    assert not isinstance(program.out_avals[0].shape[0], int)
    assert program.platforms == ("cpu", "cuda", "tpu")


def test_equal_models_give_equal_files_without_machine_paths():
    again = io.BytesIO(artefact.export(str(weight_file(64, False))))
    with zipfile.ZipFile(again) as archive:
        for name, data in contents().items():
            assert archive.read(name) == data, name
    assert again.getvalue() == exported().read_bytes()
    for name, data in contents().items():
        for path in (str(ROOT), str(Path(np.__file__).parent.parent)):
            assert path.encode() not in data, (name, path)


def test_the_command_releases_with_it_zipped_or_unpacked(tmp_path, capsys):
    from PIL import Image

    photo, mask = photo_and_mask(100, 120)
    Image.fromarray(photo).save(tmp_path / "p.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    with zipfile.ZipFile(exported()) as archive:
        archive.extractall(tmp_path / "unpacked")
    argv = [
        "jaxderm",
        "deidentify",
        f"--photo={tmp_path / 'p.png'}",
        f"--mask={tmp_path / 'm.png'}",
    ]
    argv += ["--site=arm", "--age=40"]
    for name, model in (("a", exported()), ("b", tmp_path / "unpacked")):
        assert main([*argv, f"--output={tmp_path / name}.png", f"--model={model}"]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_thirty_lines_load_it_without_flax_or_us(tmp_path):
    example = ROOT / "examples" / "artefact.py"
    assert len(example.read_text().splitlines()) <= 30
    (tmp_path / "model.jaxderm").write_bytes(exported().read_bytes())
    code = (
        "import runpy, sys\nsys.modules['flax'] = sys.modules['jaxderm'] = None\n"
        f"sys.argv = ['artefact.py', {str(tmp_path / 'model.jaxderm')!r}, '2']\n"
        f"runpy.run_path({str(example)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    from PIL import Image

    picture = np.asarray(Image.open(tmp_path / "model.jaxderm.png"))
    size = deidentifier().engine.spec.size
    assert picture.shape == (size, 2 * size, 3)
    # The same inputs through the source model.
    engine = deidentifier().engine
    inputs = {n: np.zeros((2, *like.shape[1:]), np.float32) for n, like in engine.shapes.items()}
    inputs["landmarks"][:] = np.nan
    inputs["z"] = np.random.default_rng(0).normal(size=inputs["z"].shape).astype(np.float32)
    levels = np.clip(engine(inputs) * 127.5 + 128, 0, 255).astype(np.uint8)
    difference = np.abs(np.concatenate(list(levels), 1).astype(int) - picture)
    assert difference.max() <= 1 and (difference == 0).mean() >= 0.999


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_what_was_changed_is_named(tmp_path):
    for name in ("weights.safetensors", "program.jax_export"):
        files = contents()
        files[name] = flipped(files[name])
        with pytest.raises(InputError, match=f"changed after its export: {name}"):
            Deidentifier.load(packed(tmp_path, files))
    files = contents()
    files["card.json"] = files["card.json"].replace(b'"float32"', b'"bfloat16"')
    with pytest.raises(InputError, match=r"changed after its export: card\.json"):
        Deidentifier.load(packed(tmp_path, files))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"artefact": 9, "jaxderm": "9.0"}, "version 9, made by jaxderm 9.0"),
        ({"calling_convention": 3, "jax": "0.4.20"}, r"exported with jax 0\.4\.20 .*export it again"),
        ({"jax": "99.0.1"}, r"exported with jax 99\.0\.1, which is newer"),
        ({"calling_convention": 99}, "no longer or not yet"),
        ({"condition_layout": "0"}, "laid out otherwise"),
        ({"platforms": ["tpu"]}, "for tpu, not for cpu"),
        ({"spec": {"colour": 1}}, "not one of a jaxderm artefact"),
    ],
)  # fmt: skip
def test_what_is_stale_is_one_sentence(tmp_path, changes, words):
    with pytest.raises(InputError, match=words) as caught:
        Deidentifier.load(packed(tmp_path, contents(), **changes))
    assert len(str(caught.value).splitlines()) == 1


def test_what_jax_cannot_read_is_one_sentence(tmp_path):
    import hashlib

    files = {**contents(), "program.jax_export": b"from another world"}
    hashes = json.loads(files["card.json"])["sha256"]
    hashes["program.jax_export"] = hashlib.sha256(files["program.jax_export"]).hexdigest()
    with pytest.raises(InputError, match="cannot read .*export it again"):
        Deidentifier.load(packed(tmp_path, files, sha256=hashes))


def test_what_is_no_artefact_is_one_sentence(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"its card\.json cannot be read"):
        Deidentifier.load(str(tmp_path / "folder"))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(InputError, match=r"its card\.json cannot be read"):
        Deidentifier.load(str(tmp_path / "other.zip"))
    data = exported().read_bytes()
    (tmp_path / "cut.jaxderm").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a jaxderm weight file"):
        Deidentifier.load(str(tmp_path / "cut.jaxderm"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        card = archive.read("card.json")
    (tmp_path / "folder" / "card.json").write_bytes(card)
    with pytest.raises(InputError, match=r"its program\.jax_export cannot be read"):
        Deidentifier.load(str(tmp_path / "folder"))
    with pytest.raises(InputError, match="exported in float32"):
        Deidentifier.load(str(exported()), "bfloat16")


def test_mistakes_in_the_command(tmp_path, capsys, monkeypatch):
    def status(*flags: str) -> tuple[int, str]:
        code = main(["jaxderm", "export", f"--model={weight_file()}", *flags])
        return code, capsys.readouterr().err

    for flags, words in (
        ((), "--output"),
        ((f"--output={exported()}",), "exists"),
        ((f"--output={tmp_path}/x.safetensors",), "no name for an artefact"),
        ((f"--output={tmp_path}/none/x.jaxderm",), "does not exist"),
        ((f"--output={tmp_path}/x.jaxderm", "--platforms=metal"), "cpu, cuda"),
        ((f"--output={tmp_path}/x.jaxderm", f"--model={exported()}"), "artefact already"),
        ((f"--output={tmp_path}/x.jaxderm", "--dtype=float8"), "float8"),
    ):
        code, err = status(*flags)
        assert code == 2 and words in err and len(err.strip().splitlines()) == 1, err
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    monkeypatch.delitem(sys.modules, "jaxderm.commands.export")
    assert status(f"--output={tmp_path}/x.jaxderm")[0] == 2
