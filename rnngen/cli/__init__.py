"""The command line: typer and rich, and only here. Heavy imports stand inside the functions."""

import os

# numpy's threads wait for the next product by spinning, and on a busy machine they spin in the place of the one that
# is waited for. Measured on two cores beside two busy processes, GRU of 512 in numpy: 130 tokens/s drawn with the
# default, 3,300 with this, alone as many as before. OpenBLAS reads it when it is loaded; what the user has set stays.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")
