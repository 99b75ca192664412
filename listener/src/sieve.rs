//! What the kernel throws away before it wakes anybody: what cannot be a message, by its length, its
//! magic number and its version.
//!
//! A filter of classic BPF (`socket(7)`, SO_ATTACH_FILTER). It lets through whatever
//! [`fence_kdump_core::decode`] might take for a message, and whatever that refuses for a reason further
//! in; see [`keeps_out`].

use std::io;
use std::os::fd::AsFd;

use fence_kdump_core::DecodeError;
use fence_kdump_core::wire::{DATAGRAM_MAX, MAGIC, MARK, MESSAGE_LEN, VERSION};
use nix::libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_LEN, BPF_RET, BPF_W,
};
use socket2::{SockFilter, SockRef};

/// What a filter of a UDP socket sees before the datagram: its header (RFC 768).
const UDP: u32 = 8;

const fn load_length() -> SockFilter {
    SockFilter::new((BPF_LD | BPF_W | BPF_LEN) as u16, 0, 0, 0)
}

/// The four bytes at `offset` of the datagram, as a big-endian number.
const fn load(offset: u32) -> SockFilter {
    SockFilter::new((BPF_LD | BPF_W | BPF_ABS) as u16, 0, 0, UDP + offset)
}

/// Compares what was loaded with `value`; passes over so many instructions.
const fn jump(comparison: u32, value: u32, if_so: u8, if_not: u8) -> SockFilter {
    SockFilter::new((BPF_JMP | comparison | BPF_K) as u16, if_so, if_not, value)
}

/// Keeps so many bytes; throws the datagram away when that is 0.
const fn keep(bytes: u32) -> SockFilter {
    SockFilter::new((BPF_RET | BPF_K) as u16, 0, 0, bytes)
}

const fn filter() -> [SockFilter; 16] {
    const SHORTEST: u32 = UDP + MESSAGE_LEN as u32;
    const LONGEST: u32 = UDP + DATAGRAM_MAX as u32;
    [
        load_length(),
        jump(BPF_JGE, SHORTEST, 0, 12),
        load(0),
        jump(BPF_JEQ, MAGIC.swap_bytes(), 0, 2),
        // Little-endian.
        load(4),
        jump(BPF_JEQ, VERSION.swap_bytes(), 3, 8),
        jump(BPF_JEQ, MAGIC, 0, 7),
        // Big-endian.
        load(4),
        jump(BPF_JEQ, VERSION, 0, 5),
        load_length(),
        jump(BPF_JEQ, SHORTEST, 4, 0),
        jump(BPF_JGT, LONGEST, 2, 0),
        // One that is too short to have it is thrown away for being loaded from.
        load(MESSAGE_LEN as u32),
        jump(BPF_JEQ, u32::from_be_bytes(MARK), 1, 0),
        keep(0),
        keep(u32::MAX),
    ]
}

/// Whether a datagram that is refused for this reason is thrown away: it is known from the length, the
/// first eight bytes and the mark after them.
#[must_use]
pub fn keeps_out(error: DecodeError) -> bool {
    match error {
        DecodeError::Empty
        | DecodeError::Truncated { .. }
        | DecodeError::BadMagic { .. }
        | DecodeError::UnsupportedVersion { .. }
        | DecodeError::TrailingBytes { .. }
        | DecodeError::TooLong { .. } => true,
        // Whatever else there is, now or later, is for those that read the whole datagram.
        _ => false,
    }
}

/// From now on, nothing that cannot be a message enters the queue of the UDP socket `fd`. What is in it
/// stays there.
///
/// # Errors
/// When the kernel has no filters, or no memory for one.
pub fn attach(fd: &impl AsFd) -> io::Result<()> {
    SockRef::from(fd).attach_filter(&filter())
}

/// From now on, everything enters the queue of `fd`.
///
/// # Errors
/// When a filter cannot be taken away again.
pub fn detach(fd: &impl AsFd) -> io::Result<()> {
    match SockRef::from(fd).detach_filter() {
        // There was none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::{
        ByteOrder, CrashId, Datagram, Extension, Key, KeyId, Phase, decode, encode,
        encode_extended, sign,
    };
    use proptest::prelude::*;
    use std::net::UdpSocket;

    /// A socket with the filter, and one that sends to it and to itself.
    struct Sieve {
        filtered: UdpSocket,
        sender: UdpSocket,
    }

    impl Sieve {
        fn new(host: &str) -> Self {
            let filtered = UdpSocket::bind((host, 0)).unwrap();
            filtered.set_nonblocking(true).unwrap();
            attach(&filtered).unwrap();
            let sender = UdpSocket::bind((host, 0)).unwrap();
            sender.connect(filtered.local_addr().unwrap()).unwrap();
            Self { filtered, sender }
        }

        /// On loopback, what was sent is in the queue by the time the call comes back.
        #[track_caller]
        fn assert_right(&self, bytes: &[u8]) {
            self.sender.send(bytes).unwrap();
            let mut room = [0; 65536];
            let came = self.filtered.recv(&mut room).ok().and_then(|length| room.get(..length));
            let decoded = decode(bytes);
            let is_expected = !decoded.is_err_and(keeps_out);
            assert_eq!(came, is_expected.then_some(bytes), "{decoded:?}");
        }
    }

    /// Everything that has some of what a message has.
    fn specimens() -> Vec<Vec<u8>> {
        let extension = Extension {
            node_name: Some("n1"),
            crash_id: Some(CrashId([2; 16])),
            sequence: Some(7),
            uptime: Some(1),
            interval: Some(10_000),
            phase: Some(Phase::Dumping),
            key_id: Some(KeyId([3; 4])),
            ..Extension::default()
        };
        let mut all = Vec::new();
        let mut room = Datagram::new();
        for order in [ByteOrder::Little, ByteOrder::Big] {
            all.push(encode(order).to_vec());
            encode_extended(order, &extension, &mut room).unwrap();
            all.push(room.to_vec());
            sign(order, &extension, &Key::from_bytes(&[1; 32]), &mut room).unwrap();
            all.push(room.to_vec());
            // Filled up with fields that nobody knows.
            for length in [12_usize, 13, 507, 508, 509, 510, 1_000, 65_507] {
                let mut bytes = encode(order).to_vec();
                bytes.extend_from_slice(&MARK);
                let mut kind = 0x20..=0x7f;
                while let Some(left) = length.checked_sub(bytes.len() + 2) {
                    let value = left.min(255);
                    bytes.extend([kind.next().unwrap_or(0), u8::try_from(value).unwrap()]);
                    bytes.resize(bytes.len() + value, 0);
                }
                bytes.resize(length, 0);
                all.push(bytes);
            }
        }
        all
    }

    fn vectors() -> Vec<Vec<u8>> {
        let text = include_str!("../../core/vectors.txt");
        let datagrams = text.lines().filter_map(|line| line.strip_prefix("datagram:"));
        let bytes = |hex: &str| {
            let digits = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16);
            hex.trim().as_bytes().chunks(2).map(|pair| digits(pair).unwrap()).collect()
        };
        datagrams.map(bytes).collect()
    }

    #[test]
    fn vectors_and_every_length_of_everything() {
        let vectors = vectors();
        assert!(vectors.len() > 20, "{}", vectors.len());
        for host in ["127.0.0.1", "::1"] {
            let sieve = Sieve::new(host);
            for bytes in specimens().into_iter().chain(vectors.clone()) {
                for length in 0..bytes.len().min(600) {
                    sieve.assert_right(&bytes[..length]);
                }
                sieve.assert_right(&bytes);
            }
        }
    }

    #[test]
    fn every_bit_of_the_beginning() {
        let sieve = Sieve::new("127.0.0.1");
        for bytes in specimens() {
            for bit in 0..bytes.len().min(16) * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                sieve.assert_right(&other);
            }
        }
    }

    #[test]
    fn a_filter_can_be_taken_away() {
        let Sieve { filtered, sender } = Sieve::new("127.0.0.1");
        detach(&filtered).unwrap();
        detach(&filtered).unwrap();
        sender.send(b"what cannot be a message").unwrap();
        assert_eq!(filtered.recv(&mut [0; 100]).unwrap(), 24);
    }

    thread_local! {
        static SIEVE: Sieve = Sieve::new("127.0.0.1");
    }

    proptest! {
        #[test]
        fn whatever_comes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            SIEVE.with(|sieve| sieve.assert_right(&bytes));
        }

        #[test]
        fn mutations(
            specimen in prop::sample::select(specimens()),
            length in 0_usize..600,
            changes in prop::collection::vec((0_usize..40, any::<u8>()), 0..4),
        ) {
            let mut bytes = specimen;
            bytes.resize(bytes.len().min(length), 0);
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            SIEVE.with(|sieve| sieve.assert_right(&bytes));
        }
    }
}
