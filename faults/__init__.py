"""`python -m faults`: faults made on purpose, and what was lost by them."""
