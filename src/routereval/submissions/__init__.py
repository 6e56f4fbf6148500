"""Submissions: predictions of somebody else's router with what is said of it, checked and added to a leaderboard."""

from routereval.submissions.checking import Finding, Report, check
from routereval.submissions.publishing import publish

__all__ = ["Finding", "Report", "check", "publish"]
