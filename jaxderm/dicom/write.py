"""A release as a DICOM VL Photographic Image, de-identified by PS3.15.

The file is written afresh from what the release itself is: no element of the photograph's own file
reaches it, so that private tags, names, dates, descriptions, overlays and thumbnails cannot. Types 2
are there and empty, as action Z of PS3.15 table E.1-1 allows.
"""

import hashlib
import io
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian

import jaxderm
from jaxderm.attributes import BodySite
from jaxderm.decode import srgb_profile
from jaxderm.dicom.read import VL_PHOTOGRAPHIC

IMPLEMENTATION = UID("2.25.226790233407046379213178029384716283491")  # of this writer, fixed
DERIVATION = (
    "Composite with generated media: the kept area (the lesion and a margin) has the unaltered pixels "
    "of the photograph, everything else is generated and is no clinical evidence."
)
_REGIONS = {
    BodySite.FACE: codes.SCT.Face,
    BodySite.EAR: codes.SCT.Ear,
    BodySite.SCALP: codes.SCT.Scalp,
    BodySite.NECK: codes.SCT.Neck,
    BodySite.CHEST: codes.SCT.Chest,
    BodySite.ABDOMEN: codes.SCT.Abdomen,
    BodySite.BACK: codes.SCT.Back,
    BodySite.ARM: codes.SCT.UpperLimb,
    BodySite.HAND: codes.SCT.Hand,
    BodySite.PALM: codes.SCT.Hand,
    BodySite.THIGH: codes.SCT.Thigh,
    BodySite.LOWER_LEG: codes.SCT.LowerLeg,
    BodySite.FOOT: codes.SCT.Foot,
    BodySite.SOLE: codes.SCT.Foot,
}
_SIDES = {
    "left": ("L", codes.SCT.Left),
    "right": ("R", codes.SCT.Right),
    "bilateral": ("B", codes.SCT.Bilateral),
    "midline": ("U", codes.SCT.Midline),
}


def encode_dicom(
    pixels: np.ndarray,
    *,
    site: BodySite = BodySite.UNSPECIFIED,
    laterality: str | None = None,
    pixels_per_cm: float | None = None,
    burned_in: bool = False,
    audited: bool = False,
) -> bytes:
    """DICOM file of a release [H,W,3] uint8 sRGB; the same arguments give the same bytes.

    laterality: the patient's left, right, bilateral or midline, None = not stated; burned_in: text
    may be left in kept pixels, so the Clean Pixel Data Option is not claimed; audited: an audit found
    nobody, only then recognizable visual features are denied and that option is claimed.
    (PS3.3 A.32.4 and C.8.12.1; PS3.15 E.2, E.3.1, E.3.2, E.3.6; PS3.16 CID 7050.)
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"[H,W,3] uint8 expected, not {pixels.shape} {pixels.dtype}")
    height, width = pixels.shape[:2]
    if max(height, width) > 65535:
        raise ValueError("a DICOM picture has at most 65,535 pixels a side")
    data = np.ascontiguousarray(pixels).tobytes()
    root = hashlib.sha256(b"jaxderm dicom" + repr((height, width)).encode() + data).digest()
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UID(VL_PHOTOGRAPHIC)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = _uid(root, "instance")
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION
    ds.file_meta.ImplementationVersionName = f"JAXDERM {jaxderm.__version__}"[:16]
    for name in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
        "AccessionNumber", "ReferringPhysicianName", "StudyID", "PatientOrientation",
        "LossyImageCompression",
    ):  # fmt: skip
        setattr(ds, name, "")  # type 2: known to nobody who reads the file
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(root, "study"), _uid(root, "series")
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "XC", 1, 1
    ds.Manufacturer, ds.ManufacturerModelName = "jaxderm", "jaxderm"
    ds.SoftwareVersions = jaxderm.__version__
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.DerivationDescription = DERIVATION
    ds.AcquisitionContextSequence = []
    _describe(ds, site, laterality)
    _state_profile(ds, burned_in, audited)
    ds.SyntheticData = "YES"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns = height, width
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    if pixels_per_cm:
        ds.PixelSpacing = [f"{10 / pixels_per_cm:.6g}"] * 2  # mm between rows, between columns
    profile = srgb_profile()
    ds.ICCProfile, ds.ColorSpace = profile + bytes(len(profile) % 2), "SRGB"
    ds.PixelData = data + bytes(len(data) % 2)
    ds["PixelData"].VR = "OB"
    stream = io.BytesIO()
    dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def _uid(root: bytes, purpose: str) -> UID:
    """A new UID, 2.25 and 128 bits (PS3.5 B.2), of the release's own pixels and nothing else."""
    digest = hashlib.sha256(root + purpose.encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16])}")


def _describe(ds: Dataset, site: BodySite, laterality: str | None) -> None:
    """Anatomic region and the patient's side, in codes."""
    letter, side = _SIDES.get(laterality or "", (None, None))
    if letter:
        ds.ImageLaterality = letter
    else:
        ds.Laterality = ""  # type 2C of the series
    if site in _REGIONS:
        region = _item(_REGIONS[site])
        if side is not None:
            region.AnatomicRegionModifierSequence = [_item(side)]
        ds.AnatomicRegionSequence = [region]


def _state_profile(ds: Dataset, burned_in: bool, audited: bool) -> None:
    """What was done, in the words and codes of PS3.15 and CID 7050."""
    methods: list[Any] = [codes.cid7050.BasicApplicationConfidentialityProfile]
    if not burned_in:
        methods.append(codes.cid7050.CleanPixelDataOption)
    if audited:
        methods.append(codes.cid7050.CleanRecognizableVisualFeaturesOption)
    methods.append(codes.cid7050.CleanDescriptorsOption)  # the derivation description is ours
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = ["DICOM PS3.15 Annex E", "jaxderm: generated surroundings"]
    ds.DeidentificationMethodCodeSequence = [_item(code) for code in methods]
    ds.LongitudinalTemporalInformationModified = "REMOVED"
    ds.BurnedInAnnotation = "YES" if burned_in else "NO"
    if audited:  # absent means: may or may not show them (PS3.3 C.7.6.1)
        ds.RecognizableVisualFeatures = "NO"


def _item(code: Any) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
