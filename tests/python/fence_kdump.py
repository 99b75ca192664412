#!/usr/bin/env python3
"""The fence_kdump protocol once more, from core/PROTOCOL.md alone.

Nothing here was taken from the project's other sources: where this program and they agree, the text
says enough to write an implementation. Section numbers are those of PROTOCOL.md. It is a check, not
a receiver: it opens no socket and decides nothing for a cluster.

    fence_kdump.py decode [--key-file FILE]

reads one datagram a line, in hexadecimal, and writes one JSON object a line about each, in the form
that `fence_kdumpctl decode` has.
"""

import argparse
import hashlib
import hmac
import json
import os
import stat
import struct
import sys
from dataclasses import dataclass, field

MAGIC = 0x1B302A40  # section 3
VERSION = 1
LONGEST = 508  # section 3.2
MARK = b"KDX1"  # section 4.1
CHALLENGE_MARK = b"KDC1"  # section 9
CHALLENGE_LENGTH = 72
CODE_LENGTH = 32
HMAC_SHA_256 = 1  # section 6
CRITICAL = 0x80  # section 4.1

NODE_NAME, MACHINE_ID, CRASH_ID, SEQUENCE, WALL_CLOCK, UPTIME = 1, 2, 3, 4, 5, 6
INTERVAL, PHASE, PROGRESS, ANSWER, KEY_ID, MAC = 7, 8, 9, 10, 11, 0xFF

# Section 4.2: type, name (as `decode` prints it), smallest and greatest length.
REGISTRY = {
    NODE_NAME: ("node_name", 1, 253),
    MACHINE_ID: ("machine_id", 16, 16),
    CRASH_ID: ("crash_id", 16, 16),
    SEQUENCE: ("sequence", 8, 8),
    WALL_CLOCK: ("wall_clock_ms", 8, 8),
    UPTIME: ("uptime_ms", 8, 8),
    INTERVAL: ("interval_ms", 4, 4),
    PHASE: ("phase", 1, 1),
    PROGRESS: ("progress", 16, 16),
    ANSWER: ("answer", 16, 16),
    KEY_ID: ("key_id", 4, 4),
    MAC: ("mac", 1 + CODE_LENGTH, 1 + CODE_LENGTH),
}
DEMANDED = (NODE_NAME, CRASH_ID, SEQUENCE, UPTIME, KEY_ID)  # section 6, in the order of section 7


class Refused(Exception):
    """A datagram that is no message: the cause (section 7), and the number that belongs to it."""

    def __init__(self, cause, **detail):
        super().__init__(cause)
        self.cause = cause
        self.detail = detail


@dataclass
class Message:
    """What a datagram says: `fields` by type, as numbers, bytes, text, or a pair."""

    byte_order: str
    extended: bool = False
    fields: dict = field(default_factory=dict)
    covered: bytes = b""  # what the code is computed over, when there is a MAC
    code: bytes = b""

    @property
    def signed(self):
        return bool(self.code)


def decode(datagram):
    """Section 7: the message in `datagram`, or Refused with the first cause that holds."""
    if not datagram:
        raise Refused("empty")
    if len(datagram) < 8:
        raise Refused("truncated", len=len(datagram))
    for byte_order, letter in (("little", "<"), ("big", ">")):
        magic, version = struct.unpack_from(letter + "II", datagram)
        if magic == MAGIC:
            break
    else:
        raise Refused("bad magic", found="0x%08x" % struct.unpack_from("<I", datagram)[0])
    if version != VERSION:
        raise Refused("unsupported version", version=version)
    message = Message(byte_order)
    if len(datagram) > 8:
        if datagram[8:12] != MARK:
            raise Refused("trailing bytes", extra=len(datagram) - 8)
        if len(datagram) > LONGEST:
            raise Refused("too long", len=len(datagram))
        message.extended = True
        _decode_fields(datagram, message)
    return message


def _decode_fields(datagram, message):
    seen = set()
    at = 12
    while at < len(datagram):
        kind = datagram[at]
        value = datagram[at + 2 : at + 2 + datagram[at + 1]] if at + 1 < len(datagram) else b""
        if MAC in seen:
            raise Refused("MAC not last", type=kind)
        if at + 1 == len(datagram) or len(value) < datagram[at + 1]:
            raise Refused("field cut off", type=kind)
        if kind in seen:
            raise Refused("repeated field", type=kind)
        if kind not in REGISTRY and kind >= CRITICAL:
            raise Refused("unknown critical field", type=kind)
        if kind in REGISTRY:
            _name, shortest, longest = REGISTRY[kind]
            if not shortest <= len(value) <= longest:
                raise Refused("wrong field length", type=kind)
            _decode_value(kind, value, message)
        if kind == MAC:
            message.covered, message.code = datagram[: at + 3], value[1:]
        seen.add(kind)
        at += 2 + len(value)
    if MAC in seen:
        for kind in DEMANDED:
            if kind not in seen:
                raise Refused("missing field", type=kind)


def _decode_value(kind, value, message):
    if kind == NODE_NAME:
        if any(not 0x21 <= byte <= 0x7E for byte in value):
            raise Refused("bad node name")
        message.fields[kind] = value.decode("ascii")
    elif kind == MAC:
        if value[0] != HMAC_SHA_256:
            raise Refused("unknown algorithm", algorithm=value[0])
    elif kind == PROGRESS:
        message.fields[kind] = struct.unpack(">QQ", value)
    elif kind in (SEQUENCE, WALL_CLOCK, UPTIME, INTERVAL, PHASE):
        message.fields[kind] = int.from_bytes(value, "big")
    else:
        message.fields[kind] = value


def encode(byte_order, fields=None):
    """A message without MAC: the fields in the order of `fields`; plain when that is None."""
    start = struct.pack("<II" if byte_order == "little" else ">II", MAGIC, VERSION)
    if fields is None:
        return start
    return start + MARK + b"".join(encode_field(kind, value) for kind, value in fields.items())


def encode_field(kind, value):
    """One field of section 4; numbers and text as in Message.fields, all else as bytes."""
    if isinstance(value, str):
        value = value.encode("ascii")
    elif isinstance(value, tuple):
        value = struct.pack(">QQ", *value)
    elif isinstance(value, int):
        value = value.to_bytes(REGISTRY[kind][2], "big")
    return bytes([kind, len(value)]) + value


def hmac_sha256(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def key_id(key):
    """Section 5: KEY ID of a cluster key; section 5.1: CHECK of a node key."""
    return hmac_sha256(key, b"fence_kdump key id")[:4]


def lower(name):
    """`A` to `Z` in lower case, nothing else."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


def derive(cluster_key, node_name):
    """Section 5: the node key. HKDF (RFC 5869): extract, then the first block of expand."""
    extracted = hmac_sha256(b"fence_kdump", cluster_key)
    return hmac_sha256(extracted, b"node key " + lower(node_name).encode("ascii") + b"\x01")


def sign(byte_order, fields, node_key, algorithm=HMAC_SHA_256):
    """Section 6: a message with MAC behind `fields`."""
    covered = encode(byte_order, fields) + bytes([MAC, 1 + CODE_LENGTH, algorithm])
    return covered + hmac_sha256(node_key, covered)


def verify(message, node_key):
    """Section 6: whether the MAC of a signed message is right."""
    return hmac.compare_digest(hmac_sha256(node_key, message.covered), message.code)


@dataclass(frozen=True)
class Challenge:
    """Section 9."""

    key_id: bytes
    crash_id: bytes
    nonce: bytes


def challenge_encode(challenge, node_key):
    covered = CHALLENGE_MARK + challenge.key_id + challenge.crash_id + challenge.nonce
    return covered + hmac_sha256(node_key, covered)


def challenge_read(datagram):
    """What a challenge says, its MAC unchecked; None when it is none."""
    if len(datagram) != CHALLENGE_LENGTH or not datagram.startswith(CHALLENGE_MARK):
        return None
    return Challenge(datagram[4:8], datagram[8:24], datagram[24:40])


def challenge_open(datagram, node_key):
    """The challenge, when its MAC is right."""
    challenge = challenge_read(datagram)
    if challenge and hmac.compare_digest(hmac_sha256(node_key, datagram[:40]), datagram[40:]):
        return challenge
    return None


SECOND = 1_000_000_000  # nanoseconds
MILLISECOND = 1_000_000


@dataclass
class Remembered:
    sequence: int
    heard_at: int  # ns
    origin: int  # ns, may be negative
    clock: object


class Memory:
    """Section 10, for messages with a right MAC. Times are nanoseconds of the receiver's clock."""

    def __init__(self):
        self.crashes = {}

    def judge(self, message, at, clock, live=False):
        """'believed', 'over', 'replayed' or 'late'. Only what is believed is remembered."""
        said = message.fields
        name = (lower(said[NODE_NAME]), said[CRASH_ID])
        sequence, uptime = said[SEQUENCE], said[UPTIME] * MILLISECOND
        known = self.crashes.get(name)
        difference = at - uptime
        if not live and said[UPTIME] >= 2**32:
            return "late"
        if known is None:
            self.crashes[name] = Remembered(sequence, at, difference, clock)
            return "believed"
        if live:
            if sequence > known.sequence:
                known.sequence, known.heard_at = sequence, at
            known.origin, known.clock = difference, clock
            return "believed"
        if known.clock != clock:
            return "over"
        if (sequence, at) == (known.sequence, known.heard_at):
            return "believed"  # the same datagram, read by another program of this host
        if sequence <= known.sequence:
            return "replayed"
        origin = known.origin + max(at - known.heard_at, 0) // 1024
        if difference - origin > 2 * SECOND:
            return "late"
        known.sequence, known.heard_at = sequence, at
        known.origin = min(origin, difference)
        return "believed"


class BadKeyFile(Exception):
    """A key file that must not be used: which line, and why."""


class KeyFile:
    """Section 5.1: the cluster keys by KEY ID, and the node keys by KEY ID and name."""

    def __init__(self, text=""):
        self.clusters = []
        self.nodes = []
        for number, line in enumerate(text.split("\n"), 1):
            if line and not line.startswith("#"):
                try:
                    self._read(line)
                except ValueError as error:
                    raise BadKeyFile(f"line {number}: {error}") from None

    def _read(self, line):
        words = [word for word in line.split(" ") if word]
        if len(words) == 3 and words[0] == "cluster":
            name, key = _unhex(words[1], 4), _unhex(words[2], 32)
            if key_id(key) != name:
                raise ValueError("the key does not have this id: damaged")
            self.clusters.append((name, key))
        elif len(words) == 5 and words[0] == "node":
            name, key, check = _unhex(words[1], 4), _unhex(words[2], 32), _unhex(words[3], 4)
            if key_id(key) != check:
                raise ValueError("the key does not fit its check: damaged")
            self.nodes.append((name, lower(words[4]), key))
        else:
            raise ValueError("neither 'cluster KEYID KEY' nor 'node KEYID KEY CHECK NAME'")

    @classmethod
    def load(cls, path):
        with open(path, encoding="ascii") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise BadKeyFile("others can read it: chmod 600")
            return cls(file.read())

    def node_keys(self, name, node_name):
        """The keys that a message with this KEY ID and NODE NAME can be signed with."""
        node_name = lower(node_name)
        derived = [derive(key, node_name) for found, key in self.clusters if found == name]
        return derived + [key for found, of, key in self.nodes if (found, of) == (name, node_name)]


def _unhex(word, length):
    try:
        value = bytes.fromhex(word)
    except ValueError:
        value = b""
    if len(value) != length:
        raise ValueError(f"not {2 * length} hexadecimal digits")
    return value


def _mac_word(keys, is_right):
    if not keys:
        return "unknown key"
    return "right" if any(is_right(key) for key in keys) else "wrong"


def describe(datagram, key_file=None):
    """What `decode` prints about one datagram."""
    challenge = challenge_read(datagram)
    if challenge:
        word = "not checked"
        if key_file:
            keys = [key for name, _, key in key_file.nodes if name == challenge.key_id]
            word = _mac_word(keys, lambda key: challenge_open(datagram, key))
        told = {name: value.hex() for name, value in vars(challenge).items()}
        return {"challenge": {**told, "mac": word}}
    try:
        message = decode(datagram)
    except Refused as refused:
        return {"refused": refused.cause, **refused.detail}
    told = {"byte_order": message.byte_order, "extended": message.extended}
    for kind, value in message.fields.items():
        told[REGISTRY[kind][0]] = value.hex() if isinstance(value, bytes) else value
    if not message.signed:
        told["mac"] = "none"
    elif not key_file:
        told["mac"] = "not checked"
    else:
        keys = key_file.node_keys(message.fields[KEY_ID], message.fields[NODE_NAME])
        told["mac"] = _mac_word(keys, lambda key: verify(message, key))
    return {"message": told}


def describe_line(line, key_file=None):
    """As describe(), of a datagram in hexadecimal."""
    digits = "0123456789abcdefABCDEF"
    if len(line) % 2 or any(c not in digits for c in line):
        return {"refused": "not hexadecimal"}
    return describe(bytes.fromhex(line), key_file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("decode", help="hexadecimal lines in, JSON lines out")
    command.add_argument("--key-file", metavar="FILE")
    arguments = parser.parse_args()
    key_file = None
    if arguments.key_file:
        try:
            key_file = KeyFile.load(arguments.key_file)
        except (BadKeyFile, OSError, UnicodeDecodeError) as error:
            sys.exit(f"{arguments.key_file}: {error}")
    for line in sys.stdin.buffer:
        told = describe_line(line.decode("latin-1").rstrip("\r\n"), key_file)
        print(json.dumps(told, separators=(",", ":")))


if __name__ == "__main__":
    main()
