"""Texts in which names stand for what differs between machines."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional

from .standard import BadValue


class Templates:
    """Texts that differ from machine to machine, such as a folder or a port, by name.

    ``{name}`` in a ``$tmpl`` stands for one; longer texts are replaced first. A text is only replaced where it stands
    alone: ``0.0.1`` is not replaced inside ``127.0.0.1``.
    """

    def __init__(self, texts: Dict[str, str]) -> None:
        """Make them of name: text."""
        self.texts = {name: text for name, text in texts.items() if text}
        self.compile()

    def compile(self) -> None:
        """Prepare for ``hide`` after ``texts`` was changed."""
        self.names: Dict[str, str] = {}
        for name in sorted(self.texts, key=lambda name: (-len(self.texts[name]), name)):
            self.names.setdefault(self.texts[name], name)
        alternatives = "|".join(re.escape(text) for text in sorted(self.names, key=lambda text: (-len(text), text)))
        self.pattern = re.compile(r"(?<![\w.])(?:%s)(?![\w]|\.\d)" % alternatives) if alternatives else None

    def hide(self, text: str) -> Optional[str]:
        """Return ``text`` as a template, or None where nothing in it needs one."""
        if self.pattern is None or len(text) < 2:
            return None
        found = self.pattern.search(text)
        if found is None:
            return None
        escaped: List[str] = []
        position = 0
        while found is not None:
            escaped.append(escape(text[position : found.start()]))
            escaped.append("{%s}" % self.names[found.group()])
            position = found.end()
            found = self.pattern.search(text, position)
        escaped.append(escape(text[position:]))
        return "".join(escaped)

    def plain(self, text: str) -> str:
        """Return ``text`` for people, with names in the place of what differs from machine to machine."""
        return (
            text if self.pattern is None else self.pattern.sub(lambda found: "{%s}" % self.names[found.group()], text)
        )

    def show(self, template: str) -> str:
        """Return the text that ``template`` stands for here.

        Raises:
            BadValue: a name that is not known here.
        """

        def replace(match: Any) -> str:
            name = match.group(1)
            if name is None:
                return str(match.group()[0])
            if name not in self.texts:
                message = "unknown template {%s}" % name
                raise BadValue(message)
            return self.texts[name]

        return re.sub(r"\{\{|\}\}|\{([^{}]*)\}", replace, template)


def escape(text: str) -> str:
    """Return ``text`` with its braces doubled, as a template wants them."""
    return text.replace("{", "{{").replace("}", "}}")
