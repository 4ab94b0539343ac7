"""One module a command: its flags (FLAGS), and `run(flags) -> exit status`."""

from typing import Any

from absl import flags

from jaxderm.errors import InputError


def config_of(values: flags.FlagValues) -> Any:
    """The configuration of --config, None where it is not given; InputError for a file that is not there.

    ml_collections opens the file at the first look into it, not when the flags are parsed.
    """
    config = values.config
    try:
        return config if config is None or config.keys() else None
    except OSError as error:
        raise InputError(f"--config cannot be read: {' '.join(str(error).split())}.") from None
