"""Training with PyTorch. The only place where torch is imported."""
