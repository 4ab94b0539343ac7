"""One mesh: rules of placement, and a compiled step in which nothing but gradients and parameters moves."""

import json
import math

import jax
import numpy as np
import pytest
import workers
from jax.sharding import PartitionSpec

from jaxderm.errors import InputError
from jaxderm.train import collectives, on_device, sharding

LINES = """
  %r.1 = (f32[384]{0:T(512)}, /*index=5*/bf16[3,3,64,240]{3,2,1,0:T(8,128)(2,1)S(1)}, f32[]) all-reduce(%a, %b, %c), channel_id=1, replica_groups=mesh['data'=128,'fsdp'=2] {'data'}, to_apply=%add
  %g = f32[64,128]{1,0} all-gather(f32[64,32]{1,0} %p), channel_id=2, replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={1}
  %s = (f32[16,32]{1,0}, f32[64,32]{1,0}) all-gather-start(f32[16,32]{1,0} %p), replica_groups=[2,4]<=[8], dimensions={0}
  %d = f32[64,32]{1,0} all-gather-done((f32[16,32]{1,0}, f32[64,32]{1,0}) %s)
  %x = f32[8]{0} add(f32[8]{0} %y, f32[8]{0} %all-reduce.3)
"""


def test_collectives_are_read_off_the_program():
    reduce, gather, started = collectives.find(LINES)
    assert (reduce.kind, reduce.group, len(reduce.shapes)) == ("all-reduce", 128, 3)
    assert reduce.bytes == 384 * 4 + 3 * 3 * 64 * 240 * 2 + 4
    assert (gather.shapes, gather.bytes, gather.group) == (((64, 128),), 64 * 128 * 4, 4)
    assert (started.kind, started.shapes, started.group) == ("all-gather", ((64, 32),), 4)
    assert "all-gather" in collectives.table(collectives.find(LINES))
    assert collectives.table([]) == "none"


def test_large_leaves_lie_over_fsdp_small_ones_everywhere():
    assert sharding.leaf_spec((3, 3, 256, 256), 4) == PartitionSpec(None, None, None, "fsdp")
    assert sharding.leaf_spec((3, 3, 256, 255), 4) == PartitionSpec(None, None, "fsdp")
    assert sharding.leaf_spec((256,), 4) == PartitionSpec()
    assert sharding.leaf_spec((3, 3, 256, 256), 1) == PartitionSpec()
    with pytest.raises(InputError, match="mesh.fsdp 3"):
        sharding.make_mesh(3)


def test_put_places_what_every_process_holds():
    mesh = sharding.make_mesh()
    tree = {"a": np.arange(6.0, dtype=np.float32).reshape(2, 3), "b": np.float32(2)}
    placed = sharding.put(tree, sharding.state_shardings(tree, mesh))
    assert placed["a"].sharding.mesh == mesh
    np.testing.assert_array_equal(placed["a"], tree["a"])
    assert float(placed["b"]) == 2


@pytest.mark.parametrize(("stage", "fsdp"), [("gan", 1), ("gan", 2), ("refine", 1), ("refine", 2)])
def test_no_collective_carries_the_batch(tmp_path, stage, fsdp):
    """On 8 devices an adversarial step with penalties moves gradients, parameters and scalars only."""
    output = tmp_path / "program.txt"
    # 24 rows: no array of the state has that length, nor 3, the share of a device, in front.
    arguments = {"output": str(output), "fsdp": fsdp, "batch": 24, "stage": stage}
    workers.finish([workers.start("program", 8, **arguments)])
    found = collectives.find(output.read_text())
    print(collectives.table(found))
    shapes = json.loads((tmp_path / "program.txt.shapes").read_text())
    # A parameter may cross transposed, folded or in the part that lies on one device.
    sizes = {math.prod(shape) for shape in shapes} | {1}
    allowed = sizes | {size // fsdp for size in sizes}
    if stage == "refine":  # the squares of a modulated kernel, summed over its places
        allowed |= {math.prod(shape[2:]) for shape in shapes if len(shape) == 4}
    if stage == "refine" and fsdp == 2:
        # The pooled features that the heads read, a vector an example: each device makes its part of the heads'
        # gradients of its pair's six examples.
        allowed |= {6 * 32}
    assert found and {c.kind for c in found} <= {"all-reduce", "all-gather", "reduce-scatter"}
    moved = 0
    for one in found:
        for shape in one.shapes:
            assert math.prod(shape) in allowed, (one.kind, shape)
        moved += one.bytes
    if fsdp == 1:
        assert {c.kind for c in found} == {"all-reduce"}
        # The state holds parameters, two moments and EMA, so gradients are a quarter of it; of `refine`, the
        # discriminator's of real and made pictures and of their penalties cross one by one.
        share = {"gan": 0.5, "refine": 1.0}[stage]
        assert moved < share * 4 * sum(math.prod(shape) for shape in shapes)


def test_pool_fits_or_is_streamed():
    fit = on_device.batches_that_fit(
        example_bytes=1000, records=100, passes=2, batch=16, devices=4, budget=60_000
    )
    assert fit == 13  # 200 examples in batches of 16
    assert on_device.batches_that_fit(1000, 100, 2, 16, 4, 50_000) == 0


class Counted:
    """A loader whose batch t is full of t."""

    def __init__(self):
        self.taken = 0

    def __next__(self):
        self.taken += 1
        shape = (4, 2, 2, 3)
        return {"image": np.full(shape, self.taken - 1, np.uint8), "mask": np.zeros(shape[:3])}

    def set_state(self, state):
        self.taken = state["batches"]

    def get_state(self):
        return {"batches": self.taken}


@pytest.mark.parametrize("every", [0, 1, 3])
def test_a_renewed_pool_is_a_function_of_the_step(every):
    mesh, batches = sharding.make_mesh(), 4
    through = on_device.Renewed(Counted(), batches, every, mesh, 0)
    for number in range(11):
        values = np.asarray(through.at(number)["image"])[:, :, 0, 0, 0]
        first = number // every if every else 0
        assert set(values[0]) == set(range(first, first + batches))
        again = on_device.Renewed(Counted(), batches, every, mesh, number).at(number)
        np.testing.assert_array_equal(np.asarray(again["image"])[:, :, 0, 0, 0], values)


def test_pool_draws_rows_of_their_own_stack_and_repeats():
    mesh = sharding.make_mesh()
    batches = [
        {
            "image": np.full((4, 2, 2, 3), 10 * k, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None],
            "mask": np.full((4, 2, 2), k % 2, np.float32),
        }
        for k in range(3)
    ]  # fmt: skip
    pool = on_device.fill(iter(batches), 3, mesh)
    assert pool["image"].shape == (4, 3, 2, 2, 3) and pool["mask"].dtype == np.uint8

    class State:
        step = jax.numpy.int32(0)

    seen = set()
    step = on_device.drawing(lambda state, batch, penalize: (state, batch), 0, mesh)
    for number in range(12):
        State.step = jax.numpy.int32(number)
        batch = step(State, pool)[1]
        again = step(State, pool)[1]
        np.testing.assert_array_equal(batch["image"], again["image"])
        value = np.asarray(batch["image"])[:, 0, 0, 0]
        np.testing.assert_array_equal(value % 10, np.arange(4))
        np.testing.assert_array_equal(np.asarray(batch["mask"])[:, 0, 0], value // 10 % 2)
        assert batch["mask"].dtype == np.float32
        seen |= set((value // 10).tolist())
    assert seen == {0, 1, 2}
