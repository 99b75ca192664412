#!/usr/bin/env python3
"""Datagrams for two decoders to agree about: valid ones, and what becomes of them.

    mutants.py keys --seed N       prints a key file
    mutants.py datagrams --seed N  prints datagrams, one a line in hexadecimal, that fit that file

The same seed gives the same lines. Among them are lines that are no hexadecimal.
"""

import argparse
import random
import sys

sys.dont_write_bytecode = True  # no traces in the source tree
import fence_kdump as k  # noqa: E402

NAMES = ("n1", "n2.example.com", "Node-3", "!~", "a" * 253)
OUTPOST = "outpost"  # a node of another cluster, in the key file with its own line


class Keys:
    """Two cluster keys of ours, a node key of another cluster, and a cluster key nobody has."""

    def __init__(self, seed):
        source = random.Random(f"keys {seed}")
        self.current, self.previous, self.foreign, self.strange = (
            source.randbytes(32) for _ in range(4)
        )

    def file(self):
        clusters = (self.current, self.previous)
        lines = [f"cluster {k.key_id(key).hex()} {key.hex()}" for key in clusters]
        for cluster, name in ((self.foreign, OUTPOST), (self.current, "n1")):
            key = k.derive(cluster, name)
            name_of_key = k.key_id(cluster).hex()
            lines.append(f"node   {name_of_key} {key.hex()}  {k.key_id(key).hex()} {name}")
        return "# keys of a test\n\n" + "\n".join(lines) + "\n"


def flipped(datagram, bit):
    changed = bytearray(datagram)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class Generator:
    def __init__(self, seed):
        self.keys = Keys(seed)
        self.random = random.Random(f"datagrams {seed}")

    def value(self, kind):
        """A valid value for a field of this type, often one at the edge of its range."""
        if kind == k.NODE_NAME:
            return self.random.choice(NAMES)
        if kind == k.PHASE:
            return self.random.choice((0, 1, 2, 3, 4, 5, 6, 255))
        _name, length, _ = k.REGISTRY[kind]
        edges = (bytes(length), b"\xff" * length, bytes(length - 1) + b"\x01")
        return self.random.choice((*edges, *(self.random.randbytes(length) for _ in range(5))))

    def fields(self, demanded=()):
        """The types in `demanded`, some others and some unknown ones, in any order."""
        kinds = {kind for kind in k.REGISTRY if kind != k.MAC and self.random.random() < 0.4}
        kinds = sorted(kinds | set(demanded))
        fields = [(kind, self.value(kind)) for kind in kinds]
        for kind in self.random.sample(range(0x0C, 0x80), self.random.choice((0, 0, 0, 1, 2))):
            fields.append((kind, self.random.randbytes(self.random.randrange(9))))
        self.random.shuffle(fields)
        return dict(fields)

    def order(self):
        return self.random.choice(("little", "big"))

    def extended(self):
        return k.encode(self.order(), self.fields())

    def signed(self, cluster=None, name=None, signer=None):
        """A signed message, right unless another `signer` (a node key) is given."""
        cluster = cluster or self.random.choice((self.keys.current, self.keys.previous))
        fields = self.fields(k.DEMANDED)
        if name:
            fields[k.NODE_NAME] = name
        fields[k.KEY_ID] = k.key_id(cluster)
        signer = signer or k.derive(cluster, fields[k.NODE_NAME])
        return k.sign(self.order(), fields, signer)

    def wrongly_signed(self):
        keys = self.keys
        choice = self.random.randrange(8)
        if choice == 0:  # with another node's key
            return self.signed(name="n1", signer=k.derive(keys.current, "n2"))
        if choice == 1:  # with the other cluster key's
            return self.signed(keys.current, "n1", k.derive(keys.previous, "n1"))
        if choice == 2:  # with a key that the file does not have, under an id that it has
            return self.signed(keys.current, "n1", k.derive(keys.strange, "n1"))
        if choice == 3:  # with the cluster key itself
            return self.signed(keys.current, "n1", keys.current)
        if choice == 4:  # with an id that the file does not have
            return self.signed(keys.strange)
        if choice == 5:  # of a cluster from which the file has another node's key alone
            return self.signed(keys.foreign, "n1")
        if choice == 6:  # of that node, in any case
            return self.signed(keys.foreign, self.random.choice((OUTPOST, "OutPost", "OUTPOST")))
        return self.signed(keys.foreign, OUTPOST, k.derive(keys.foreign, "n1"))

    def challenge(self):
        keys = self.keys
        cluster, name = self.random.choice((
            (keys.foreign, OUTPOST), (keys.current, "n1"), (keys.current, "n2"),
            (keys.strange, "n1"),
        ))
        nonce, crash = self.random.randbytes(16), self.random.randbytes(16)
        challenge = k.Challenge(k.key_id(cluster), crash, nonce)
        return k.challenge_encode(challenge, k.derive(cluster, name))

    def valid(self):
        makers = (self.extended, self.signed, self.signed, self.wrongly_signed, self.challenge)
        return self.random.choice(makers)()

    def raw_field(self):
        """A field that may be of any type, with a length that may be any."""
        kind = self.random.choice((*k.REGISTRY, *self.random.randbytes(4)))
        length = self.random.choice((0, 1, 4, 8, 16, 33, self.random.randrange(256)))
        if kind in k.REGISTRY and self.random.random() < 0.7:
            length = k.REGISTRY[kind][1]
        return bytes([kind, length]) + self.random.randbytes(length)

    def split(self, datagram):
        """The fields of a message, as they stand there; what cannot be one is left at the end."""
        parts, at = [], 12
        while at + 1 < len(datagram):
            end = at + 2 + datagram[at + 1]
            parts.append(datagram[at:end])
            at = end
        return parts + [datagram[at:]]

    def mutant(self):
        """One message, changed in one or two places."""
        datagram = self.valid()
        for _ in range(self.random.choice((1, 1, 1, 2))):
            datagram = self.random.choice((
                self.flip, self.overwrite, self.cut, self.extend, self.refield, self.relength,
                self.realgorithm, self.splice, self.resign,
            ))(datagram)
        return datagram

    def flip(self, datagram):
        if not datagram:
            return datagram
        return flipped(datagram, self.random.randrange(len(datagram) * 8))

    def overwrite(self, datagram):
        at, length = self.random.randrange(len(datagram) + 1), self.random.randrange(5)
        return datagram[:at] + self.random.randbytes(length) + datagram[at + length :]

    def cut(self, datagram):
        return datagram[: self.random.randrange(len(datagram) + 1)]

    def extend(self, datagram):
        more = self.random.choice((
            self.raw_field(), self.raw_field(), self.random.randbytes(self.random.randrange(40)),
            bytes(self.random.randrange(1, 12)), self.valid(),
        ))
        return datagram + more

    def refield(self, datagram):
        """Fields twice, exchanged, left out, or new ones among them; the start stays."""
        start, parts = datagram[:12], self.split(datagram)
        at, other = self.random.randrange(len(parts)), self.random.randrange(len(parts))
        choice = self.random.randrange(5)
        if choice == 0:
            parts.insert(other, parts[at])
        elif choice == 1:
            parts[at], parts[other] = parts[other], parts[at]
        elif choice == 2:
            del parts[at]
        elif choice == 3:
            parts.insert(at, self.raw_field())
        else:
            self.random.shuffle(parts)
        return start + b"".join(parts)

    def relength(self, datagram):
        """Another length for a field: with a value to fit, or without."""
        parts = [part for part in self.split(datagram) if len(part) > 1]
        if not parts:
            return datagram
        at = self.random.randrange(len(parts))
        part, length = parts[at], self.random.randrange(256)
        if self.random.random() < 0.5:
            length = max(0, min(255, part[1] + self.random.choice((-2, -1, 1, 2))))
        if self.random.random() < 0.7:
            value = (part[2:] + self.random.randbytes(length))[:length]
            if part[0] == k.NODE_NAME:
                value = b"n" * length
        else:
            value = part[2:]
        parts[at] = bytes([part[0], length]) + value
        return datagram[:12] + b"".join(parts)

    def realgorithm(self, _datagram):
        """Another algorithm, with a code that would be right if this were only HMAC again."""
        fields, algorithm = self.fields(k.DEMANDED), self.random.randrange(256)
        return k.sign(self.order(), fields, self.keys.current, algorithm)

    def splice(self, datagram):
        other = self.valid()
        return datagram[: self.random.randrange(len(datagram) + 1)] + other[
            self.random.randrange(len(other) + 1) :
        ]

    def resign(self, _datagram):
        """A right MAC over too few fields, or over many."""
        key = k.derive(self.keys.current, "n1")
        fields = self.fields(k.DEMANDED)
        fields[k.NODE_NAME], fields[k.KEY_ID] = "n1", k.key_id(self.keys.current)
        for kind in self.random.sample(k.DEMANDED, self.random.randrange(3)):
            del fields[kind]
        if self.random.random() < 0.3:
            fields[0x60] = bytes(self.random.randrange(256))
            fields[0x61] = bytes(self.random.randrange(256))
        return k.sign(self.order(), fields, key)

    def exhaustive(self):
        """Every bit flipped, and every length, of one message of each kind."""
        seeds = [k.encode("little"), k.encode("big"), self.extended(), self.challenge()]
        for name in ("n1", "N2.Example.COM"):
            seeds.append(self.signed(self.keys.current, name))
        seeds.append(self.signed(self.keys.previous, "x"))
        for datagram in seeds:
            yield datagram
            for bit in range(len(datagram) * 8):
                yield flipped(datagram, bit)
            for length in range(len(datagram)):
                yield datagram[:length]
            for length in range(len(datagram) + 1, 520):
                yield datagram + bytes(length - len(datagram))
        for length in range(480, 520):  # long, and valid up to 508
            yield k.encode("little", {0x7F: bytes(255), 0x70: bytes(length - 12 - 257 - 2)})
        yield k.encode("little") + bytes(65_507 - 8)
        yield bytes(65_507)

    def noise(self):
        """Random bytes behind more or less of a right beginning."""
        start = k.encode(self.order()) + k.MARK
        fields = b"".join(self.raw_field() for _ in range(self.random.randrange(6)))
        return self.random.choice((
            self.random.randbytes(self.random.randrange(100)),
            start[: self.random.randrange(13)] + self.random.randbytes(self.random.randrange(80)),
            start + fields, start + fields,
        ))

    def lines(self):
        for datagram in self.exhaustive():
            yield datagram.hex()
        for maker, count in ((self.valid, 2000), (self.mutant, 6000), (self.noise, 2000)):
            for _ in range(count):
                line = maker().hex()
                yield self.random.choice((line, line, line, line.upper()))
        yield from ("4", "402a301b0100000", "zz", "0x402a301b01000000", "402a301b 01000000", "-1")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("keys", "datagrams"))
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.what == "keys":
        print(Keys(arguments.seed).file(), end="")
    else:
        for line in Generator(arguments.seed).lines():
            print(line)


if __name__ == "__main__":
    main()
