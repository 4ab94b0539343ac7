"""jaxderm transplant: a lesion from one photograph onto a generated person, for teaching only.

  jaxderm transplant --photo P --mask M --site forehead --sex female --age 10 --skin_type II --output OUT.png

--site is a place of a face (forehead, nose, left_cheek, ...: left is the patient's), a body site, or x,y as shares of a face's
frame. The lesion's pixels are resampled once; SIMULATED is burnt into a corner, and `jaxderm case` takes no such picture.
"""

from pathlib import Path

from absl import flags

from jaxderm.errors import InputError
from jaxderm.photo import read_mask, read_photo
from jaxderm.release import transplant
from jaxderm.release.cells import case_of

FLAGS = flags.FlagValues()
for _name, _what in (
    ("photo", "photograph of the lesion"),
    ("mask", "the lesion's mask, same size"),
    ("output", "OUT.png; OUT.mask.png, OUT.legend.txt and OUT.json are written beside it"),
    ("site", "forehead, nose, left_cheek, ..., a body site, or x,y from 0 to 1"),
    ("sex", "female, male or unspecified"),
    ("age", "years, or unspecified"),
):
    flags.DEFINE_string(_name, None, _what, flag_values=FLAGS)
flags.DEFINE_string(
    "skin_type",
    "unspecified",
    "Fitzpatrick I..VI, or unspecified: the rim's own",
    flag_values=FLAGS,
)
flags.DEFINE_string("model", "default", "name or weight file of the model", flag_values=FLAGS)
flags.DEFINE_float("rotation", 0.0, "degrees, anticlockwise", flag_values=FLAGS)
flags.DEFINE_float("lesion_mm", None, "longest extent of the lesion", flag_values=FLAGS)
flags.DEFINE_float("field_cm", None, "width of the picture; a face: 22", flag_values=FLAGS)
flags.DEFINE_float("margin", None, "pixels of the photo taken along", flag_values=FLAGS)
flags.DEFINE_integer("size", transplant.SIDE, "pixels a side", 128, 4096, flag_values=FLAGS)
flags.DEFINE_integer("candidates", 1, "pictures", 1, 100, flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "another seed, another person", flag_values=FLAGS)
flags.DEFINE_bool("overwrite", False, "replace existing output", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Write the pictures; the exit status."""
    for name in ("photo", "mask", "site", "output"):
        if not getattr(values, name):
            raise InputError(f"give --{name}.")
    output = Path(values.output)
    if output.suffix.lower() != ".png":
        raise InputError(f"--output '{output}' is not PNG; name it {output.stem}.png.")
    outputs = [output] + [
        output.with_name(f"{output.stem}-{n}.png") for n in range(1, values.candidates)
    ]
    for path in outputs:
        if path.exists() and not values.overwrite:
            raise InputError(f"output '{path}' exists; choose another name or --overwrite.")
    if values.skin_type.strip().lower() == "measured":
        raise InputError("skin_type 'measured' has no photograph of this person; give I..VI.")
    site, at, name = transplant.parse_place(values.site)
    photo = read_photo(values.photo)
    mask = read_mask(values.mask, photo.pixels.shape[:2])
    canvas = transplant.place_lesion(
        photo, mask, site, at, rotation=values.rotation, lesion_mm=values.lesion_mm,
        field_cm=values.field_cm, margin=values.margin, side=values.size,
    )  # fmt: skip
    from jaxderm.release.synthesize import Deidentifier  # brings jax in

    model = Deidentifier.load(values.model)
    cells = {
        "site": site.value, "sex": values.sex, "age": values.age, "skin_type": values.skin_type,
        "landmarks": canvas.landmarks, "frame": f"0,0,{values.size}",
    }  # fmt: skip
    scale = values.size / values.field_cm if values.field_cm else None
    case = case_of(
        canvas.photo, canvas.mask, cells, model.engine.spec.size, margin=canvas.margin,
        pixels_per_cm=scale,
    )  # fmt: skip
    placement = {"site": name, **canvas.placement}
    for path, release in zip(outputs, model.releases(case, values.seed, range(values.candidates))):
        transplant.simulated(release, placement).save(path)
    return 0
