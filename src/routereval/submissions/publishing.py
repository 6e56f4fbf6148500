"""Add a checked submission to a leaderboard, which is a results file."""

from __future__ import annotations

from pathlib import Path

from routereval.errors import DataError
from routereval.results import ResultStore
from routereval.results.submitted import put_submission
from routereval.submissions.checking import Report


def publish(report: Report, leaderboard: Path) -> int:
    """Add the runs of a submission to a results file, with what it says of itself; again adds nothing.

    Returns
    -------
    int : how many runs are new.

    Raises
    ------
    DataError : a check failed.
    ResultsError : the file has another submission of that name, or cannot be written.
    """
    if not report.ok or report.submission is None:
        failed = sum(finding.status == "failed" for finding in report.findings)
        raise DataError(f"{report.folder} fails {failed} checks, so nothing was added to {leaderboard}")
    # First whose they are: runs of nobody would be worse than a name without runs, and the same command completes it.
    put_submission(leaderboard, report.submission)
    with ResultStore(leaderboard) as store:
        stored = store.done()
        for record in report.records:
            store.put_record(record)
        for result in report.results:
            store.put(result)
    return sum(result.spec.key not in stored for result in report.results)
