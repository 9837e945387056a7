"""The sessions of `caliper-matrix run`, which tells by variables what they are of."""

import os

import nox

from matrix import sessions

nox.needs_version = ">=2026.10.20"

sessions.define(
    os.environ["CALIPER_SUBJECT"], folder=os.environ["CALIPER_FOLDER"], results=os.environ["CALIPER_RESULTS"]
)
