"""jaxderm case: the patient's photograph for the reviewers, a figure for print, and what links them.

  jaxderm case new      seal photograph, mask and facts in a case folder
  jaxderm case preview  write the figure with its code, to show to the patient
  jaxderm case release  write the folder for print, once consent, patient and editor are in
  jaxderm case verify   does a figure belong to the case; how similar is a changed one
  jaxderm case key      make or destroy a key file of a series, make a reader's key pair
docs/case.md goes through it; docs/journal_policy.md has the texts and what journals say.
"""

from absl import flags

from jaxderm.case import vault
from jaxderm.release.keys import read_generated_key

ACTIONS = ("new", "preview", "release", "verify", "key")


def text(values: flags.FlagValues, name: str, what: str, default: str | None = None) -> None:
    """Define a text flag."""
    flags.DEFINE_string(name, default, what, flag_values=values)


def define_opening(values: flags.FlagValues) -> None:
    """Flags that open a case."""
    text(values, "case", "the case folder")
    text(values, "passphrase_file", "file with the passphrase; without it the terminal is asked")
    text(values, "identity", "age secret key file, for a case sealed with --recipients")


def define_series_key(values: flags.FlagValues) -> None:
    """The flag of a series' key."""
    text(values, "series_key", "key file of the series (`jaxderm case key --new FILE`)")


def opened(values: flags.FlagValues) -> tuple[vault.Vault, vault.Lock]:
    """The case of the flags, opened, and the lock to seal it again."""
    from jaxderm.errors import InputError

    if not values.case:
        raise InputError("give --case FOLDER.")
    lock = vault.lock_to_open(values.passphrase_file, values.identity)
    case = vault.open_case(values.case, lock)
    recipients = tuple(case.json("facts.json").get("recipients", ()))
    return case, vault.Lock(lock.passphrase, recipients, lock.identities)


def series_key(values: flags.FlagValues) -> bytes | None:
    """The key of --series_key, None without one."""
    return read_generated_key(values.series_key, "--series_key") if values.series_key else None
