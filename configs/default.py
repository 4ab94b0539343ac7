"""Every field of an experiment, with its default; an experiment file changes what differs.

jaxderm train --config=configs/people_128.py --workdir=runs/people --config.batch=64
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The default configuration: the 128-px model, adversarial stage."""
    c = ml_collections.ConfigDict()
    c.stage = "gan"  # autoencoder | vae | gan | decoder: each starts from the stage before it in the workdir; refine: alone
    c.seed = 0
    c.batch = 64  # global
    c.total_kimg = 1000.0
    c.cooldown_kimg = 0.0  # last leg in which the learning rate falls to zero
    # Weight file to start from: whatever networks of equal shapes it holds are taken. Restore order:
    # resume from this stage's checkpoint, else the stage before in the workdir, else init_from, else init.
    # Files with commas between: the first that has an array gives it.
    c.init_from = ""
    c.init_names = (
        ml_collections.ConfigDict()
    )  # {prefix here: prefix in that file}, where they differ
    c.init_partial = False  # take the common block of arrays whose sizes differ, and list each

    c.model = ml_collections.ConfigDict()
    c.model.size = 128  # 64, 128 or 256: presets of models/spec.py
    c.model.reduction = 8  # 8 or (256 px: fast) 16: latent; 1: pixels (ablation; set channels to 3)
    c.model.channels = 0  # latent channels, 0 = preset
    c.model.base = 0  # width of generator and discriminator, 0 = preset
    c.model.z_size = 0  # numbers that a stranger is drawn from, 0 = preset
    c.model.code_size = 0  # InfoGAN codes, 0 = preset
    c.model.exemplars = False  # stage refine: a refiner of exemplars; base is its width then
    c.model.dtype = "float32"  # activations; bfloat16 on accelerators

    c.data = ml_collections.ConfigDict()
    c.data.data_dir = "data"
    c.data.corpora = ml_collections.ConfigDict(
        {"portraits": 0.4, "rendered_people": 0.6, "rendered_people_v0": 0.0, "bank": 0.0}
    )
    c.data.face_share = 0.0  # share of faces drawn within a corpus, 0 = as they come
    c.data.female_share = 0.0  # share of women among the faces of a corpus, 0 = as they come
    c.data.young_share = 0.0  # share of the young (data/pipeline.py) among them, 0 = as they come
    # Share of the young photographed people whose exemplar is somebody younger still.
    c.data.younger_share = 0.0
    # Share of photographed faces that get another shape and tone (data/variants.py).
    c.data.variant_share = 0.0
    c.data.bank = ""  # exemplars for stage refine: python -m jaxderm.data.bank
    c.data.workers = 0  # Grain worker processes
    # Memory a device may give to examples: when the training split fits so many times over, it is drawn
    # on the devices and the input pipeline is gone; else it is streamed. 0 = always streamed.
    c.data.on_device_mb = 0
    c.data.on_device_passes = 4.0  # crops and masks of every picture
    # Steps after which another batch takes the place of the oldest there, 0 = never.
    c.data.on_device_renewal = 0

    c.optimizer = ml_collections.ConfigDict()
    c.optimizer.learning_rate = 2e-4
    c.optimizer.warmup_kimg = 2.0
    c.optimizer.b1 = 0.0  # adversarial stage; the others use 0.9
    c.optimizer.b2 = 0.99
    c.optimizer.clip_norm = 10.0

    c.ema = ml_collections.ConfigDict()
    c.ema.half_life_kimg = 20.0
    c.ema.fraction = 0.03  # of the images seen, when that is less

    c.autoencoder = ml_collections.ConfigDict()
    c.autoencoder.gradient_weight = 0.5
    c.autoencoder.feature_weight = 0.1
    c.autoencoder.latent_weight = 1e-3
    c.autoencoder.latent_noise = 0.05

    c.vae = ml_collections.ConfigDict()
    c.vae.kl_weight = 0.3
    c.vae.gradient_weight = 0.5

    c.gan = ml_collections.ConfigDict()
    c.gan.gamma_start = 10.0
    c.gan.gamma_end = 1.0
    c.gan.penalty = "double_backward"  # or finite_difference
    c.gan.penalty_every = 4
    c.gan.attribute_weight = 0.2
    c.gan.code_weight = 0.2
    c.gan.evidence_weight = 1.0  # latents of fake and real agree where pixels are kept
    c.gan.vae_weight = 1.0  # the VAE's loss goes on beside the adversary, 0 = plain GAN
    # Two z of one evidence shall differ by this mean distance of normalised latents; takes the place of the
    # VAE's loss when its weight is not 0.
    c.gan.diversity_weight = 0.0
    c.gan.diversity_distance = 0.5
    # Share of the rendered whole faces whose fake is asked for as a photograph, and of all whole faces whose
    # fake is asked for at another age.
    c.gan.photograph_share = 0.0
    c.gan.age_share = 0.0
    # The discriminator learns alone for so long: it is new where `init_from` gives a trained generator.
    c.gan.head_start_kimg = 0.0
    c.gan.guard_gap = 10.0  # stop when D(real) - D(fake) passes this

    # Last, once a generator is there: the decoder alone, against a critic of patches in pixels.
    c.decoder = ml_collections.ConfigDict()
    c.decoder.gradient_weight = 0.5
    c.decoder.feature_weight = 0.1
    c.decoder.rate = 0.1  # of the critic's
    c.decoder.head_start_kimg = 0.5  # the critic learns alone
    c.decoder.adversary_weight = 2.0
    c.decoder.adversary_limit = 0.4  # of the reconstruction's gradient at the frame
    c.decoder.latent_noise = 0.05  # of normalised latents
    c.decoder.gamma = 0.1

    # A refiner of exemplars (train/refine.py; it takes weights of `gan` too).
    c.refine = ml_collections.ConfigDict()
    # Mean absolute difference to the exemplar, and of the gradients at three octaves. At 0.6 and 0.2
    # hardly anything is changed (docs/training_log.md, leg 10).
    c.refine.exemplar_weight = 0.08
    c.refine.shape_weight = 0.03
    # Mean absolute change that codes make where skin is: its tone, and the face's sex and age, are the facts'.
    c.refine.code_skin_weight = 8.0
    # Cosine of where codes act (losses.overlap): what acts on one thing each has a name.
    c.refine.code_overlap_weight = 0.5
    # Light [0,1] that each code shall change from end to end at least, in the mean: a judge reads what nobody sees.
    c.refine.code_change = 0.08
    c.refine.code_change_weight = 10.0
    # Only what codes act by is trained, on a refiner that stays as it is.
    c.refine.codes_only = False

    c.augment = ml_collections.ConfigDict()
    c.augment.p_start = 0.0
    c.augment.p_ramp = 0.3  # reached by p_ramp_kimg, then adapted
    c.augment.p_ramp_kimg = 100.0
    c.augment.p_max = 0.8
    c.augment.target = 0.6  # of (D_train - D_val) / (D_train - D_fake)
    c.augment.rate = 0.01  # change an evaluation

    c.mesh = ml_collections.ConfigDict()
    c.mesh.fsdp = 1  # devices that share one copy of parameters, moments and EMA

    c.log_kimg = 1.0
    c.evaluate_kimg = 10.0
    c.checkpoint_kimg = 10.0
    c.grid_kimg = 20.0
    c.snapshot_kimg = 0.0  # keep a numbered release weight file every so often, 0 = none (evaluate)
    # Further evaluators, {name: {"type": "module:Class", "every_kimg": N, ...}}: train/evaluators.py.
    c.evaluators = ml_collections.ConfigDict()
    return c
