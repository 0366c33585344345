"""Manifest and archive format: build, read, frames."""
