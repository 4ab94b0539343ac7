"""The command line: one sentence and status 2 for a mistake, status 1 for a bad row, clean output."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from small_model import photo_and_mask, weight_file

from jaxderm.cli import main

FACE = "40,50 70,50 55,65 45,80 66,80"


@pytest.fixture
def folder(tmp_path):
    photo, mask = photo_and_mask(120, 140)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    (tmp_path / "out").mkdir()
    return tmp_path


def deidentify(folder, capsys, **flags) -> tuple[int, str]:
    values = {
        "photo": folder / "photo.png", "mask": folder / "mask.png", "site": "arm", "age": "40",
        "output": folder / "out" / "r.png", "model": weight_file(), **flags,
    }  # fmt: skip
    argv = ["jaxderm", "deidentify"]
    argv += [f"--{name}={value}" for name, value in values.items() if value is not None]
    status = main(argv)
    return status, capsys.readouterr().err


def test_release_writes_four_files(folder, capsys):
    status, _ = deidentify(folder, capsys, sex="female", skin_type="II")
    assert status == 0
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["r.json", "r.legend.txt", "r.mask.png", "r.png"]
    release = np.asarray(Image.open(folder / "out" / "r.png"))
    kept = np.asarray(Image.open(folder / "out" / "r.mask.png")) > 0
    frame = json.loads((folder / "out" / "r.json").read_text())["frame"]
    photo = np.asarray(Image.open(folder / "photo.png"))
    part = photo[frame["y"] :, frame["x"] :][: frame["height"], : frame["width"]]
    np.testing.assert_array_equal(release[kept], part[kept])


def _broken(folder) -> dict:
    """What is wrong -> (flags, words of the sentence)."""
    (folder / "text.png").write_text("not a picture")
    photo = Image.open(folder / "photo.png")
    data = io.BytesIO()
    photo.save(data, "JPEG")
    (folder / "cut.jpg").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    Image.new("L", (30, 30), 255).save(folder / "small.png")
    Image.new("L", photo.size, 0).save(folder / "empty.png")
    Image.new("L", photo.size, 255).save(folder / "full.png")
    # A header that claims 20000 x 20000 pixels.
    bomb = bytearray((folder / "photo.png").read_bytes())
    bomb[16:24] = (20000).to_bytes(4, "big") * 2
    import zlib

    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    (folder / "bomb.png").write_bytes(bytes(bomb))
    photo.convert("CMYK").save(folder / "cmyk.tiff")
    (folder / "notes.json").write_text("{}")
    (folder / "key").write_text("short")
    return {
        "missing": ({"photo": folder / "no.png"}, "no.png"),
        "not an image": ({"photo": folder / "text.png"}, "text.png"),
        "truncated": ({"photo": folder / "cut.jpg"}, "cut.jpg"),
        "bomb": ({"photo": folder / "bomb.png"}, "megapixel"),
        "cmyk": ({"photo": folder / "cmyk.tiff"}, "CMYK"),
        "mask size": ({"mask": folder / "small.png"}, "30 x 30"),
        "mask empty": ({"mask": folder / "empty.png"}, "white"),
        "mask full": ({"mask": folder / "full.png"}, "--force"),
        "site": ({"site": "elbow"}, "lower_leg"),
        "sex": ({"sex": "f"}, "female"),
        "age": ({"age": "200"}, "120"),
        "skin": ({"skin_type": "IX"}, "VI"),
        "no landmarks": ({"site": "face"}, "--landmarks"),
        "landmarks": ({"site": "face", "landmarks": "1,2 3"}, "landmarks"),
        "auto": ({"site": "face", "landmarks": "auto"}, "five points"),
        "lossy": ({"output": folder / "out" / "r.jpg"}, "lossless"),
        "no folder": ({"output": folder / "nowhere" / "r.png"}, "nowhere"),
        "model": ({"model": "nobody"}, "known models"),
        "not a model": ({"model": folder / "text.png"}, "weight file"),
        "facts": ({"facts": folder / "notes.json"}, "manifest"),
        "frame": ({"frame": "0,0,3"}, "frame"),
        "key": ({"identity_key": folder / "key"}, "16 bytes"),
        "candidates": ({"candidates": 0}, "candidates"),
        "flag": ({"colour": "red"}, "colour"),
        "sheet": ({"sheet": folder / "out" / "s.png", "sheet_with_original": True}, "original"),
        "no output": ({"output": None}, "--output"),
    }


def test_every_mistake_is_one_sentence(folder, capsys):
    before = None
    for name, (flags, words) in _broken(folder).items():
        before = before or sorted(os.listdir(folder))
        status, err = deidentify(folder, capsys, **flags)
        assert status == 2, name
        assert words in err, (name, err)
        assert "Traceback" not in err and len(err.strip().splitlines()) == 1, (name, err)
        assert not os.listdir(folder / "out"), name
        assert sorted(os.listdir(folder)) == before


def test_existing_output_is_kept_unless_told(folder, capsys):
    assert deidentify(folder, capsys)[0] == 0
    first = (folder / "out" / "r.png").read_bytes()
    status, err = deidentify(folder, capsys, seed=3)
    assert status == 2 and "--overwrite" in err
    assert (folder / "out" / "r.png").read_bytes() == first
    assert deidentify(folder, capsys, seed=3, overwrite=True)[0] == 0
    assert (folder / "out" / "r.png").read_bytes() != first


def test_unwritable_folder(folder, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # a test may run as root
    status, err = deidentify(folder, capsys)
    assert status == 2 and "writable" in err


def test_candidates_and_facts(folder, capsys):
    assert deidentify(folder, capsys, candidates=3)[0] == 0
    out = folder / "out"
    assert {"r.png", "r-1.png", "r-2.png"} <= set(os.listdir(out))
    status, _ = deidentify(folder, capsys, facts=out / "r-2.json", output=out / "again.png")
    assert status == 0
    assert (out / "again.png").read_bytes() == (out / "r-2.png").read_bytes()


@pytest.mark.parametrize("method", ["eyebar", "crop", "blur", "mosaic", "blackout"])
def test_methods_of_today_keep_the_lesion(folder, capsys, method):
    status, _ = deidentify(folder, capsys, method=method, site="face", landmarks=FACE)
    assert status == 0
    release = np.asarray(Image.open(folder / "out" / "r.png"))
    kept = np.asarray(Image.open(folder / "out" / "r.mask.png")) > 0
    document = json.loads((folder / "out" / "r.json").read_text())
    frame = document["frame"]
    photo = np.asarray(Image.open(folder / "photo.png"))
    part = photo[frame["y"] :, frame["x"] :][: frame["height"], : frame["width"]]
    np.testing.assert_array_equal(release[kept], part[kept])
    assert document["model"] == {"name": method, "sha256": None}
    if method != "crop":
        assert (release != part).any()


def write_cases(folder, rows, header=None):
    header = header or ["id", "photo", "mask", "site", "age"]
    with open(folder / "cases.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder / "cases.csv"


def cases(folder, capsys, path, **flags):
    argv = ["jaxderm", "deidentify", f"--cases={path}", f"--output_dir={folder / 'out'}"]
    argv += [f"--model={weight_file()}", "--noprogress"]
    status = main(argv + [f"--{name}={value}" for name, value in flags.items()])
    return status, capsys.readouterr().err


def test_a_bad_row_costs_only_itself_and_a_second_run_does_the_rest(folder, capsys):
    good = ["photo.png", "mask.png", "arm", "40"]
    rows = [["a", *good], ["b", "no.png", *good[1:]], ["../c", *good], ["d", *good[:2], "knee", "4"],
            ["a", *good], ["e", "photo.png"], ["f.1", *good]]  # fmt: skip
    path = write_cases(folder, rows)
    status, err = cases(folder, capsys, path)
    assert status == 1
    for words in (
        "row 3 (b)",
        "no.png",
        "row 4 (../c)",
        "row 5 (d)",
        "lower_leg",
        "twice",
        "row 7",
    ):
        assert words in err
    assert {"a.png", "f.1.png"} <= set(os.listdir(folder / "out"))
    stamp = (folder / "out" / "a.png").stat().st_mtime_ns
    released = [name for name in os.listdir(folder / "out") if name.startswith(("a.", "f.1."))]
    assert "Traceback" not in err and len(released) == 8
    assert len(os.listdir(folder / "out")) == 8 + 2  # the report and the folder of the journal
    status, _ = cases(folder, capsys, write_cases(folder, [rows[0], ["g", *good]]))
    assert status == 0 and (folder / "out" / "g.png").exists()
    assert (folder / "out" / "a.png").stat().st_mtime_ns == stamp


def test_wrong_header_starts_nothing(folder, capsys):
    for header, words in (
        (["id", "photo", "mask"], "lacks the column 'site'"),
        (["id", "photo", "mask", "site", "skintype"], "unknown column 'skintype'"),
    ):
        path = write_cases(folder, [["a"] * len(header)], header)
        status, err = cases(folder, capsys, path)
        assert status == 2 and words in err and not os.listdir(folder / "out")
    status, err = cases(folder, capsys, folder / "none.csv")
    assert status == 2 and "none.csv" in err


def test_order_and_company_do_not_change_a_release(folder, capsys):
    good = ["photo.png", "mask.png", "arm", "40"]
    (folder / "out2").mkdir()
    cases(folder, capsys, write_cases(folder, [["a", *good], ["b", *good[:2], "hand", "30"]]))
    path = write_cases(
        folder, [["b", *good[:2], "hand", "30"], ["x", *good[:2], "foot", "8"], ["a", *good]]
    )
    cases(folder, capsys, path, output_dir=folder / "out2")
    for name in ("a.png", "b.png", "a.json", "b.json"):
        assert (folder / "out" / name).read_bytes() == (folder / "out2" / name).read_bytes()


def test_nothing_rides_along(folder, capsys):
    """EXIF with GPS and thumbnail, XMP, ICC, comments: no trace of any in any output file."""
    photo = Image.open(folder / "photo.png").convert("RGB")
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x0110] = "SECRETdescription", "SECRETname", "SECRETcamera"
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8769)[0xA431] = "N", "SECRETserial"
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc = icc.replace(b"sRGB built-in", b"SECRETprofile")
    photo.save(
        folder / "laden.jpg", exif=exif, icc_profile=icc, xmp=b"<x>SECRETxmp</x>",
        comment=b"SECRETcomment", quality=95,
    )  # fmt: skip
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "SECRETauthor")
    photo.save(folder / "laden.png", pnginfo=info, exif=exif)
    assert b"SECRET" in (folder / "laden.jpg").read_bytes()
    for name in ("laden.jpg", "laden.png"):
        status, _ = deidentify(
            folder, capsys, photo=folder / name, output=folder / "out" / f"{name[-3:]}.png",
            patient="SECRETpatient", overwrite=True,
        )  # fmt: skip
        assert status == 0
    for path in (folder / "out").iterdir():
        data = path.read_bytes()
        for secret in (b"SECRET", b"laden", b"Exif", b"iCCP", str(folder).encode()):
            assert secret not in data, (path.name, secret)


def test_unknown_command_and_help(capsys):
    assert main(["jaxderm", "publish"]) == 2 and "unknown" in capsys.readouterr().err
    assert main(["jaxderm", "help"]) == 0 and "deidentify" in capsys.readouterr().out
    assert main(["jaxderm", "deidentify", "--help"]) == 0
    assert "--photo" in capsys.readouterr().out


def test_release_needs_none_of_the_training_libraries():
    """The release path imports without the extra `train`."""
    code = (
        "import sys\n"
        "for name in ('optax', 'orbax', 'tensorflow_datasets', 'grain', 'ml_collections',"
        " 'tensorboardX'):\n    sys.modules[name] = None\n"
        "import jaxderm.commands.deidentify, jaxderm.release.synthesize\n"
        "from jaxderm.cli import main\nsys.exit(main(['jaxderm', 'train']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and "jaxderm[train]" in done.stderr, done.stderr
