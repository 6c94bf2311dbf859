"""A training run on disk; no terminal."""
