"""A generator in a latent at 128 px: rendered people and public-domain portraits, no patient.

    jaxderm train --config=configs/people_128.py:autoencoder --workdir=runs/people_128
    jaxderm train --config=configs/people_128.py:vae         --workdir=runs/people_128
    jaxderm train --config=configs/people_128.py:gan         --workdir=runs/people_128
    jaxderm train --config=configs/people_128.py:decoder     --workdir=runs/people_128

What ships is configs/people_256.py.

The argument is the stage; its figures are for two CPU cores (docs/training_log.md says what each leg
did). Cost there: 20, 25 and 15 images/s.
"""

from configs import default


def get_config(stage: str = "gan"):
    """Configuration of one stage."""
    c = default.get_config()
    c.stage = stage
    c.batch = 32
    c.data.face_share = 0.4  # of rendered people; portraits are faces all
    c.data.corpora.portraits = 0.35
    # Of `jaxderm render` (BUILD.md). Legs 1 to 3 of the model that ships saw rendered_people_v0.
    c.data.corpora.rendered_people = 0.65
    if stage == "autoencoder":
        c.batch = 16
        c.total_kimg = 60.0
        c.cooldown_kimg = 20.0
        c.optimizer.learning_rate = 1e-3
    elif stage == "vae":
        c.total_kimg = 30.0
        c.optimizer.learning_rate = 6e-4
    elif stage == "decoder":
        c.batch = 16
        c.total_kimg = 24.0
        c.cooldown_kimg = 6.0
        c.optimizer.learning_rate = 4e-4
        c.optimizer.warmup_kimg = 0.2
        c.ema.fraction = 0.06
        c.data.face_share = 0.5
    else:
        c.batch = 16
        c.total_kimg = 400.0
        c.cooldown_kimg = 20.0
        c.data.face_share = 0.25
        c.data.female_share = 0.5
        c.data.variant_share = 0.7
        c.optimizer.learning_rate = 2.5e-4
        c.ema.fraction = 0.06
        c.gan.gamma_start = 3.0
        c.gan.gamma_end = 0.6
        c.gan.diversity_weight = 1.0
        c.gan.vae_weight = 0.0
        c.gan.attribute_weight = 1.0
        c.gan.code_weight = 0.5
        c.gan.photograph_share = 0.5
        c.gan.age_share = 0.4
        c.augment.p_ramp_kimg = 40.0
        c.evaluate_kimg = 2.0
        c.checkpoint_kimg = 4.0
        c.grid_kimg = 4.0
        c.snapshot_kimg = 10.0
        c.evaluators.realism = {"type": "jaxderm.evaluate.curve:Realism", "every_kimg": 4.0}
    return c
