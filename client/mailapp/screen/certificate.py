"""A certificate that nobody vouches for: shown once, as ssh does."""

from __future__ import annotations

from typing import ClassVar

from mailapp.render import visible_line
from mailapp.screen.base import Back, Step
from mailapp.screen.keys import Key
from mailapp.screen.news import Trouble
from mailapp.screen.paint import Hints
from mailapp.screen.reading import Text
from mailapp.screen.wishes import Job, Trust
from mailapp.value import value


@value(frozen=True)
class Certificate(Text):
    """`trust` is what y does."""

    trust: Trust | None = None

    hints: ClassVar[Hints] = (("y", "trust it from now on"), ("?", "keys"), ("n", "no, go back"))

    @classmethod
    def of(cls, trouble: Trouble) -> Certificate:
        """The question, with the fingerprint to compare."""
        assert trouble.certificate is not None
        assert isinstance(trouble.wish, Job)
        host, port, fingerprint = trouble.certificate
        text = (
            f"{trouble.text}\n\nThe certificate that {visible_line(host)} shows at port {port} has"
            f" this SHA-256 fingerprint:\n\n{fingerprint[:47]}\n{fingerprint[48:]}\n\n"
            "Compare it with what the people who run the server say. If it is the same, type y:\n"
            "it is remembered, and any other certificate is refused from then on."
        )
        return cls("Who is this server?", "", text, trust=Trust(port, fingerprint, trouble.wish))

    def act(self, key: Key) -> Step:
        """Yes or no; Enter is neither."""
        if key.name == "y":
            return self, self.trust
        return (self, Back()) if key.name == "n" else super().act(key)
