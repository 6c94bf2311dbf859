"""Texts written for rnngen, free to use: a drama and a list of names. Installed as the package `rnngen_corpora`."""
