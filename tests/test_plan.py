"""The plan of a pod: roofline and scaling from compiled programs; libtpu itself only where installed."""

import importlib.util
import json

import pytest
import workers

from jaxderm.cli import main
from jaxderm.errors import InputError
from jaxderm.train import plan
from jaxderm.train.collectives import Collective


def small_plan(batch: int = 2048, gradient: int = 100_000_000) -> plan.Plan:
    reduce = Collective("all-reduce", ((gradient // 4,),), gradient, 256)
    programs = [
        plan.Program("plain", 0.75, 1e12, 10e9, 2e9, [reduce]),
        plan.Program("with penalties", 0.25, 3e12, 20e9, 3e9, [reduce]),
    ]
    return plan.Plan("v5e:16x16", 256, batch, programs)


def test_roofline_takes_the_slower_of_arithmetic_and_memory():
    one, two = small_plan().programs
    chip = plan.CHIPS["v5e"]
    assert one.compute_seconds(chip) == pytest.approx(10e9 / 819e9)
    assert two.compute_seconds(chip) == pytest.approx(20e9 / 819e9)
    assert plan.Program("x", 1, 197e12, 1.0, 0, []).compute_seconds(chip) == pytest.approx(1.0)


def test_efficiency_falls_from_one_and_recovers_with_less_to_move():
    rows = small_plan().scaling()
    assert [row[0] for row in rows] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    efficiencies = [row[3] for row in rows]
    assert efficiencies[0] == 1 and all(a >= b for a, b in zip(efficiencies, efficiencies[1:]))
    # By hand: 0.75 * 12.2 + 0.25 * 24.4 ms against a ring of 2 * 100 MB over four links of 45 GB/s.
    compute = (0.75 * 10 + 0.25 * 20) / 819
    moved = 2 * 0.1 * 255 / 256 / (45 * 4) + 2 * 16 * 1e-6
    assert efficiencies[-1] == pytest.approx(compute / (compute + moved), rel=1e-6)
    assert small_plan(gradient=1_000_000).scaling()[-1][3] > efficiencies[-1]


def test_table_and_file(tmp_path):
    one = small_plan()
    one.save(tmp_path / "plan.json")
    again = plan.Plan.load(tmp_path / "plan.json")
    assert again == one and again.table() == one.table()
    assert "fits" in one.table() and "| 256 |" in one.table()
    with pytest.raises(InputError, match="cannot be read"):
        plan.Plan.load(tmp_path / "nothing.json")


def test_what_does_not_fit_is_status_1(tmp_path, capsys):
    one = small_plan()
    values = json.loads(json.dumps(plan.dataclasses.asdict(one)))
    values["programs"][0]["memory"] = 17e9
    (tmp_path / "plan.json").write_text(json.dumps(values))
    assert main(["jaxderm", "plan", f"--load={tmp_path / 'plan.json'}"]) == 1
    assert "DOES NOT FIT" in capsys.readouterr().out


def test_another_chip_is_an_estimate_and_says_so(tmp_path, capsys):
    one = small_plan()
    other = one.estimated_for("v5p:8x8x4")
    assert "ESTIMATED" in other.table() and "ESTIMATED" not in one.table()
    assert other.scaling()[-1][1] < one.scaling()[-1][1]
    with pytest.raises(InputError, match="64 chips"):
        one.estimated_for("v5p:4x4x4")
    one.save(tmp_path / "plan.json")
    argv = ["jaxderm", "plan", f"--load={tmp_path / 'plan.json'}", "--estimate_for=v5p:8x8x4"]
    assert main(argv) == 0
    assert "v5p:8x8x4" in capsys.readouterr().out


def test_saved_plans_of_the_pod_fit_and_scale():
    """docs/plans: what `jaxderm plan` compiled for configs/pod_256.py."""
    saved = sorted((workers.ROOT / "docs" / "plans").glob("*.json"))
    assert saved
    plans = [plan.Plan.load(path) for path in saved]
    for one in [*plans, plans[0].estimated_for("v5p:8x8x4")]:
        assert one.devices == 256 and one.fits(), one.topology
        assert one.scaling()[-1][3] >= 0.95, one.topology
        assert {c.kind for p in one.programs for c in p.collectives} == {"all-reduce"}


@pytest.mark.parametrize("topology", ["v5e", "h100:8x8", "v5e:16"])
def test_unknown_topology_is_named(topology):
    with pytest.raises(InputError, match="v5e:16x16"):
        plan.topology_devices(topology)


def test_missing_libtpu_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "libtpu", None)
    with pytest.raises(InputError, match=r"jaxderm\[plan\]"):
        plan.topology_devices("v5e:2x2")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: the extra `plan`"
)
def test_a_real_step_compiles_for_a_topology(tmp_path):
    """About two minutes on a quiet core."""
    import subprocess
    import sys

    saved = tmp_path / "plan.json"
    command = [
        sys.executable, "-m", "jaxderm.cli", "plan", "--config=configs/smoke.py",
        "--topology=v5e:2x2", f"--save={saved}", "--config.batch=32",
    ]  # fmt: skip
    run = subprocess.run(command, cwd=workers.ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    one = plan.Plan.load(saved)
    assert one.devices == 4 and one.programs[0].flops > 1e9
    assert {c.kind for c in one.programs[0].collectives} == {"all-reduce"}
