"""A study's results: per reader and of all, with intervals, as a document, a CSV and a page."""

import csv
import dataclasses
import io
import itertools
from pathlib import Path

import numpy as np

from jaxderm.errors import InputError
from jaxderm.evaluate import markup
from jaxderm.evaluate.statistics import mean
from jaxderm.study import design, statistics
from jaxderm.study.store import Store

NOTES = (
    "Intervals are 95 %. Exact intervals (Clopper and Pearson) of single readers cover at least 95 %; pooled shares count a "
    "picture or case as a cluster (Rao and Scott 1992; Wilson's interval on the effective number of answers).",
    "That the readers are a sample of specialists is not modelled: the figures speak of these readers.",
    "Equivalence: two one-sided exact tests of each reader's accuracy against 50 % plus and minus the margin (Schuirmann 1987).",
    "d' with the log-linear correction (Hautus 1995); ROC from confidence, interval by DeLong (1988); Fleiss' kappa with a bootstrap over pictures.",
    "Primary endpoint: a reader gives original and release of a case the same diagnosis. Not inferior when the lower bound of "
    "the interval lies above the expected agreement of a reader with himself less the margin.",
)


def analyse(folder: Path) -> dict:
    """Results of a study's folder, complete or not; InputError where nothing was answered."""
    store, key = Store(folder), design.load_key(folder)
    settings = store.settings
    rows = {reader: answers for reader, answers in store.answers.items() if answers}
    if not rows:
        raise InputError(f"study '{folder}' has no answer yet; serve it to its readers first.")
    readers = {reader: _reader(answers, key, settings) for reader, answers in rows.items()}
    pictures = sorted(key)
    calls = {reader: {a["picture"]: a["real"] for a in answers} for reader, answers in rows.items()}
    table = np.array(
        [[calls[reader].get(name) for reader in rows] for name in pictures], dtype=object
    )
    right = {
        name: [
            calls[r][name] == (key[name]["kind"] == "original") for r in rows if name in calls[r]
        ]
        for name in pictures
    }
    diagnoses = {
        reader: {a["picture"]: a["diagnosis"] for a in answers} for reader, answers in rows.items()
    }
    agreed: dict[str, list[bool]] = {}
    for given in diagnoses.values():
        for case, same in _agreements(given, key).items():
            agreed.setdefault(case, []).append(same)
    bound = settings.expected - settings.agreement_margin
    agreement = statistics.clustered(
        [sum(v) for v in agreed.values()], [len(v) for v in agreed.values()]
    )
    pairs = {
        f"{a}, {b}": statistics.cohen(
            [calls[a].get(name) for name in pictures], [calls[b].get(name) for name in pictures]
        ).as_dict()
        for a, b in itertools.combinations(rows, 2)
    }
    planned = sum(len(s) for r in settings.readers for s in store.orders[r])
    return {
        "title": settings.title,
        "ethics": settings.ethics,
        "settings": dataclasses.asdict(settings),
        "answers": sum(map(len, rows.values())),
        "planned": planned,
        "readers": readers,
        "accuracy": statistics.clustered(
            [sum(v) for v in right.values()], [len(v) for v in right.values()]
        ).as_dict(),
        "primary": {
            "agreement": agreement.as_dict(),
            "bound": round(bound, 6),
            "not_inferior": bool(agreement.low > bound),
        },
        "fleiss": {
            "real": statistics.fleiss(table).as_dict(),
            "diagnosis": statistics.fleiss(
                np.array([[diagnoses[r].get(n) for r in rows] for n in pictures], dtype=object)
            ).as_dict(),
        },
        "cohen": pairs,
        "quality": {
            kind: mean(
                [
                    a["quality"]
                    for v in rows.values()
                    for a in v
                    if key[a["picture"]]["kind"] == kind
                ]
            ).as_dict()
            for kind in ("original", "release")
        },
        "notes": list(NOTES),
    }


def _reader(answers: list[dict], key: dict, settings: design.Settings) -> dict:
    real = [a for a in answers if key[a["picture"]]["kind"] == "original"]
    made = [a for a in answers if key[a["picture"]]["kind"] == "release"]
    hits, alarms = sum(a["real"] for a in real), sum(a["real"] for a in made)
    right, count = hits + len(made) - alarms, len(answers)

    def score(answer: dict) -> int:
        return answer["confidence"] if answer["real"] else -answer["confidence"]

    known = [a for a in answers if key[a["picture"]]["diagnosis"]]
    same = _agreements({a["picture"]: a["diagnosis"] for a in answers}, key)
    correct = {
        kind: statistics.exact(
            sum(a["diagnosis"] == key[a["picture"]]["diagnosis"] for a in part), len(part)
        ).as_dict()
        for kind in ("original", "release")
        for part in [[a for a in known if key[a["picture"]]["kind"] == kind]]
    }
    return {
        "answers": count,
        "accuracy": statistics.exact(right, count).as_dict(),
        "accuracy_wilson": statistics.wilson(right, count).as_dict(),
        "equivalence_p": statistics.equivalence(right, count, settings.equivalence_margin),
        "sensitivity_index": statistics.sensitivity_index(
            hits, len(real), alarms, len(made)
        ).as_dict(),
        "roc_area": statistics.roc_area(
            [score(a) for a in real], [score(a) for a in made]
        ).as_dict(),
        "agreement": statistics.exact(sum(same.values()), len(same)).as_dict(),
        "diagnosis_right": correct,
    }


def _agreements(given: dict[str, str], key: dict) -> dict[str, bool]:
    """{case: whether original and release got one diagnosis} of a reader who saw both."""
    by_case: dict[str, dict[str, str]] = {}
    for picture, diagnosis in given.items():
        by_case.setdefault(key[picture]["case"], {})[key[picture]["kind"]] = diagnosis
    return {c: d["original"] == d["release"] for c, d in by_case.items() if len(d) == 2}


def table(folder: Path) -> str:
    """Every answer as CSV: reader, picture, case, kind and what was said."""
    store, key = Store(folder), design.load_key(folder)
    stream = io.StringIO()
    fields = ("reader", "sequence", "picture", "case", "kind", "true_diagnosis", "real", "confidence",
              "diagnosis", "quality", "seconds")  # fmt: skip
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(fields)
    for reader, answers in store.answers.items():
        for number, a in enumerate(answers, 1):
            known = key[a["picture"]]
            writer.writerow(
                [reader, number, a["picture"], known["case"], known["kind"], known["diagnosis"],
                 int(a["real"]), a["confidence"], a["diagnosis"], a["quality"], a["seconds"]]
            )  # fmt: skip
    return stream.getvalue()


def report(found: dict) -> str:
    """A page of the results: one HTML file, no script."""
    m = markup
    rows = "".join(
        f"<tr><th>{m.text(name)}</th><td>{r['answers']}</td><td>{m.share(r['accuracy'])}</td>"
        f"<td>{r['equivalence_p']:.3f}</td><td>{m.value(r['sensitivity_index'])}</td>"
        f"<td>{m.value(r['roc_area'])}</td><td>{m.share(r['agreement'])}</td></tr>"
        for name, r in found["readers"].items()
    )
    primary = found["primary"]
    verdict = "not inferior" if primary["not_inferior"] else "not shown to be not inferior"
    notes = "".join(f"<li>{m.text(note)}</li>" for note in found["notes"])
    kappas = "".join(
        f"<tr><th>{m.text(name)}</th><td>{m.value(figure)}</td></tr>"
        for name, figure in [
            ("all readers, real or not (Fleiss)", found["fleiss"]["real"]),
            ("all readers, diagnosis (Fleiss)", found["fleiss"]["diagnosis"]),
            *((f"{pair}, real or not (Cohen)", figure) for pair, figure in found["cohen"].items()),
        ]
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{m.text(found["title"])}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2b33}}
table{{border-collapse:collapse;width:100%}}th,td{{text-align:left;padding:.4rem;border-bottom:1px solid #d5dde1;vertical-align:top}}
small{{display:block;color:#5c6c75}}</style>
<h1>{m.text(found["title"])}</h1>
<p>Ethics: {m.text(found["ethics"])}. {found["answers"]} of {found["planned"]} answers.</p>
<h2>Primary endpoint</h2>
<p>Original and release got the same diagnosis: {m.value(primary["agreement"])} (bound {primary["bound"]:.2f}): <b>{verdict}</b>.</p>
<h2>Readers</h2>
<table><tr><th>reader<th>answers<th>real or not: right<th>p of equivalence to 50 %<th>d'<th>ROC area<th>same diagnosis</tr>{rows}</table>
<p>All readers: {m.value(found["accuracy"])} right. Quality of originals {m.value(found["quality"]["original"])}, of releases {m.value(found["quality"]["release"])}.</p>
<h2>Agreement of readers</h2><table>{kappas}</table>
<h2>Notes</h2><ul>{notes}</ul></html>
"""
