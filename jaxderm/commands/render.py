"""jaxderm render --count N --output DIR [--size 128|256] [--seed S] [--site face,hand] [--ages 18,30] [--tones 20,66]
               [--per_person N] [--calm] [--workers N]

Renders people who do not exist, with labels and masks, in the layout that `jaxderm prepare` reads.
Picture k of a seed and size is the same for any number of workers. The same command resumes.
"""

from absl import flags

from jaxderm.errors import InputError
from jaxderm.render import corpus

FLAGS = flags.FlagValues()
flags.DEFINE_integer("count", None, "number of pictures the folder shall hold", flag_values=FLAGS)
flags.DEFINE_string("output", None, "folder of the corpus", flag_values=FLAGS)
flags.DEFINE_integer("size", 128, "width and height in pixels", flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "seed of the people and scenes", flag_values=FLAGS)
flags.DEFINE_list("site", [], "only these body sites", flag_values=FLAGS)
flags.DEFINE_list("ages", [], "only people from so many years to below so many", flag_values=FLAGS)
flags.DEFINE_list("tones", [], "only skin of an ITA between two, in degrees", flag_values=FLAGS)
flags.DEFINE_integer("per_person", 4, "pictures of each person", flag_values=FLAGS)
flags.DEFINE_bool(
    "calm",
    False,
    "no lesion, eyes open, mouth closed, a studio behind adults' faces: pictures for a model's bank",
    flag_values=FLAGS,
)
flags.DEFINE_integer("workers", None, "processes; default: one a core", flag_values=FLAGS)
flags.DEFINE_bool("progress", True, "show a progress bar", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Render what is missing and say what the folder holds."""
    if values.count is None or not values.output:
        raise InputError("give --count N and --output DIR.")
    if values.workers is not None and values.workers < 1:
        raise InputError(f"--workers {values.workers} is no number of processes; give 1 or more.")
    wanted = corpus.Wanted(
        corpus.parse_sites(values.site),
        values.calm,
        _bounds("ages", values.ages),
        _bounds("tones", values.tones),
        values.per_person,
    )
    made = corpus.render_corpus(
        values.output,
        values.count,
        values.size,
        values.seed,
        wanted,
        values.workers,
        values.progress,
    )
    print(f"{made} pictures made, {values.count} in {values.output}")
    return 0


def _bounds(name: str, texts: list[str]) -> tuple[float, float] | None:
    """Two numbers of a flag, None where it is not given."""
    if not texts:
        return None
    try:
        low, high = (float(text) for text in texts)
    except ValueError:
        raise InputError(
            f"--{name} {','.join(texts)} is no range; give two numbers as in --{name} 18,30."
        ) from None
    return low, high
