"""Where numbers come from, in as few lines as say it."""

from __future__ import annotations

import routereval as rv
from routereval.report.provenance import Origin, curve_statements, provenance_of
from routereval.results.curves import CurveSpec


def test_benchmarks_that_are_alike_share_a_line_and_others_have_one_of_their_own() -> None:
    origins = [Origin(one, "strict", "e5", one * 10, seed, "1.0") for one in ("a", "b") for seed in (1, 0)]
    origins += [Origin("c", "strict", "e5", "", 0, version) for version in ("1.1", "1.0")]
    assert [one.sentence() for one in provenance_of(origins)] == [
        "protocol strict; encoder e5; seeds 0, 1; data a aaaaaaaa, b bbbbbbbb; routereval 1.0",
        "protocol strict; encoder e5; seed 0; data c unknown; routereval 1.0, 1.1",
    ]
    assert provenance_of(origins)[0].to_json()["data"][0] == {"benchmark": "a", "data_hash": "aaaaaaaaaa"}
    assert provenance_of([]) == ()


def curve(benchmark: str, policy: str, encoder: str, protocol: str) -> CurveSpec:
    return CurveSpec(benchmark, policy, {}, encoder, protocol, "test", 2, 3, benchmark * 10)


def test_curves_of_oracle_and_chance_belong_to_those_of_the_routers() -> None:
    curves = [curve(one, "oracle", "none", "none") for one in ("a", "b")] + [curve("a", "knn", "shipped", "paper")]
    version = f"routereval {rv.__version__}, which printed this: curves do not keep theirs"
    assert curve_statements(curves) == [
        f"protocol none; encoder none; seed 3; data b bbbbbbbb; {version}",
        f"protocol paper; encoder shipped; seed 3; data a aaaaaaaa; {version}",
    ]
