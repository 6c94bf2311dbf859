"""`python -m faults`: makes faults on purpose, and counts what is lost."""
