#!/usr/bin/env python3
"""A software TPM as a device: prints the path of a terminal, and hands what
comes there to the socket of a swtpm.  Like the kernel's, it begins anew
whenever it is opened.

    tpm_device.py SOCKET
"""
import os
import select
import socket
import sys
import time
import tty

CHUNK = 4096


def is_open(master):
    """Whether somebody has the other side open."""
    poll = select.poll()
    poll.register(master, select.POLLIN)
    return not any(events & select.POLLHUP for _, events in poll.poll(0))


def serve(master, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tpm:
        tpm.connect(path)
        poll = select.poll()
        poll.register(master, select.POLLIN)
        poll.register(tpm, select.POLLIN)
        while True:
            for fd, events in poll.poll():
                if events & ~select.POLLIN:
                    return
                if fd == master:
                    tpm.sendall(os.read(master, CHUNK))
                else:
                    answer = tpm.recv(CHUNK)
                    if not answer:
                        return
                    os.write(master, answer)


def main():
    master, device = os.openpty()
    tty.setraw(device)
    os.fchmod(device, 0o666)
    print(os.ttyname(device), flush=True)
    os.close(device)
    while True:
        if is_open(master):
            try:
                serve(master, sys.argv[1])
            except OSError:
                pass
        time.sleep(0.05)


main()
