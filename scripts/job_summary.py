"""Append the summary of the results to the job's summary, with its pictures taken from the branch of the results.

A job's summary shows no picture that is not somewhere on the web; ``propose.py`` pushes the branch.
"""

import os
import re
import sys
from pathlib import Path

BRANCH = "matrix/results"
LIMIT = 1_000_000  # bytes; a step's summary may be 1 MiB


def main() -> int:
    """Write it."""
    results = Path(sys.argv[1])
    server, repository = os.environ["GITHUB_SERVER_URL"], os.environ["GITHUB_REPOSITORY"]
    text = (results / "summary.md").read_text(encoding="utf-8")
    text = re.sub(
        r"(!?\[[^\]]*\]\()(?![a-z]+:|#)", rf"\1{server}/{repository}/raw/{BRANCH}/{results.as_posix()}/", text
    )
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
        file.write(text.encode()[:LIMIT].decode(errors="ignore"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
