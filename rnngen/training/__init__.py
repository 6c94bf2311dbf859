"""Training with PyTorch. The only place where torch is imported."""

import os

# A thread that waits for its fellows spins, and on a busy machine it spins in the place of the one it waits for.
# Measured on two cores, GRU of 512, beside one busy process: 1,000 tokens/s with the default, 11,900 with this, and
# alone as many as before. It is read when torch is loaded; what the user has set stays.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
