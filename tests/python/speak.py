#!/usr/bin/env python3
"""The speaking side of fence_kdump.py: what a sender or a receiver of another make would send.

    speak.py derive NODE --key-file FILE      the node's line of a key file, from the current key
    speak.py sign --key-file FILE             JSON messages in, as `fence_kdump.py decode` describes
                                              them; signed datagrams out, in hexadecimal
    speak.py challenge NONCE --key-file FILE  signed datagrams in; the challenge that follows each

One line each; keys are found in FILE by key_id and node_name.
"""

import argparse
import json
import sys

sys.dont_write_bytecode = True  # no traces in the source tree
import fence_kdump as k  # noqa: E402

TYPES = {name: kind for kind, (name, _, _) in k.REGISTRY.items()}


def node_line(key_file, node_name):
    name, cluster_key = key_file.clusters[0]
    key = k.derive(cluster_key, node_name)
    return f"node {name.hex()} {key.hex()} {k.key_id(key).hex()} {node_name}"


def key_for(key_file, fields):
    keys = key_file.node_keys(fields[k.KEY_ID], fields[k.NODE_NAME])
    if not keys:
        sys.exit(f"{fields[k.NODE_NAME]}: no key with the id {fields[k.KEY_ID].hex()}")
    return keys[0]


def sign(key_file, said):
    """The fields of `said` in its own order, which may be any (section 4.1)."""
    byte_order = said.pop("byte_order")
    fields = {}
    for name, value in said.items():
        kind = TYPES[name]
        if isinstance(value, list):
            value = tuple(value)
        elif isinstance(value, str) and kind != k.NODE_NAME:
            value = bytes.fromhex(value)
        fields[kind] = value
    return k.sign(byte_order, fields, key_for(key_file, fields))


def challenge(key_file, nonce, datagram):
    """Section 9: only in return for a message with a right MAC."""
    message = k.decode(datagram)
    key = key_for(key_file, message.fields)
    if not message.signed or not k.verify(message, key):
        sys.exit("not signed, or the MAC is wrong: no challenge follows")
    said = message.fields
    return k.challenge_encode(k.Challenge(said[k.KEY_ID], said[k.CRASH_ID], nonce), key)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("derive", "sign", "challenge"))
    parser.add_argument("argument", nargs="?", help="NODE or NONCE")
    parser.add_argument("--key-file", metavar="FILE", required=True)
    arguments = parser.parse_args()
    key_file = k.KeyFile.load(arguments.key_file)
    if arguments.what == "derive":
        print(node_line(key_file, arguments.argument))
        return
    for line in sys.stdin:
        if arguments.what == "sign":
            print(sign(key_file, json.loads(line)).hex())
        else:
            nonce = bytes.fromhex(arguments.argument)
            print(challenge(key_file, nonce, bytes.fromhex(line)).hex())


if __name__ == "__main__":
    main()
