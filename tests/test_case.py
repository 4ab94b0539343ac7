"""The editorial case as a user runs it: sealed, asked for, released, verified; nothing private in print."""

import json
import os
import stat

import numpy as np
import pydicom
import pytest
from dicom_files import PLANTED, dicom_file
from PIL import Image
from small_model import photo_and_mask, weight_file

from jaxderm import cli
from jaxderm.case import vault
from jaxderm.errors import InputError
from jaxderm.photo import encode_png, read_photo

WORDS = (*PLANTED, "CONSENT-0815", "series-4712", "IMG_20260301")
ANSWERS = {
    "consent": "CONSENT-0815",
    "editor_agreement": "Dr. A. Editor, letter",
    "journal": "J Test Dermatol",
    "kept_shows": "none",
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A reviewer's key pair: (secret key file, public key)."""
    path = tmp_path_factory.mktemp("reader") / "reader.key"
    data, public = vault.new_reader()
    path.write_bytes(data)
    return str(path), public


def case_command(action: str, **flags) -> int:
    argv = ["jaxderm", "case", action]
    for name, value in flags.items():
        if value is True:
            argv.append(f"--{name}")
        elif value not in (None, False):
            argv += [f"--{name}", str(value)]
    return cli.main(argv)


def new_case(folder, reader, pixels=None, **flags) -> dict:
    """Make a case in folder / "case"; the flags that open it."""
    plain, mask = photo_and_mask(180, 200)
    pixels = plain if pixels is None else pixels
    (folder / "mask.png").write_bytes(encode_png(mask))
    if "photo" not in flags and "cases" not in flags:
        path = folder / "IMG_20260301.png"
        path.write_bytes(encode_png(pixels))
        flags["photo"] = path
    if "cases" not in flags:
        flags = {"mask": folder / "mask.png", "site": "arm", "age": 93, "sex": "female",
                 "skin_type": "II", **flags}  # fmt: skip
    flags = {
        "case": folder / "case", "diagnosis": "Dermatofibroma", "laterality": "left",
        "expires": "2099-01-01", "recipients": reader[1], "model": weight_file(), **flags,
    }  # fmt: skip
    assert case_command("new", **flags) == 0
    return {"case": folder / "case", "identity": reader[0]}


def seen(folder, opening, capsys, **flags) -> str:
    capsys.readouterr()
    assert case_command("preview", **opening, output=folder / "draft.png", **flags) == 0
    out = capsys.readouterr().out
    return out.split("--seen_figure ")[1].split()[0]


def test_from_photograph_to_print_and_verify(tmp_path, reader, capsys):
    opening = new_case(tmp_path, reader, ruler="10,10 110,10", ruler_mm=50, subsite="forearm")
    code = seen(tmp_path, opening, capsys)
    out = tmp_path / "print"
    flags = {**ANSWERS, "seen_figure": code, "dpi": 600, "scale_bar": True, "dicom": True}
    assert case_command("release", **opening, output=out, **flags) == 0
    assert "under 1000" in capsys.readouterr().err
    assert {p.name for p in out.iterdir()} == {
        "figure.png", "figure.tif", "figure.dcm", "legend.txt", "disclosure.txt", "label.json",
        "letter_to_editor.txt", "commitment.txt",
    }  # fmt: skip

    figure = read_photo(out / "figure.png").pixels
    with Image.open(out / "figure.tif") as tiff:
        assert tiff.info["dpi"] == (600, 600)
        np.testing.assert_array_equal(np.asarray(tiff), figure)
    np.testing.assert_array_equal(pydicom.dcmread(out / "figure.dcm").pixel_array, figure)
    for name in ("figure.png", "figure.tif"):
        assert b"compositeWithTrainedAlgorithmicMedia" in (out / name).read_bytes()

    legend = (out / "legend.txt").read_text()
    for words in ("Dermatofibroma", "arm, forearm", "the patient's left", "Only the outlined area",
                  "age group 90+ years", "skin type II", "not clinical evidence", "cm wide",
                  "Scale bar"):  # fmt: skip
        assert words in legend, words
    letter = (out / "letter_to_editor.txt").read_text()
    assert "J Test Dermatol" in letter and "Dr. A. Editor, letter" in letter and "$" not in letter
    assert (out / "commitment.txt").read_text().strip() in letter

    deposited = {**opening, "commitment": out / "commitment.txt"}
    for name in ("figure.png", "figure.tif", "figure.dcm"):
        assert case_command("verify", **deposited, figure=out / name) == 0
    image = Image.fromarray(figure)
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    half.save(tmp_path / "half.jpg", quality=85)
    capsys.readouterr()
    assert case_command("verify", **deposited, figure=tmp_path / "half.jpg") == 1
    said = capsys.readouterr().out
    assert "NOT VERIFIED" in said and "no proof" in said and "similarity 0." in said
    other = {**deposited, "commitment": "ab" * 32}
    assert case_command("verify", **other, figure=out / "figure.png") == 1


@pytest.mark.parametrize("kind", ["dicom", "jpeg"])
def test_no_private_fact_in_print_or_log(tmp_path, reader, capfd, kind):
    """Names planted in the photograph's file, in its name, in the answers; pixels planted outside kept."""
    pixels, _ = photo_and_mask(180, 200)
    if kind == "dicom":
        odd = {"SpecificCharacterSet": "XANTHIPPE"}  # pydicom would quote it in a warning
        photo = dicom_file(tmp_path / "IMG_20260301.dcm", pixels, **odd)
        capfd.readouterr()
    else:
        exif = Image.Exif()
        exif[0x013B], exif[0x010E] = "Xanthippe Hobbelheim", "ZQ-4711 19530417"
        exif.get_ifd(0x8825)[1] = "N"
        photo = str(tmp_path / "IMG_20260301.jpg")
        Image.fromarray(pixels).save(photo, exif=exif, quality=95)
    assert case_command("key", new=tmp_path / "s.key") == 0
    opening = new_case(tmp_path, reader, photo=photo, case_id="series-4712")
    assert case_command("preview", **opening, output=tmp_path / "draft.png") == 2  # no key
    series = {"series_key": tmp_path / "s.key"}
    assert case_command("preview", **opening, output=tmp_path / "draft.png", **series) == 0
    printed = "".join(capfd.readouterr())
    code = printed.split("--seen_figure ")[1].split()[0]
    flags = {**ANSWERS, **series, "seen_figure": code, "dicom": True}
    assert case_command("release", **opening, output=tmp_path / "print", **flags) == 0
    verified = {"figure": tmp_path / "print" / "figure.png"}
    assert case_command("verify", **opening, **verified) == 0
    printed += "".join(capfd.readouterr())
    written = [
        tmp_path / "draft.png",
        *(tmp_path / "case").iterdir(),
        *(tmp_path / "print").iterdir(),
    ]
    for text in (printed.encode(), *(path.read_bytes() for path in written)):
        for word in WORDS:
            for encoding in ("utf-8", "utf-16-le"):
                assert word.lower().encode(encoding) not in text.lower(), word
    for element in pydicom.dcmread(tmp_path / "print" / "figure.dcm").iterall():
        assert not any(word.lower() in str(element.value).lower() for word in WORDS)
        assert not element.tag.is_private and element.tag.group != 0x6000
    label = json.loads((tmp_path / "print" / "label.json").read_text())
    assert "93" not in json.dumps(label) and "landmarks" not in label and "sha256" not in label


def test_pixels_outside_kept_do_not_reach_the_folder_for_print(tmp_path, reader, capsys):
    """With the same kept pixels and facts, every file for print is the same but for the commitment."""
    pixels, mask = photo_and_mask(180, 200)
    noise = np.random.default_rng(7).integers(0, 256, pixels.shape, dtype=np.uint8)
    near = np.zeros(mask.shape, bool)
    y, x = np.nonzero(mask)
    near[max(0, y.min() - 12) : y.max() + 13, max(0, x.min() - 12) : x.max() + 13] = True
    folders = []
    for name, photo in (("a", pixels), ("b", np.where(near[..., None], pixels, noise))):
        folder = tmp_path / name
        folder.mkdir()
        opening = new_case(folder, reader, pixels=photo, pixels_per_cm=30)
        code = seen(folder, opening, capsys)
        flags = {**ANSWERS, "seen_figure": code, "dicom": True, "scale_bar": True}
        assert case_command("release", **opening, output=folder / "print", **flags) == 0
        folders.append(folder / "print")
    for path in folders[0].iterdir():
        if path.name not in ("commitment.txt", "letter_to_editor.txt"):
            assert path.read_bytes() == (folders[1] / path.name).read_bytes(), path.name
    figure = read_photo(folders[1] / "figure.png").pixels
    assert figure.shape == pixels.shape  # the frame is the whole photo: noise was within its reach
    outside = ~near
    assert (figure == noise).all(-1)[outside].mean() < 1e-3


def test_a_case_folder_without_its_key_tells_its_id_only(tmp_path, reader, capsys):
    opening = new_case(tmp_path, reader)
    folder = tmp_path / "case"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(p.name for p in folder.iterdir()) == ["case.json", "sealed.age"]
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in folder.iterdir())
    about = json.loads((folder / "case.json").read_text())
    assert set(about) == {"jaxderm_case", "id"} and about["id"].startswith("JD-")
    sealed = (folder / "sealed.age").read_bytes()
    assert sealed.startswith(b"age-encryption.org/v1\n")
    # Nothing that the archive says is in the file. Ciphertext looks random, so a word of three letters
    # is in a megabyte of it now and then; one of six or more never.
    lock = vault.lock_to_open(None, str(opening["identity"]))
    archive = vault._pack(vault.open_case(folder, lock).documents)
    for word in (
        b"Dermatofibroma",
        b"laterality",
        b'"female"',
        b"2099-01-01",
        b"\x89PNG\r\n\x1a\n",
        b"facts.json",
    ):
        assert word in archive and word not in sealed
    other = tmp_path / "other.key"
    assert case_command("key", new_reader=other) == 0
    capsys.readouterr()
    for flags in ({"identity": other}, {"identity": tmp_path / "mask.png"}, {}):
        assert case_command("preview", case=folder, output=tmp_path / "d.png", **flags) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "Dermatofibroma" not in said
    assert not (tmp_path / "d.png").exists() and opening


def test_reviewers_see_the_photograph_and_nothing_of_its_file(tmp_path, reader, capfd):
    pixels, _ = photo_and_mask(180, 200)
    photo = dicom_file(tmp_path / "IMG_20260301.dcm", pixels)
    opening = new_case(tmp_path, reader, photo=photo)
    assert case_command("open", **opening, output=tmp_path / "look") == 0
    assert stat.S_IMODE((tmp_path / "look").stat().st_mode) == 0o700
    names = sorted(p.name for p in (tmp_path / "look").iterdir())
    assert names == ["mask-1.png", "original-1.png"]
    np.testing.assert_array_equal(read_photo(tmp_path / "look" / "original-1.png").pixels, pixels)
    case = vault.open_case(tmp_path / "case", vault.lock_to_open(None, reader[0]))
    written = [path.read_bytes() for path in (tmp_path / "look").iterdir()]
    written += [*case.documents.values(), "".join(capfd.readouterr()).encode()]
    for data in written:
        assert not any(word.lower().encode() in data.lower() for word in WORDS)
    assert case_command("open", **opening, output=tmp_path / "look") == 2  # exists


def test_a_name_of_the_photographs_file_is_not_printed(tmp_path, reader, capsys):
    pixels, _ = photo_and_mask(180, 200)
    photo = dicom_file(tmp_path / "a.dcm", pixels)
    for flag in ("diagnosis", "subsite", "timepoint"):
        with pytest.raises(AssertionError):
            new_case(tmp_path, reader, photo=photo, **{flag: "naevus of Hobbelheim"})
        said = capsys.readouterr().err
        assert "private word" in said and "Hobbelheim" not in said
        assert not (tmp_path / "case").exists()


def test_passphrase_seals_and_opens(tmp_path, capsys):
    (tmp_path / "right").write_text("five or six plain words\n")
    (tmp_path / "wrong").write_text("five or six plain wordz\n")
    (tmp_path / "short").write_text("secret\n")
    with pytest.raises(AssertionError):
        new_case(tmp_path, ("", ""), passphrase_file=tmp_path / "short")
    assert "12 characters" in capsys.readouterr().err and not (tmp_path / "case").exists()
    new_case(tmp_path, ("", ""), passphrase_file=tmp_path / "right")
    flags = {"case": tmp_path / "case", "passphrase_file": tmp_path / "wrong"}
    assert case_command("preview", **flags, output=tmp_path / "draft.png") == 2
    lock = vault.lock_to_open(str(tmp_path / "right"), None)
    assert vault.open_case(tmp_path / "case", lock).json("facts.json")["laterality"] == "left"
    assert "wrong passphrase" in capsys.readouterr().err


def test_nothing_is_released_without_every_answer(tmp_path, reader, capsys):
    opening = new_case(tmp_path, reader)
    whole = {**ANSWERS, "seen_figure": seen(tmp_path, opening, capsys)}
    out, before = tmp_path / "print", (tmp_path / "case" / "sealed.age").read_bytes()
    trials = {
        "consent": (None, "--consent"),
        "seen_figure": (None, "patient or guardian"),
        "editor_agreement": (" ", "editor agreed"),
        "journal": (None, "--journal"),
        "kept_shows": (None, "--kept_shows none"),
    }
    for name, (value, words) in trials.items():
        assert case_command("release", **opening, output=out, **{**whole, name: value}) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    for name, value, words in (
        ("seen_figure", "0000-0000", "has seen another"),
        ("kept_shows", "tattoo,scar", "--acknowledge tattoo,scar"),
        ("kept_shows", "dragon", "'dragon' is unknown"),
        ("consent", "Dermatofibroma", "private word"),  # it stands in the legend
    ):
        assert case_command("release", **opening, output=out, **{**whole, name: value}) == 2
        assert words in capsys.readouterr().err
    assert not out.exists() and sorted(p.name for p in tmp_path.iterdir()) == [
        "IMG_20260301.png", "case", "draft.png", "mask.png",
    ]  # fmt: skip
    assert (tmp_path / "case" / "sealed.age").read_bytes() == before
    assert case_command("verify", **opening, figure=tmp_path / "draft.png") == 2
    accepted = {**whole, "kept_shows": "tattoo", "acknowledge": "tattoo"}
    assert case_command("release", **opening, output=out, **accepted) == 0
    assert case_command("release", **opening, output=out, **whole) == 2  # exists


def test_expired_cases_do_not_open(tmp_path, reader, capsys, monkeypatch):
    import datetime

    from jaxderm.case import figures

    opening = new_case(tmp_path, reader)

    class Later(datetime.date):
        @classmethod
        def today(cls):
            return cls(2099, 1, 2)

    monkeypatch.setattr(figures.datetime, "date", Later)
    assert case_command("preview", **opening, output=tmp_path / "d.png") == 2
    assert "expired on 2099-01-01" in capsys.readouterr().err


def test_sex_and_age_can_be_withheld_from_picture_and_print(tmp_path, reader, capsys):
    opening = new_case(tmp_path, reader, withhold="sex,age")
    flags = {**ANSWERS, "seen_figure": seen(tmp_path, opening, capsys)}
    assert case_command("release", **opening, output=tmp_path / "print", **flags) == 0
    legend = (tmp_path / "print" / "legend.txt").read_text()
    assert "sex withheld, age withheld" in legend and "female" not in legend
    label = json.loads((tmp_path / "print" / "label.json").read_text())
    assert label["declared_of_the_person_shown"]["sex"] == "withheld"


def series_file(folder, **changes) -> str:
    """A cases file of two timepoints in other scales; the second one healed."""
    lines = ["id,photo,mask,site,age,sex,skin_type,case_id,timepoint,mask_shows,ruler,ruler_mm"]
    rows = {
        "a": ("before", "lesion", "10,10 110,10", "50"),
        "b": ("12 weeks", "treated_area", "10,10 90,10", "50"),
    }
    for name, cells in rows.items():
        pixels, mask = photo_and_mask(180, 200, seed=ord(name))
        (folder / f"{name}.png").write_bytes(encode_png(pixels))
        (folder / f"{name}_mask.png").write_bytes(encode_png(mask & changes.get(name, True)))
        cells = changes.get("cells", {}).get(name, cells)
        lines.append(
            f"{name},{name}.png,{name}_mask.png,arm,40,female,measured,series-4712,"
            + (",".join(f'"{cell}"' for cell in cells))
        )
    path = folder / "series.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_series_is_one_person_one_light_one_scale(tmp_path, reader, capsys, monkeypatch):
    from jaxderm.release import synthesize

    drawn = []
    original = synthesize.Deidentifier.release
    real = synthesize.randomness.keyed_digest

    def recorded(key, patient, seed, candidate):
        drawn.append(real(key, patient, seed, candidate))
        return drawn[-1]

    monkeypatch.setattr(synthesize.randomness, "keyed_digest", recorded)
    assert original is synthesize.Deidentifier.release
    key = tmp_path / "s.key"
    assert case_command("key", new=key) == 0
    opening = new_case(tmp_path, reader, cases=series_file(tmp_path))
    series = {"series_key": key}
    codes = seen(tmp_path, opening, capsys, **series)
    assert len(codes.split(",")) == 2 and (tmp_path / "draft-2.png").is_file()
    flags = {**ANSWERS, **series, "seen_figure": codes, "scale_bar": True}
    assert case_command("release", **opening, output=tmp_path / "print", **flags) == 0
    assert len(drawn) == 4 and len(set(drawn)) == 1  # preview and release, both timepoints

    case = vault.open_case(tmp_path / "case", vault.lock_to_open(None, reader[0]))
    first, second = (entry["manifest"] for entry in case.json("release-1.json")["figures"])
    for fact in ("sex", "age", "skin_tone", "site", "view"):
        assert first["facts"][fact] == second["facts"][fact]
    cm = [m["facts"]["frame"]["value"] for m in (first, second)]
    widths = [(box[2] - box[0]) / m["facts"]["pixels_per_cm"]["value"]
              for box, m in zip(cm, (first, second))]  # fmt: skip
    assert widths[0] == pytest.approx(widths[1], abs=1 / 16)
    legend = (tmp_path / "print" / "legend.txt").read_text()
    assert "part 2: 12 weeks" in legend and "treated area" in legend
    assert case_command("verify", **opening, figure=tmp_path / "print" / "figure-2.png") == 0

    assert case_command("key", destroy=key) == 0 and not key.exists()
    assert case_command("preview", **opening, output=tmp_path / "x.png", **series) == 2


def test_an_audited_figure_denies_recognizable_features(tmp_path, reader, capsys):
    """`deidentify` with the same facts gives the picture that an audit needs."""
    opening = new_case(tmp_path, reader)
    audited = tmp_path / "17.png"
    argv = ["jaxderm", "deidentify", "--photo", tmp_path / "IMG_20260301.png", "--mask",
            tmp_path / "mask.png", "--site", "arm", "--sex", "female", "--age", "93", "--skin_type",
            "II", "--model", weight_file(), "--output", audited]  # fmt: skip
    assert cli.main([str(word) for word in argv]) == 0
    row = {"id": "17", "rank": 40, "verified": False}
    (tmp_path / "report.json").write_text(json.dumps({"rows": [row]}))
    flags = {**ANSWERS, "seen_figure": seen(tmp_path, opening, capsys), "dicom": True}
    audit = {"audit": tmp_path, "audited": audited}
    for name, more in (("plain", {}), ("audited", audit)):
        assert case_command("release", **opening, output=tmp_path / name, **flags, **more) == 0
    for name, value in (("plain", None), ("audited", "NO")):
        dataset = pydicom.dcmread(tmp_path / name / "figure.dcm")
        codes = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
        assert dataset.get("RecognizableVisualFeatures") == value
        assert ("113102" in codes) == (value == "NO")
    # A second release of a case has a commitment of its own.
    first, second = ((tmp_path / n / "commitment.txt").read_text() for n in ("plain", "audited"))
    assert first != second
    for name in ("plain", "audited"):
        out = tmp_path / name
        figure, commitment = out / "figure.png", out / "commitment.txt"
        assert case_command("verify", **opening, figure=figure, commitment=commitment) == 0


def test_deidentify_takes_a_series_by_case_id(tmp_path, capsys):
    lines = ["id,photo,mask,site,age,skin_type,case_id,timepoint"]
    for name in "ab":
        pixels, mask = photo_and_mask(180, 200, seed=ord(name))
        (tmp_path / f"{name}.png").write_bytes(encode_png(pixels))
        (tmp_path / f"{name}_mask.png").write_bytes(encode_png(mask))
        lines.append(f"{name},{name}.png,{name}_mask.png,arm,40,II,series-4712,{name}")
    (tmp_path / "cases.csv").write_text("\n".join(lines))
    (tmp_path / "typed").write_text("a long secret that somebody typed")
    assert case_command("key", new=tmp_path / "made") == 0
    argv = ["jaxderm", "deidentify", "--cases", str(tmp_path / "cases.csv"), "--model",
            str(weight_file()), "--output_dir", str(tmp_path / "out"), "--identity_key"]  # fmt: skip
    assert cli.main([*argv, str(tmp_path / "typed")]) == 1
    assert "was typed" in capsys.readouterr().err
    assert cli.main([*argv, str(tmp_path / "made")]) == 0
    for name in "ab":
        text = (tmp_path / "out" / f"{name}.json").read_text()
        assert json.loads(text)["seed"]["policy"] == "hmac" and "4712" not in text


def test_series_mistakes(tmp_path, reader, capsys):
    empty = {"b": np.zeros((180, 200), bool)}
    dated = {"cells": {"b": ("2026-03-01", "lesion", "", "")}}
    twice = {"cells": {"b": ("before", "lesion", "", "")}}
    for changes, words in (
        (empty, "treated_area"), (dated, "looks like a date"), (twice, "another value"),
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            new_case(tmp_path, reader, cases=series_file(tmp_path, **changes))
        assert words in capsys.readouterr().err and not (tmp_path / "case").exists()
    path = tmp_path / "series.csv"
    path.write_text(path.read_text() + "c,c.png\n")
    with pytest.raises(AssertionError):
        new_case(tmp_path, reader, cases=path)
    assert "too few" in capsys.readouterr().err


def test_generated_pictures_are_no_patients(tmp_path, reader, capsys):
    pixels, mask = photo_and_mask(180, 200)
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode_png(pixels))
    (tmp_path / "mask.png").write_bytes(encode_png(mask))
    base = ["jaxderm", "deidentify", "--photo", str(photo), "--mask", str(tmp_path / "mask.png"),
            "--site", "arm", "--skin_type", "II", "--model", str(weight_file())]  # fmt: skip
    (tmp_path / "out").mkdir()
    for name in ("r.png", "r2.dcm"):
        assert cli.main([*base, "--output", str(tmp_path / "out" / name)]) == 0
    plain = tmp_path / "out" / "simulated.png"
    plain.write_bytes(encode_png(pixels))
    plain.with_suffix(".json").write_text(json.dumps({"simulated": True}))
    for name in ("r.png", "r2.dcm", "simulated.png"):
        capsys.readouterr()
        with pytest.raises(AssertionError):
            new_case(tmp_path, reader, photo=tmp_path / "out" / name)
        said = capsys.readouterr().err
        assert "not the photograph of a patient" in said and not (tmp_path / "case").exists()


@pytest.mark.parametrize(
    "flags, words",
    [
        ({"laterality": None}, "as the patient's"),
        ({"laterality": "up"}, "'up' is unknown"),
        ({"expires": None}, "YYYY-MM-DD"),
        ({"expires": "2001-01-01"}, "has passed"),
        ({"diagnosis": " "}, "--diagnosis"),
        ({"withhold": "name"}, "'name' is unknown"),
        ({"ruler": "1,1 2,2", "ruler_mm": 10}, "at least 20"),
        ({"ruler": "10,10 110,10"}, "--ruler_mm"),
        ({"recipients": "age1nonsense"}, "no age public key"),
        ({"mask_shows": "tumour"}, "mask_shows"),
        ({"photo": "nowhere.png"}, "does not exist"),
        ({"landmarks": "1,2", "site": "face"}, "landmarks"),
    ],
)
def test_mistakes_make_no_case(tmp_path, reader, capsys, flags, words):
    with pytest.raises(AssertionError):
        new_case(tmp_path, reader, **flags)
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "case").exists()


def test_missing_answers_are_asked_for_at_a_terminal(tmp_path, reader, capsys, monkeypatch):
    opening = new_case(tmp_path, reader)
    code = seen(tmp_path, opening, capsys)
    replies = {
        "consent": "CONSENT-0815",
        "Code": code,
        "editor": "Dr. E.",
        "Journal": "J",
        "kept": "",
    }
    asked = []

    def reply(question):
        asked.append(question)
        return next(text for word, text in replies.items() if word in question)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", reply)
    out = tmp_path / "print"
    assert case_command("release", **opening, output=out) == 2  # the kept area is not answered
    replies["kept"] = "none"
    assert case_command("release", **opening, output=out) == 0 and len(asked) == 10
    assert (out / "figure.png").is_file()


def test_passphrase_is_asked_for_twice(monkeypatch):
    answers = iter(["five or six plain words", "five or six plain wordz"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    with pytest.raises(InputError, match="differ"):
        vault.lock_to_seal(None, [])


def test_actions_are_named(capsys):
    assert cli.main(["jaxderm", "case"]) == 2
    assert "new|open|preview|release|verify|key" in capsys.readouterr().err
    assert cli.main(["jaxderm", "case", "publish"]) == 2
    assert cli.main(["jaxderm", "case", "--help"]) == 0
    assert cli.main(["jaxderm", "case", "new", "--help"]) == 0
    assert "--ruler_mm" in capsys.readouterr().out


def test_writing_fails_whole(tmp_path, reader, capsys, monkeypatch):
    opening = new_case(tmp_path, reader)
    flags = {**ANSWERS, "seen_figure": seen(tmp_path, opening, capsys)}
    inside = tmp_path / "case" / "print"
    assert case_command("release", **opening, output=inside, **flags) == 2
    assert case_command("release", **opening, output=tmp_path / "no" / "print", **flags) == 2
    assert sorted(os.listdir(tmp_path / "case")) == ["case.json", "sealed.age"]
    before = (tmp_path / "case" / "sealed.age").read_bytes()

    def full(*_):
        raise InputError("'sealed.age' cannot be written: the disk is full.")

    monkeypatch.setattr(vault, "save", full)
    assert case_command("release", **opening, output=tmp_path / "print", **flags) == 2
    monkeypatch.setattr(vault, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    assert case_command("release", **opening, output=tmp_path / "print", **flags) == 2
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"IMG_20260301.png", "mask.png", "case", "draft.png"}
    assert (tmp_path / "case" / "sealed.age").read_bytes() == before
