"""A plain listener, as people write one: it keeps who was heard, and when, and looks now and then who has
fallen silent.

    listener.py PORT FILE    FILE has a name and an address of a node on each line
"""

import select
import socket
import struct
import sys
import time

MESSAGE = struct.Struct("<II")
MAGIC, VERSION = 0x1B302A40, 1
SILENCE = 30.0


def main(port, path):
    with open(path, encoding="ascii") as lines:
        names = {address: name for name, address in map(str.split, lines)}
    sessions = {}
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", port))
    looked = time.monotonic()
    while True:
        if select.select([sock], [], [], 1.0)[0]:
            data, (address, _) = sock.recvfrom(600)
            now = time.monotonic()
            if len(data) >= MESSAGE.size and MESSAGE.unpack_from(data) == (MAGIC, VERSION):
                name = names.get(address)
                if name is not None:
                    session = sessions.setdefault(name, {"first": now, "state": "started"})
                    if session["first"] != now:
                        session["state"] = "dumping"
                    session["last"] = now
        now = time.monotonic()
        if now - looked >= 1.0:
            looked = now
            for session in sessions.values():
                if now - session["last"] > SILENCE:
                    session["state"] = "finished"


main(int(sys.argv[1]), sys.argv[2])
