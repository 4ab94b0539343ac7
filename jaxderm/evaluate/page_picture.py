"""Second half of the report's page: the lesion, the person, the picture, groups and cases."""

import base64

import numpy as np

from jaxderm.evaluate import markup, svg
from jaxderm.evaluate.realism import METRICS
from jaxderm.photo import encode_png

SHEET = 3  # cases each of best, median and worst
REALISM_WORDS = {
    "frechet": "Fréchet distance", "kernel": "kernel distance", "precision": "precision",
    "recall": "recall", "density": "density", "coverage": "coverage",
    "sliced": "sliced Wasserstein",
}  # fmt: skip


def lesion(d: dict) -> str:
    """Is the lesion there."""
    rows = []
    for name, f in d["lesion"].items():
        rows.append((
            "main" if name == "release" else "",
            [markup.method(d, name), markup.share(f["exact"]), markup.share(f["same_outline"]), markup.value(f["dice"]),
             markup.value(f["halo"], 1), f"{markup.value(f['spots'], 1)}", markup.share(f["no_new_spots"]),
             markup.value(f["seam_visibility"]), markup.value(f["lesion_moved"], 3)],
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
        + markup.table(
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
        + markup.note(
            f"Releases: {r['changed_pixels']} of {r['kept_pixels']} kept pixels differ. The outline could "
            f"not be judged in {r['outline_not_measurable']} cases (lesion fainter than 6 Delta-E, or no "
            f"skin around it). The photographs’ own lesion-free skin has {markup.flat(markup.value(r['spots_of_photo'], 1))} "
            "spots. On the photographs the segmentation agrees with the drawn masks by a median Dice of "
            f"{markup.flat(markup.value(r['drawn_dice']))}, which bounds how far its verdict is to be trusted."
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


def person(d: dict) -> str:
    """Is the person right."""
    rows = []
    for name, f in d["person"].items():
        rows.append((
            "main" if name == "release" else "",
            [markup.method(d, name), markup.value(f["tone_error"], 1), markup.value(f["tone_bias"], 1),
             markup.share(f["within_10_degrees"]), markup.share(f["same_class"])],
        ))  # fmt: skip
    r = d["person"]["release"]
    origins = ", ".join(f"{count} {markup.text(name)}" for name, count in r["origins"].items())
    text = (
        "<h2>4. Is the person right?</h2><p>Skin tone is the individual typology angle (ITA) of cheeks and "
        f"nose against the tone that the release was asked for ({origins}). Positive bias: generated "
        "skin is lighter.</p>"
        + markup.table(
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
        ("", [markup.text(name),
              markup.value(f, 1) if "years" in name else markup.share(f),
              markup.value(reader["photographs"].get(name), 1) if "years" in name
              else markup.share(reader["photographs"].get(name))])
        for name, f in reader["releases"].items()
    ]  # fmt: skip
    return text + markup.table(
        [f"reader {markup.text(reader['name'])}", "releases", "photographs: what it can do"], rows
    )


def realism(d: dict) -> str:
    """Is it believable."""
    e = d["realism"]["extractor"]
    rows = [
        (
            "main" if name == "release" else "",
            [markup.method(d, name), *(markup.value(f[m], 3) for m in METRICS)],
        )
        for name, f in d["realism"]["methods"].items()
    ]
    return (
        f"<h2>5. Is it believable?</h2><p>Distances between the set of published pictures and the set of "
        f"photographs in the {e['features']} features of the {markup.text(e['name'])} ({e['size']} px). Fréchet, "
        "kernel and sliced distance: 0 is best; precision, density (believable) and recall, coverage "
        "(varied): 1 is best. They compare methods within this report only; with another extractor or "
        "another number of pictures they are other numbers.</p>"
        + markup.table(["what is published", *(REALISM_WORDS[m] for m in METRICS)], rows)
        + _invalid(d)
    )


def _invalid(d: dict) -> str:
    """Which metrics are not valid, and why, once each."""
    reasons = {}
    for figures in d["realism"]["methods"].values():
        for name, figure in figures.items():
            if figure["value"] is None and figure.get("note"):
                reasons.setdefault(figure["note"], []).append(REALISM_WORDS[name])
    lines = [
        f"{', '.join(dict.fromkeys(names))}: {markup.text(note)}."
        for note, names in reasons.items()
    ]
    return markup.note(" ".join(lines)) if lines else ""


def groups(d: dict) -> str:
    """Every figure by sex, age band and skin-tone class."""
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
                cells.append("–" if g is None else markup.share(g) if known else markup.value(g, 2))
            gap = f["gap"]
            percent = name in SHARES
            cells.append(
                "–"
                if gap is None
                else markup.number(100 * gap, 0)
                if percent
                else markup.number(gap)
            )
            rows.append(("", [markup.text(name), *cells]))
        parts.append(
            f"<h3>By {markup.text(kind)}</h3>"
            + markup.table(
                ["figure", *map(markup.text, labels), "gap<small>of shares: points</small>"], rows
            )
        )
    return "".join(parts)


SHARES = frozenset({
    "recognised at rank 1", "verified at the published threshold", "same skin-tone class",
    "kept pixels exact", "same lesion outline", "no new spots", "sex read as declared",
    "site read as declared",
})  # fmt: skip


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


def sheet_of_cases(d: dict, sheet: dict[str, dict[str, np.ndarray]]) -> str:
    """Best, median and worst cases."""
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
                f'<span class="one"><img alt="{markup.text(label)}" src="data:image/png;base64,'
                f'{base64.b64encode(encode_png(picture, level=6)).decode()}"><br>{markup.text(label)}</span>'
                for label, picture in sheet.get(case_id, {}).items()
            )
            row = rows[case_id]
            rank = (
                ""
                if row.get("rank") is None
                else f", rank {row['rank']}, distance {markup.number(row.get('distance'))}"
            )
            blocks.append(
                f'<div class="case"><b>{markup.text(case_id)}</b>{markup.text(rank)}<br>{pictures}</div>'
            )
        if blocks:
            parts.append(f"<h3>{name.capitalize()}</h3>{''.join(blocks)}")
    return "".join(parts)


def table_of_cases(d: dict) -> str:
    """One line a case."""
    head = ["case", "face", "distance", "rank", "matched<small>rank</small>", "changed<small>kept px</small>",
            "Dice", "area", "halo", "spots<small>photo</small>", "seam", "shift", "ITA<small>wanted</small>"]  # fmt: skip
    rows = []
    for r in d["rows"]:
        if r.get("error") and "changed" not in r:
            rows.append(
                (
                    "",
                    [
                        markup.text(r["id"]),
                        f"<small>{markup.text(r['error'])}</small>",
                        *[""] * (len(head) - 2),
                    ],
                )
            )
            continue
        area = r.get("area")
        rows.append(("", [
            markup.text(r["id"]), markup.text(r.get("face", "–")), markup.number(r.get("distance")), str(r.get("rank") or "–"),
            str(r.get("matched_rank") or "–"), str(r.get("changed")), markup.number(r.get("dice")),
            "–" if area is None else f"{100 * area:+.0f} %".replace("-", "−"), markup.number(r.get("halo"), 1),
            f"{'–' if r.get('spots') is None else r['spots']}<small>{r.get('photo_spots')}</small>",
            markup.number(r.get("seam")), markup.number(r.get("lesion_moved"), 3),
            f"{markup.number(r.get('ita'), 0)}<small>{markup.number(r.get('wanted_ita'), 0)}</small>",
        ]))  # fmt: skip
    return "<h2>8. Every case</h2>" + markup.table(head, rows)


def colophon(d: dict) -> str:
    """Command and versions."""
    libraries = ", ".join(f"{markup.text(k)} {markup.text(v)}" for k, v in d["versions"].items())
    warnings = "".join(
        f"<li>{count} × {markup.text(text)}</li>" for text, count in d["cases"]["warnings"].items()
    )
    return (
        "<h2>What these figures do not say</h2><p>The attacker here is one stock recogniser with a small "
        "gallery; a better one, or somebody who knows the patient, finds more. The lesion’s own pixels "
        "match the original photograph for whoever holds it. A release does not replace consent.</p>"
        + (f"<h3>Warnings in the manifests</h3><ul class=note>{warnings}</ul>" if warnings else "")
        + f"<h2>How this was made</h2><p><code>{markup.text(d['command'])}</code></p>"
        + markup.note(
            f"jaxderm {markup.text(d['tool']['version'])}; {libraries}. Every figure is explained, with its "
            "source, in docs/evaluation.md; the numbers are in report.json."
        )  # fmt: skip
    )
