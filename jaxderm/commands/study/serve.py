"""jaxderm study serve --study DIR: the page that readers answer on, on this computer only; Ctrl-C ends it."""

from pathlib import Path

from absl import flags

from jaxderm.errors import InputError
from jaxderm.study import app
from jaxderm.web import server

FLAGS = flags.FlagValues()
flags.DEFINE_string("study", None, "folder of `jaxderm study new`", flag_values=FLAGS)
flags.DEFINE_integer(
    "port", None, "port of 127.0.0.1; default 8471, or a free one", flag_values=FLAGS
)
flags.DEFINE_bool("browser", True, "open the page in the browser", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Serve until Ctrl-C; the exit status."""
    if not values.study:
        raise InputError("give --study, a folder of jaxderm study new.")
    page = app.page(Path(values.study))
    return server.serve(page, port=values.port, open_browser=values.browser)
