//! HMAC-SHA-256 (RFC 2104, FIPS 198-1) with a node's key, over the compression function of `sha2`.
//!
//! Only what a program of this size needs of it: the whole text at once, a key of one length. The
//! crates with the general interface would be a kilobyte more.

use core::hint::black_box;

use sha2::block_api::compress256;

/// A code of 32 bytes, each four of them.
pub type Code = [[u8; 4]; 8];

/// What SHA-256 begins with, FIPS 180-4 §5.3.3.
const BEGINNING: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The length of a block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// The authentication code of `text`.
pub fn code(key: &[u8], text: &[u8]) -> Code {
    let inner = hash(key, 0x36, text);
    hash(key, 0x5c, inner.as_flattened())
}

/// Whether `code` is that of `text`, found out in the same time wherever they differ.
#[inline(never)]
pub fn is_code(key: &[u8], text: &[u8], found: &[u8]) -> bool {
    let code = code(key, text);
    let code = code.as_flattened();
    let mut different = u8::from(found.len() != code.len());
    for (left, right) in code.iter().zip(found) {
        different |= left ^ right;
    }
    // The compiler is not to see that it could stop early.
    black_box(different) == 0
}

/// The hash of the key, followed by zeros up to a whole block and changed by `pad`, and of `text`.
#[inline(never)]
fn hash(key: &[u8], pad: u8, text: &[u8]) -> Code {
    let mut state = BEGINNING;
    let mut block = [pad; BLOCK];
    for (to, from) in block.iter_mut().zip(key) {
        *to ^= from;
    }
    compress256(&mut state, &[block]);
    // FIPS 180-4 §5.1.1: a one bit, zeros, and the number of bits at the end of a block.
    let bits = (text.len().wrapping_add(BLOCK) as u64).wrapping_mul(8);
    let end = text.len().wrapping_add(9).next_multiple_of(BLOCK);
    for at in 0..end {
        let byte = match text.get(at) {
            Some(byte) => *byte,
            None if at == text.len() => 0x80,
            None => {
                let shift = end.wrapping_sub(at).wrapping_sub(1).wrapping_mul(8);
                bits.checked_shr(shift as u32).unwrap_or(0) as u8
            }
        };
        let place = at % BLOCK;
        if let Some(to) = block.get_mut(place) {
            *to = byte;
        }
        if place == BLOCK - 1 {
            compress256(&mut state, &[block]);
        }
    }
    state.map(u32::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use proptest::prelude::*;

    fn hex(code: Code) -> String {
        code.as_flattened().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231, sections 4.2 to 4.5: shorter keys count as if zeros followed.
    #[test]
    fn the_codes_of_rfc_4231() {
        let counting: Vec<u8> = (1..=25).collect();
        for (key, text, right) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &counting,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
        ] {
            assert_eq!(hex(code(key, text)), right);
        }
    }

    proptest! {
        /// The crate with the general interface is the judge.
        #[test]
        fn codes_as_the_hmac_crate_computes_them(
            key: [u8; 32],
            text in proptest::collection::vec(any::<u8>(), 0..520),
            flip in 0usize..256,
        ) {
            let judge = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(&text);
            let right: [u8; 32] = judge.finalize().into_bytes().into();
            prop_assert!(is_code(&key, &text, &right));
            let mut wrong = right;
            wrong[flip / 8] ^= 1 << (flip % 8);
            for wrong in [&wrong[..], &right[..31], &[&right[..], &[0]].concat(), &[]] {
                prop_assert!(!is_code(&key, &text, wrong));
            }
        }
    }
}
