"""Mutants of the recorded release: what the replay says of releases that nobody tuned it to."""
