"""DICOM files made for the tests, with names planted in them."""

import warnings

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from jaxderm.dicom.read import VL_PHOTOGRAPHIC

PLANTED = ("Xanthippe", "ZQ-4711", "Hobbelheim", "19530417", "Dr.Quackenboss", "1.2.826.7.7.7")


def dicom_file(path, pixels: np.ndarray, syntax=ExplicitVRLittleEndian, data=None, **values) -> str:
    """Write pixels [H,W] or [H,W,3] (or an encoded frame of them) with private facts; the path."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = values.pop("SOPClassUID", VL_PHOTOGRAPHIC)
    ds.SOPInstanceUID = ds.StudyInstanceUID = ds.SeriesInstanceUID = "1.2.826.7.7.7"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = (
        "Xanthippe^Hobbelheim",
        "ZQ-4711",
        "19530417",
    )
    ds.ReferringPhysicianName = "Dr.Quackenboss"
    ds.StudyDescription = "naevus of Xanthippe Hobbelheim"
    ds.add_new(0x00111001, "LO", "Xanthippe Hobbelheim")
    ds.add_new(0x00110010, "LO", "Hobbelheim private")
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PixelData = pixels.tobytes() if data is None else encapsulate([data])
    for name, value in values.items():
        setattr(ds, name, value)
    if syntax != ImplicitVRLittleEndian:
        ds["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values are wanted
        pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return str(path)
