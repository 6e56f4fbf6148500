"""The column of a progress bar that says when it will be over."""

from __future__ import annotations

from rich.progress import ProgressColumn, Task, TaskID
from rich.text import Text


class TimeLeft(ProgressColumn):
    """What is left at the mean pace so far, counted down until the next one is done: ``0:02:30``.

    rich's own goes by the last half minute, and says nothing where two ends are further apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[TaskID, tuple[float, float]] = {}

    def render(self, task: Task) -> Text:
        """The time left of one bar; ``-:--:--`` before anything is done."""
        if not task.completed or task.total is None or task.elapsed is None:
            return Text("-:--:--", style="progress.remaining")
        done, at = self._last.get(task.id, (0.0, 0.0))
        if done != task.completed:
            at = task.elapsed
            self._last[task.id] = task.completed, at
        ahead = at / task.completed * (task.total - task.completed)
        left = int(max(0.0, ahead - (task.elapsed - at)))
        minutes, seconds = divmod(left, 60)
        hours, minutes = divmod(minutes, 60)
        return Text(f"{hours}:{minutes:02}:{seconds:02}", style="progress.remaining")
