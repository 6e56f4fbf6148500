"""The store by URL: a shared folder, a local S3-compatible server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from routereval.data import checksums, remote, store
from routereval.data.benchmark import BenchmarkData
from routereval.errors import DataError, MissingDataError
from routereval.sources.synthetic import Synthetic, SyntheticSpec


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BenchmarkData:
    """A tiny benchmark in a driver's store."""
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "driver"))
    store.reopen.cache_clear()
    return Synthetic(SyntheticSpec("tiny", prompts=40, models=8, dimensions=4, sizes=(3,))).data


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket of a server on this machine that speaks S3."""
    pytest.importorskip("s3fs", reason="no s3fs; pip install 'routereval[s3]'")
    server_module = pytest.importorskip("moto.server", reason="no moto; pip install 'routereval[dev]'")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket/store"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Somewhere that driver and workers reach."""
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    return (tmp_path / "shared").as_uri()


def on_another_machine(data: BenchmarkData, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BenchmarkData:
    """What a worker gets that has another home and does not see the driver's."""
    monkeypatch.setenv("ROUTEREVAL_HOME", str(tmp_path / "worker"))
    store.reopen.cache_clear()
    return store.reopen(tmp_path / "not here", data.data_hash, url)


def test_what_a_driver_publishes_a_worker_fetches_once(
    data: BenchmarkData, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.store_dir is not None
    assert remote.publish(data.store_dir, data.data_hash, url)
    assert not remote.publish(data.store_dir, data.data_hash, url)
    fetched = on_another_machine(data, url, tmp_path, monkeypatch)
    assert fetched.store_dir == tmp_path / "worker" / "store" / data.data_hash
    np.testing.assert_array_equal(fetched.scores.dense(), data.scores.dense())
    # Now it has a copy of its own: the URL is not asked again.
    assert on_another_machine(data, "file:///nowhere", tmp_path, monkeypatch).data_hash == data.data_hash


def test_a_damaged_copy_of_a_worker_is_fetched_again(
    data: BenchmarkData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = (tmp_path / "shared").as_uri()
    assert data.store_dir is not None
    remote.publish(data.store_dir, data.data_hash, url)
    own = on_another_machine(data, url, tmp_path, monkeypatch).store_dir
    assert own is not None
    for damage in (lambda content: content[:-1] + bytes([content[-1] ^ 1]), lambda content: content[:-1]):
        content = (own / "bits.npy").read_bytes()
        (own / "bits.npy").unlink()
        (own / "bits.npy").write_bytes(damage(content))
        again = on_another_machine(data, url, tmp_path, monkeypatch)
        np.testing.assert_array_equal(again.scores.dense(), data.scores.dense())
        assert checksums.damaged(own) == []
    assert caplog.text.count("is damaged: bits.npy has sha256") == caplog.text.count("; it is fetched again") == 2
    (own / "bits.npy").unlink()
    # Without a URL to fetch from it stays, and is named.
    with pytest.raises(DataError, match=r"bits\.npy is missing; remove the folder"):
        on_another_machine(data, "", tmp_path, monkeypatch)


def test_what_arrives_damaged_is_not_kept(
    data: BenchmarkData, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.store_dir is not None
    bad = tmp_path / "bad"
    shutil.copytree(data.store_dir, bad)
    content = bytearray((bad / "bits.npy").read_bytes())
    content[-1] ^= 1
    (bad / "bits.npy").unlink()
    (bad / "bits.npy").write_bytes(content)
    remote.publish(bad, data.data_hash, url)
    with pytest.raises(DataError, match=r"is damaged: bits\.npy has sha256 .* the driver puts it there again"):
        on_another_machine(data, url, tmp_path, monkeypatch)
    assert not list((tmp_path / "worker" / "store").iterdir())


@pytest.mark.parametrize("cut_before", ["meta.json", "split_test.npy"])
def test_a_list_of_sums_cut_at_the_end_of_a_line_is_half_of_the_data_and_not_kept(
    data: BenchmarkData, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_before: str
) -> None:
    assert data.store_dir is not None
    bad = tmp_path / "bad"
    shutil.copytree(data.store_dir, bad)
    sums = (bad / checksums.NAME).read_text().splitlines(keepends=True)
    kept = [line for line in sums if line.split()[1] < cut_before]
    assert 0 < len(kept) < len(sums)
    (bad / checksums.NAME).write_text("".join(kept))
    remote.publish(bad, data.data_hash, url)
    with pytest.raises(DataError, match=f"is damaged: SHA256SUMS lacks {cut_before}.* puts it there again"):
        on_another_machine(data, url, tmp_path, monkeypatch)
    assert not list((tmp_path / "worker" / "store").iterdir())


def test_data_that_nobody_published_are_missing(
    data: BenchmarkData, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingDataError, match=f"data {data.data_hash[:12]}... are not in "):
        on_another_machine(data, url, tmp_path, monkeypatch)


def test_data_from_before_there_were_sums_get_them_on_the_way(data: BenchmarkData, tmp_path: Path) -> None:
    assert data.store_dir is not None
    (data.store_dir / checksums.NAME).unlink()
    remote.publish(data.store_dir, data.data_hash, (tmp_path / "shared").as_uri())
    assert checksums.damaged(tmp_path / "shared" / data.data_hash) == []
    assert not (data.store_dir / checksums.NAME).exists()


def test_a_url_of_an_unknown_kind_is_one_sentence(data: BenchmarkData) -> None:
    assert data.store_dir is not None
    with pytest.raises(MissingDataError, match="ROUTEREVAL_STORE is 'ftq://x'"):
        remote.publish(data.store_dir, data.data_hash, "ftq://x")
