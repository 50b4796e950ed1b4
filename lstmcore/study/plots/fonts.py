"""A figure that draws names in any script, with other installed fonts where the usual one fails."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from matplotlib import font_manager, rc_context, rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text

LAST_RESORT = "lastresort"  # in the name of a font file with a frame for every character


class AnyScriptFigure(Figure):
    """A Figure whose texts fall back on installed fonts that have what the usual font lacks.

    Where no font has a character, it is drawn as a box, without a warning for each.
    """

    def draw(self, renderer):
        """Draw the figure; see `Figure.draw`."""
        with _fallback_fonts(self):
            return super().draw(renderer)

    def get_tightbbox(self, *args, **kwargs):
        """Return the bounding box of the figure; see `Figure.get_tightbbox`."""
        with _fallback_fonts(self):
            return super().get_tightbbox(*args, **kwargs)

    def _repr_png_(self) -> bytes:
        """Return the figure as a PNG image, which notebooks show."""
        image = BytesIO()
        self.savefig(image, format="png")
        return image.getvalue()


@contextmanager
def _fallback_fonts(figure: Figure) -> Iterator[None]:
    """Add fallback fonts to all texts of a figure, also to those made while it is drawn."""
    usual = font_manager.findfont(font_manager.FontProperties())
    others = fonts_with(_unusual_characters(figure), usual)
    family = list(rcParams["font.family"])
    with warnings.catch_warnings(), rc_context({"font.family": [*family, *others]}):
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        if others:
            for text in figure.findobj(Text):
                own = list(text.get_fontfamily())
                text.set_fontfamily([*own, *(name for name in others if name not in own)])
        yield


def _unusual_characters(figure: Figure) -> frozenset[str]:
    """Return the characters of a figure's texts that are not ASCII."""
    for axes in figure.axes:  # these calls make the texts of the labels
        axes.get_xticklabels()
        axes.get_yticklabels()
    every = "".join(text.get_text() for text in figure.findobj(Text))
    return frozenset(character for character in every if not character.isascii())


@lru_cache
def fonts_with(characters: frozenset[str], usual: str) -> tuple[str, ...]:
    """Return names of installed fonts that together have the characters that the usual one lacks.

    Args:
      characters: of the texts.
      usual: file of the font in use.

    Returns:
      The fonts that are needed, or () if no other font has any of the characters.
    """
    missing = characters - _characters(usual)
    chosen: list[str] = []
    for font in sorted(font_manager.fontManager.ttflist, key=_preference) if missing else ():
        if found := missing & _characters(font.fname):
            chosen.append(font.name)
            missing -= found
    return tuple(chosen)


def _preference(font) -> tuple:
    """Return a sort key: upright before italic, regular before bold, then by name."""
    is_regular = str(font.weight) in ("400", "normal", "regular")
    return font.style != "normal", not is_regular, font.name, font.fname


@lru_cache(maxsize=64)
def _characters(path: str) -> frozenset[str]:
    """Return the characters of a font file; none if it cannot be drawn with."""
    if LAST_RESORT in Path(path).name.lower():
        return frozenset()
    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # such as an emoji font of bitmaps
        return frozenset()
