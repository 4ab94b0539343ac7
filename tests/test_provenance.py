"""What a release says of itself: the label, content credentials, and what `inspect` makes of them."""

import datetime
import json

import numpy as np
import pytest
from PIL import Image

from jaxderm import cli
from jaxderm.commands import inspect
from jaxderm.errors import InputError
from jaxderm.photo import read_photo
from jaxderm.release import credentials


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(chain, key) PEM paths: a signing certificate of a test authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(name):
        attributes = [(NameOID.ORGANIZATION_NAME, "Test clinic"), (NameOID.COMMON_NAME, name)]
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])

    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    made = []
    for subject, key, ca in (("Authority", keys[0], True), ("Signer", keys[1], False)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("Authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, ca, ca, False, False), True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), False
            )
        )
        if not ca:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(usage, False)
        made.append(builder.sign(keys[0], hashes.SHA256()))
    folder = tmp_path_factory.mktemp("keys")
    pem = serialization.Encoding.PEM
    (folder / "chain.pem").write_bytes(made[1].public_bytes(pem) + made[0].public_bytes(pem))
    (folder / "key.pem").write_bytes(
        keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photo")
    rng = np.random.default_rng(0)
    pixels = np.clip([200, 160, 140] + rng.normal(0, 4, (300, 300, 1)), 0, 255).astype(np.uint8)
    mask = np.zeros((300, 300), np.uint8)
    mask[140:160, 140:165] = 255
    Image.fromarray(pixels).save(folder / "photo.png")
    Image.fromarray(mask).save(folder / "mask.png")
    return folder


def deidentify(folder, output, *flags) -> int:
    return cli.main(
        ["jaxderm", "deidentify", f"--photo={folder / 'photo.png'}", f"--mask={folder / 'mask.png'}",
         "--site=arm", "--sex=male", "--age=50", f"--output={output}", *flags]
    )  # fmt: skip


def test_a_release_says_what_it_is_and_the_manifest_holds(photograph, tmp_path, capsys):
    assert deidentify(photograph, tmp_path / "out.png") == 0
    capsys.readouterr()
    argv = ["jaxderm", "inspect", str(tmp_path / "out.png"), f"--manifest={tmp_path / 'out.json'}"]
    assert cli.main(argv) == 0
    told = capsys.readouterr().out
    assert "a photograph composed with generated media" in told and "by jaxderm" in told
    assert "content credentials: none" in told and "this very file; kept pixels untouched" in told
    # Another picture with the same label is not the manifest's.
    changed = np.array(Image.open(tmp_path / "out.png"))
    kept = np.array(Image.open(tmp_path / "out.mask.png")) > 0
    changed[tuple(np.argwhere(kept)[0])] ^= 1
    Image.fromarray(changed).save(tmp_path / "changed.png")
    argv[2] = str(tmp_path / "changed.png")
    assert cli.main(argv) == 1
    told = capsys.readouterr().out
    assert "NOT this file" in told and "NOT those of the manifest" in told and "label: none" in told


def test_an_eye_bar_is_labelled_as_an_edit_and_warned_of(photograph, tmp_path, capsys):
    flags = ["--method=blur"]
    assert deidentify(photograph, tmp_path / "bar.png", *flags) == 0
    warning = "does not protect the patient"
    assert warning in capsys.readouterr().err
    assert warning in (tmp_path / "bar.json").read_text()
    found = inspect.look(str(tmp_path / "bar.png"))
    assert found["label"].endswith("humanEdits")


def test_credentials_are_intact_until_a_pixel_changes(photograph, certificate, tmp_path, capsys):
    chain, key = certificate
    signing = [f"--c2pa_certificate={chain}", f"--c2pa_key={key}"]
    assert deidentify(photograph, tmp_path / "signed.png", *signing) == 0
    assert deidentify(photograph, tmp_path / "plain.png") == 0
    signed, plain = (read_photo(tmp_path / name).pixels for name in ("signed.png", "plain.png"))
    np.testing.assert_array_equal(signed, plain)
    found = inspect.look(str(tmp_path / "signed.png"), str(tmp_path / "signed.json"))
    claims = found["credentials"]
    assert claims["state"] in ("Valid", "Trusted") and not found["broken"]
    assert claims["source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert claims["signer"] == "Test clinic" and claims["generator"].startswith("jaxderm")
    assert claims["ingredients"] == 0 and not claims["thumbnail"]
    assert found["manifest"] == {"file": True, "kept": True}
    assert found["label"].endswith("compositeWithTrainedAlgorithmicMedia")
    # The photograph is in no part of the file, by name or by picture.
    data = (tmp_path / "signed.png").read_bytes()
    assert b"photo.png" not in data and data.count(b"IHDR") == 1
    place = data.rindex(b"IDAT") + 40
    (tmp_path / "forged.png").write_bytes(
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    )
    assert credentials.read_claims((tmp_path / "forged.png").read_bytes())["state"] == "Invalid"


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--c2pa_certificate=none.pem", "--c2pa_key=k.pem"], "cannot be read"),
        (["--c2pa_certificate=CHAIN"], "needs the private key"),
        (["--c2pa_certificate=KEY", "--c2pa_key=KEY"], "holds no certificate"),
        (["--c2pa_certificate=CHAIN", "--c2pa_key=CHAIN"], "holds no private key"),
    ],
)
def test_bad_certificates_are_a_sentence(
    flags, sentence, photograph, certificate, tmp_path, capsys
):
    chain, key = (str(path) for path in certificate)
    flags = [flag.replace("CHAIN", chain).replace("KEY", key) for flag in flags]
    assert deidentify(photograph, tmp_path / "out.png", *flags) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_key_of_another_certificate_writes_nothing(photograph, certificate, tmp_path, capsys):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "other.pem").write_bytes(key)
    flags = [f"--c2pa_certificate={certificate[0]}", f"--c2pa_key={tmp_path / 'other.pem'}"]
    assert deidentify(photograph, tmp_path / "out.png", *flags) == 2
    assert "does not sign with the key" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_what_cannot_be_inspected_is_a_sentence(tmp_path, capsys):
    assert cli.main(["jaxderm", "inspect"]) == 2
    assert cli.main(["jaxderm", "inspect", str(tmp_path / "no.png")]) == 2
    (tmp_path / "text.png").write_text("no picture")
    assert cli.main(["jaxderm", "inspect", str(tmp_path / "text.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_without_the_extra_the_remedy_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(InputError, match=r"pip install 'jaxderm\[c2pa\]'"):
        credentials.read_claims(b"")
    assert json.dumps(inspect._credentials(b"")) == '"missing"'
