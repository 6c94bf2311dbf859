"""n-gram counts of a text, and the interpolated modified Kneser-Ney model that they make."""
