"""A job that somebody waits for, and what is said of it. Pure."""

from __future__ import annotations

from mailapp.render import octets, width
from mailapp.screen import paint
from mailapp.screen.wishes import Job, Read
from mailapp.value import value

PATIENCE_SECONDS = 0.5  # what takes longer is shown


@value(frozen=True)
class Underway:
    """A job, when it began, and how far it is."""

    job: Job
    since: float  # seconds of a clock that only goes forward
    done: int = 0
    everything: int = 0

    def is_long(self, now: float) -> bool:
        """Whether a person begins to wonder."""
        return now - self.since >= PATIENCE_SECONDS

    def words(self, columns: int) -> str:
        """`Fetching the message [####------] 20.0 MB of 50.0 MB  Ctrl-C cancels`."""
        if not self.everything:
            return f"{self.job.doing} … Ctrl-C cancels"
        share = f"{self._amount(self.done)} of {self._amount(self.everything)}"
        room = columns - width(f"{self.job.doing}  {share}  Ctrl-C cancels")
        if room < 6:
            percent = f"{100 * self.done // self.everything} % … Ctrl-C cancels"
            words = f"{self.job.doing} {percent}"
            return words if width(words) <= columns else percent
        made = paint.bar(self.done, self.everything, min(room, 40))
        return f"{self.job.doing} {made} {share}  Ctrl-C cancels"

    def _amount(self, count: int) -> str:
        return octets(count) if isinstance(self.job, Read) else f"{count:,}"
