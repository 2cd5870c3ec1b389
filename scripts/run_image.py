"""Runs the last stage of a Dockerfile in a Debian root, without Docker: run_image.py DOCKERFILE ROOT PROGRAM

Runs its RUN lines, and copies PROGRAM to where COPY puts the program of the stage before it. Starts the entry point with its
user, environment and working folder, on a read-only root, and waits until its health check succeeds. The stage that builds
the program is not run.
"""

import json
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time


def instructions(dockerfile):
    """Returns the instructions of the last stage, with their lines joined."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    last = max(number for number, line in enumerate(lines) if line[0] == "FROM")
    assert lines[last][1] == "debian:bookworm-slim", lines[last]
    return lines[last + 1 :]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    dockerfile, root, program = (pathlib.Path(argument) for argument in sys.argv[1:])
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    user, folder, volumes, health, entry = "0:0", "/", [], None, None
    for name, value in instructions(dockerfile):
        if name == "RUN":
            subprocess.run(["chroot", root, "/bin/sh", "-c", value], env=environment, stdout=subprocess.DEVNULL, check=True)
        elif name == "COPY":
            target = re.fullmatch(r"--from=build \S+/license-server (\S+)", value)[1]
            shutil.copy(program, root / target.lstrip("/"))
        elif name == "ENV":
            environment.update(pair.split("=", 1) for pair in shlex.split(value))
        elif name == "USER":
            user = value
        elif name == "WORKDIR":
            folder = value
        elif name == "VOLUME":
            volumes.append(value)
        elif name == "HEALTHCHECK":
            health = json.loads(value[value.index("CMD") + 3 :])
        elif name == "ENTRYPOINT":
            entry = json.loads(value)
        else:
            assert name == "EXPOSE", name
    # The test cannot have the port of the image.
    environment["LICENSE_LISTEN"] = f"{environment['LICENSE_LISTEN'].rsplit(':', 1)[0]}:{free_port()}"

    writable = " ".join(
        f'mount --bind "$1{volume}" "$1{volume}"; mount --options remount,bind,rw "$1{volume}";' for volume in volumes
    )
    script = (
        f'set -e; root=$1; mount --bind "$1" "$1"; mount --options remount,bind,ro "$1"; {writable}'
        f' shift; exec chroot --userspec={user} "$root" env --chdir={folder} "$@"'
    )
    inside = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(root.resolve())]
    server = subprocess.Popen([*inside, *entry], env=environment, stdout=subprocess.DEVNULL)
    try:
        checks = 0
        while subprocess.run([*inside, *health], env=environment, stderr=subprocess.DEVNULL).returncode != 0:
            checks += 1
            assert server.poll() is None, "the server ended"
            assert checks < 200, "the server is not healthy"
            time.sleep(0.1)
        status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
        assert re.search(r"^Uid:\t(\d+)", status, re.MULTILINE)[1] == user.split(":")[0] != "0", status
        assert (root / volumes[0].lstrip("/") / "licenses.db").exists()
    finally:
        server.terminate()
    assert server.wait() == 0
    failed = subprocess.run([*inside, *health], env=environment, stderr=subprocess.DEVNULL).returncode
    assert failed == 1, f"a stopped server has the health {failed}"
    print(f"the image is healthy as user {user}, on a read-only root")


main()
