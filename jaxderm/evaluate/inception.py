"""Inception-v3 up to its pooled features (Szegedy 2016), from a weight file; for figures like a paper's.

Two wirings of the same layers: that of torchvision, and that of the network that FID was published
with (Heusel 2017), whose poolings differ in three places; the file's own head (1,008 classes) tells.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jaxderm.errors import InputError

SIZE, FEATURES = 299, 2048
EPSILON = 1e-3
FID_CLASSES = 1008

Params = dict[str, np.ndarray]


def load(path: str | os.PathLike) -> tuple[Params, bool]:
    """(weights by torchvision's names, whether the wiring is FID's) of a .safetensors or .npz file.

    InputError when an array is missing or has another shape.
    """
    try:
        if os.fspath(path).endswith(".npz"):
            with np.load(path, allow_pickle=False) as file:
                params = {name: file[name] for name in file.files}
        else:
            params = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"extractor '{path}' cannot be read as .safetensors or .npz ({error})."
        ) from None
    head = params.get("fc.weight")
    fid = head is not None and len(head) == FID_CLASSES
    seen: dict[str, tuple[int, ...]] = {}

    def record(params, x, name, **_):
        name_of = f"{name}.conv.weight"
        if name_of not in params:
            raise InputError(f"extractor '{path}' lacks '{name_of}': not an Inception-v3.")
        seen[name_of] = params[name_of].shape
        if params[name_of].shape[1] != x.shape[-1]:
            raise InputError(
                f"extractor '{path}': '{name_of}' has {params[name_of].shape[1]} input channels, "
                f"{x.shape[-1]} expected."
            )
        return _conv(params, x, name, **_)

    try:
        probe = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
        out = jax.eval_shape(lambda x: features(params, x, fid, record), probe)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"extractor '{path}' is not an Inception-v3 ({error}).") from None
    if out.shape != (1, FEATURES):
        raise InputError(f"extractor '{path}' gives {out.shape[1]} features, not {FEATURES}.")
    wanted = {name[: -len("conv.weight")] for name in seen}
    return {k: np.asarray(v, np.float32) for k, v in params.items()
            if k.startswith(tuple(wanted))}, fid  # fmt: skip


def features(params: Params, x: jax.Array, fid: bool = False, conv=None) -> jax.Array:
    """Pooled features [B,2048] of pictures [B,299,299,3] in [-1,1]."""
    conv = conv or _conv

    def c(x, name, stride=1, padding=(0, 0)):
        return conv(params, x, name, stride=stride, padding=padding)

    x = c(x, "Conv2d_1a_3x3", 2)
    x = c(x, "Conv2d_2a_3x3")
    x = c(x, "Conv2d_2b_3x3", padding=(1, 1))
    x = _max_pool(x, 2)
    x = c(x, "Conv2d_3b_1x1")
    x = c(x, "Conv2d_4a_3x3")
    x = _max_pool(x, 2)
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _block_a(c, x, name, fid)
    x = _block_b(c, x, "Mixed_6a")
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _block_c(c, x, name, fid)
    x = _block_d(c, x, "Mixed_7a")
    x = _block_e(c, x, "Mixed_7b", _average_pool(fid))
    x = _block_e(c, x, "Mixed_7c", _same_max_pool if fid else _average_pool(False))
    return x.mean((1, 2))


def _conv(params: Params, x: jax.Array, name: str, stride: int = 1, padding=(0, 0)) -> jax.Array:
    """Convolution, batch normalisation by running statistics, ReLU."""
    kernel = jnp.transpose(params[f"{name}.conv.weight"], (2, 3, 1, 0))
    pads = [(p, p) for p in padding]
    y = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    scale = params[f"{name}.bn.weight"] / jnp.sqrt(params[f"{name}.bn.running_var"] + EPSILON)
    return jax.nn.relu((y - params[f"{name}.bn.running_mean"]) * scale + params[f"{name}.bn.bias"])


def _max_pool(x: jax.Array, stride: int) -> jax.Array:
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, stride, stride, 1), "VALID"
    )


def _same_max_pool(x: jax.Array) -> jax.Array:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")


def _average_pool(exclude_padding: bool):
    """3x3 average of stride 1; FID's network does not count the padding."""

    def pool(x: jax.Array) -> jax.Array:
        def total(v):
            return jax.lax.reduce_window(v, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")

        count = total(jnp.ones((1, *x.shape[1:3], 1))) if exclude_padding else 9.0
        return total(x) / count

    return pool


def _block_a(c, x, name, fid):
    one = c(x, f"{name}.branch1x1")
    five = c(c(x, f"{name}.branch5x5_1"), f"{name}.branch5x5_2", padding=(2, 2))
    three = c(x, f"{name}.branch3x3dbl_1")
    three = c(three, f"{name}.branch3x3dbl_2", padding=(1, 1))
    three = c(three, f"{name}.branch3x3dbl_3", padding=(1, 1))
    pool = c(_average_pool(fid)(x), f"{name}.branch_pool")
    return jnp.concatenate([one, five, three, pool], -1)


def _block_b(c, x, name):
    three = c(x, f"{name}.branch3x3", 2)
    double = c(c(x, f"{name}.branch3x3dbl_1"), f"{name}.branch3x3dbl_2", padding=(1, 1))
    double = c(double, f"{name}.branch3x3dbl_3", 2)
    return jnp.concatenate([three, double, _max_pool(x, 2)], -1)


def _block_c(c, x, name, fid):
    wide, tall = (0, 3), (3, 0)  # paddings of 1x7 and 7x1
    one = c(x, f"{name}.branch1x1")
    seven = c(x, f"{name}.branch7x7_1")
    seven = c(seven, f"{name}.branch7x7_2", padding=wide)
    seven = c(seven, f"{name}.branch7x7_3", padding=tall)
    double = c(x, f"{name}.branch7x7dbl_1")
    for number, padding in ((2, tall), (3, wide), (4, tall), (5, wide)):
        double = c(double, f"{name}.branch7x7dbl_{number}", padding=padding)
    pool = c(_average_pool(fid)(x), f"{name}.branch_pool")
    return jnp.concatenate([one, seven, double, pool], -1)


def _block_d(c, x, name):
    three = c(c(x, f"{name}.branch3x3_1"), f"{name}.branch3x3_2", 2)
    seven = c(x, f"{name}.branch7x7x3_1")
    seven = c(seven, f"{name}.branch7x7x3_2", padding=(0, 3))
    seven = c(seven, f"{name}.branch7x7x3_3", padding=(3, 0))
    seven = c(seven, f"{name}.branch7x7x3_4", 2)
    return jnp.concatenate([three, seven, _max_pool(x, 2)], -1)


def _block_e(c, x, name, pool):
    one = c(x, f"{name}.branch1x1")
    three = c(x, f"{name}.branch3x3_1")
    three = [c(three, f"{name}.branch3x3_2a", padding=(0, 1)),
             c(three, f"{name}.branch3x3_2b", padding=(1, 0))]  # fmt: skip
    double = c(c(x, f"{name}.branch3x3dbl_1"), f"{name}.branch3x3dbl_2", padding=(1, 1))
    double = [c(double, f"{name}.branch3x3dbl_3a", padding=(0, 1)),
              c(double, f"{name}.branch3x3dbl_3b", padding=(1, 0))]  # fmt: skip
    pooled = c(pool(x), f"{name}.branch_pool")
    return jnp.concatenate([one, *three, *double, pooled], -1)
