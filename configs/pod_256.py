"""The 256-px model on a pod of 256 chips (v5e:16x16 or v5p:8x8x4), 64 images a chip.

    jaxderm plan  --config=configs/pod_256.py --topology=v5e:16x16
    launch/tpu_pod.sh NAME ZONE configs/pod_256.py:gan /mnt/runs/pod_256

The argument is `STAGE[,CHIPS[,IMAGES_PER_CHIP]]`: `configs/pod_256.py:vae,64` is the conditional VAE on 64 chips,
with the batch a chip unchanged. Cost and scaling as predicted by `jaxderm plan`: docs/scaling.md. No pod has
run it: expected quality is not measured.
"""

from configs import default, people_256

IMAGES_PER_CHIP = 64


def get_config(argument: str = "gan"):
    """Configuration of one stage on so many chips."""
    stage, chips, images, *_ = [*argument.split(","), "", ""]
    c = default.get_config()
    c.stage = stage
    c.batch = int(images or IMAGES_PER_CHIP) * int(chips or 256)
    c.model.size = 256
    c.model.dtype = "bfloat16"
    c.data.workers = 8
    c.data.on_device_mb = 4096  # of 16 GB: most corpora fit a pod, four crops of each picture
    c.optimizer.warmup_kimg = 500.0
    c.gan.vae_weight = 0.0
    if stage == "autoencoder":
        c.total_kimg = 20_000.0
        c.cooldown_kimg = 5_000.0
        c.optimizer.learning_rate = 1e-3
    elif stage == "vae":
        c.total_kimg = 20_000.0
        c.optimizer.learning_rate = 6e-4
    elif stage == "refine":
        small = people_256.get_config()
        c.model.exemplars = True
        c.data, c.augment = small.data, small.augment
        c.data.workers = 8
        c.data.on_device_mb = 0  # another exemplar every time, not four crops again and again
        c.total_kimg = 20_000.0
        c.cooldown_kimg = 4_000.0
        c.optimizer.learning_rate = 5e-4
        c.gan.gamma_start = 1.0
        c.gan.gamma_end = 0.3
        c.gan.attribute_weight = 0.2
        c.gan.code_weight = 0.2
    else:
        c.total_kimg = 200_000.0
        c.cooldown_kimg = 20_000.0
        # A batch 32 times the default's: the rate grows with its square root, tempered.
        c.optimizer.learning_rate = 5e-4
        c.augment.p_ramp_kimg = 5_000.0
    c.ema.half_life_kimg = 500.0
    c.log_kimg = 100.0
    c.evaluate_kimg = c.checkpoint_kimg = 500.0
    c.grid_kimg = 2_000.0
    return c
