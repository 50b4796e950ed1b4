"""The version, for files and pages that say what wrote them."""

__version__ = "0.1.0.dev0"
