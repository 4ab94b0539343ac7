"""Smoke test: 64 px, a few steps, under a minute on a CPU; proves the loop, not the model.

jaxderm train --config=configs/smoke.py --workdir=runs/smoke --config.stage=autoencoder
"""

from configs import default


def get_config():
    """The default with the smallest model and a few steps."""
    c = default.get_config()
    c.stage = "autoencoder"
    c.model.size = 64
    c.model.base = 32
    c.batch = 4
    c.total_kimg = 0.04
    c.log_kimg = c.evaluate_kimg = 0.008
    c.checkpoint_kimg = c.grid_kimg = 0.02
    c.optimizer.warmup_kimg = 0.01
    return c
