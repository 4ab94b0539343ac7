"""jaxderm inspect FILE [--manifest OUT.json] [--mask OUT.mask.png]: what a picture claims of itself, and whether it holds.

Reads the label (IPTC digital source type in XMP), C2PA content credentials where the extra `c2pa` is installed, and with the
private manifest whether this very file is the release and the kept pixels are untouched. Exit status 0: no claim is broken;
1: one is; 2: the file cannot be read.
"""

import hashlib
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from absl import flags
from PIL import Image

from jaxderm.errors import InputError
from jaxderm.photo import read_mask, read_photo
from jaxderm.release import manifest

FLAGS = flags.FlagValues()
POSITIONAL = "file"
flags.DEFINE_string("file", None, "the picture", flag_values=FLAGS)
flags.DEFINE_string("manifest", None, "the release's manifest, OUT.json", flag_values=FLAGS)
flags.DEFINE_string("mask", None, "OUT.mask.png; default: beside the manifest", flag_values=FLAGS)
flags.DEFINE_bool("json", False, "print the findings as JSON", flag_values=FLAGS)

_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
_TOOL = "{http://ns.adobe.com/xap/1.0/}CreatorTool"
MEANING = {
    "compositeWithTrainedAlgorithmicMedia": "a photograph composed with generated media",
    "trainedAlgorithmicMedia": "wholly generated media",
    "humanEdits": "edited by people, without generated media",
    "digitalCapture": "an unaltered photograph",
}


def run(values: flags.FlagValues) -> int:
    """Print what is claimed; the exit status."""
    if not values.file:
        raise InputError("give the picture: jaxderm inspect FILE.")
    found = look(values.file, values.manifest, values.mask)
    if values.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join(found["sentences"]))
    return 1 if found["broken"] else 0


def look(path: str, manifest_path: str | None = None, mask_path: str | None = None) -> dict:
    """{"sentences", "broken", "label", "tool", "credentials", "manifest"} of a picture file."""
    photo = read_photo(path)  # told in a sentence where it is no picture
    data = Path(path).read_bytes()
    label, tool = _label(path)
    sentences, broken = [f"{path}: {photo.pixels.shape[1]} x {photo.pixels.shape[0]} pixels"], False
    if label is None:
        sentences.append("label: none; the file says nothing of how it was made")
    else:
        word = label.rpartition("/")[2]
        meaning = MEANING.get(word, "a kind that this version does not know")
        sentences.append(
            f"label: {meaning} ({word}){f', by {tool}' if tool else ''}; a label can be forged"
        )
    credentials = _credentials(data)
    if credentials == "missing":
        sentences.append("content credentials: not looked for; pip install 'jaxderm[c2pa]'")
    elif credentials is None:
        sentences.append("content credentials: none")
    else:
        broken |= credentials["state"] == "Invalid"
        held = {
            "Trusted": "intact, by a trusted signer",
            "Valid": "intact; the signer is on no trust list here",
        }
        sentences.append(
            f"content credentials: {held.get(credentials['state'], 'BROKEN: the file was changed')}; signed by "
            f"{credentials['signer'] or 'nobody named'}, made by {credentials['generator']}, "
            f"{credentials['ingredients']} ingredients"
        )
    checked = None
    if manifest_path:
        checked = _against(photo.pixels, data, manifest_path, mask_path)
        broken |= not all(checked.values())
        sentences.append(
            "manifest: "
            + ("this very file" if checked["file"] else "NOT this file, or it was changed")
            + "; kept pixels "
            + ("untouched" if checked["kept"] else "NOT those of the manifest")
        )
    return {
        "sentences": sentences, "broken": bool(broken), "label": label, "tool": tool,
        "credentials": credentials, "manifest": checked,
    }  # fmt: skip


def _label(path: str) -> tuple[str | None, str | None]:
    """(digital source type, tool) of a picture's XMP."""
    try:
        with Image.open(path) as picture:
            packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
        root = ElementTree.fromstring(packet)
    except (OSError, ElementTree.ParseError, TypeError, ValueError):
        return None, None
    found = {}
    for element in root.iter():
        found |= element.attrib
        if element.text:
            found.setdefault(element.tag, element.text.strip())
    return found.get(_TYPE), found.get(_TOOL)


def _credentials(data: bytes) -> dict | str | None:
    from jaxderm.release import credentials

    try:
        return credentials.read_claims(data)
    except InputError:
        return "missing"


def _against(pixels: np.ndarray, data: bytes, path: str, mask_path: str | None) -> dict[str, bool]:
    document = manifest.read(path)
    beside = Path(path)
    mask = read_mask(mask_path or str(beside.with_suffix(".mask.png")), pixels.shape[:2])
    kept = hashlib.sha256(np.ascontiguousarray(pixels[mask]).tobytes()).hexdigest()
    return {
        "file": document.get("output", {}).get("sha256") == hashlib.sha256(data).hexdigest(),
        "kept": document["kept"]["sha256"] == kept,
    }
