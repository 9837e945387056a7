"""The part that runs inside a subject's environment: the standard library alone, Python 3.8 and later.

It is loaded by path as the package ``_caliper_agent`` (see ``hook.py`` and ``main.py``), so that an environment holds
nothing of ours, and a subject that is itself called ``matrix`` works too.
"""
