"""Which releases of a package your code really works with, from a recorded trace."""

__version__ = "0.1.0"
