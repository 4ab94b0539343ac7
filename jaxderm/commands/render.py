"""jaxderm render --count N --output DIR [--size 128|256] [--seed S] [--site face,hand] [--calm] [--workers N]

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
    sites = corpus.parse_sites(values.site)
    made = corpus.render_corpus(
        values.output,
        values.count,
        values.size,
        values.seed,
        sites,
        values.workers,
        values.progress,
        values.calm,
    )
    print(f"{made} pictures made, {values.count} in {values.output}")
    return 0
