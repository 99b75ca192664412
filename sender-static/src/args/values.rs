//! What the values of options mean.

use super::{Family, Understood};
use crate::schedule::{Burst, Millis};
use crate::text::{digit, leading_number, pieces, which};

/// Spaces, a sign, digits, and whatever follows, as strtol(3); 0 when there is no number.
/// `None` for a negative number and for one of more than 32 bits.
pub(super) fn stock_number(text: &[u8]) -> Option<(u32, Understood)> {
    let mut digits = text;
    while let [b' ', rest @ ..] = digits {
        digits = rest;
    }
    let negative = digits.starts_with(b"-");
    if let [b'-' | b'+', rest @ ..] = digits {
        digits = rest;
    }
    let (number, rest) = leading_number(digits, 10);
    let number = number?;
    if negative && number > 0 {
        return None;
    }
    let whole = rest.is_empty() && !digits.is_empty();
    Some((number, if whole { Understood::Whole } else { Understood::InPart }))
}

/// The largest count and interval of the stock tool.
pub(super) const MOST: u32 = i32::MAX as u32;

/// Its name, in upper or lower case.
pub(super) fn family(text: &[u8]) -> Option<Family> {
    match which(text, b"auto ipv4 ipv6") {
        0 => Some(Family::Auto),
        1 => Some(Family::V4),
        2 => Some(Family::V6),
        _ => None,
    }
}

/// Seconds with up to three decimals, at most 3600, at most 16 of them; or `none`.
pub(super) fn burst(burst: &mut Burst, text: &[u8]) -> Option<()> {
    burst.clear();
    if which(text, b"none") == 0 {
        return Some(());
    }
    for part in pieces(text, b',') {
        burst.push(millis(part)?).ok()?;
    }
    Some(())
}

fn millis(text: &[u8]) -> Option<Millis> {
    let mut value = 0u32;
    // How many decimals there are, from the point on.
    let mut decimals = None;
    for byte in text {
        if *byte == b'.' && decimals.is_none() {
            decimals = Some(0u32);
            continue;
        }
        let digit = digit(*byte);
        value = value.wrapping_mul(10).wrapping_add(digit);
        if digit > 9 || value > 3_600_000 {
            return None;
        }
        decimals = decimals.map(|count| count.wrapping_add(1));
    }
    for _ in decimals.unwrap_or(0)..3 {
        value = value.wrapping_mul(10);
    }
    let good = !text.is_empty() && decimals.unwrap_or(0) <= 3 && value <= 3_600_000;
    good.then_some(Millis(value.into()))
}
