from __future__ import annotations

import json

import pytest

from nitrosim.cli.main import main


@pytest.fixture(autouse=True)
def nobody_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path))


def pool_file(monkeypatch, tmp_path, text):
    path = tmp_path / "allocator.yaml"
    path.write_text(text)
    monkeypatch.setenv("NITROSIM_ALLOCATOR", str(path))
    return path


def test_pool_of_a_file_is_shown_with_its_cores(monkeypatch, tmp_path, capsys):
    path = pool_file(monkeypatch, tmp_path, "---\nmemory_mib: 1024\ncpu_pool: 1,5,2,6\n")

    assert 0 == main(["allocator"])
    assert [
        f"file     {path}",
        "CPUs     4, by core: 1,5  2,6",
        "         lent: none",
        "memory   1024 MiB, lent: 0 MiB",
    ] == capsys.readouterr().out.splitlines()


def test_pool_as_json_names_its_file_and_what_is_lent(monkeypatch, tmp_path, capsys):
    path = pool_file(monkeypatch, tmp_path, "---\nmemory_mib: 1024\ncpu_pool: 1,5\n")

    assert 0 == main(["allocator", "--json"])
    assert {
        "file": str(path),
        "cores": [[1, 5]],
        "memory_mib": 1024,
        "lent_cpu_ids": [],
        "lent_memory_mib": 0,
    } == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("---\nmemory_mib: 1024\n", "ALLOCATOR_FILE"),
        ("---\nmemory_mib: 1024\ncpu_pool: 1,x\n", "E23"),
        ("---\nmemory_mib: 1024\ncpu_pool: 0-3-7\n", "E24"),
    ],
)
def test_file_that_the_allocator_refuses_is_status_4(monkeypatch, tmp_path, capsys, text, code):
    pool_file(monkeypatch, tmp_path, text)

    assert 4 == main(["allocator"])
    assert capsys.readouterr().err.startswith(f"nitrosim: {code}: ")
