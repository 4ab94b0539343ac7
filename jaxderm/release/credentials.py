"""C2PA content credentials of a release, signed with the user's own certificate (extra `c2pa`).

No thumbnail, no ingredient: nothing of the original rides along. No timestamp authority is asked, so that signing
needs no network. Signatures hold fresh random numbers: signed releases of one case differ in the label, not in pixels.
"""

import dataclasses
import io
import json
from pathlib import Path

import jaxderm
from jaxderm.errors import InputError
from jaxderm.release.manifest import SOURCE_TYPE

ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
FORMAT = "image/png"


def _c2pa():
    try:
        import c2pa
    except ImportError:
        raise InputError("content credentials need c2pa: pip install 'jaxderm[c2pa]'.") from None
    return c2pa


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Who signs: certificate chain (leaf first) and private key, PEM; algorithm of ALGORITHMS."""

    certificates: str
    key: str = dataclasses.field(repr=False)
    algorithm: str = "es256"

    def sign(self, png: bytes) -> bytes:
        """The PNG with credentials embedded; InputError where the certificate or key is not accepted."""
        c2pa = _c2pa()
        claim = {
            "claim_generator_info": [{"name": "jaxderm", "version": jaxderm.__version__}],
            "title": "release",
            "assertions": [
                {
                    "label": "c2pa.actions",
                    "data": {
                        "actions": [
                            {
                                "action": "c2pa.created",
                                "digitalSourceType": SOURCE_TYPE,
                                "softwareAgent": {
                                    "name": "jaxderm",
                                    "version": jaxderm.__version__,
                                },
                            }
                        ]
                    },
                }
            ],
        }
        signed = io.BytesIO()
        try:
            info = c2pa.C2paSignerInfo(
                self.algorithm.encode(), self.certificates.encode(), self.key.encode(), None
            )
            settings = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})
            with (
                c2pa.Context(settings) as context,
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(json.dumps(claim), context) as builder,
            ):
                builder.sign(signer, FORMAT, io.BytesIO(png), signed)
        except c2pa.C2paError as error:
            raise InputError(
                "the certificate of --c2pa_certificate does not sign with the key of --c2pa_key "
                f"({' '.join(str(error).split())}); give a chain for content signing and its key."
            ) from None
        return signed.getvalue()


def read_credentials(certificate: str, key: str | None, algorithm: str = "es256") -> Credentials:
    """Credentials of two PEM files; InputError for one that is missing or no PEM."""
    if not key:
        raise InputError("--c2pa_certificate needs the private key: give --c2pa_key KEY.pem.")
    texts = []
    for flag, path, word in (
        ("c2pa_certificate", certificate, "CERTIFICATE"),
        ("c2pa_key", key, "PRIVATE KEY"),
    ):
        try:
            text = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise InputError(f"--{flag} '{path}' cannot be read ({reason}).") from None
        if word not in text:
            raise InputError(f"--{flag} '{path}' holds no {word.lower()} in PEM.")
        texts.append(text)
    _c2pa()
    return Credentials(texts[0], texts[1], algorithm)


def read_claims(data: bytes) -> dict | None:
    """{"state", "source_type", "generator", "signer", "ingredients", "thumbnail"} of a PNG's credentials, None without.

    state: Trusted, Valid (intact, but the certificate is on no trust list here) or Invalid.
    """
    c2pa = _c2pa()
    try:
        with c2pa.Reader(FORMAT, io.BytesIO(data)) as reader:
            active = reader.get_active_manifest()
            state = reader.get_validation_state()
    except c2pa.C2paError:
        return None
    actions = [
        action
        for assertion in active.get("assertions", [])
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"].get("actions", [])
    ]
    generators = active.get("claim_generator_info") or [{"name": "unnamed"}]
    return {
        "state": str(state),
        "source_type": next(
            (a["digitalSourceType"] for a in actions if "digitalSourceType" in a), None
        ),
        "generator": " ".join(str(generators[0].get(k, "")) for k in ("name", "version")).strip(),
        "signer": (active.get("signature_info") or {}).get("issuer"),
        "ingredients": len(active.get("ingredients") or []),
        "thumbnail": active.get("thumbnail") is not None,
    }
