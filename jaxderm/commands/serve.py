"""jaxderm serve: the local page; a photograph in, a release out, nothing leaves this computer.

Binds to 127.0.0.1, needs no network, writes nothing to disk; Ctrl-C ends it and clears its memory.
"""

from absl import flags

from jaxderm.models import weights
from jaxderm.web import app, server

FLAGS = flags.FlagValues()
flags.DEFINE_integer(
    "port", None, "port of 127.0.0.1; default 8471, or a free one", flag_values=FLAGS
)
flags.DEFINE_string("model", "default", "name or weight file of the model", flag_values=FLAGS)
flags.DEFINE_bool("browser", True, "open the page in the browser", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Serve until Ctrl-C; the exit status."""
    weights.find_model(values.model)  # an unknown model is told before the page opens
    return server.serve(app.page(values.model), port=values.port, open_browser=values.browser)
