"""Draw from an exported model with JAX alone: no Flax, no jaxderm.

    jaxderm export --model default --output model.jaxderm
    python examples/artefact.py model.jaxderm 4          # needs jax, flatbuffers, safetensors, pillow

The evidence is empty here: nothing kept, nothing known. `card["inputs"]` names what the program takes.
"""

import json
import sys
import zipfile

import jax
import numpy as np
from PIL import Image
from safetensors.numpy import load

path, count = sys.argv[1], int(sys.argv[2])
with zipfile.ZipFile(path) as artefact:
    card = json.loads(artefact.read("card.json"))
    program = jax.export.deserialize(bytearray(artefact.read("program.jax_export")))
    weights = load(artefact.read("weights.safetensors"))
weights = jax.device_put({name: array.astype(np.float32) for name, array in weights.items()})
inputs = {n: np.zeros((count, *shape[1:]), np.float32) for n, shape in card["inputs"].items()}
inputs["landmarks"][:] = np.nan  # unknown
inputs["z"] = np.random.default_rng(0).normal(size=inputs["z"].shape).astype(np.float32)
frames = jax.jit(program.call)(weights, inputs)  # [count,S,S,3] in [-1,1]
levels = np.clip(np.asarray(frames) * 127.5 + 128, 0, 255).astype(np.uint8)
Image.fromarray(np.concatenate(list(levels), 1)).save(path + ".png")
print(f"{path}.png: {count} frames of {card['name']}")
