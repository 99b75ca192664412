#!/usr/bin/env python3
"""Checks fence_kdump.py against test vectors: those of core/vectors.txt, given on standard input.

The first lines of that file explain its format. Every line of a vector must be one that is checked
here. Prints how many vectors of each kind there were, as one JSON object; says on standard error
which do not fit, and then exits 1.
"""

import collections
import json
import sys

sys.dont_write_bytecode = True  # no traces in the source tree
import fence_kdump as k  # noqa: E402

NUMBERS = {"len", "version", "extra", "type", "algorithm"}
BYTES = {"machine_id", "crash_id", "answer", "key_id"}
MILLISECONDS = 1_000_000  # in nanoseconds


class Differs(Exception):
    """What was found, and what the vector says."""


def expect(what, found, expected):
    if found != expected:
        raise Differs(f"{what}: found {found!r}, expected {expected!r}")


def blocks(text):
    """Each vector as its number of line and its (name, value) pairs, in order."""
    block, start = [], 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.startswith("#"):
            continue
        if not line:
            if block:
                yield start, block
            block = []
            continue
        if not block:
            start = number
        name, colon, value = line.partition(":")
        if not colon or value[:1] not in ("", " "):
            raise SystemExit(f"line {number}: not 'NAME: VALUE'")
        block.append((name, value[1:]))


def check_key(lines):
    key = bytes.fromhex(lines.pop("cluster_key"))
    name = lines.pop("node_name")
    node_key = k.derive(key, name)
    expect("key_id", k.key_id(key).hex(), lines.pop("key_id"))
    expect("node_key", node_key.hex(), lines.pop("node_key"))
    check = lines.pop("check")
    expect("check", k.key_id(node_key).hex(), check)
    line = f"node {k.key_id(key).hex()} {node_key.hex()} {check} {name}"
    found = k.KeyFile(line).node_keys(k.key_id(key), name)
    expect("keys of the line of a key file", found, [node_key])


def check_refused(datagram, lines):
    cause = lines.pop("result")
    detail = {name: int(value) if name in NUMBERS else value for name, value in lines.items()}
    lines.clear()
    expect("result", k.describe(datagram), {"refused": cause, **detail})


def check_message(datagram, lines):
    node_key = bytes.fromhex(lines.pop("node_key", ""))
    mac = lines.pop("mac")
    lines.pop("result")
    message = k.decode(datagram)
    expect("byte_order", message.byte_order, lines.pop("byte_order"))
    expect("extended", json.dumps(message.extended), lines.pop("extended"))
    for kind, value in message.fields.items():
        name = k.REGISTRY[kind][0]
        expected = lines.pop(name, None)
        if name in BYTES:
            value = value.hex()
        elif name == "progress":
            value = f"{value[0]} {value[1]}"
        expect(name, str(value), expected)
    if not message.signed:
        expect("mac", "none", mac)
        return
    expect("mac", "right" if k.verify(message, node_key) else "wrong", mac)
    if mac == "right":
        signed = k.sign(message.byte_order, message.fields, node_key)
        expect("the same fields, signed here", signed.hex(), datagram.hex())


def check_challenge(lines):
    datagram = bytes.fromhex(lines.pop("challenge"))
    node_key = bytes.fromhex(lines.pop("node_key"))
    challenge = k.challenge_read(datagram)
    for name in ("key_id", "crash_id", "nonce"):
        expect(name, getattr(challenge, name).hex(), lines.pop(name))
    right = k.challenge_open(datagram, node_key) == challenge
    expect("mac", "right" if right else "wrong", lines.pop("mac"))
    encoded = k.challenge_encode(challenge, node_key)
    expect("the same challenge, made here, is the same", encoded == datagram, right)


def check_replay(heard):
    memory = k.Memory()
    for line in heard:
        arrival, sequence, uptime, proof, expected = line.split(" ")
        message = k.Message("little", True, {
            k.NODE_NAME: "n1", k.CRASH_ID: bytes(16), k.SEQUENCE: int(sequence),
            k.UPTIME: int(uptime),
        })
        expect("proof", proof in ("signed", "live"), True)
        found = memory.judge(message, int(arrival) * MILLISECONDS, "a clock", proof == "live")
        expect(line, found, expected)


def check(block):
    """The kind of the vector, when it fits."""
    heard = [value for name, value in block if name == "heard"]
    lines = dict(pair for pair in block if pair[0] != "heard")
    expect("every line once", len(lines) + len(heard), len(block))
    expect("the first line", block[0][0], "vector")
    del lines["vector"]
    if heard:
        kind = "replay"
        check_replay(heard)
    elif "cluster_key" in lines:
        kind = "key"
        check_key(lines)
    elif "challenge" in lines:
        kind = "challenge"
        check_challenge(lines)
    else:
        kind = "datagram"
        datagram = bytes.fromhex(lines.pop("datagram"))
        (check_message if lines["result"] == "message" else check_refused)(datagram, lines)
    expect("lines that nothing was found for", lines, {})
    return kind


def main():
    kinds, wrong = collections.Counter(), 0
    for number, block in blocks(sys.stdin.read()):
        try:
            kinds[check(block)] += 1
        except (Differs, k.Refused, k.BadKeyFile, KeyError, ValueError) as error:
            wrong += 1
            print(f"line {number}, {block[0][1]}: {error!r}", file=sys.stderr)
    print(json.dumps(kinds))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
