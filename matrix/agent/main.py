"""Replays traces in the environment of the Python that runs this file; started by path, with jobs on standard input.

Results are JSON lines on the file descriptor that each job names. The tests of a file are played in a fork of this
process, which has imported what the traces import; a fork that dies or takes too long costs the call that it was at,
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
    """Replay traces."""
    load()
    from _caliper_agent import confining
    from _caliper_agent.held import Trace
    from _caliper_agent.imports import Imports
    from _caliper_agent.playing import Agent
    from _caliper_agent.presets import set_presets
    from _caliper_agent.sharing import Sharing, become, start_again

    confining.die_with_parent()
    jobs = json.loads(sys.stdin.buffer.read())
    job = jobs[0]
    variables = dict(os.environ)
    os.environ.update(job["environment"])
    confining.silence()
    confining.limits(job)
    confining.stay_here(job)
    version, site = ".".join(map(str, sys.version_info[:3])), sysconfig.get_paths()["purelib"]
    for each in jobs:
        os.set_inheritable(each["out"], False)
        each["templates"].update(python=version, prefix=sys.prefix, site=site)
    os.chdir(job["roots"]["work"])
    sys.path[:0] = job.get("overlay", [])
    set_presets(job)
    traces = [Trace(each["trace"]) for each in jobs]
    agent = Agent(job, traces[0])
    imports = Imports(job, traces[0], agent.report)
    sharing = Sharing(jobs, traces)
    sharing.begin()
    imports.plain(sharing)
    confining.virtual_sleep()
    imports.make()
    sharing.end(agent.files.scan)
    if agent.reach.folder:
        agent.report({"test": ""})
        agent.report({"reached": agent.reach.take()})
    agent.run()
    if sharing.noticed and jobs[1:]:
        start_again(jobs[1:], variables)
    for before, each, trace in zip(jobs, jobs[1:], traces[1:]):
        become(before, each, variables)
        agent = Agent(each, trace)
        imports.tell(trace, agent.report)
        agent.run()


if __name__ == "__main__":
    main()
