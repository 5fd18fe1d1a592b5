import multiprocessing
import os
import stat
import subprocess
import sys

import pytest

from fake_nsm import seeded_entropy
from nitrosim.authority import AuthorityError, load_or_create_root
from nitrosim.errors import NitroSimError

NOW_MS = 1_790_000_000_000


def now() -> int:
    return NOW_MS


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "state" / "ca"


@pytest.fixture
def created(directory):
    return load_or_create_root(directory, clock=now, entropy=seeded_entropy(b"root"))


def mode_of(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused_code(directory) -> str:
    with pytest.raises(AuthorityError) as refused:
        load_or_create_root(directory, clock=now)
    assert isinstance(refused.value, NitroSimError)
    assert "\n" not in str(refused.value)
    return refused.value.code


def test_a_root_is_made_once_and_found_again(directory, created):
    assert created.sha256 == load_or_create_root(directory, clock=now).sha256
    assert created.private_key_pem == load_or_create_root(directory, clock=now).private_key_pem
    assert {"root.pem", "root.key", "root.lock"} == {path.name for path in directory.iterdir()}


@pytest.mark.usefixtures("created")
def test_only_the_user_can_read_the_key(directory):
    assert mode_of(directory) == 0o700
    assert mode_of(directory / "root.pem") == 0o644
    assert mode_of(directory / "root.key") == 0o600


def test_the_umask_does_not_matter(directory):
    before = os.umask(0)
    try:
        load_or_create_root(directory, clock=now)
    finally:
        os.umask(before)
    assert [
        mode_of(path) for path in (directory, directory / "root.pem", directory / "root.key")
    ] == [0o700, 0o644, 0o600]


def test_the_certificate_file_is_what_verifiers_are_given(directory, created):
    assert created.certificate_pem == (directory / "root.pem").read_text()


@pytest.mark.parametrize(("name", "mode"), [(".", 0o755), ("root.key", 0o640), ("root.pem", 0o664)])
@pytest.mark.usefixtures("created")
def test_files_that_others_could_touch_are_refused(directory, name, mode):
    (directory / name).chmod(mode)
    assert refused_code(directory) == "AUTHORITY_PERMISSIONS"


@pytest.mark.needs("other-user")
@pytest.mark.parametrize("name", [".", "root.key", "root.pem"])
@pytest.mark.usefixtures("created")
def test_files_of_another_user_are_refused(directory, name):
    os.chown(directory / name, 65534, -1)
    assert refused_code(directory) == "AUTHORITY_PERMISSIONS"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("root.pem", ""),
        ("root.pem", "nonsense"),
        ("root.pem", "\xff"),
        ("root.key", ""),
        ("root.key", "nonsense"),
    ],
)
@pytest.mark.usefixtures("created")
def test_damaged_files_are_refused(directory, name, content):
    (directory / name).write_text(content, encoding="latin-1")
    assert refused_code(directory) == "AUTHORITY_DAMAGED"


def test_files_of_two_roots_are_refused(directory, created, tmp_path):
    other = load_or_create_root(tmp_path / "other", clock=now)
    assert created.sha256 != other.sha256
    (directory / "root.pem").write_text(other.certificate_pem)
    assert refused_code(directory) == "AUTHORITY_DAMAGED"


@pytest.mark.usefixtures("created")
def test_a_certificate_without_its_key_is_refused(directory):
    (directory / "root.key").unlink()
    assert refused_code(directory) == "AUTHORITY_DAMAGED"


def test_a_key_without_certificate_is_an_interrupted_creation(directory, created):
    (directory / "root.pem").unlink()
    (directory / ".root.pem.new").write_text("half a certif")
    again = load_or_create_root(directory, clock=now, entropy=seeded_entropy(b"again"))
    assert created.sha256 != again.sha256
    assert again.sha256 == load_or_create_root(directory, clock=now).sha256
    assert {"root.pem", "root.key", "root.lock"} == {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("name", ["root.key", "root.pem"])
@pytest.mark.usefixtures("created")
def test_links_are_not_followed(directory, name, tmp_path):
    elsewhere = (directory / name).rename(tmp_path / name)
    (directory / name).symlink_to(elsewhere)
    assert refused_code(directory) == "AUTHORITY_DIRECTORY"


@pytest.mark.usefixtures("created")
def test_a_pipe_in_place_of_a_file_does_not_hang(directory):
    (directory / "root.pem").unlink()
    os.mkfifo(directory / "root.pem", 0o600)
    assert refused_code(directory) == "AUTHORITY_DAMAGED"


def test_a_file_or_a_link_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert refused_code(tmp_path / "file") == "AUTHORITY_DIRECTORY"
    assert refused_code(tmp_path / "link") == "AUTHORITY_DIRECTORY"
    assert refused_code(tmp_path / "file" / "below") == "AUTHORITY_DIRECTORY"


def test_a_clock_outside_all_roots_is_named(directory):
    with pytest.raises(AuthorityError, match="set the clock") as refused:
        load_or_create_root(directory, clock=lambda: 0)
    assert refused.value.code == "AUTHORITY_CLOCK"
    assert not (directory / "root.key").exists()


RACER = """
import sys
from pathlib import Path
from nitrosim.authority import load_or_create_root
sys.stdin.read(1)
print(load_or_create_root(Path(sys.argv[1])).sha256)
"""


def test_processes_that_race_get_the_same_root(directory):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(2 * max(2, min(4, multiprocessing.cpu_count())))
    ]
    # Each waits at the same place until all are let go.
    for racer in racers:
        racer.stdin.write("g")
        racer.stdin.flush()
    answers = {racer.communicate()[0] for racer in racers}
    assert {0} == {racer.returncode for racer in racers}
    assert {load_or_create_root(directory).sha256 + "\n"} == answers
