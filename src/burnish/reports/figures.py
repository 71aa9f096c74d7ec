"""Figures as SVG: text stays text, nothing outside the figure is referenced, and equal figures give equal files."""

import io
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

from burnish.reports.blocks import Figure
from burnish.reports.escaping import shown
from burnish.reports.style import Style

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_WIDTH = 7.2
_POWER = re.compile(r"\$\\mathdefault\{(?:(?P<factor>[^{}]+)\\times)?10\^\{(?P<exponent>[^{}]+)\}\}\$")
"""A tick of a logarithmic axis: matplotlib writes it as TeX, which is off, since names of users may hold `$`."""
_SUPERSCRIPTS = str.maketrans("-\u22120123456789", "⁻⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PAINTED, _COLOR = ("style", "fill", "stroke"), re.compile(r"#[0-9a-f]{6}\b")
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans', sans-serif"


def svg_of(figure: Figure, style: Style, name: str) -> str:
    """Draw a figure in a style. `name` starts every id, so that several figures fit into one page."""
    root = ElementTree.fromstring(shown(_drawn(figure, style, name)))
    for parent in root.iter():
        for child in [child for child in parent if child.tag.endswith(("}metadata", "}RDF"))]:
            parent.remove(child)
    for element in root.iter():
        _rename(element, name)
        _use_fonts_of_the_page(element)
    root.attrib |= {"role": "img", "aria-label": shown(figure.alt), "width": "100%"}
    root.attrib.pop("height", None)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def in_style(svg: str, style: Style, name: str, new_style: Style, new_name: str) -> str:
    """A figure drawn by `svg_of` in another style and under another name: what drawing it again would give."""
    root = ElementTree.fromstring(svg)
    colors = {old: new for field, old in vars(style).items() if old != (new := getattr(new_style, field))}
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in _PAINTED:
                value = _COLOR.sub(lambda found: colors.get(found[0], found[0]), value)
            if key == "id" or key.endswith("href") or "url(#" in value:
                value = re.sub(rf"(^|#){re.escape(name)}-", rf"\g<1>{new_name}-", value)
            element.set(key, value)
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(figure: Figure, style: Style, name: str) -> str:
    import warnings

    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_settings(style, name)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the reader's fonts are used, not these
        canvas = Canvas(figsize=(_WIDTH, figure.height), facecolor=style.background, layout="constrained")
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        axes.set_facecolor(style.background)
        figure.draw(axes, style)
        _clean(canvas)
        file = io.StringIO()
        canvas.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _settings(style: Style, name: str) -> dict[Any, Any]:
    """Settings of matplotlib: what a figure does not color itself is readable in every style."""
    ink = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor", "legend.labelcolor")
    lines = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    colors = dict.fromkeys(ink, style.ink) | dict.fromkeys(lines, style.grid)
    own = {"svg.fonttype": "none", "svg.hashsalt": name, "text.parse_math": False, "legend.frameon": False}
    return {**own, **colors}


def _clean(canvas: Any) -> None:
    """Escape what a file or a font cannot hold in every label."""
    from matplotlib.text import Text

    for axes in canvas.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for formatter in (axis.get_major_formatter(), axis.get_minor_formatter()):
                labels = formatter.format_ticks
                formatter.format_ticks = lambda values, labels=labels: [_tick(label) for label in labels(values)]
    for text in canvas.findobj(Text):
        text.set_text(shown(text.get_text()))


def _tick(label: str) -> str:
    """The label of a tick in plain text: `2×10⁻³`."""
    power = _POWER.fullmatch(label)
    if power is None:
        return shown(label)
    factor = f"{power['factor']}×" if power["factor"] else ""
    return f"{factor}10{power['exponent'].translate(_SUPERSCRIPTS)}"


def _rename(element: ElementTree.Element, name: str) -> None:
    """Put the figure's name before every id, and before what refers to it."""
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key.endswith("href") and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))


def _use_fonts_of_the_page(element: ElementTree.Element) -> None:
    """Replace the list of fonts that matplotlib knows by those that a browser has."""
    if element.tag != f"{{{_SVG}}}text":
        return
    parts = [part.strip() for part in element.get("style", "").split(";")]
    changed = []
    for part in parts:
        if part.startswith("font: "):
            size = part[len("font: ") :].partition("'")[0].strip()
            part = f"font: {size} {_FONTS}"
        changed.append(part)
    element.set("style", "; ".join(changed))
