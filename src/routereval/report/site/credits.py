"""Whose a submitted router is, and what its makers say of it, as pages show it: all of it somebody else's text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routereval.report.printable import printable
from routereval.report.site.inventory import Inventory, RouterEntry
from routereval.results.submitted import Submission

LINKS = (("url", "page"), ("code_url", "code"), ("paper_url", "paper"))
"""Addresses of a submission's metadata, and what a link to them is called."""

_SAID = (
    ("description", "What it does"),
    ("training_data", "Trained on"),
    ("encoder", "Encoder"),
    ("date", "Date"),
    ("contact", "Contact"),
)
_NAMED = 2
"""How many authors a leaderboard names; where there are more, the first alone."""
_LONGEST = 40


@dataclass(frozen=True)
class Credit:
    """A submission as a page shows it.

    Parameters
    ----------
    by : its authors in a few words: ``Ada, Bob``, ``Ada and 4 others``; empty where nobody is named.
    links : what each is called and where it leads, http and https only.
    facts : what its makers say, each under a heading.
    warnings : what the check found.
    """

    by: str
    links: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()

    @property
    def embedded(self) -> dict[str, Any]:
        """What the leaderboard's script has of it."""
        return {"by": self.by, "links": [list(link) for link in self.links]}


def credits_of(submissions: Sequence[Submission], inventory: Inventory) -> Mapping[int, Credit]:
    """The submissions among the routers that are shown, by the router's index."""
    known = {(one.router, one.sha256): credit(one) for one in submissions}
    found = {router.index: known.get(_identity(router)) for router in inventory.routers} if known else {}
    return {index: one for index, one in found.items() if one is not None}


def credit(submission: Submission) -> Credit:
    """What a page shows of one submission; signs that act on text around them are written out."""
    said = submission.metadata
    authors = [printable(name) for name in submission.authors if name.strip()]
    few = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in authors]
    by = ", ".join(few) if len(few) <= _NAMED else f"{few[0]} and {len(few) - 1} others"
    facts = [("Authors", ", ".join(authors))] if authors else []
    facts += [(heading, printable(str(said[name]), keep="\n")) for name, heading in _SAID if said.get(name)]
    if isinstance(said.get("test_prompts_seen"), bool):
        facts.append(("Test prompts seen in training", "yes" if said["test_prompts_seen"] else "no, say its makers"))
    if submission.added:
        facts.append(("Added", printable(submission.added[:10])))
    links = submission.links
    return Credit(
        by,
        tuple((title, links[name]) for name, title in LINKS if name in links),
        tuple(facts),
        tuple(printable(one) for one in submission.warnings),
    )


def _identity(router: RouterEntry) -> tuple[str, str]:
    return router.name, str(json.loads(router.params).get("sha256"))
