"""The report: one self-contained HTML page (no script, nothing loaded, prints to PDF), JSON beside it."""

import base64
import copy
import html
import json
from pathlib import Path

import numpy as np

from jaxderm.evaluate import baselines, svg
from jaxderm.evaluate.realism import METRICS
from jaxderm.photo import encode_png, write_atomic

SHEET = 3  # cases each of best, median and worst
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
REALISM_WORDS = {
    "frechet": "Fréchet distance", "kernel": "kernel distance", "precision": "precision",
    "recall": "recall", "density": "density", "coverage": "coverage",
    "sliced": "sliced Wasserstein",
}  # fmt: skip


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


def chosen(ranking: list[str]) -> dict[str, list[str]]:
    """Ids of the best, median and worst cases of a ranking, each case once."""
    count = len(ranking)
    each = min(SHEET, max(1, count // 3))
    middle = max((count - each) // 2, each)
    groups = {
        "best": ranking[:each],
        "median": ranking[middle : middle + each],
        "worst": ranking[max(count - each, each) :],
    }
    seen: set[str] = set()
    for name, ids in groups.items():
        groups[name] = [i for i in ids if i not in seen]
        seen.update(ids)
    return groups


def page(document: dict, sheet: dict[str, dict[str, np.ndarray]]) -> str:
    """The HTML page of a document."""
    d = document
    parts = [
        _head(d), _answers(d), _identity(d), _kept(d), _lesion(d), _person(d), _realism(d), _groups(d),
        _sheet(d, sheet), _table_of_cases(d), _colophon(d),
    ]  # fmt: skip
    title = "Audit of de-identified photographs"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


# Words and numbers


def _e(text) -> str:
    return html.escape(str(text))


def _number(value: float | None, digits: int = 2) -> str:
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def _percent(value: float) -> str:
    number = 100 * value
    return f"{number:.0f} %" if number >= 10 or number in (0, 1) else f"{number:.1f} %"


def share(figure: dict | None) -> str:
    """A share in words with its interval: "3 of 51 (6 %)", and a bound where it is 0 or all."""
    if not figure or figure["value"] is None:
        return f"–{_why(figure)}"
    hits, count = round(figure["value"] * figure["count"]), figure["count"]
    text = f"{hits} of {count} ({_percent(figure['value'])})".replace(" ", "\u00a0", 2)
    text = text.replace(" %", "\u00a0%")
    if hits == 0:
        return f"{text}<small>at most {_percent(figure['high'])}</small>"
    if hits == count:
        return f"{text}<small>at least {_percent(figure['low'])}</small>"
    return f"{text}<small>{_percent(figure['low'])} to {_percent(figure['high'])}</small>"


def value(figure: dict | None, digits: int = 2) -> str:
    """A value with its interval."""
    if not figure or figure["value"] is None:
        return f"–{_why(figure)}"
    text = _number(figure["value"], digits)
    if figure["low"] is None:
        return text
    return f"{text}<small>{_number(figure['low'], digits)} to {_number(figure['high'], digits)}</small>"


def _why(figure: dict | None) -> str:
    note = (figure or {}).get("note", "")
    if note == "no case":  # nothing to say in a table: the method has no such thing
        return ""
    if note.startswith("not valid"):  # told once, below the table
        return "<small>not valid</small>"
    return f"<small>{_e(note)}</small>" if note else ""


def _flat(cell: str) -> str:
    """A cell as running text: the interval in brackets after it."""
    return cell.replace("<small>", " [").replace("</small>", "]")


def _table(head: list[str], rows: list[tuple[str, list[str]]]) -> str:
    """Rows as (class, cells); cells are HTML."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(
        f"<tr{f' class={kind}' if kind else ''}>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
        for kind, cells in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _method(d: dict, name: str) -> str:
    label = "<b>release</b>" if name == "release" else _e(name)
    return f"{label}<small>{_e(d['methods'][name])}</small>"


def _note(text: str) -> str:
    return f'<p class="note">{text}</p>'


# Sections


def _head(d: dict) -> str:
    cases, gallery = d["cases"], d["gallery"]
    lines = [
        "<h1>Audit of de-identified photographs</h1>",
        f"<p>{cases['released']} of {cases['total']} cases have a release. Each release, and each method "
        f"in use today, was compared with a gallery of {gallery['people'] + gallery['distractors']} "
        f"people ({gallery['people']} patients by another photograph, {gallery['distractors']} "
        f"distractors) by the face recogniser <i>{_e(d['recogniser']['name'])}</i>. Brackets and small "
        "print are 95 % intervals.</p>",
    ]
    problems = [f"{_e(c['id'])}: {_e(c['reason'])}" for c in cases["without_release"]]
    if problems:
        lines.append(
            f'<p class="note"><b>{len(problems)} cases could not be audited</b> and count nowhere '
            f"below: {'; '.join(problems)}</p>"
        )
    if cases["without_face_in_photo"]:
        names = ", ".join(map(_e, cases["without_face_in_photo"]))
        lines.append(_note(f"No face in the photograph itself, so not part of identity: {names}."))
    if gallery["without_face"]:
        lines.append(
            _note(
                f"{len(gallery['without_face'])} gallery pictures gave no face and were left out."
            )
        )
    return "".join(lines)


def _answers(d: dict) -> str:
    release = d["identity"].get("release")
    lesion, person = d["lesion"]["release"], d["person"]["release"]
    believable = d["realism"]["methods"].get("release", {})
    pairs = d["linkage"]["collisions"]["pairs"]
    if release:
        every, alike = release["everybody"], release["matched"]
        gone = (
            f"The recogniser ranks the patient first in {_flat(share(every['rank_1']))}; by chance it "
            f"would in {_percent(every['chance_rank_1']['value'])}. Area under the curve against "
            f"people of the same sex, ethnicity and age: {_flat(value(alike['auc']))}; 0.5 is chance."
        )
    else:
        gone = "Not measured: no case has a face and another photograph in the gallery."
    answers = {
        "Is the patient gone?": gone,
        "Is the lesion there?": (
            f"Every kept pixel is byte-equal in {_flat(share(lesion['exact']))}. One segmentation run "
            f"alike on photograph and release finds the same lesion in "
            f"{_flat(share(lesion['same_outline']))}."
        ),
        "Is the person right?": (
            f"Skin tone is off by {_flat(value(person['tone_error'], 1))} degrees of ITA on average; "
            f"the tone class is right in {_flat(share(person['same_class']))}. Sex, age and site: "
            + ("read below." if d["reader"]["name"] else "no attribute reader was given.")
        ),
        "Is it believable?": (
            f"Kernel distance to the photographs {_flat(value(believable.get('kernel'), 3))} "
            f"({_e(d['realism']['extractor']['name'])}); 0 is indistinguishable. "
            + "For comparison, methods that leave the patient in the picture: "
            + ", ".join(
                f"{name} {_number(d['realism']['methods'][name]['kernel']['value'], 3)}"
                for name in ("blur", "mosaic", "eyebar")
                if name in d["realism"]["methods"]
            )
            + f". Two releases of different patients pass for one person in {_flat(_mean_share(pairs))} "
            "of pairs."
        ),
    }
    boxes = "".join(f"<div><h3>{q}</h3>{a}</div>" for q, a in answers.items())
    return f'<div class="answers">{boxes}</div>'


def _identity(d: dict) -> str:
    rows = []
    for name, f in d["identity"].items():
        faces = ", ".join(f"{count} {how}" for how, count in f["faces"].items())
        every, alike = f["everybody"], f["matched"]
        rows.append((
            "main" if name == "release" else "",
            [_method(d, name), _e(faces), share(every["rank_1"]), share(every["rank_5"]),
             share(f["verified"]), share(every["tar"]), value(every["auc"]), share(alike["rank_1"]),
             value(alike["auc"])],
        ))  # fmt: skip
    threshold = d["recogniser"]["threshold"]
    first = next(iter(d["identity"].values()), None)
    chance = ""
    if first:
        every, alike = first["everybody"], first["matched"]
        chance = (
            f"By chance: rank 1 in {_percent(every['chance_rank_1']['value'])}, rank 5 in "
            f"{_percent(every['chance_rank_5']['value'])} of the whole gallery"
        )
        if alike["chance_rank_1"]["value"] is not None:
            chance += (
                f"; rank 1 in {_percent(alike['chance_rank_1']['value'])} among matched impostors "
                f"(on average {_number(alike['people']['value'], 0)} people)"
            )
        chance += "; area 0.5."
    text = (
        "<h2>1. Is the patient gone?</h2><p>For every case the recogniser compares what would be "
        "published with another photograph of the patient and with everybody else in the gallery. "
        "Where its detector finds no face, the case’s own landmarks place the face, so that a blur "
        "cannot hide behind the detector; “no face” means that neither way gave one, and such a picture "
        "counts as a guess, not as a success.</p>"
        + _table(
            [
                "what is published",
                "face",
                "rank 1",
                "rank 5",
                f"verified<small>distance ≤ {threshold:g}</small>",
                "true accepts<small>at 1 in 1000 false</small>",
                "area under the curve<small>everybody</small>",
                "rank 1<small>matched impostors</small>",
                "area<small>matched impostors</small>",
            ],
            rows,
        )  # fmt: skip
        + _note(
            f"{chance} Matched impostors: same sex, same ethnicity, age within 10 years. Shares with "
            "Clopper-Pearson intervals, areas with a bootstrap over cases."
        )
    )
    figures = []
    for name in ("release", "untouched"):
        f = d["identity"].get(name)
        if f and "genuine_distances" in f:
            figures.append(
                "<figure>"
                + svg.histogram(
                    {"the patient": f["genuine_distances"], "matched impostors": f["impostor_distances"]},
                    (0, max(1.2, threshold * 1.8)), "distance", (threshold, "published threshold"),
                )
                + f"<figcaption>Distances of the {'releases' if name == 'release' else 'untouched photographs'}: "
                "the more the two overlap, the less the recogniser knows.</figcaption></figure>"
            )  # fmt: skip
    text += f'<div class="figures">{"".join(figures)}</div>'
    return text + _linkage(d) + _leak(d)


def _linkage(d: dict) -> str:
    rows = [
        ("", [_e(name), str(f["count"]), share(f["linked"]), share(f["rank_1"]), value(f["auc"])])
        for name, f in d["linkage"]["pairs"].items()
    ]
    text = "<h3>Linkage and collisions</h3>"
    if rows:
        text += _table(
            ["two releases of one patient", "pairs", "match each other", "nearest of all", "area"],
            rows,
        )
    else:
        text += (
            "<p>No patient has two releases here (give a patient column, or --second DIR), so whether "
            "two releases of one patient match each other was not measured.</p>"
        )
    c = d["linkage"]["collisions"]
    return text + (
        f"<p>Releases of different patients: {_flat(share(c['collides']))} have another release within the "
        f"recogniser’s threshold; a pair of releases is within it in {_flat(_mean_share(c['pairs']))} of "
        f"pairs; median distance {_flat(value(c['distance']))}.</p>"
    )


def _mean_share(figure: dict) -> str:
    if figure["value"] is None:
        return f"–{_why(figure)}"
    text = _percent(figure["value"])
    if figure["low"] is None:
        return text
    return f"{text}<small>{_percent(figure['low'])} to {_percent(figure['high'])}</small>"


def _leak(d: dict) -> str:
    leak = d["leak"]
    if not leak:
        return (
            "<h3>Training leak</h3><p>Not measured: give --training DIR with the faces that the model "
            "was trained on.</p>"
        )
    if "nearer_than_every_stranger" not in leak:
        return f"<h3>Training leak</h3><p>Not measured: {_e(leak['auc'].get('note', ''))}.</p>"
    suspects = ", ".join(f"{_e(s['id'])} ({s['distance']:.2f})" for s in leak["suspects"])
    return (
        f"<h3>Training leak</h3><p>Nearest of {leak['training_faces']} training faces: "
        f"{_flat(share(leak['nearer_than_every_stranger']))} releases are nearer to a training face than "
        f"every stranger of the gallery is{f': {suspects}' if suspects else ''}. Within the threshold of "
        f"one: {_flat(share(leak['within_threshold']))} releases, "
        f"{_flat(share(leak['strangers_within_threshold']))} strangers. Area "
        f"{_flat(value(leak['auc']))}; 0.5: releases lie as near as strangers do, more: nearer.</p>"
        '<div class="figures"><figure>'
        + svg.histogram(
            {"releases": leak["distances"], "strangers (real people)": leak["reference"]},
            (0, max(1.0, d["recogniser"]["threshold"] * 1.5)), "distance to the nearest training face",
        )
        + "<figcaption>Releases against real people who were not trained on.</figcaption></figure></div>"
    )  # fmt: skip


def _kept(d: dict) -> str:
    k = d["kept"]
    text = (
        "<h2>2. What the kept pixels give away</h2><p>The kept area covers "
        f"{_flat(_mean_share(k['share_of_face']))} of the face in the median case"
        + (f", {_percent(k['largest_share'])} at most" if k["largest_share"] is not None else "")
        + f". An eye lies inside it in {_flat(share(k['eye_inside']))}, the mouth in "
        f"{_flat(share(k['mouth_inside']))}. {k['warned']} manifests warn that the kept area may identify."
    )
    if k["alone"]:
        every = k["alone"]["everybody"]
        text += (
            " Shown alone on a grey face, the kept pixels lead to the patient at rank 1 in "
            f"{_flat(share(every['rank_1']))} (chance {_percent(every['chance_rank_1']['value'])})."
        )
    return text + "</p>"


def _lesion(d: dict) -> str:
    rows = []
    for name, f in d["lesion"].items():
        rows.append((
            "main" if name == "release" else "",
            [_method(d, name), share(f["exact"]), share(f["same_outline"]), value(f["dice"]),
             value(f["halo"], 1), f"{value(f['spots'], 1)}", share(f["no_new_spots"]),
             value(f["seam_visibility"]), value(f["lesion_moved"], 3)],
        ))  # fmt: skip
    r = d["lesion"]["release"]
    text = (
        "<h2>3. Is the lesion there?</h2><p>Kept pixels are compared byte for byte. Then one and the same "
        "segmentation runs on photograph and release: the outline is the same when the two overlap with "
        "Dice at least 0.95 and the area differs by at most 5 %. The halo is how much nearer to the "
        "lesion’s colour the skin just outside has become (Delta-E; goal at most 2). Spots are counted "
        "alike on the photograph’s lesion-free skin and on the generated skin. The seam’s visibility "
        "is the share of places on real skin with a weaker edge along the same outline (0.5: as on real "
        "skin). The lesion’s shift is measured among landmarks that one detector finds in both pictures, "
        "as a share of the distance between the eyes.</p>"
        + _table(
            [
                "what is published",
                "kept pixels exact",
                "same outline",
                "Dice<small>median</small>",
                "halo<small>Delta-E, median</small>",
                "spots<small>mean</small>",
                "no new spots",
                "seam visibility",
                "lesion shift<small>median</small>",
            ],
            rows,
        )  # fmt: skip
        + _note(
            f"Releases: {r['changed_pixels']} of {r['kept_pixels']} kept pixels differ. The outline could "
            f"not be judged in {r['outline_not_measurable']} cases (lesion fainter than 6 Delta-E, or no "
            f"skin around it). The photographs’ own lesion-free skin has {_flat(value(r['spots_of_photo'], 1))} "
            "spots. On the photographs the segmentation agrees with the drawn masks by a median Dice of "
            f"{_flat(value(r['drawn_dice']))}, which bounds how far its verdict is to be trusted."
        )
    )
    if r["dice_values"]:
        text += (
            '<div class="figures"><figure>'
            + svg.histogram({"releases": r["dice_values"]}, (0.5, 1.0), "Dice", (0.95, "goal"))
            + "<figcaption>Overlap of the lesion in photograph and release; values below 0.5 stand at 0.5."
            "</figcaption></figure></div>"
        )
    return text


def _person(d: dict) -> str:
    rows = []
    for name, f in d["person"].items():
        rows.append((
            "main" if name == "release" else "",
            [_method(d, name), value(f["tone_error"], 1), value(f["tone_bias"], 1),
             share(f["within_10_degrees"]), share(f["same_class"])],
        ))  # fmt: skip
    r = d["person"]["release"]
    origins = ", ".join(f"{count} {_e(name)}" for name, count in r["origins"].items())
    text = (
        "<h2>4. Is the person right?</h2><p>Skin tone is the individual typology angle (ITA) of cheeks and "
        f"nose against the tone that the release was asked for ({origins}). Positive bias: generated "
        "skin is lighter.</p>"
        + _table(
            [
                "what is published",
                "error<small>degrees, mean</small>",
                "bias<small>degrees</small>",
                "within 10 degrees",
                "same class",
            ],
            rows,
        )  # fmt: skip
    )
    if r["wanted_values"]:
        both = [*r["wanted_values"], *r["measured_values"]]
        low, high = min(-30.0, *both), max(65.0, *both)
        text += (
            '<div class="figures"><figure>'
            + svg.scatter(r["wanted_values"], r["measured_values"], (low, high), "wanted ITA, degrees", "measured")
            + "<figcaption>Tone of the generated skin against the tone asked for; on the line it is met."
            "</figcaption></figure></div>"
        )  # fmt: skip
    reader = d["reader"]
    if not reader["name"]:
        return text + (
            "<p><b>Sex, age and site were not measured: no reader given</b> (--reader FILE; "
            "docs/evaluation.md).</p>"
        )
    rows = [
        ("", [_e(name),
              value(f, 1) if "years" in name else share(f),
              value(reader["photographs"].get(name), 1) if "years" in name
              else share(reader["photographs"].get(name))])
        for name, f in reader["releases"].items()
    ]  # fmt: skip
    return text + _table(
        [f"reader {_e(reader['name'])}", "releases", "photographs: what it can do"], rows
    )


def _realism(d: dict) -> str:
    e = d["realism"]["extractor"]
    rows = [
        (
            "main" if name == "release" else "",
            [_method(d, name), *(value(f[m], 3) for m in METRICS)],
        )
        for name, f in d["realism"]["methods"].items()
    ]
    return (
        f"<h2>5. Is it believable?</h2><p>Distances between the set of published pictures and the set of "
        f"photographs in the {e['features']} features of the {_e(e['name'])} ({e['size']} px). Fréchet, "
        "kernel and sliced distance: 0 is best; precision, density (believable) and recall, coverage "
        "(varied): 1 is best. They compare methods within this report only; with another extractor or "
        "another number of pictures they are other numbers.</p>"
        + _table(["what is published", *(REALISM_WORDS[m] for m in METRICS)], rows)
        + _invalid(d)
    )


def _invalid(d: dict) -> str:
    """Which metrics are not valid, and why, once each."""
    reasons = {}
    for figures in d["realism"]["methods"].values():
        for name, figure in figures.items():
            if figure["value"] is None and figure.get("note"):
                reasons.setdefault(figure["note"], []).append(REALISM_WORDS[name])
    lines = [f"{', '.join(dict.fromkeys(names))}: {_e(note)}." for note, names in reasons.items()]
    return _note(" ".join(lines)) if lines else ""


def _groups(d: dict) -> str:
    parts = [
        "<h2>6. Is it fair?</h2><p>Every figure of the releases by sex, age and skin-tone class. The gap is "
        "between the largest and the smallest value among groups of at least three cases. With few cases "
        "in a group its interval is wide: a small gap is no proof of fairness.</p>"
    ]
    for kind, section in d["groups"].items():
        labels: list[str] = []
        for f in section.values():
            labels.extend(label for label in f["groups"] if label not in labels)
        rows = []
        for name, f in section.items():
            cells = []
            for label in labels:
                g = f["groups"].get(label)
                known = name in SHARES
                cells.append("–" if g is None else share(g) if known else value(g, 2))
            gap = f["gap"]
            percent = name in SHARES
            cells.append("–" if gap is None else _number(100 * gap, 0) if percent else _number(gap))
            rows.append(("", [_e(name), *cells]))
        parts.append(
            f"<h3>By {_e(kind)}</h3>"
            + _table(["figure", *map(_e, labels), "gap<small>of shares: points</small>"], rows)
        )
    return "".join(parts)


SHARES = frozenset({
    "recognised at rank 1", "verified at the published threshold", "same skin-tone class",
    "kept pixels exact", "same lesion outline", "no new spots", "sex read as declared",
    "site read as declared",
})  # fmt: skip


def _sheet(d: dict, sheet: dict[str, dict[str, np.ndarray]]) -> str:
    parts = [
        "<h2>7. Best, median and worst</h2><p>Cases in the order of their mean place by distance to the "
        "patient’s other photograph, tone error, outline and seam.</p>"
    ]
    if d["publishable"]:
        parts.append(
            "<p>No original pixel outside the masks is shown"
            + ("" if any("release" in p for p in sheet.values()) else
               "; the releases are not shown either, since no model made them and they show the "
               "photograph’s own pixels")
            + ".</p>"
        )  # fmt: skip
    rows = {row["id"]: row for row in d["rows"]}
    for name, ids in chosen(d["ranking"]).items():
        blocks = []
        for case_id in ids:
            pictures = "".join(
                f'<span class="one"><img alt="{_e(label)}" src="data:image/png;base64,'
                f'{base64.b64encode(encode_png(picture, level=6)).decode()}"><br>{_e(label)}</span>'
                for label, picture in sheet.get(case_id, {}).items()
            )
            row = rows[case_id]
            rank = (
                ""
                if row.get("rank") is None
                else f", rank {row['rank']}, distance {_number(row.get('distance'))}"
            )
            blocks.append(f'<div class="case"><b>{_e(case_id)}</b>{_e(rank)}<br>{pictures}</div>')
        if blocks:
            parts.append(f"<h3>{name.capitalize()}</h3>{''.join(blocks)}")
    return "".join(parts)


def _table_of_cases(d: dict) -> str:
    head = ["case", "face", "distance", "rank", "matched<small>rank</small>", "changed<small>kept px</small>",
            "Dice", "area", "halo", "spots<small>photo</small>", "seam", "shift", "ITA<small>wanted</small>"]  # fmt: skip
    rows = []
    for r in d["rows"]:
        if r.get("error") and "changed" not in r:
            rows.append(
                ("", [_e(r["id"]), f"<small>{_e(r['error'])}</small>", *[""] * (len(head) - 2)])
            )
            continue
        area = r.get("area")
        rows.append(("", [
            _e(r["id"]), _e(r.get("face", "–")), _number(r.get("distance")), str(r.get("rank") or "–"),
            str(r.get("matched_rank") or "–"), str(r.get("changed")), _number(r.get("dice")),
            "–" if area is None else f"{100 * area:+.0f} %".replace("-", "−"), _number(r.get("halo"), 1),
            f"{'–' if r.get('spots') is None else r['spots']}<small>{r.get('photo_spots')}</small>",
            _number(r.get("seam")), _number(r.get("lesion_moved"), 3),
            f"{_number(r.get('ita'), 0)}<small>{_number(r.get('wanted_ita'), 0)}</small>",
        ]))  # fmt: skip
    return "<h2>8. Every case</h2>" + _table(head, rows)


def _colophon(d: dict) -> str:
    libraries = ", ".join(f"{_e(k)} {_e(v)}" for k, v in d["versions"].items())
    warnings = "".join(
        f"<li>{count} × {_e(text)}</li>" for text, count in d["cases"]["warnings"].items()
    )
    return (
        "<h2>What these figures do not say</h2><p>The attacker here is one stock recogniser with a small "
        "gallery; a better one, or somebody who knows the patient, finds more. The lesion’s own pixels "
        "match the original photograph for whoever holds it. A release does not replace consent.</p>"
        + (f"<h3>Warnings in the manifests</h3><ul class=note>{warnings}</ul>" if warnings else "")
        + f"<h2>How this was made</h2><p><code>{_e(d['command'])}</code></p>"
        + _note(
            f"jaxderm {_e(d['tool']['version'])}; {libraries}. Every figure is explained, with its "
            "source, in docs/evaluation.md; the numbers are in report.json."
        )  # fmt: skip
    )


__all__ = ["baselines", "chosen", "page", "share", "value", "write"]
