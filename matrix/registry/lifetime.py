"""What is started and stopped, and may be used in a ``with`` statement."""

import abc
from types import TracebackType
from typing import Self


class Startable(abc.ABC):
    """Runs from `start` to `stop`."""

    @abc.abstractmethod
    def start(self) -> Self:
        """Start, and return itself."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop; more than once does no harm."""

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
