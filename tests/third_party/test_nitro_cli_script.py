"""A script around nitro-cli as people have them: build, run, look, show the console, terminate.

It is what a first day with enclaves consists of, and knows nothing of nitrosim. As root it runs in
a mount namespace of its own: what nitro-cli makes in /run and /var/log by default stays there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import ordinary_user

pytestmark = pytest.mark.needs("userns", "cc", "jq")

PATIENCE = 120
SCRIPTS = Path(sys.executable).parent

HELLO = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    puts(getenv("GREETING"));
    fflush(stdout);
    for (;;)
        pause();
}
"""
DOCKERFILE = """
FROM scratch
COPY bin/hello /bin/hello
ENV GREETING="Hello from inside"
CMD ["/bin/hello"]
"""

BUILD_OF_DOCKERFILE = """
nitro-cli build-enclave --docker-dir ./app --docker-uri nitrosim-hello:test --output-file hello.eif
"""
BUILD_OF_DIRECTORY = """
nitrosim build --rootfs app --env "GREETING=Hello from inside" --output hello.eif -- /bin/hello
"""
SCRIPT = """
nitro-cli run-enclave --cpu-count 2 --memory 512 --enclave-cid 16 --eif-path hello.eif --debug-mode
nitro-cli describe-enclaves >described.json
ENCLAVE_ID=$(nitro-cli describe-enclaves | jq -r '.[0].EnclaveID')
nitro-cli console --enclave-id "$ENCLAVE_ID" --disconnect-timeout 1
nitro-cli terminate-enclave --enclave-id "$ENCLAVE_ID"
nitro-cli describe-enclaves
"""

# What stands below these is nobody else's business, and goes with the namespace.
PRIVATE = """
for folder in /run /var/log /tmp; do
    mount -t tmpfs -o mode=1777 none $folder || exit 99
done
"""
READ_ONLY = """
for folder in /run /var/log; do
    mount -o remount,ro $folder || exit 99
done
"""
# Runs the script, and notes where nitro-cli has kept its files.
FIRST_DAY = """
status=0
sh first-day.sh || status=$?
ls -d /run/nitro_enclaves /var/log/nitro_enclaves /tmp/nitrosim-*/default/nitro-cli \\
    "$HOME"/.local/state/nitrosim/default/nitro-cli >folders 2>/dev/null
nitrosim shutdown >/dev/null
exit $status
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Return a directory with a program and a Dockerfile."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "bin").mkdir()
    (folder / "hello.c").write_text(HELLO)
    subprocess.run(["cc", "-static", "-o", "bin/hello", "hello.c"], cwd=folder, check=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


@pytest.fixture(scope="module")
def workplace():
    """Make a place with the commands, which every user can read."""
    # Not in /tmp, which root's script does not see.
    with ordinary_user.workplace(folder="/var/tmp") as place:
        yield place


def prepare(folder, app, build):
    """Put the script and what it builds of into a directory."""
    shutil.copytree(app, folder / "app")
    (folder / "first-day.sh").write_text(f"set -eu\n{build}{SCRIPT}")


def assert_first_day(output, folder):
    """Say whether the script printed what it has to."""
    described = json.loads((folder / "described.json").read_text())[0]
    enclave_id = described["EnclaveID"]
    objects, console = split(output)
    built, run, terminated, left = objects

    assert built["Measurements"] == described["Measurements"]
    assert ("hello", enclave_id, 16, 2, 512) == tuple(
        run[key] for key in ("EnclaveName", "EnclaveID", "EnclaveCID", "NumberOfCPUs", "MemoryMiB")
    )
    assert run | {"State": "RUNNING", "Flags": "DEBUG_MODE"} == {
        key: value for key, value in described.items() if key != "Measurements"
    }
    assert [
        "Connecting to the console for enclave 16...",
        "Successfully connected to the console.",
        "Hello from inside",
    ] == console
    assert {
        "EnclaveName": "hello",
        "EnclaveID": enclave_id,
        "Terminated": True,
    } == terminated
    assert [] == left


def split(output):
    """Return the JSON in an output, and the lines around it."""
    json_lines = re.compile(r"^(?:\[\]|([\[{])\n(?:.*\n)*?[\]}])$", re.MULTILINE)
    objects = [json.loads(found[0]) for found in json_lines.finditer(output)]
    return objects, [line for line in json_lines.sub("", output).split("\n") if line]


def run_script(command, folder, **environment):
    """Run the script with nothing in its environment but this."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={key: str(value) for key, value in environment.items()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_first_day(done.stdout, folder)


# ---- as root, who may become others ----


@pytest.fixture
def home(workplace, app):
    """Return a home with the script in it."""
    with tempfile.TemporaryDirectory(prefix="home-", dir=workplace) as name:
        prepare(Path(name), app, BUILD_OF_DIRECTORY)
        yield Path(name)


@pytest.fixture
def run_in_private(workplace, home):
    """Return a function that runs the script with HOME and PATH only; returns nitro-cli's folders.

    It is run as another user behind a `prefix`, after what `before` says.
    """

    def run(*prefix, before=""):
        inside = f'{PRIVATE}{before}exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", inside, "sh", *prefix, "sh", "-c", FIRST_DAY]
        path = f"{workplace}/venv/bin:{ordinary_user.PATH}:/usr/sbin:/sbin"
        run_script(command, home, HOME=home, PATH=path)
        folders = (home / "folders").read_text().splitlines()
        return [folder.replace(str(home), "~") for folder in folders]

    return run


@pytest.mark.needs("mounts")
def test_root_finds_everything_where_an_installation_has_it(run_in_private):
    assert ["/run/nitro_enclaves", "/var/log/nitro_enclaves"] == run_in_private()


@pytest.mark.needs("mounts")
def test_root_needs_no_folders_of_the_system(run_in_private):
    own = ["/tmp/nitrosim-0/default/nitro-cli", "~/.local/state/nitrosim/default/nitro-cli"]

    assert own == run_in_private(before=READ_ONLY)


@pytest.mark.needs("mounts", "other-user", "setpriv")
def test_an_ordinary_user_needs_nothing_of_root(run_in_private, home):
    subprocess.run(["chown", "-R", ordinary_user.USER, home], check=True)
    group = ordinary_user.USER_GROUP
    user = ("setpriv", "--reuid", ordinary_user.USER, "--regid", str(group), "--clear-groups")

    assert [
        f"/tmp/nitrosim-{home.stat().st_uid}/default/nitro-cli",
        "~/.local/state/nitrosim/default/nitro-cli",
    ] == run_in_private(*user, before=READ_ONLY)


# ---- as whoever runs the tests ----


@pytest.fixture
def settings(tmp_path):
    """Return an environment in which nothing of the user's own is touched."""
    # Short: an AF_UNIX address has little room.
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as runtime:
        environment = {
            "HOME": tmp_path,
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": runtime,
            "NITROSIM_INSTANCE": "first-day",
        }
        yield environment
        subprocess.run(
            [SCRIPTS / "nitrosim", "shutdown"],
            env={key: str(value) for key, value in environment.items()},
            capture_output=True,
            check=True,
        )


def test_whoever_has_an_instance_of_their_own_needs_no_other_setting(settings, app, tmp_path):
    prepare(tmp_path, app, BUILD_OF_DIRECTORY)

    run_script(["sh", "first-day.sh"], tmp_path, **settings)


@pytest.mark.needs("docker")
def test_the_image_may_come_from_a_dockerfile(settings, app, tmp_path):
    prepare(tmp_path, app, BUILD_OF_DOCKERFILE)
    engine = {key: value for key, value in os.environ.items() if key.startswith("DOCKER_")}
    try:
        run_script(["sh", "first-day.sh"], tmp_path, **settings, **engine)
    finally:
        subprocess.run(["docker", "rmi", "nitrosim-hello:test"], capture_output=True, check=False)
