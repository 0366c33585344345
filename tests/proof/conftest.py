"""Leaves out what plays with filesystems of its own where libfuse3 cannot be loaded."""

import importlib

try:
    importlib.import_module("mfusepy")
except (ImportError, OSError):
    collect_ignore = ["test_full.py", "test_instruments.py"]
