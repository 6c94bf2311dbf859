"""The command line: typer and rich, and only here. Heavy imports stand inside the functions."""
