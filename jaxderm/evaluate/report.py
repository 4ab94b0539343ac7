"""The report: one self-contained HTML page (no script, nothing loaded, prints to PDF), JSON beside it."""

import copy
import json
from pathlib import Path

import numpy as np

from jaxderm.evaluate import page_patient, page_picture
from jaxderm.evaluate.page_picture import chosen
from jaxderm.photo import write_atomic

__all__ = ["chosen", "page", "write"]

STYLE = """
body{font:15px/1.5 Georgia,'Times New Roman',serif;color:#1b1b1b;margin:0 auto;max-width:1080px;padding:24px}
h1{font-size:27px;margin:0 0 4px}h2{font-size:20px;margin:34px 0 6px;border-bottom:1px solid #999;padding-bottom:3px}
h3{font-size:16px;margin:18px 0 4px}p{margin:6px 0 10px;max-width:860px}
table{border-collapse:collapse;font:12.5px/1.35 Arial,Helvetica,sans-serif;margin:8px 0 4px;width:100%}
th,td{padding:4px 7px;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
th{border-bottom:1px solid #555;font-weight:bold}tr.main td{background:#eaf4f7;font-weight:bold}
small{display:block;color:#555;font-weight:normal;font-size:11px}td.bad{color:#a11;font-weight:bold}
.note{font:12px/1.4 Arial,Helvetica,sans-serif;color:#444;max-width:none}
.answers{display:grid;grid-template-columns:1fr 1fr;gap:12px}
.answers div{border:1px solid #bbb;border-left:5px solid #0b6e8f;padding:8px 14px}
.answers h3{margin:0 0 2px}.figures{display:grid;grid-template-columns:1fr 1fr;gap:18px}
figure{margin:8px 0;break-inside:avoid}figcaption{font:12px/1.4 Arial,Helvetica,sans-serif;color:#333}
svg{width:100%;height:auto}svg .t{font:9.5px Arial,Helvetica,sans-serif;fill:#333}svg .g{stroke:#e4e4e4}
.legend{font:11.5px Arial,Helvetica,sans-serif}.legend span{margin-right:14px}
.legend i{display:inline-block;width:10px;height:10px;opacity:.7;margin-right:4px}
.case{display:inline-block;margin:4px 12px 10px 0;break-inside:avoid;font:11px Arial,Helvetica,sans-serif}
.case img{width:150px;height:150px;margin-right:3px;border:1px solid #ccc}
.case .one{display:inline-block;width:153px;vertical-align:top}
code{font-size:12px;background:#f2f2f2;padding:1px 4px;overflow-wrap:anywhere}
table,tr{break-inside:avoid}h2,h3{break-after:avoid}
@media print{body{font-size:11px;max-width:none;padding:0}table{font-size:9px}@page{size:A4;margin:14mm}
.case img{width:110px;height:110px}.case .one{width:113px}}
"""


def write(
    folder: str | Path,
    document: dict,
    sheet: dict[str, dict[str, np.ndarray]],
    command: str,
    publishable: bool,
) -> Path:
    """Write report.html and report.json into a folder; the path of the page.

    sheet: pictures by case id, see `measure.sheet_pictures`. publishable: case ids become numbers, and
    the reasons of failed cases, which name files, are left out.
    """
    document = {**document, "command": command, "publishable": publishable}
    if publishable:
        document, sheet = _numbered(document, sheet)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(
        folder / "report.json", json.dumps(document, indent=1, ensure_ascii=False).encode()
    )
    write_atomic(folder / "report.html", page(document, sheet).encode())
    return folder / "report.html"


def _numbered(document: dict, sheet: dict) -> tuple[dict, dict]:
    document = copy.deepcopy(document)
    names = {row["id"]: f"case {n}" for n, row in enumerate(document["rows"], 1)}
    for row in document["rows"]:
        row["id"] = names[row["id"]]
        row["error"] = None if row["error"] is None else "no release"
    document["ranking"] = [names[name] for name in document["ranking"]]
    cases = document["cases"]
    cases["without_release"] = [
        {"id": names[c["id"]], "reason": "left out"} for c in cases["without_release"]
    ]
    cases["without_face_in_photo"] = [names[name] for name in cases["without_face_in_photo"]]
    gallery = document["gallery"]
    gallery["without_face"] = [{"file": "left out", "reason": "left out"}] * len(
        gallery["without_face"]
    )
    gallery["cases_without_photo"] = [names[n] for n in gallery["cases_without_photo"]]
    if document["leak"]:
        for suspect in document["leak"]["suspects"]:
            suspect["id"] = names[suspect["id"]]
    return document, {names[name]: pictures for name, pictures in sheet.items()}


def page(document: dict, sheet: dict[str, dict[str, np.ndarray]]) -> str:
    """The HTML page of a document."""
    d = document
    parts = [
        page_patient.head(d), page_patient.answers(d), page_patient.identity(d), page_patient.kept(d), page_picture.lesion(d), page_picture.person(d), page_picture.realism(d), page_picture.groups(d),
        page_picture.sheet_of_cases(d, sheet), page_picture.table_of_cases(d), page_picture.colophon(d),
    ]  # fmt: skip
    title = "Audit of de-identified photographs"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
