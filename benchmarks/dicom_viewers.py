"""Does a DICOM release open elsewhere, with equal pixels? In every viewer library that is installed.

    python benchmarks/dicom_viewers.py release.dcm

Knows SimpleITK, GDCM (python-gdcm), highdicom and DCMTK's dcmj2pnm; none of them is an extra of
jaxderm. The reference is pydicom. Exit status 1 when one of them disagrees, 2 when none is there.
"""

import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pydicom


def simpleitk(path: str) -> np.ndarray:
    """Pixels by SimpleITK (ITK's GDCM reader)."""
    import SimpleITK

    return np.squeeze(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)))


def gdcm(path: str) -> np.ndarray:
    """Pixels by GDCM."""
    import gdcm as library

    reader = library.ImageReader()
    reader.SetFileName(path)
    if not reader.Read():
        raise ValueError("GDCM cannot read it")
    image = reader.GetImage()
    width, height = image.GetDimensions()[:2]
    data = image.GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def highdicom(path: str) -> np.ndarray:
    """Pixels by highdicom."""
    import highdicom as library

    return library.imread(path).get_stored_frame(1)


def dcmtk(path: str) -> np.ndarray:
    """Pixels by DCMTK."""
    tool = shutil.which("dcmj2pnm")
    if tool is None:
        raise ImportError("dcmj2pnm")
    from PIL import Image

    with tempfile.NamedTemporaryFile(suffix=".ppm") as out:
        subprocess.run([tool, "+op", path, out.name], check=True, capture_output=True)
        return np.asarray(Image.open(out.name))


def main(path: str) -> int:
    """Compare; the exit status."""
    reference = pydicom.dcmread(path).pixel_array
    found = {}
    for viewer in (simpleitk, gdcm, highdicom, dcmtk):
        try:
            found[viewer.__name__] = bool(np.array_equal(viewer(path), reference))
        except ImportError:
            print(f"{viewer.__name__}: not installed")
            continue
        print(f"{viewer.__name__}: pixels {'equal' if found[viewer.__name__] else 'DIFFER'}")
    return 2 if not found else 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
