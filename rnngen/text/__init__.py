"""Characters to token ids and back. No torch, no model."""
