"""What touches files: atomic writes, locks, tensor files, JSON of unknown origin."""
