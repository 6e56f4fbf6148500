"""Models picked by conditions on what is known of them."""

from __future__ import annotations

import pytest

from routereval.data.conditions import Condition, models_where
from routereval.errors import DataError, ParameterError

KNOWN = {
    "a": {"params_b": "7", "family": "Llama", "date": "2024-01-31"},
    "b": {"params_b": "13.0", "family": "qwen", "date": "2023-12-01"},
    "c": {"params_b": 70, "family": "llama", "date": ""},
    "d": {"params_b": None, "family": "mistral", "date": "2024-06-01"},
}


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("params_b<=13", "ab"),
        ("params_b < 13.5", "ab"),
        ("params_b>=13", "bc"),
        ("params_b>7", "bc"),
        ("params_b!=13", "ac"),
        ("family=LLAMA", "ac"),
        ("family!=llama", "bd"),
        ("family~*l*a*", "ac"),
        ("date<2024-06", "ab"),
        ("date>=2024-01-31", "ad"),
        ("model~[ad]", "ad"),
    ],
)
def test_a_condition_compares_numbers_as_numbers_and_the_rest_as_texts(condition: str, left: str) -> None:
    assert models_where("abcd", KNOWN, [condition])[0] == list(left)


def test_all_conditions_must_hold() -> None:
    assert models_where("abcd", KNOWN, ["params_b>1", "family=llama"])[0] == ["a", "c"]
    with pytest.raises(DataError) as nobody:
        models_where("abcd", KNOWN, ["params_b>1", "family=mistral"])
    assert str(nobody.value) == (
        "0 models meet all conditions, a pool needs 2: params_b>1 holds for 3 of 4; family=mistral holds for 1 of 4; "
        "1 models have no params_b in the metadata; params_b>1 leaves them out"
    )


def test_models_of_which_too_little_is_known_are_left_out_and_counted() -> None:
    names, notes = models_where("abcdxy", KNOWN, ["date>2000"])
    assert names == ["a", "b", "d"]
    assert notes == [
        "2 of 6 models are not in the metadata; conditions leave them out",
        "1 models have no date in the metadata; date>2000 leaves them out",
    ]
    # A name is always known.
    assert models_where("xy", KNOWN, ["model~*"]) == (["x", "y"], [])


@pytest.mark.parametrize("text", ["params", "params_b<", "=3", "params_b==3", "params_b=>3", ""])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="write COLUMN OPERATOR VALUE"):
        Condition.parse(text)


def test_a_property_that_nobody_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ParameterError,
        match=r"nothing is known about 'param_b', which 'param_b<3' asks for; did you mean 'params_b'\? the metadata "
        r"have: model, params_b, family, date",
    ):
        models_where("abcd", KNOWN, ["param_b<3"])
    with pytest.raises(ParameterError, match=r"without metadata there is: model$"):
        models_where("abcd", {}, ["params_b<3"])


def test_a_word_is_not_less_than_a_number() -> None:
    with pytest.raises(DataError, match="family<3: the value 'Llama' and '3' have no order"):
        models_where("abcd", KNOWN, ["family<3"])
