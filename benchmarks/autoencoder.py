"""How faithful is the autoencoder? PSNR and colour drift on held-out pictures of each corpus.

    python benchmarks/autoencoder.py --networks runs/people_128/vae/networks.safetensors [--data_dir data]

Required (DESIGN): at least 32 dB and a mean Delta-E of the mean colour of at most 1.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from jaxderm.attributes import rgb_to_lab
from jaxderm.data.pipeline import make_loader
from jaxderm.models import weights


def main() -> None:
    """Print a line a corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", required=True)
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--corpora", default="portraits,rendered_people")
    parser.add_argument("--count", type=int, default=192)
    given = parser.parse_args()
    networks, spec, _ = weights.load_weights(given.networks)
    model = spec.autoencoder()
    apply = jax.jit(lambda x: model.apply({"params": networks["autoencoder"]}, x)[0])
    for corpus in given.corpora.split(","):
        loader = make_loader(
            given.data_dir, {corpus: 1.0}, "validation", batch_size=16, size=spec.size, seed=0
        )
        psnr, drift, error = [], [], []
        for _ in range(given.count // 16):
            image = next(loader)["image"].astype(np.float32) / 127.5 - 1
            y = np.clip(np.asarray(apply(jnp.asarray(image))), -1, 1)
            psnr += list(10 * np.log10(4 / np.square(y - image).mean((1, 2, 3))))
            a, b = rgb_to_lab((image + 1) / 2), rgb_to_lab((y + 1) / 2)
            drift += list(np.linalg.norm((a - b).mean((1, 2)), axis=-1))
            error += list(np.linalg.norm(a - b, axis=-1).mean((1, 2)))
        print(
            f"{corpus}: {np.mean(psnr):.1f} dB (worst {np.min(psnr):.1f}), "
            f"colour drift {np.mean(drift):.2f} Delta-E, pixel error {np.mean(error):.2f} Delta-E, "
            f"{len(psnr)} pictures"
        )


if __name__ == "__main__":
    main()
