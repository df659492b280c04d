#!/usr/bin/env python3
"""The five daemons as systemd starts them: each as its own user, with the
doors of systemd/*.socket, told to stop by a signal.  Root, in a mount
namespace of its own: it gives itself the users.

    doors.py FOLDER STATE PROGRAM...: FOLDER has the daemons, PROGRAM runs them
"""
import glob
import os
import re
import signal
import socket
import subprocess
import sys
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
USERS = ["crypto", "attest", "gossip", "proxy"]
DAEMONS = {
    "meshllm-cryptod": ("crypto", "cryptod", ["--state-dir={state}/cryptod"]),
    "meshllm-attestd-signer": ("attest", "attestd", ["--role=signer"]),
    "meshllm-attestd-verifier": (
        "attest", "attestd",
        ["--role=verifier", "--state-dir={state}/attestd"]),
    "meshllm-gossipd": (
        "gossip", "gossipd",
        ["--state-dir={state}/gossipd", "--mesh=127.0.0.1:0"]),
    "meshllm-proxyd": (
        "proxy", "proxyd",
        ["--api=127.0.0.1:0", "--management=127.0.0.1:0"]),
}


def uid_of(user):
    return 64100 + USERS.index(user)


def add_users(state):
    for name, line in (("passwd", "meshllm-{0}:x:{1}:{1}::/:/bin/false\n"),
                       ("group", "meshllm-{0}:x:{1}:\n")):
        path = os.path.join(state, name)
        with open(f"/etc/{name}") as old, open(path, "w") as new:
            new.writelines(x for x in old if not x.startswith("meshllm"))
            new.writelines(line.format(u, uid_of(u)) for u in USERS)
        subprocess.run(["mount", "--bind", path, f"/etc/{name}"], check=True)


def open_doors(state):
    """{service: [(name, socket)]}"""
    doors = {}
    for unit in sorted(glob.glob(os.path.join(TOP, "systemd", "*.socket"))):
        with open(unit) as f:
            text = f.read()
        name = re.search("^FileDescriptorName=(.*)", text, re.M).group(1)
        service = re.search(r"^Service=(.*)\.service", text, re.M).group(1)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        door.bind(os.path.join(state, name))
        os.chmod(os.path.join(state, name), 0o666)
        door.listen(8)
        doors.setdefault(service, []).append((name, door))
    return doors


def start(folder, state, runner, service, doors):
    user, daemon, words = DAEMONS[service]
    pid = os.fork()
    if pid != 0:
        return pid
    high = [os.dup2(door.fileno(), 100 + i)
            for i, (_, door) in enumerate(doors)]
    for i, fd in enumerate(high):
        os.dup2(fd, 3 + i)
    environment = {
        "PATH": os.environ["PATH"],
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": str(len(doors)),
        "LISTEN_FDNAMES": ":".join(name for name, _ in doors),
        "NOTIFY_SOCKET": os.path.join(state, "notify"),
        "WATCHDOG_PID": str(os.getpid()),
        "WATCHDOG_USEC": "2000000",
    }
    uid = str(uid_of(user))
    command = runner + ["setpriv", "--reuid", uid, "--regid", uid,
                        "--clear-groups",
                        os.path.join(folder, f"meshllm-{daemon}"),
                        f"--doors={state}"]
    command += [word.format(state=state) for word in words]
    os.execvpe(command[0], command, environment)
    return None


def wait_ready(notify, n):
    notify.settimeout(30)
    ready = 0
    while ready < n:
        ready += notify.recv(4096).startswith(b"READY=1")


def porters():
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(path) as f:
                name = f.read().strip()
            if name == "meshllm-porter":
                with open(os.path.dirname(path) + "/status") as f:
                    status = f.read()
                uid = int(re.search(r"^Uid:\s+(\d+)", status, re.M).group(1))
                # Of an earlier run there may be some that nobody has buried.
                is_dead = re.search(r"^State:\s+Z", status, re.M)
                if 64100 <= uid < 64100 + len(USERS) and not is_dead:
                    yield int(path.split("/")[2])
        except OSError:
            pass


def main():
    folder, state, *runner = sys.argv[1:]
    os.makedirs(state, mode=0o755)
    add_users(state)
    for _, daemon, _ in DAEMONS.values():
        os.makedirs(os.path.join(state, daemon), mode=0o700, exist_ok=True)
    for user, daemon, _ in DAEMONS.values():
        os.chown(os.path.join(state, daemon), uid_of(user), uid_of(user))
    doors = open_doors(state)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(os.path.join(state, "notify"))
    os.chmod(os.path.join(state, "notify"), 0o666)
    pids = {start(folder, state, runner, name, doors.get(name, [])): name
            for name in DAEMONS}
    wait_ready(notify, len(pids))
    # The machine sleeps, and wakes.  A porter may still be on its way to its
    # first wait when its daemon is ready.
    limit = time.monotonic() + 10
    while len(asleep := list(porters())) < len(pids) and \
            time.monotonic() < limit:
        time.sleep(0.05)
    for _ in range(5):
        for what in (signal.SIGSTOP, signal.SIGCONT):
            for pid in asleep:
                os.kill(pid, what)
            time.sleep(0.1)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    ends = {pids[pid]: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            for pid in pids}
    print(len(asleep), "porters;", ends)
    return 0 if len(asleep) == len(pids) and not any(ends.values()) else 1


sys.exit(main())
