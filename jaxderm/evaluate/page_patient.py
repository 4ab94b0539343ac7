"""First half of the report's page: what was audited, and whether the patient is gone."""

from jaxderm.evaluate import markup, svg


def head(d: dict) -> str:
    """Title, what was audited, what is missing."""
    cases, gallery = d["cases"], d["gallery"]
    lines = [
        "<h1>Audit of de-identified photographs</h1>",
        f"<p>{cases['released']} of {cases['total']} cases have a release. Each release, and each method "
        f"in use today, was compared with a gallery of {gallery['people'] + gallery['distractors']} "
        f"people ({gallery['people']} patients by another photograph, {gallery['distractors']} "
        f"distractors) by the face recogniser <i>{markup.text(d['recogniser']['name'])}</i>. Brackets and small "
        "print are 95 % intervals.</p>",
    ]
    problems = [
        f"{markup.text(c['id'])}: {markup.text(c['reason'])}" for c in cases["without_release"]
    ]
    if problems:
        lines.append(
            f'<p class="note"><b>{len(problems)} cases could not be audited</b> and count nowhere '
            f"below: {'; '.join(problems)}</p>"
        )
    if cases["without_face_in_photo"]:
        names = ", ".join(map(markup.text, cases["without_face_in_photo"]))
        lines.append(
            markup.note(f"No face in the photograph itself, so not part of identity: {names}.")
        )
    if gallery["without_face"]:
        lines.append(
            markup.note(
                f"{len(gallery['without_face'])} gallery pictures gave no face and were left out."
            )
        )
    return "".join(lines)


def answers(d: dict) -> str:
    """The four questions, each answered in a sentence."""
    release = d["identity"].get("release")
    lesion, person = d["lesion"]["release"], d["person"]["release"]
    believable = d["realism"]["methods"].get("release", {})
    pairs = d["linkage"]["collisions"]["pairs"]
    if release:
        every, alike = release["everybody"], release["matched"]
        gone = (
            f"The recogniser ranks the patient first in {markup.flat(markup.share(every['rank_1']))}; by chance it "
            f"would in {markup.percent(every['chance_rank_1']['value'])}. Area under the curve against "
            f"people of the same sex, ethnicity and age: {markup.flat(markup.value(alike['auc']))}; 0.5 is chance."
        )
    else:
        gone = "Not measured: no case has a face and another photograph in the gallery."
    answers = {
        "Is the patient gone?": gone,
        "Is the lesion there?": (
            f"Every kept pixel is byte-equal in {markup.flat(markup.share(lesion['exact']))}. One segmentation run "
            f"alike on photograph and release finds the same lesion in "
            f"{markup.flat(markup.share(lesion['same_outline']))}."
        ),
        "Is the person right?": (
            f"Skin tone is off by {markup.flat(markup.value(person['tone_error'], 1))} degrees of ITA on average; "
            f"the tone class is right in {markup.flat(markup.share(person['same_class']))}. Sex, age and site: "
            + ("read below." if d["reader"]["name"] else "no attribute reader was given.")
        ),
        "Is it believable?": (
            f"Kernel distance to the photographs {markup.flat(markup.value(believable.get('kernel'), 3))} "
            f"({markup.text(d['realism']['extractor']['name'])}); 0 is indistinguishable. "
            + "For comparison, methods that leave the patient in the picture: "
            + ", ".join(
                f"{name} {markup.number(d['realism']['methods'][name]['kernel']['value'], 3)}"
                for name in ("blur", "mosaic", "eyebar")
                if name in d["realism"]["methods"]
            )
            + f". Two releases of different patients pass for one person in {markup.flat(_mean_share(pairs))} "
            "of pairs."
        ),
    }
    boxes = "".join(f"<div><h3>{q}</h3>{a}</div>" for q, a in answers.items())
    return f'<div class="answers">{boxes}</div>'


def identity(d: dict) -> str:
    """Is the patient gone."""
    rows = []
    for name, f in d["identity"].items():
        faces = ", ".join(f"{count} {how}" for how, count in f["faces"].items())
        every, alike = f["everybody"], f["matched"]
        rows.append((
            "main" if name == "release" else "",
            [markup.method(d, name), markup.text(faces), markup.share(every["rank_1"]), markup.share(every["rank_5"]),
             markup.share(f["verified"]), markup.share(every["tar"]), markup.value(every["auc"]), markup.share(alike["rank_1"]),
             markup.value(alike["auc"])],
        ))  # fmt: skip
    threshold = d["recogniser"]["threshold"]
    first = next(iter(d["identity"].values()), None)
    chance = ""
    if first:
        every, alike = first["everybody"], first["matched"]
        chance = (
            f"By chance: rank 1 in {markup.percent(every['chance_rank_1']['value'])}, rank 5 in "
            f"{markup.percent(every['chance_rank_5']['value'])} of the whole gallery"
        )
        if alike["chance_rank_1"]["value"] is not None:
            chance += (
                f"; rank 1 in {markup.percent(alike['chance_rank_1']['value'])} among matched impostors "
                f"(on average {markup.number(alike['people']['value'], 0)} people), of whom the release is verified "
                f"as any one in {markup.percent(alike['chance_verified']['value'])}"
            )
        chance += "; area 0.5."
    text = (
        "<h2>1. Is the patient gone?</h2><p>For every case the recogniser compares what would be "
        "published with another photograph of the patient and with everybody else in the gallery. "
        "Where its detector finds no face, the case’s own landmarks place the face, so that a blur "
        "cannot hide behind the detector; “no face” means that neither way gave one, and such a picture "
        "counts as a guess, not as a success.</p>"
        + markup.table(
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
        + markup.note(
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
        (
            "",
            [
                markup.text(name),
                str(f["count"]),
                markup.share(f["linked"]),
                markup.share(f["rank_1"]),
                markup.value(f["auc"]),
            ],
        )
        for name, f in d["linkage"]["pairs"].items()
    ]
    text = "<h3>Linkage and collisions</h3>"
    if rows:
        text += markup.table(
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
        f"<p>Releases of different patients: {markup.flat(markup.share(c['collides']))} have another release within the "
        f"recogniser’s threshold; a pair of releases is within it in {markup.flat(_mean_share(c['pairs']))} of "
        f"pairs; median distance {markup.flat(markup.value(c['distance']))}.</p>"
    )


def _mean_share(figure: dict) -> str:
    if figure["value"] is None:
        return f"–{markup.why(figure)}"
    text = markup.percent(figure["value"])
    if figure["low"] is None:
        return text
    return (
        f"{text}<small>{markup.percent(figure['low'])} to {markup.percent(figure['high'])}</small>"
    )


def _leak(d: dict) -> str:
    leak = d["leak"]
    if not leak:
        return (
            "<h3>Training leak</h3><p>Not measured: give --training DIR with the faces that the model "
            "was trained on.</p>"
        )
    if "nearer_than_every_stranger" not in leak:
        return f"<h3>Training leak</h3><p>Not measured: {markup.text(leak['auc'].get('note', ''))}.</p>"
    suspects = ", ".join(f"{markup.text(s['id'])} ({s['distance']:.2f})" for s in leak["suspects"])
    return (
        f"<h3>Training leak</h3><p>Nearest of {leak['training_faces']} training faces, against {leak['strangers']} strangers "
        f"({'photographed like these' if leak['unseen'] else 'of the gallery'}): "
        f"{markup.flat(markup.share(leak['nearer_than_most_strangers']))} releases are nearer to one than the nearest "
        f"twentieth of strangers is, "
        f"{markup.flat(markup.share(leak['nearer_than_every_stranger']))} nearer to a training face than "
        f"every stranger is{f': {suspects}' if suspects else ''}. Within the threshold of "
        f"one: {markup.flat(markup.share(leak['within_threshold']))} releases, "
        f"{markup.flat(markup.share(leak['strangers_within_threshold']))} strangers. Area "
        f"{markup.flat(markup.value(leak['auc']))}; 0.5: releases lie as near as strangers do, more: nearer.</p>"
        '<div class="figures"><figure>'
        + svg.histogram(
            {"releases": leak["distances"], "strangers (real people)": leak["reference"]},
            (0, max(1.0, d["recogniser"]["threshold"] * 1.5)), "distance to the nearest training face",
        )
        + "<figcaption>Releases against real people who were not trained on.</figcaption></figure></div>"
    )  # fmt: skip


def kept(d: dict) -> str:
    """What the kept pixels give away."""
    k = d["kept"]
    text = (
        "<h2>2. What the kept pixels give away</h2><p>The kept area covers "
        f"{markup.flat(_mean_share(k['share_of_face']))} of the face in the median case"
        + (
            f", {markup.percent(k['largest_share'])} at most"
            if k["largest_share"] is not None
            else ""
        )
        + f". An eye lies inside it in {markup.flat(markup.share(k['eye_inside']))}, the mouth in "
        f"{markup.flat(markup.share(k['mouth_inside']))}. {k['warned']} manifests warn that the kept area may identify."
    )
    if k["alone"]:
        every = k["alone"]["everybody"]
        text += (
            " Shown alone on a grey face, the kept pixels lead to the patient at rank 1 in "
            f"{markup.flat(markup.share(every['rank_1']))} (chance {markup.percent(every['chance_rank_1']['value'])})."
        )
    return text + "</p>"
