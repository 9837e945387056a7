"""Have the Pythons that are named: those that uv can fetch, else the machine's own; one that cannot be had is told."""

import subprocess
import sys


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask uv, which lies beside this Python."""
    return subprocess.run(
        [sys.executable, "-m", "uv", "python", *arguments], check=False, capture_output=True, text=True
    )


def main() -> int:
    """Fetch or find each, one line each; none that is missing ends the build."""
    for version in sys.argv[1:]:
        if uv("install", "--no-bin", version).returncode == 0:
            print(f"Python {version}: fetched")
        elif (found := uv("find", "--no-python-downloads", "--system", version)).returncode == 0:
            print(f"Python {version}: the base image's own, {found.stdout.strip()}")
        else:
            print(f"Python {version}: left out, uv cannot fetch it here and the base image has none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
