"""A transactional installer: whole files only, all or nothing, signed, and always a way back."""

__all__ = ["__version__"]

__version__ = "0.1.0"
