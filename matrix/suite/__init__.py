"""The subject's own suite, run in any environment and reported test by test."""
