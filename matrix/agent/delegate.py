"""What stands in a recorded generator for what it yields from."""

from __future__ import annotations

from typing import Any

from .underway import Token


class Delegate:
    """What a recorded generator yields from: an iterator that tells what passes through it."""

    def __init__(self, recorder: Any, token: Token, inner: Any) -> None:
        """Stand before ``inner``."""
        self.recorder, self.token, self.inner = recorder, token, iter(inner)

    def __iter__(self) -> "Delegate":
        """Be an iterator."""
        return self

    def passed(self, value: Any) -> Any:
        """Tell what is yielded."""
        self.recorder.guarded(self.recorder.steps.yields, self.token, value)
        return value

    def __next__(self) -> Any:
        """Go on."""
        self.recorder.guarded(self.recorder.steps.resumes, self.token, None)
        return self.passed(next(self.inner))

    def send(self, value: Any) -> Any:
        """Go on with what was sent."""
        self.recorder.guarded(self.recorder.steps.resumes, self.token, value)
        return self.passed(self.inner.send(value))

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        self.recorder.guarded(
            self.recorder.steps.thrown, self.token, error[1] if len(error) > 1 and error[1] else error[0]
        )
        if not hasattr(self.inner, "throw"):
            raise error[-1] if isinstance(error[0], type) and len(error) > 1 else error[0]
        return self.passed(self.inner.throw(*error))

    def close(self) -> None:
        """Close what can be closed."""
        if hasattr(self.inner, "close"):
            self.inner.close()


def hide(error: BaseException) -> None:
    """Take the frame of a delegate out of a traceback that begins with the generator that it is of."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_next.tb_frame.f_code.co_filename == __file__:
        trace.tb_next = trace.tb_next.tb_next
