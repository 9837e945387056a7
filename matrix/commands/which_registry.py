"""The option by which commands are told which registry a subject's services use."""

import argparse
import os
from dataclasses import replace

from matrix.services import load_services
from matrix.staleness import REGISTRY_VARIABLE, registry_label
from matrix.subject import Subject


def add_registry_option(parser: argparse.ArgumentParser) -> None:
    """Declare it."""
    parser.add_argument(
        "--registry",
        default=os.environ.get(REGISTRY_VARIABLE, ""),
        metavar="WHICH",
        help=f"embedded, docker-registry, or the URL of an empty one (default: ${REGISTRY_VARIABLE}, or embedded)",
    )


def on_registry(subject: Subject, choice: str) -> Subject:
    """Return the subject with services on this registry.

    Raises:
        ChoiceError: there can be no such registry.
        CaliperError: the subject has no services that use one.
    """
    meant = subject.services is not None or choice != os.environ.get(REGISTRY_VARIABLE)
    if not registry_label(choice) or not meant:
        return subject
    from matrix.registry.choice import check_choice  # noqa: PLC0415 # 0.1 s that the embedded one is not asked for

    chosen = replace(subject, options={"registry": check_choice(choice)})
    load_services(chosen.services, chosen.options)
    return chosen
