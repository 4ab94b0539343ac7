"""The exceptions a user's mistake raises: a sentence that names the file, the value and the remedy."""


class InputError(ValueError):
    """A mistake in what the user gave; the command line prints it as one sentence and exits with 2."""


class StorageError(InputError):
    """The place that output goes to cannot be used (full, read-only, gone): it concerns every case."""
