"""Measures what the README claims, each number against its reference in the same run: `python -m bench`."""
