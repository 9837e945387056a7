"""The matrix for eyes and machines, besides CSV and pictures."""
