"""The command line: typer and rich, and only here. Heavy imports stand inside the functions."""

from rnngen.cli import blas

blas.set_defaults()
