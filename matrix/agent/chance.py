"""Random numbers: the generator that ``random`` shares is recorded where a call drew from it, and set at its replay.

What a call gives then rests on the release, and not on chance. Generators of a program's own are part of its values.
"""

from __future__ import annotations

import array
import sys
from typing import Any, Callable, Dict, Optional

from .standard import BadValue
from .values import Json

VERSION = 3  # of what ``getstate`` gives: (version, (624 words of 32 bits, which is next), a number put aside or None)
WORDS = 624
KIND = next(kind for kind in "IL" if array.array(kind).itemsize == 4)


def state() -> Optional[Any]:
    """Return the state of the shared generator, None where nobody has one."""
    shared: Any = getattr(sys.modules.get("random"), "_inst", None)
    return shared.getstate() if hasattr(shared, "getstate") else None


def note(event: Dict[str, Json], before: Any, store: Callable[[bytes], str]) -> None:
    """Note the random numbers that a call drew since the state ``before``, if it drew any."""
    if before != state():
        made = stored(before, store)
        if made is not None:
            event["random"] = made


def stored(held: Any, store: Callable[[bytes], str]) -> Optional[Dict[str, Json]]:
    """Return a state as JSON, None of another kind; its words are stored once for all numbers that are made of them."""
    if held is None or held[0] != VERSION or len(held[1]) != WORDS + 1:
        return None
    words = array.array(KIND, held[1][:-1])
    if sys.byteorder == "big":
        words.byteswap()
    made: Dict[str, Json] = {"words": store(words.tobytes()), "at": held[1][-1]}
    if held[2] is not None:
        made["aside"] = held[2]
    return made


def restore(made: Dict[str, Json], content: Callable[[str], bytes]) -> None:
    """Set the shared generator to a stored state.

    Raises:
        BadValue: it is none.
    """
    import random

    words = array.array(KIND)
    try:
        words.frombytes(content(made["words"]))
        if sys.byteorder == "big":
            words.byteswap()
        random.setstate((VERSION, (*words, made["at"]), made.get("aside")))
    except (ValueError, TypeError) as error:
        raise BadValue("no state of random numbers: %s" % error) from None
