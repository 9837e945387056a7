"""Signatures of every release: read from wheels and sdists, never imported, kept in one database."""
