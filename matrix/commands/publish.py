"""``caliper-matrix publish``: results to a registry, as an OCI artifact."""

import argparse
import json
import os
import shutil
import subprocess
from pathlib import Path

from matrix.publish import Push, Reference, Remote, collect, push
from matrix.publish.artifact import read_header

EPILOG = """\
examples:
  caliper-matrix publish ghcr.io/owner/oras-matrix
  caliper-matrix publish ghcr.io/owner/caliper-matrix:results --subject ghcr.io/owner/caliper-matrix:latest
  caliper-matrix publish localhost:5000/oras-matrix --plain-http

Without a tag, the artifact gets the day of the data, the recorded release and `latest`, in this order. Equal results
are not pushed again. Credentials: ORAS_USER and ORAS_PASS, else docker's configuration ($DOCKER_CONFIG, ~/.docker).
"""


def add_registry_options(parser: argparse.ArgumentParser) -> None:
    """Add how the registry is spoken to, which ``publish`` and ``fetch`` have in common."""
    parser.add_argument("--plain-http", action="store_true", help="speak http, not https")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="the authority that signed the registry's certificate"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("reference", metavar="REF", help="where to: HOST[:PORT]/NAME[:TAG]")
    parser.add_argument("--results", type=Path, default=Path("results/oras"), metavar="FOLDER", help="(%(default)s)")
    parser.add_argument(
        "--trace", type=Path, action="append", metavar="FILE", help="a trace (those of the subject in traces/)"
    )
    parser.add_argument("--subject", metavar="IMAGE", help="attach the artifact to this image, of the same repository")
    parser.add_argument("--date", metavar="DAY", help="the day of the data (that of the list of releases)")
    parser.add_argument("--revision", metavar="COMMIT", help="the source's revision (git's HEAD)")
    add_registry_options(parser)


def run(options: argparse.Namespace) -> int:
    """Push the results and say where they are."""
    reference = Reference.parse(options.reference)
    image = Reference.parse(options.subject) if options.subject else None
    traces = options.trace or _traces(options.results.name)
    artifact = collect(options.results, traces, date=options.date, revision=options.revision or _revision())
    remote = Remote(reference, plain_http=options.plain_http, ca_file=options.ca_file)
    outcome = push(artifact, remote, image)
    print(_as_json(outcome) if options.json else _as_text(outcome, len(artifact.layers)))
    return 0


def _as_json(outcome: Push) -> str:
    place = f"{outcome.reference.place}@{outcome.digest}"
    return json.dumps({"reference": place, "tags": outcome.tags, "changed": outcome.changed})


def _as_text(outcome: Push, files: int) -> str:
    place = f"{outcome.reference.place}@{outcome.digest}"
    if not outcome.changed:
        return f"unchanged: {outcome.tags[-1]} of {outcome.reference.place} holds these results ({outcome.digest})"
    return f"published {place}: {files} files as {', '.join(outcome.tags)}"


def _traces(results: str) -> list[Path]:
    """Return the traces of the subject that the folder of results is named after (``oras``, ``oras-py3.12``)."""
    traces = sorted(Path("traces").glob("*.trace.jsonl.gz"))
    return [trace for trace in traces if results.partition("-py")[0] == read_header(trace)["subject"]]


def _revision() -> str | None:
    """Return the commit of the work tree; None outside of one, or where there is no git."""
    git = shutil.which("git")
    if git is None:
        return os.environ.get("GITHUB_SHA") or os.environ.get("CI_COMMIT_SHA")
    command = [git, "rev-parse", "--verify", "--quiet", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (nothing of it is input)
    return head.stdout.strip() or None
