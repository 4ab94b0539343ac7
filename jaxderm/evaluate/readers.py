"""Readers of attributes by name or path: the one that ships, one trained alike, or a user's own."""

from pathlib import Path

from jaxderm.evaluate import attributes, reader
from jaxderm.evaluate.attributes import Reader

SHIPPED = Path(__file__).resolve().parent.parent / "weights" / "heads" / "reader.safetensors"


def load_reader(name: str | None) -> Reader | None:
    """A reader: "default" (ships), FILE.safetensors, FILE.onnx or FILE.py[:function]; None for "none".

    InputError when the file is none (docs/evaluation.md).
    """
    if name in (None, "", "none"):
        return None
    if name == "default":
        return Reader("of rendered people (ships)", reader.load_reader(SHIPPED))
    if name.endswith(".safetensors"):
        return reader.load_reader(name)
    return attributes.load_reader(name)
