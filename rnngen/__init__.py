"""rnngen: train a small recurrent language model on your text; sample, score and measure with it."""

__version__ = "0.1.0"
