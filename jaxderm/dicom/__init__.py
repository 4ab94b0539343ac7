"""DICOM photographs in and out (extra `dicom`): `read` decodes, `write` makes a VL Photographic Image."""

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """pydicom says nothing meanwhile: its warnings and its log quote what stands in a patient's file."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before
