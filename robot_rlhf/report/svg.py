"""A matplotlib figure as a piece of SVG that belongs to the page around it.

Text stays text, in the page's font; ink takes the page's colour, so one figure serves light, dark
and paper; identifiers are prefixed, so that many figures can share a page; nothing in it is an
address that a browser would load.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_IN = (4.3, 2.8)  # text stays readable when a phone shrinks it to its width
INK = "#010203"  # no series uses it: replaced by the page's text colour

# Okabe and Ito, "Color Universal Design" (2008): apart for every kind of colour vision.
# The page shows their blue as their sky blue on a dark ground, so none of the plots uses both.
ORANGE, GREEN, BLUE = "#e69f00", "#009e73", "#0072b2"
VERMILLION, PURPLE = "#d55e00", "#cc79a7"

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "robot-rlhf",
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 1.2,
    "legend.borderaxespad": 0.0,
}


def draw(name: str, paint: Callable[[Axes], None], size_in: tuple[float, float] = SIZE_IN) -> str:
    """What `paint` draws on one pair of axes, as SVG. `name` is a word of its own on the page."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} cannot name a figure: expected lower-case letters, digits and _")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size_in, layout="constrained")
        paint(figure.add_subplot())
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _inline(buffer.getvalue(), name)


def _inline(document: str, name: str) -> str:
    """The <svg> element of a document, fit to stand inside HTML."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", svg)
    svg = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    return svg.replace(INK, "currentColor").replace(BLUE, "var(--blue)").strip()
