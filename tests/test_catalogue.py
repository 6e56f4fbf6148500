"""Names to objects."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from routereval import protocols
from routereval.catalogue import Catalogue, import_object, unknown_name
from routereval.encoders import ENCODERS
from routereval.errors import RouterEvalError, UnknownNameError
from routereval.policies import routers
from routereval.references import REFERENCES


def places() -> Catalogue:
    return Catalogue("place", {"path": "pathlib:Path", "error": "routereval.errors:DataError"})


def test_a_name_gives_the_object_of_its_import_path() -> None:
    assert places()["path"] is Path
    assert import_object("pathlib:Path") is Path
    assert places().path("path") == "pathlib:Path"


def test_nothing_is_imported_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asked_for_late.py").write_text("thing = 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    lazy = Catalogue("thing", {"late": "asked_for_late:thing", "never": "no_such_module:thing"})
    assert list(lazy) == ["late", "never"]
    assert len(lazy) == 2
    assert "late" in lazy
    assert "never" in lazy
    assert lazy.path("never") == "no_such_module:thing"
    assert "asked_for_late" not in sys.modules
    assert lazy["late"] == 5
    monkeypatch.delitem(sys.modules, "asked_for_late")


def test_a_name_may_be_added_and_added_again_as_what_it_is() -> None:
    catalogue = places()
    catalogue.add("more", "routereval.errors:RouterError")
    catalogue.add("more", "routereval.errors:RouterError")
    assert list(catalogue) == ["path", "error", "more"]


def test_a_name_that_is_taken_stays_what_it_is() -> None:
    catalogue = places()
    with pytest.raises(ValueError, match="place 'path' is already 'pathlib:Path'; 'mine:Path' needs another name"):
        catalogue.add("path", "mine:Path")
    assert catalogue["path"] is Path


def test_adding_to_a_catalogue_leaves_alone_what_it_was_made_from() -> None:
    paths = {"path": "pathlib:Path"}
    Catalogue("place", paths).add("more", "pathlib:PurePath")
    assert paths == {"path": "pathlib:Path"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("knm", "unknown router 'knm'; did you mean 'knn'?"),
        ("kmean", "unknown router 'kmean'; did you mean 'kmeans' or 'knn'?"),
        ("transformer", "unknown router 'transformer'; known: kmeans, knn, linear"),
        ("", "unknown router ''; known: kmeans, knn, linear"),
    ],
)
def test_an_unknown_name_names_the_nearest_ones_or_all(name: str, message: str) -> None:
    known = Catalogue("router", {"linear": "a:b", "knn": "a:c", "kmeans": "a:d"})
    assert name not in known
    with pytest.raises(UnknownNameError) as caught:
        known[name]
    assert str(caught.value) == message
    assert str(unknown_name("router", name, list(known))) == message


def test_no_more_than_three_names_are_suggested() -> None:
    error = unknown_name("suite", "paper-eas", ["paper-easy", "paper-ease", "paper-east", "paper-eats", "demo"])
    assert str(error).count(" or ") == 2
    assert "'paper-easy'" in str(error)


def test_an_unknown_protocol_is_said_in_the_same_way() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'papr'; did you mean 'paper'\?"):
        protocols.protocol("papr")
    assert protocols.protocol("paper") is protocols.PAPER


@pytest.mark.parametrize("catalogue", [routers(), REFERENCES, ENCODERS], ids=lambda catalogue: catalogue.kind)
def test_everything_in_our_catalogues_can_be_imported_and_says_what_it_is(catalogue: Catalogue) -> None:
    for name in catalogue:
        assert isinstance(catalogue[name], type), name
        assert catalogue[name].__doc__, name


def test_no_router_has_the_name_of_a_reference() -> None:
    assert not set(routers()) & set(REFERENCES)


def test_every_error_of_ours_is_caught_at_the_root() -> None:
    from routereval import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 9
    assert all(issubclass(kind, RouterEvalError) for kind in kinds)
    # Every kind is in the tree that the module's docstring draws.
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)
