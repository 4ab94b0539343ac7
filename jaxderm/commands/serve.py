"""jaxderm serve: the local page; a photograph in, a release out, nothing leaves this computer.

Binds to 127.0.0.1, needs no network, writes nothing to disk; Ctrl-C ends it and clears its memory.
"""

from absl import flags

from jaxderm.models import weights
from jaxderm.release.credentials import read_credentials
from jaxderm.web import app, server

FLAGS = flags.FlagValues()
flags.DEFINE_integer(
    "port", None, "port of 127.0.0.1; default 8471, or a free one", flag_values=FLAGS
)
flags.DEFINE_string("model", "default", "name or weight file of the model", flag_values=FLAGS)
flags.DEFINE_bool("browser", True, "open the page in the browser", flag_values=FLAGS)
flags.DEFINE_string(
    "c2pa_certificate", None, "PEM chain: sign releases with C2PA credentials", flag_values=FLAGS
)
flags.DEFINE_string("c2pa_key", None, "PEM private key of --c2pa_certificate", flag_values=FLAGS)


def run(values: flags.FlagValues) -> int:
    """Serve until Ctrl-C; the exit status."""
    weights.find_model(values.model)  # an unknown model is told before the page opens
    signer = None
    if values.c2pa_certificate:
        signer = read_credentials(values.c2pa_certificate, values.c2pa_key)
    page = app.page(values.model, credentials=signer)
    return server.serve(page, port=values.port, open_browser=values.browser)
