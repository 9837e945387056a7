"""Replays traces in the environment of the Python that runs this file; started by path, with a job on standard input.

Results are JSON lines on the file descriptor that the job names. The tests of a file are played in a fork of this
process, which has imported what the trace imports; a fork that dies or takes too long costs the call that it was at,
and the test goes on in a new one.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import types

HERE = os.path.dirname(os.path.abspath(__file__))


def load() -> None:
    """Make the package of this file importable under its private name."""
    package = types.ModuleType("_caliper_agent")
    package.__path__ = [HERE]
    sys.modules["_caliper_agent"] = package
    if sys.path and os.path.abspath(sys.path[0] or ".") == HERE:
        del sys.path[0]


def main() -> None:
    """Replay one trace."""
    load()
    from _caliper_agent import confining
    from _caliper_agent.held import Trace
    from _caliper_agent.imports import Imports
    from _caliper_agent.playing import Agent
    from _caliper_agent.presets import set_presets

    confining.die_with_parent()
    job = json.loads(sys.stdin.buffer.read())
    os.environ.update(job["environment"])
    out = os.fdopen(job["out"], "wb")
    os.set_inheritable(job["out"], False)
    confining.silence()
    confining.limits(job)
    confining.stay_here(job)
    os.chdir(job["roots"]["work"])
    sys.path[:0] = job.get("overlay", [])
    version = ".".join(map(str, sys.version_info[:3]))
    job["templates"].update(python=version, prefix=sys.prefix, site=sysconfig.get_paths()["purelib"])
    set_presets(job)
    trace = Trace(job["trace"])
    agent = Agent(job, trace, out)
    imports = Imports(job, trace, agent.report)
    imports.plain()
    confining.virtual_sleep()
    imports.make()
    if agent.reach.folder:
        agent.report({"test": ""})
        agent.report({"reached": agent.reach.take()})
    agent.run()
    agent.report({"end": True})
    out.flush()


if __name__ == "__main__":
    main()
