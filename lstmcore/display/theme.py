"""The colours that all HTML pages have in common, as CSS."""

THEME = """:root {
  color-scheme: light dark;
  --paper: light-dark(#fff, #14171c);
  --card: light-dark(#f5f6f8, #1d2128);
  --ink: light-dark(#1a1d21, #e3e6ea);
  --faint: light-dark(#5a6270, #9aa3b0);
  --line: light-dark(#d5d9e0, #39404b);
}
"""
