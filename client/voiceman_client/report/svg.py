"""A drawing as SVG that stands inside a page."""

import re
from xml.etree import ElementTree as ET

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Drawing

_SVG = "http://www.w3.org/2000/svg"
# What SVG supposes anyway, or what the page's style says.
_DEFAULTS = re.compile(
    r"(?:stroke-linecap: butt|stroke-width: 1(?![.0-9])|stroke: ?none|fill-rule: evenodd"
    r"|font-family: [^;]*);? *",
)


def inline(drawing: Drawing) -> str:
    """The drawing as one `svg` element: no declaration, no identifiers, no fixed size."""
    root = ET.fromstring(renderSVG.drawToString(drawing))  # noqa: S314 - written a line above
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{{{_SVG}}}{name}" for name in ("title", "desc", "clipPath")}:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        element.tail = element.text = (element.text or "").strip() or None
        element.tail = None
        style = _DEFAULTS.sub("", element.attrib.pop("style", "")).strip("; ")
        if style and "clip-path" not in style:
            element.set("style", style)
        element.attrib.pop("id", None)
        if not element.get("transform", "x"):
            del element.attrib["transform"]
    for name in ("width", "height", "version", "preserveAspectRatio"):
        root.attrib.pop(name, None)
    root.set("aria-hidden", "true")
    root.set("focusable", "false")
    return ET.tostring(root, encoding="unicode")
