"""Runs a service of systemd in a Debian root, without systemd: run_unit.py ROOT SERVICE

Takes from the unit and its drop-ins: the command, user, environment, credentials, state folder, working folder, umask, limit
of open files, read-only root, private /tmp, and the socket for messages. Prints each message of the service, prefixed by
its process id, and exits with the exit code of the service.
"""

import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import threading


def settings(root, service):
    """Returns the values of each setting of the section [Service]. An empty value clears the values before it."""
    unit = root / "lib/systemd/system" / service
    dropins = sorted((root / "etc/systemd/system" / f"{service}.d").glob("*.conf"))
    values = {}
    for path in [unit, *dropins]:
        section = ""
        for line in path.read_text().splitlines():
            line = line.strip()
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith(("#", ";")):
                name, value = line.split("=", 1)
                values[name] = values.get(name, []) + [value] if value else []
    return values


def user_of(root, name):
    """Returns the numbers of a user of the root."""
    for line in (root / "etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    sys.exit(f"the root has no user {name}")


def main():
    root, service = pathlib.Path(sys.argv[1]), sys.argv[2]
    values = settings(root, service)
    one = lambda name: values[name][-1]
    uid, gid = user_of(root, one("User"))

    state = root / "var/lib" / one("StateDirectory")
    state.mkdir(exist_ok=True)
    os.chown(state, uid, gid)
    state.chmod(int(one("StateDirectoryMode"), 8))

    credentials = root / "run/credentials" / service
    shutil.rmtree(credentials, ignore_errors=True)
    credentials.mkdir(parents=True)
    for value in values.get("LoadCredential", []):
        name, path = value.split(":", 1)
        (credentials / name).write_bytes((root / path.lstrip("/")).read_bytes())
        (credentials / name).chmod(0o400)
        os.chown(credentials / name, uid, gid)

    notify = root / "run/systemd/notify"
    notify.parent.mkdir(parents=True, exist_ok=True)
    notify.unlink(missing_ok=True)
    messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    messages.bind(str(notify))
    notify.chmod(0o666)

    environment = ["PATH=/usr/bin:/bin", "NOTIFY_SOCKET=/run/systemd/notify", f"CREDENTIALS_DIRECTORY=/run/credentials/{service}"]
    environment += [value.replace("%d", f"/run/credentials/{service}") for value in values.get("Environment", [])]
    inner = ["env", "-i", f"--chdir={one('WorkingDirectory')}", *environment, *shlex.split(one("ExecStart"))]
    script = f"""
        set -e
        mount --bind "$1" "$1"
        mount --options remount,bind,ro "$1"
        mount --bind "$1/var/lib/{one("StateDirectory")}" "$1/var/lib/{one("StateDirectory")}"
        mount --options remount,bind,rw "$1/var/lib/{one("StateDirectory")}"
        mount --types tmpfs tmpfs "$1/tmp"
        mount --types proc proc "$1/proc"
        umask {one("UMask")}
        ulimit -n {one("LimitNOFILE")}
        exec chroot --userspec={uid}:{gid} --groups= "$1" {shlex.join(inner)}
    """
    assert (one("ProtectSystem"), one("PrivateTmp"), one("StandardOutput")) == ("strict", "yes", "null")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(root.resolve())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def show():
        while True:
            for line in messages.recv(4096).decode().splitlines():
                print(process.pid, line, flush=True)

    threading.Thread(target=show, daemon=True).start()
    code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)


main()
