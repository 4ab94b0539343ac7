"""Words, numbers and tables of the report, as HTML."""

import html


def text(text) -> str:
    """HTML-escaped text."""
    return html.escape(str(text))


def number(value: float | None, digits: int = 2) -> str:
    """A number with its digits, a dash for None."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def percent(value: float) -> str:
    """A share in per cent."""
    number = 100 * value
    return f"{number:.0f} %" if number >= 10 or number in (0, 1) else f"{number:.1f} %"


def share(figure: dict | None) -> str:
    """A share in words with its interval: "3 of 51 (6 %)", and a bound where it is 0 or all."""
    if not figure or figure["value"] is None:
        return f"–{why(figure)}"
    hits, count = round(figure["value"] * figure["count"]), figure["count"]
    text = f"{hits} of {count} ({percent(figure['value'])})".replace(" ", "\u00a0", 2)
    text = text.replace(" %", "\u00a0%")
    if hits == 0:
        return f"{text}<small>at most {percent(figure['high'])}</small>"
    if hits == count:
        return f"{text}<small>at least {percent(figure['low'])}</small>"
    return f"{text}<small>{percent(figure['low'])} to {percent(figure['high'])}</small>"


def value(figure: dict | None, digits: int = 2) -> str:
    """A value with its interval."""
    if not figure or figure["value"] is None:
        return f"–{why(figure)}"
    text = number(figure["value"], digits)
    if figure["low"] is None:
        return text
    return (
        f"{text}<small>{number(figure['low'], digits)} to {number(figure['high'], digits)}</small>"
    )


def why(figure: dict | None) -> str:
    """The reason a figure is missing."""
    note = (figure or {}).get("note", "")
    if note == "no case":  # nothing to say in a table: the method has no such thing
        return ""
    if note.startswith("not valid"):  # told once, below the table
        return "<small>not valid</small>"
    return f"<small>{text(note)}</small>" if note else ""


def flat(cell: str) -> str:
    """A cell as running text: the interval in brackets after it."""
    return cell.replace("<small>", " [").replace("</small>", "]")


def table(head: list[str], rows: list[tuple[str, list[str]]]) -> str:
    """Rows as (class, cells); cells are HTML."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(
        f"<tr{f' class={kind}' if kind else ''}>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
        for kind, cells in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def method(d: dict, name: str) -> str:
    """Name of a method, as the document words it."""
    label = "<b>release</b>" if name == "release" else text(name)
    return f"{label}<small>{text(d['methods'][name])}</small>"


def note(text: str) -> str:
    """A small paragraph."""
    return f'<p class="note">{text}</p>'
