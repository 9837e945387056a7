"""Whether a version specifier admits releases that do not work."""

from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from matrix.answers.results import Results
from matrix.answers.uses import Answer, Uses, answers
from matrix.errors import CaliperError
from matrix.rows import NO, UNKNOWN, YES


class SpecifierError(CaliperError):
    """A specifier that cannot be read, is for another package, or admits nothing that was judged."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The judged releases that a specifier admits, by whether everything that is used works there.

    ``refused`` are releases that work but are not admitted.
    """

    specifier: str
    working: tuple[str, ...]
    failing: dict[str, Answer]
    unknown: dict[str, Answer]
    refused: tuple[str, ...]


def parse(text: str, subject: str) -> SpecifierSet:
    """Return the specifier in ``text``: ``>=0.2.30``, or a requirement such as ``oras[docker]>=0.2.30``.

    Raises:
        SpecifierError: it is neither, or a requirement of another package.
    """
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        pass
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        message = f"{text!r} is no version specifier; write one like '>=1.2,<2' or '{subject}>=1.2'"
        raise SpecifierError(message) from None
    if canonicalize_name(requirement.name) != canonicalize_name(subject):
        message = f"{text!r} is about {requirement.name}, but the results are about {subject}; say --results FOLDER"
        raise SpecifierError(message)
    return requirement.specifier


def verify(results: Results, uses: Uses, text: str) -> Verified:
    """Return what a specifier admits.

    Raises:
        SpecifierError: it cannot be read, or admits no release that was judged.
    """
    specifier = parse(text, results.subject)
    judged = answers(results, uses)
    admitted = [release for release in results.releases if _admits(specifier, release)]
    if not admitted:
        message = f"{text!r} admits none of the {len(results.releases)} judged releases of {results.subject}"
        raise SpecifierError(message)
    return Verified(
        specifier=str(specifier),
        working=tuple(release for release in admitted if judged[release].works == YES),
        failing={release: judged[release] for release in admitted if judged[release].works == NO},
        unknown={release: judged[release] for release in admitted if judged[release].works == UNKNOWN},
        refused=tuple(
            release for release in results.releases if release not in admitted and judged[release].works == YES
        ),
    )


def _admits(specifier: SpecifierSet, release: str) -> bool:
    """Whether a specifier admits a release; a judged pre-release counts like any other."""
    try:
        return specifier.contains(release, prereleases=True)
    except InvalidVersion:
        return False
