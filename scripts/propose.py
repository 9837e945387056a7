"""Open a pull request with the results and traces that changed, or renew the one that is open."""

import subprocess
import sys
from pathlib import Path

BRANCH = "matrix/results"
AUTHOR = [
    "-c",
    "user.name=github-actions[bot]",
    "-c",
    "user.email=41898282+github-actions[bot]@users.noreply.github.com",
]
FOLDERS = ["results", "traces"]


def output(*command: str) -> str:
    """Run a command and return what it prints; its failure is ours."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main() -> int:
    """Commit to the branch, push it, and see that there is a pull request for it."""
    output("git", "add", "--", *FOLDERS)
    if not output("git", "diff", "--cached", "--name-only", "--", *FOLDERS):
        print("the results are as committed")
        return 0
    title = f"Renew the matrix ({output('git', 'diff', '--cached', '--shortstat')})"
    output("git", "switch", "--quiet", "--force-create", BRANCH)
    output("git", *AUTHOR, "commit", "--quiet", "-m", title)
    # The checkout keeps no credentials: gh gives them to git for this one push.
    output("gh", "auth", "setup-git")
    output("git", "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{BRANCH}")
    body = str(Path(sys.argv[1]) / "summary.md")
    number = output("gh", "pr", "list", "--head", BRANCH, "--state", "open", "--json", "number", "--jq", ".[0].number")
    if number:
        print(output("gh", "pr", "edit", number, "--title", title, "--body-file", body))
    else:
        print(output("gh", "pr", "create", "--head", BRANCH, "--title", title, "--body-file", body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
