"""jaxderm case key: make or destroy a key file of a series, make a reader's key pair.

jaxderm case key --new series.key           256 random bits: who the person of a series is
jaxderm case key --destroy series.key       no later figure can show that person again
jaxderm case key --new_reader reader.key    prints the public key, for `case new --recipients`
"""

from absl import flags

from jaxderm.case.vault import new_reader
from jaxderm.commands.case import text
from jaxderm.errors import InputError
from jaxderm.release.keys import create_private, destroy_key, write_key

FLAGS = flags.FlagValues()
text(FLAGS, "new", "write a new key file of a series here")
text(FLAGS, "destroy", "overwrite and remove this key file")
text(FLAGS, "new_reader", "write a new secret key file here and print its public key")


def run(values: flags.FlagValues) -> int:
    """Make or destroy a key; the exit status."""
    wanted = [name for name in ("new", "destroy", "new_reader") if getattr(values, name)]
    if len(wanted) != 1:
        raise InputError("give one of --new FILE, --destroy FILE and --new_reader FILE.")
    if values.new:
        write_key(values.new)
        print(f"{values.new}: keep it apart from the case, and destroy it when asked to.")
    elif values.destroy:
        destroy_key(values.destroy)
        print(
            f"{values.destroy} is overwritten and removed; backups, snapshots and worn flash cells "
            "may still hold it."
        )
    else:
        data, public = new_reader()
        create_private(values.new_reader, data, "key file")
        print(public)
    return 0
