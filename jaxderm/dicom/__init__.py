"""DICOM photographs in and out (extra `dicom`): `read` decodes, `write` makes a VL Photographic Image."""
