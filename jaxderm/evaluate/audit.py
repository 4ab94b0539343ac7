"""The audit: cases, releases and a gallery in, one document of figures out (rendered by `report`)."""

import dataclasses
import importlib.metadata
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

import jaxderm
from jaxderm.errors import InputError
from jaxderm.evaluate import baselines, identity, measure, realism, sections, statistics
from jaxderm.evaluate.attributes import Reader
from jaxderm.evaluate.cases import Person, landmark_table, person_of, pictures_of, read_rows
from jaxderm.evaluate.features import Extractor, fit, load_extractor
from jaxderm.evaluate.identity import Gallery
from jaxderm.evaluate.measure import RELEASE, CaseResult, Workers
from jaxderm.evaluate.readers import load_reader
from jaxderm.evaluate.recogniser import DETECTED, Face, Recogniser, stacked

METHODS = (RELEASE, *baselines.WORDS)
LIBRARIES = (
    "numpy",
    "scipy",
    "pillow",
    "jax",
    "dlib-bin",
    "face_recognition_models",
    "onnxruntime",
)
VERSION = 1
SAME = 1e-6  # distance of two vectors of one and the same picture, at most


@dataclasses.dataclass(frozen=True)
class Options:
    """What to audit. Folders and files by path; recogniser, reader and extractor as their loaders say.

    second: folders with other releases of the same cases; training: folder of training faces; unseen: folder of faces
    photographed like these, of people who are not among them, instead of the gallery's as strangers to these.
    """

    cases: str
    releases: str
    gallery: str
    distractors: tuple[str, ...] = ()
    training: str | None = None
    unseen: str | None = None
    second: tuple[str, ...] = ()
    recogniser: str | Recogniser = "dlib"
    reader: str | None = None
    extractor: str = "random"
    workers: int | None = None
    progress: bool = False


def audit(options: Options) -> dict:
    """Measure everything; the document (see docs/evaluation.md). Raises InputError."""
    rows = read_rows(options.cases)
    if not Path(options.releases).is_dir():
        raise InputError(f"releases '{options.releases}' is not a folder.")
    people = {row.id: person_of(row) for row in rows}
    reader = load_reader(options.reader)
    extractor = load_extractor(options.extractor, reader)
    workers = Workers(options.recogniser, options.workers)
    try:
        gallery, gallery_notes = _gallery(options, people, workers)
        believable = _Believable(extractor)
        reading = _Reading(reader)
        cases = []
        done = workers.run(measure.measure_case, [(row, options.releases) for row in rows])
        for case in tqdm(done, "cases", len(rows), disable=not options.progress):
            believable.add(case)
            reading.add(case, people[case.id])
            for measured in case.methods.values():
                measured.picture = None  # seen by all who need it
            cases.append(case)
        if not any(RELEASE in case.methods for case in cases):
            raise InputError(
                f"releases '{options.releases}' holds no release of these cases "
                f"(first: {cases[0].error})"
            )
        linkage = _linkage(options, rows, cases, workers)
        leak = _leak(options, cases, gallery, workers)
    finally:
        workers.close()
    return _document(
        options, cases, people, gallery, gallery_notes, workers.recogniser, believable, reading,
        linkage, leak,
    )  # fmt: skip


def _document(
    options, cases, people, gallery, gallery_notes, recogniser, believable, reading, linkage, leak
) -> dict:
    figures, matches = sections.identity_section(cases, METHODS, gallery, recogniser)
    present = [name for name in METHODS if any(name in case.methods for case in cases)]
    judged = [name for name in present if name not in measure.CONTROLS]
    rows = sections.case_rows(cases, people, matches[RELEASE])
    failed = [case for case in cases if case.error]
    groups = sections.group_section(cases, people, matches[RELEASE], reading.by_case)
    believable.add_groups(groups, cases, people)
    return sections.plain(
        {
            "version": VERSION,
            "tool": {"name": "jaxderm", "version": jaxderm.__version__},
            "versions": versions(),
            "cases": {
                "total": len(cases),
                "released": sum(RELEASE in case.methods for case in cases),
                "without_release": [{"id": case.id, "reason": case.error} for case in failed],
                "without_face_in_photo": [
                    case.id for case in cases if case.methods and not sections.shows_face(case)
                ],
                "warnings": _count(w for case in cases for w in case.warnings),
            },
            "methods": {name: baselines.WORDS.get(name, "the releases") for name in present},
            "recogniser": {"name": recogniser.name, "threshold": recogniser.threshold},
            "gallery": gallery_notes,
            "identity": figures,
            "linkage": linkage,
            "leak": leak,
            "kept": sections.kept_section(cases, matches[baselines.KEPT]),
            "lesion": {name: sections.lesion_section(cases, name) for name in judged},
            "person": {name: sections.person_section(cases, name) for name in judged},
            "reader": reading.section(),
            "realism": {"extractor": believable.describe(), "methods": believable.figures()},
            "groups": groups,
            "rows": rows,
            "ranking": sections.ranking(rows),
        }
    )


def _count(values) -> dict[str, int]:
    """How often each sentence occurs, whatever its numbers."""
    found: dict[str, int] = {}
    for value in (re.sub(r"\d+(\.\d+)?", "N", value) for value in values):
        found[value] = found.get(value, 0) + 1
    return found


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose numbers the figures depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def embed_folder(
    folder: str, what: str, workers: Workers, progress: bool
) -> list[tuple[Path, Face | str]]:
    """(file, face or why it cannot be read) of every picture of a folder."""
    paths = pictures_of(folder, what)
    table = landmark_table(folder)
    jobs = [(str(path), table.get(path.name)) for path in paths]
    faces = workers.run(measure.embed_file, jobs)
    return list(zip(paths, tqdm(faces, what, len(paths), disable=not progress)))


def _gallery(options: Options, people: dict[str, Person], workers: Workers) -> tuple[Gallery, dict]:
    """The gallery and what is to be said of it; InputError when nobody's face is in it."""
    ids: list[str | None] = []
    faces: list[Face] = []
    without, strangers = [], 0
    for number, folder in enumerate((options.gallery, *options.distractors)):
        what = "gallery" if number == 0 else "distractors"
        for path, face in embed_folder(folder, what, workers, options.progress):
            mate = path.stem if number == 0 and path.stem in people else None
            if isinstance(face, str) or face.vector is None:
                without.append(
                    {
                        "file": path.name,
                        "reason": face if isinstance(face, str) else "no face found",
                    }
                )
                continue
            ids.append(mate)
            faces.append(face)
            strangers += mate is None
    if not any(name is not None for name in ids):
        raise InputError(
            f"gallery '{options.gallery}' has no face of a case: pictures are named <id>.jpg or "
            "<id>.png, and a face must be found in them."
        )
    notes = {
        "people": len(ids) - strangers,
        "distractors": strangers,
        "without_face": without,
        "cases_without_photo": [name for name in people if name not in ids],
    }
    return Gallery(stacked(faces), tuple(ids), people), notes


class _Believable:
    """Feature sets of every method against the untouched photographs, filled case by case."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.real: dict[str, realism.FeatureSet] = {}
        self.fake: dict[str, realism.FeatureSet] = {}
        self.rows: dict[str, dict[str, np.ndarray]] = {RELEASE: {}, baselines.UNTOUCHED: {}}

    def add(self, case: CaseResult) -> None:
        """Take in a case's pictures."""
        pictures = {n: m.picture for n, m in case.methods.items() if m.picture is not None}
        if baselines.UNTOUCHED not in pictures:
            return
        small = [fit(picture, self.extractor.size) for picture in pictures.values()]
        found = dict(zip(pictures, self.extractor(np.stack(small))))
        for name, row in found.items():
            for sets, value in ((self.real, found[baselines.UNTOUCHED]), (self.fake, row)):
                if name not in sets:
                    sets[name] = realism.FeatureSet(self.extractor.features)
                sets[name].add(value[None])
            if name in self.rows and len(self.rows[name]) < realism.SAMPLE:
                self.rows[name][case.id] = row

    def describe(self) -> dict:
        """The extractor in words."""
        e = self.extractor
        return {"name": e.name, "features": e.features, "size": e.size}

    def figures(self) -> dict:
        """Realism of every method; the untouched photographs against themselves are left out."""
        return {
            name: realism.compare(self.real[name], self.fake[name])
            for name in self.fake
            if name != baselines.UNTOUCHED
        }

    def add_groups(
        self, groups: dict, cases: Sequence[CaseResult], people: dict[str, Person]
    ) -> None:
        """Kernel distance of the releases by group, where a group is large enough."""
        real, fake = self.rows[baselines.UNTOUCHED], self.rows[RELEASE]
        for kind, section in groups.items():
            members: dict[str, list[str]] = {}
            for case in cases:
                label = sections.groups_of(case, people[case.id])[kind]
                if label is not None and case.id in real and case.id in fake:
                    members.setdefault(label, []).append(case.id)
            figures = {}
            for label, names in members.items():
                sets = []
                for source in (real, fake):
                    sets.append(realism.FeatureSet(self.extractor.features))
                    sets[-1].add(np.stack([source[name] for name in names]))
                figures[label] = realism.compare(*sets)["kernel"]
            values = [f.value for f in figures.values() if np.isfinite(f.value)]
            gap = max(values) - min(values) if len(values) >= 2 else None
            section["kernel distance"] = {"groups": figures, "gap": gap}


class _Reading:
    """What a reader says of releases and photographs against what was declared."""

    def __init__(self, reader: Reader | None) -> None:
        self.reader = reader
        self.by_case: dict[str, dict[str, float | None]] = {}
        self.photo: dict[str, dict[str, float | None]] = {}

    def add(self, case: CaseResult, person: Person) -> None:
        """Take in a case's pictures."""
        if self.reader is None:
            return
        for method, store in ((RELEASE, self.by_case), (baselines.UNTOUCHED, self.photo)):
            measured = case.methods.get(method)
            if measured is None or measured.picture is None:
                continue
            answer = self.reader([measured.picture])[0]
            if person.sex and answer.get("sex"):
                store.setdefault("sex read as declared", {})[case.id] = float(
                    answer["sex"] == person.sex
                )
            if person.age is not None and answer.get("age") is not None:
                store.setdefault("age read, years off", {})[case.id] = abs(
                    float(answer["age"]) - person.age
                )
            if case.site and answer.get("site"):
                store.setdefault("site read as declared", {})[case.id] = float(
                    answer["site"] == case.site
                )

    def section(self) -> dict:
        """Figures on releases and, for what the reader itself can do, on the photographs."""
        if self.reader is None:
            return {"name": None, "note": "no reader given: sex, age and site were not read"}

        def figures(store):
            return {
                name: statistics.mean(list(found.values()))
                if "years" in name
                else statistics.proportion(int(sum(found.values())), len(found))
                for name, found in store.items()
            }

        return {
            "name": self.reader.name,
            "releases": figures(self.by_case),
            "photographs": figures(self.photo),
        }


def _linkage(options: Options, rows, cases: list[CaseResult], workers: Workers) -> dict:
    faces = {c.id: c.methods[RELEASE].face for c in cases if RELEASE in c.methods}
    pairs = {}
    patients: dict[str, list[str]] = {}
    for row in rows:
        if row.get("patient") and row.id in faces:
            patients.setdefault(row.get("patient"), []).append(row.id)
    twice = [names[:2] for names in patients.values() if len(names) > 1]
    if twice:
        first, second = zip(*twice)
        pairs["two cases of one patient"] = ([faces[i] for i in first], [faces[i] for i in second])
    for folder in options.second:
        names = list(faces)
        found = list(workers.run(measure.embed_release, [(folder, name) for name in names]))
        kept = [(n, f) for n, f in zip(names, found) if not isinstance(f, str)]
        if not kept:
            raise InputError(f"second releases '{folder}' holds no release of these cases.")
        policies = sorted({policy for _, (_, policy) in kept})
        key = (
            "with"
            if policies == ["hmac"]
            else "without"
            if "hmac" not in policies
            else "partly with"
        )
        label = f"{Path(folder).name} ({key} --identity_key)"
        pairs[label] = ([faces[n] for n, _ in kept], [face for _, (face, _) in kept])
    return sections.linkage_section(pairs, list(faces.values()), workers.recogniser)


def _leak(
    options: Options, cases: list[CaseResult], gallery: Gallery, workers: Workers
) -> dict | None:
    if options.training is None:
        return None
    faces, pictures = _faces_of(options.training, "training", workers, options)
    releases = {c.id: c.methods[RELEASE].face for c in cases if RELEASE in c.methods}
    real, trained = [Face(vector, DETECTED) for vector in gallery.vectors], stacked(faces)
    if options.unseen is not None:
        real, _ = _faces_of(options.unseen, "unseen", workers, options)
        apart = workers.recogniser.distances(stacked(real), trained).min(1)
        same = int((apart < SAME).sum())
        if same:
            raise InputError(
                f"unseen '{options.unseen}' shares {same} of its {len(real)} faces with training "
                f"'{options.training}'; move them out of one of the two."
            )
    leak = identity.training_leak(releases, real, trained, workers.recogniser)
    strangers = {"strangers": len(real), "unseen": options.unseen is not None}
    return {**leak, **strangers, "training_faces": len(faces), "training_pictures": pictures}


def _faces_of(folder: str, what: str, workers: Workers, options: Options) -> tuple[list[Face], int]:
    """(Faces in a folder of pictures, how many pictures it has)."""
    found = embed_folder(folder, what, workers, options.progress)
    faces = [face for _, face in found if not isinstance(face, str) and face.vector is not None]
    if not faces:
        raise InputError(f"{what} '{folder}' has no picture with a face.")
    return faces, len(found)
