"""`caliper-matrix registry`: the registry for use by hand."""

import argparse
import signal
import sys
from pathlib import Path

from matrix.errors import CaliperError
from matrix.registry.server import Registry
from matrix.registry.switches import SWITCHES

EPILOG = """\
examples:
  caliper-matrix registry                                 on a free port, forgotten when it stops
  caliper-matrix registry --port 5000 --storage cache/    the same content again next time
  caliper-matrix registry --tls --auth me:secret          with a certificate of its own and a password
  caliper-matrix registry --switch no-referrers --switch short-pages=100

switches make it behave as registries in the wild do:
"""


class AuthError(CaliperError):
    """`--auth` is not USER:PASSWORD."""

    def __init__(self) -> None:
        """Say what to do; never what was given."""
        super().__init__("--auth wants USER:PASSWORD, neither of them empty")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG + "\n".join(_describe(name) for name in SWITCHES)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s; in a box 0.0.0.0)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--storage", type=Path, metavar="DIR", help="keep content here (default: a temporary folder)")
    parser.add_argument("--tls", action="store_true", help="speak TLS, with a certificate made now")
    parser.add_argument("--name", action="append", default=[], help="another host name for the certificate")
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--auth", metavar="USER:PASSWORD", help="ask for this password")
    known.add_argument("--htpasswd", type=Path, metavar="FILE", help="ask for the passwords of this file (bcrypt)")
    parser.add_argument("--tokens", action="store_true", help="have clients fetch bearer tokens with the password")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME", help="one of the switches below; may be repeated"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or a termination signal, then stop cleanly."""
    registry = Registry(
        options.storage,
        tls=options.tls,
        auth=_credentials(options.auth),
        htpasswd=options.htpasswd,
        tokens=options.tokens,
        switches=options.switch,
        names=options.name,
        host=options.host,
        port=options.port,
    )
    stops = {signal.SIGINT, signal.SIGTERM}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # before any thread starts, so that all inherit it
    try:
        with registry:
            print(_directions(registry, protected=bool(options.auth or options.htpasswd)), flush=True)
            signal.sigwait(stops)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    print("stopped", file=sys.stderr)
    return 0


def _credentials(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise AuthError
    return user, password


def _directions(registry: Registry, *, protected: bool) -> str:
    plain = "" if registry.ca_file else " --plain-http"
    python = f'oras.client.OrasClient(hostname="{registry.address}"'
    python += f', tls_verify="{registry.ca_file}")' if registry.ca_file else ", insecure=True)"
    lines = [
        f"listening on {registry.url}",
        f"oras in Python:  {python}",
        f"oras in Go:      oras push{plain} {registry.address}/NAME:TAG FILE",
    ]
    if registry.ca_file:
        lines.append(f"trust:           {registry.ca_file}")
    if protected:
        lines.append(f"log in:          oras login{plain} {registry.address}")
    return "\n".join([*lines, "stop:            Ctrl-C"])


def _describe(name: str) -> str:
    switch = SWITCHES[name]
    shown = name if switch.default is None else f"{name}={switch.default:g}"
    return f"  {shown:26} {switch.__doc__}".replace("``", "")
