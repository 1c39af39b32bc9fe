"""The few shapes that the report is made of, as HTML. Strings named `*_html` are put in as they are,
all others are escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources

from robot_rlhf.report.pictures import Picture, data_uri, film_indices

# What a browser is told to refuse: everything but the page's own style and the pictures inside it.
SECURITY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, header_html: str, sections_html: Sequence[str], closing: str) -> str:
    """A whole page that needs nothing but itself."""
    main = "\n".join(sections_html)
    css = resources.files("robot_rlhf.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{SECURITY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{css}</style>\n</head>\n<body>\n"
        f"<header>{header_html}</header>\n<main>\n{main}\n</main>\n"
        f"<footer><p>{escape(closing)}</p></footer>\n</body>\n</html>\n"
    )


def section(title: str, about: str, body_html: str) -> str:
    """A part of the page under its title, with a sentence on what is to be seen."""
    return f'<section><h2>{escape(title)}</h2><p class="about">{escape(about)}</p>{body_html}</section>'


def missing(words: str) -> str:
    """What stands where there is nothing to show."""
    return f'<p class="missing">{escape(words)}</p>'


def facts(values: Mapping[str, str], unit: str = "") -> str:
    """Large numbers, each under its name."""
    small = f" <small>{escape(unit)}</small>" if unit else ""
    cells = (f"<div><dt>{escape(k)}</dt><dd>{escape(v)}{small}</dd></div>" for k, v in values.items())
    return "".join(cells)


def table(head: Sequence[str], rows_html: Sequence[Sequence[str]], strong: int | None = None) -> str:
    """A table whose first column names the rows; row `strong` stands out. A column headed '' is for
    bars and gives way on a narrow screen."""
    wide = ["" if name else ' class="wide"' for name in head]
    names = "".join(f'<th scope="col"{c}>{escape(name)}</th>' for c, name in zip(wide, head, strict=True))
    body = ""
    for i, (first, *rest) in enumerate(rows_html):
        cells = "".join(f"<td{c}>{cell}</td>" for c, cell in zip(wide[1:], rest, strict=True))
        mark = ' class="ours"' if i == strong else ""
        body += f'<tr{mark}><th scope="row">{first}</th>{cells}</tr>'
    shape = "full" if "" in head else "narrow"
    rows = f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="{shape}">{rows}</table></div>'


def interval_bar(rate: float, low: float, high: float) -> str:
    """A bar as long as `rate`, with its interval drawn over it."""
    return (
        f'<div class="bar"><i style="width:{rate:.1%}"></i>'
        f'<b style="left:{low:.1%};width:{high - low:.1%}"></b></div>'
    )


def figure(caption: str, plot_html: str | None, absent: str, note: str = "") -> str:
    """A plot under its caption and a note, or `absent` where there is none."""
    if plot_html is None:
        return f"<figure><figcaption>{escape(caption)}</figcaption>{missing(absent)}</figure>"
    said = f"<span>{escape(note)}</span>" if note else ""
    return (
        f"<figure><figcaption>{escape(caption)}{said}</figcaption>"
        f'<div class="plot" role="img" aria-label="{escape(caption)}">{plot_html}</div></figure>'
    )


def film(name: str, frames: Sequence[Picture]) -> str:
    """A clip as a strip of pictures in the order of time."""
    title = f"<h3>{escape(name.capitalize())}</h3>"
    if len(frames) == 0:
        return title + missing("This clip has no pictures.")
    label = f"{escape(name)} clip, frame {{}} of {len(frames)}"
    pictures = "".join(
        f'<li><img src="{data_uri(frames[i])}" alt="{label.format(i + 1)}"></li>'
        for i in film_indices(len(frames))
    )
    return f'{title}<ol class="film">{pictures}</ol>'
