"""Distributions of a prepared corpus as Markdown tables: what the data set card (docs/rendered_people.md) prints.

python benchmarks/corpus.py --data_dir data --corpus rendered_people
"""

import argparse
import collections

import numpy as np

from jaxderm.attributes import ITA_CLASS_NAMES, ita_class
from jaxderm.data import prepare
from jaxderm.data.photo_folder import SPLITS

AGES = ((0, 3), (3, 12), (12, 18), (18, 30), (30, 50), (50, 70), (70, 121))


def tables(data_dir: str, corpus: str) -> list[str]:
    """Markdown lines; InputError when the corpus is not prepared."""
    facts, persons, lesions, skin, widths = [], collections.Counter(), 0, [], []
    lines = ["| split | pictures | persons |", "|---|---:|---:|"]
    for split in SPLITS:
        records = prepare.load(data_dir, corpus, split)
        records.room = 0
        people = set()
        for k in range(len(records)):
            record = records[k]
            facts.append(record.attributes)
            people.add(record.person_id)
            persons[record.person_id] += 1
            lesions += record.lesion is not None and bool(record.lesion.any())
            if record.skin is not None:
                skin.append(record.skin.mean())
            if record.attributes.field_cm is not None:
                widths.append(record.attributes.field_cm)
        lines.append(f"| {split} | {len(records)} | {len(people)} |")
    if not facts:
        return [f"'{corpus}' has no pictures."]
    count = len(facts)

    def table(title: str, labels, order=None) -> None:
        found = collections.Counter(labels)
        lines.extend(["", f"| {title} | pictures | share |", "|---|---:|---:|"])
        for name in order or [name for name, _ in found.most_common()]:
            if name == "unspecified" and not found[name]:
                continue
            lines.append(f"| {name} | {found[name]} | {found[name] / count:.1%} |")

    def band(age):
        if age is None:
            return "unspecified"
        low, high = next(b for b in AGES if age < b[1])
        return f"{low} and over" if high > 100 else f"{low}-{high - 1}"

    table("site", (f.site.value for f in facts))
    table("sex", (f.sex.value for f in facts))
    names = [f"{a} and over" if b > 100 else f"{a}-{b - 1}" for a, b in AGES]
    table("age", (band(f.age) for f in facts), names)
    table(
        "skin tone (ITA class of the picture)",
        ("unspecified" if f.ita is None else ita_class(f.ita) for f in facts),
        [*ITA_CLASS_NAMES, "unspecified"],
    )
    table("field", (f.field.value for f in facts))
    many = np.array(list(persons.values()))
    tones = np.array([f.ita for f in facts if f.ita is not None])
    shares = np.histogram(tones, np.arange(-80, 81, 20))[0] / max(len(tones), 1)
    steps = ", ".join(f"{share:.0%}" for share in shares)
    lines += [
        "",
        f"Persons with at least 3 pictures: {np.mean(many >= 3):.1%} of {len(many)}. With a lesion: "
        f"{lesions / count:.1%} of the pictures. Median share of skin: {np.median(skin or [0]):.0%}.",
        f"ITA from {tones.min():.0f} to {tones.max():.0f} degrees; from -80 in steps of 20: {steps}."
        if len(tones) else "",
        f"Width of the frame: 5 % {np.quantile(widths, 0.05):.0f} cm, median {np.median(widths):.0f} cm, "
        f"95 % {np.quantile(widths, 0.95):.0f} cm." if widths else "",
    ]  # fmt: skip
    return lines


def main() -> None:
    """Parses flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--corpus", default="rendered_people")
    args = parser.parse_args()
    print("\n".join(tables(args.data_dir, args.corpus)))


if __name__ == "__main__":
    main()
