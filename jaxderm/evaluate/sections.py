"""From measured cases to the sections of the report: plain dictionaries of figures, ready for JSON."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from jaxderm.attributes import ita_class
from jaxderm.evaluate import attributes, identity, lesion, statistics
from jaxderm.evaluate.cases import Person
from jaxderm.evaluate.identity import Gallery, Match
from jaxderm.evaluate.measure import RELEASE, CaseResult, Measured
from jaxderm.evaluate.recogniser import Face, Recogniser
from jaxderm.evaluate.statistics import Figure

Cases = list[CaseResult]
HISTOGRAM_METHODS = (RELEASE, "untouched")


def plain(value: Any) -> Any:
    """A section with every Figure as a dictionary, and no number that JSON cannot hold."""
    if isinstance(value, Figure):
        return value.as_dict()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item"):
        return plain(value.item())
    return value


def matches_of(cases: Cases, method: str, gallery: Gallery, recogniser: Recogniser) -> list[Match]:
    """Matches of a method's pictures, of the cases whose photograph shows a face and has a mate."""
    found = []
    for case in cases:
        if method in case.methods and shows_face(case):
            match = identity.match(case.id, case.methods[method].face, gallery, recogniser)
            found.extend([] if match is None else [match])
    return found


def shows_face(case: CaseResult) -> bool:
    """Whether the untouched photograph gives a face: where it does not, nobody can be recognised."""
    untouched = case.methods.get("untouched")
    return untouched is not None and untouched.face.vector is not None


def identity_section(
    cases: Cases, methods: Sequence[str], gallery: Gallery, recogniser: Recogniser
) -> tuple[dict, dict[str, list[Match]]]:
    """({method: figures}, {method: matches}) of every method."""
    matches = {name: matches_of(cases, name, gallery, recogniser) for name in methods}
    figures = {name: identity.set_figures(found) for name, found in matches.items() if found}
    for name in HISTOGRAM_METHODS:
        if name in figures:
            found = matches[name]
            figures[name]["genuine_distances"] = [m.distance for m in found]
            figures[name]["impostor_distances"] = [
                float(d) for m in found for d in m.matched_impostors
            ] or [float(d) for m in found for d in m.impostors]
    return figures, matches


def lesion_section(cases: Cases, method: str) -> dict:
    """Lesion figures of a method's pictures."""
    found = _of(cases, method)
    exact = [m.exact for m in found if m.exact is not None]
    outlines = [m.outline for m in found if m.outline is not None]
    seams = [m.seam for m in found if m.seam is not None]
    places = [m.place for m in found if m.place is not None]
    halos = [m.halo for m in found if m.halo is not None]
    spotted = [
        (case.methods[method].spots, case.photo_spots)
        for case in cases
        if method in case.methods
        and case.methods[method].spots is not None
        and case.photo_spots is not None
    ]
    return {
        "exact": statistics.proportion(sum(e.exact for e in exact), len(exact)),
        "changed_pixels": int(sum(e.changed for e in exact)),
        "kept_pixels": int(sum(e.kept for e in exact)),
        "same_outline": statistics.proportion(sum(o.same for o in outlines), len(outlines)),
        "dice": statistics.median([o.dice for o in outlines]),
        "area": statistics.median([o.area for o in outlines]),
        "drawn_dice": statistics.median([o.drawn_dice for o in outlines]),
        "outline_not_measurable": len(exact) - len(outlines),
        "halo": statistics.median(halos),
        "no_halo": statistics.proportion(sum(h <= lesion.HALO_GOAL for h in halos), len(halos)),
        "spots": statistics.mean([after for after, _ in spotted]),
        "spots_of_photo": statistics.mean([before for _, before in spotted]),
        "no_new_spots": statistics.proportion(
            sum(after <= before for after, before in spotted), len(spotted)
        ),
        "seam": statistics.median([s.release for s in seams]),
        "seam_of_photo": statistics.median([s.photo for s in seams]),
        "seam_visibility": statistics.mean([s.visibility for s in seams]),
        "landmarks_moved": statistics.median([p.points for p in places]),
        "lesion_moved": statistics.median([p.lesion for p in places]),
        "face_found_in_both": len(places),
        "dice_values": [o.dice for o in outlines],
    }


def kept_section(cases: Cases, matches: list[Match]) -> dict:
    """How identifying the lesion area itself is. matches: of the kept pixels alone on a grey face."""
    kept = [case.kept for case in cases if case.kept is not None]
    return {
        "share_of_face": statistics.median([k.face for k in kept]),
        "largest_share": max((k.face for k in kept), default=None),
        "eye_inside": statistics.proportion(sum(max(k.eyes) >= 0.25 for k in kept), len(kept)),
        "mouth_inside": statistics.proportion(sum(k.mouth >= 0.25 for k in kept), len(kept)),
        "warned": sum(any("identify" in w for w in case.warnings) for case in cases),
        "alone": identity.set_figures(matches) if matches else None,
    }


def tone_errors(case: CaseResult, method: str) -> tuple[float, bool] | None:
    """(generated minus wanted ITA in degrees, whether the class is the same); None if not measured."""
    measured, wanted = case.methods.get(method), case.wanted_ita
    if measured is None or measured.ita is None or wanted is None:
        return None
    return measured.ita - wanted, ita_class(measured.ita) == ita_class(wanted)


def person_section(cases: Cases, method: str) -> dict:
    """Skin tone of a method's pictures against the fact or, without one, the photograph."""
    errors = [e for e in (tone_errors(case, method) for case in cases) if e is not None]
    near = []
    for case in cases:
        e = tone_errors(case, method)
        if e is not None:
            near.append(abs(e[0]) <= 10)
    origins = [case.fact_origin or "no fact: the photograph's" for case in cases if case.methods]
    return {
        "tone_error": statistics.mean([abs(e) for e, _ in errors]),
        "tone_bias": statistics.mean([e for e, _ in errors]),
        "same_class": statistics.proportion(sum(same for _, same in errors), len(errors)),
        "within_10_degrees": statistics.proportion(sum(near), len(near)),
        "origins": {name: origins.count(name) for name in sorted(set(origins))},
        "wanted_values": [c.wanted_ita for c in cases if tone_errors(c, method) is not None],
        "measured_values": [
            c.methods[method].ita for c in cases if tone_errors(c, method) is not None
        ],
    }


def groups_of(case: CaseResult, person: Person) -> dict[str, str | None]:
    """The groups of fairness that a case belongs to."""
    return {
        "sex": person.sex,
        "age": attributes.age_band(person.age),
        "skin tone": attributes.tone_class(case.wanted_ita),
    }


def group_section(
    cases: Cases,
    people: dict[str, Person],
    matches: list[Match],
    read: dict[str, dict[str, float | None]] | None = None,
) -> dict:
    """Every figure of the releases by sex, age band and skin-tone class, with the gap between groups.

    read: further values a case, {figure: {case id: value}}, from the attribute reader.
    """
    by_id = {m.id: m for m in matches}
    values: dict[str, tuple[bool, Callable[[CaseResult], float | None]]] = {
        "recognised at rank 1": (True, lambda c: _if(by_id.get(c.id), lambda m: m.rank <= 1)),
        "verified at the published threshold": (
            True, lambda c: _if(by_id.get(c.id), lambda m: m.verified)
        ),
        "area under the curve": (False, lambda c: _if(by_id.get(c.id), lambda m: m.area)),
        "area against matched impostors": (
            False, lambda c: _if(by_id.get(c.id), lambda m: m.matched_area)
        ),
        "skin tone error, degrees": (
            False, lambda c: _if(tone_errors(c, RELEASE), lambda e: abs(e[0]))
        ),
        "same skin-tone class": (True, lambda c: _if(tone_errors(c, RELEASE), lambda e: e[1])),
        "kept pixels exact": (True, lambda c: _if(_m(c).exact, lambda e: e.exact)),
        "same lesion outline": (True, lambda c: _if(_m(c).outline, lambda o: o.same)),
        "seam visibility": (False, lambda c: _if(_m(c).seam, lambda s: s.visibility)),
        "no new spots": (
            True,
            lambda c: None
            if _m(c).spots is None or c.photo_spots is None
            else _m(c).spots <= c.photo_spots,
        ),
    }  # fmt: skip
    for name, found in (read or {}).items():
        share = all(v in (0, 1, None) for v in found.values())
        values[name] = (share, lambda c, found=found: found.get(c.id))
    released = [case for case in cases if RELEASE in case.methods]
    section: dict[str, dict] = {}
    for kind in ("sex", "age", "skin tone"):
        labels = [groups_of(case, people[case.id])[kind] for case in released]
        section[kind] = {
            name: attributes.by_group([value(case) for case in released], labels, share)
            for name, (share, value) in values.items()
        }
    return section


def linkage_section(
    pairs: dict[str, tuple[list[Face], list[Face]]], releases: list[Face], recogniser: Recogniser
) -> dict:
    """Linkage of {name: (first, second releases of the same patients)}; collisions of all releases."""
    return {
        "pairs": {
            name: {**identity.linkage(first, second, recogniser), "count": len(first)}
            for name, (first, second) in pairs.items()
        },
        "collisions": identity.collisions(releases, recogniser),
    }


def case_rows(cases: Cases, people: dict[str, Person], matches: list[Match]) -> list[dict]:
    """One flat dictionary a case for the table of cases."""
    by_id = {m.id: m for m in matches}
    rows = []
    for case in cases:
        row: dict[str, Any] = {
            "id": case.id,
            "error": case.error,
            **groups_of(case, people[case.id]),
        }
        match, measured = by_id.get(case.id), case.methods.get(RELEASE)
        if match is not None:
            row |= {
                "face": match.how, "distance": match.distance, "rank": match.rank,
                "matched_rank": match.matched_rank, "verified": match.verified,
            }  # fmt: skip
        if measured is not None:
            error = tone_errors(case, RELEASE)
            row |= {
                "face": measured.face.how,
                "changed": None if measured.exact is None else measured.exact.changed + measured.exact.lost,
                "dice": None if measured.outline is None else measured.outline.dice,
                "area": None if measured.outline is None else measured.outline.area,
                "halo": measured.halo,
                "spots": measured.spots,
                "photo_spots": case.photo_spots,
                "seam": None if measured.seam is None else measured.seam.visibility,
                "lesion_moved": None if measured.place is None else measured.place.lesion,
                "ita": measured.ita,
                "wanted_ita": case.wanted_ita,
                "tone_error": None if error is None else error[0],
                "kept_of_face": None if case.kept is None else case.kept.face,
            }  # fmt: skip
        rows.append(row)
    return rows


def ranking(rows: list[dict]) -> list[str]:
    """Ids of released cases from best to worst: mean of their places by four figures.

    Distance to the patient's other photograph (far is good), tone error, outline Dice, seam. A figure
    that could not be measured counts as the worst.
    """
    good = {
        "distance": lambda r: r.get("distance"),
        "tone": lambda r: None if r.get("tone_error") is None else -abs(r["tone_error"]),
        "dice": lambda r: r.get("dice"),
        "seam": lambda r: None if r.get("seam") is None else -r["seam"],
    }
    released = [row for row in rows if "changed" in row]
    places = {row["id"]: 0.0 for row in released}
    for value in good.values():

        def key(row: dict, value=value) -> float:
            number = value(row)
            return -math.inf if number is None or math.isnan(number) else number

        keys = sorted((key(row) for row in released), reverse=True)
        for row in released:
            places[row["id"]] += keys.index(key(row))
    return sorted(places, key=lambda name: (places[name], name))


def _of(cases: Cases, method: str) -> list[Measured]:
    return [case.methods[method] for case in cases if method in case.methods]


def _m(case: CaseResult) -> Measured:
    return case.methods[RELEASE]


def _if(value, function):
    return None if value is None else float(function(value))
