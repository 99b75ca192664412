//! What the kernel lets through to a link: the frames that can be meant for it. Everything else costs
//! the crash kernel nothing.

use crate::sys::filter::{IF_EQUAL, Instruction, LOAD_WORD, RETURN};

/// The DHCP client's port.
const CLIENT: u32 = 68;

const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AT_X: u16 = 0x48;
const HEADER_LENGTH_TO_X: u16 = 0xb1;
const AND: u16 = 0x54;
const IF_GREATER: u16 = 0x25;
const IF_ANY_BIT: u16 = 0x45;

/// What the kernel knows of a frame besides its bytes (`SKF_AD_OFF`).
const BESIDES: u32 = 0xffff_f000;
/// Whom it is for: 0 this machine, 1 all, 2 a group; more: somebody else, or it leaves.
const PACKET_TYPE: u32 = BESIDES + 4;
const VLAN_TAG: u32 = BESIDES + 44;
const VLAN_THERE: u32 = BESIDES + 48;

/// So much of a frame is handed over.
const WHOLE: u32 = 2048;

/// The filter of a link whose frames have the tag `vlan`, 0 for none, and whose messages leave from
/// `port`.
pub fn filter(vlan: u16, port: u16) -> [Instruction; 27] {
    let (vlan, port) = (u32::from(vlan), u32::from(port));
    let then = Instruction;
    // A frame without a tag is as good as one with the tag 0, which only has a priority.
    let without = if vlan == 0 { 3 } else { 22 };
    [
        then(LOAD_WORD, 0, 0, PACKET_TYPE),
        then(IF_GREATER, 24, 0, 2),
        then(LOAD_WORD, 0, 0, VLAN_THERE),
        then(IF_EQUAL, without, 0, 0),
        then(LOAD_WORD, 0, 0, VLAN_TAG),
        then(AND, 0, 0, 0xfff),
        then(IF_EQUAL, 0, 19, vlan),
        // 7: which protocol; ARP is all that there is to know.
        then(LOAD_HALF, 0, 0, 12),
        then(IF_EQUAL, 16, 0, 0x0806),
        then(IF_EQUAL, 7, 0, 0x0800),
        then(IF_EQUAL, 0, 15, 0x86dd),
        // 11: IPv6; questions for groups, which have a header in between, neighbour discovery, and UDP to our port.
        then(LOAD_BYTE, 0, 0, 20),
        then(IF_EQUAL, 12, 0, 0),
        then(IF_EQUAL, 11, 0, 58),
        then(IF_EQUAL, 0, 11, 17),
        then(LOAD_HALF, 0, 0, 56),
        then(IF_EQUAL, 8, 9, port),
        // 17: IPv4; UDP, no later fragment, to our port or the DHCP client's.
        then(LOAD_BYTE, 0, 0, 23),
        then(IF_EQUAL, 0, 7, 17),
        then(LOAD_HALF, 0, 0, 20),
        then(IF_ANY_BIT, 5, 0, 0x1fff),
        then(HEADER_LENGTH_TO_X, 0, 0, 14),
        then(LOAD_HALF_AT_X, 0, 0, 16),
        then(IF_EQUAL, 1, 0, port),
        then(IF_EQUAL, 0, 1, CLIENT),
        // 25
        then(RETURN, 0, 0, WHOLE),
        then(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel knows besides.
    #[derive(Clone, Copy)]
    struct Besides {
        kind: u32,
        tag: Option<u32>,
    }

    const TO_US: Besides = Besides { kind: 0, tag: None };

    /// Runs the filter as the kernel does.
    fn passes(vlan: u16, besides: Besides, frame: &[u8]) -> bool {
        let filter = filter(vlan, 50_000);
        let (mut a, mut x, mut at) = (0u32, 0usize, 0usize);
        let byte = |at: usize| frame.get(at).map(|byte| u32::from(*byte));
        let half = |at: usize| Some(byte(at)? << 8 | byte(at + 1)?);
        loop {
            let Instruction(code, yes, no, operand) = filter[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { yes } else { no });
            let loaded = match code {
                LOAD_WORD => Some(match operand {
                    PACKET_TYPE => besides.kind,
                    VLAN_TAG => besides.tag.unwrap_or(0),
                    VLAN_THERE => besides.tag.is_some().into(),
                    _ => panic!("{operand:x}"),
                }),
                LOAD_HALF => half(operand as usize),
                LOAD_BYTE => byte(operand as usize),
                LOAD_HALF_AT_X => half(x + operand as usize),
                HEADER_LENGTH_TO_X => {
                    x = byte(operand as usize).map_or(0, |byte| (byte as usize & 15) * 4);
                    Some(a)
                }
                AND => Some(a & operand),
                IF_EQUAL => {
                    at += jump(a == operand);
                    Some(a)
                }
                IF_GREATER => {
                    at += jump(a > operand);
                    Some(a)
                }
                IF_ANY_BIT => {
                    at += jump(a & operand != 0);
                    Some(a)
                }
                RETURN => return operand > 0,
                _ => panic!("{code:x}"),
            };
            // Beyond the end of the frame, the kernel drops it.
            match loaded {
                Some(value) => a = value,
                None => return false,
            }
        }
    }

    fn frame(protocol: u16, rest: &[(usize, &[u8])]) -> Vec<u8> {
        let mut frame = vec![0; 100];
        frame[12..14].copy_from_slice(&protocol.to_be_bytes());
        for (at, bytes) in rest {
            frame[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        frame
    }

    fn v4(port: u16, more: &[(usize, &[u8])]) -> Vec<u8> {
        let mut all: Vec<(usize, &[u8])> = vec![(14, &[0x45]), (23, &[17])];
        let port = port.to_be_bytes();
        all.push((36, &port));
        all.extend_from_slice(more);
        frame(0x800, &all)
    }

    #[test]
    fn what_is_for_this_link_passes() {
        let passes = |frame: &[u8]| passes(0, TO_US, frame);
        assert!(passes(&frame(0x806, &[])), "ARP");
        assert!(passes(&v4(50_000, &[])) && passes(&v4(68, &[])));
        assert!(!passes(&v4(7410, &[])) && !passes(&v4(50_001, &[])));
        assert!(!passes(&v4(50_000, &[(20, &[0, 1])])), "a later fragment");
        assert!(passes(&v4(7, &[(14, &[0x46]), (40, &50_000u16.to_be_bytes())])), "with options");
        assert!(!passes(&v4(50_000, &[(23, &[6])])), "TCP");
        assert!(passes(&frame(0x86dd, &[(20, &[58])])), "neighbour discovery");
        assert!(passes(&frame(0x86dd, &[(20, &[0])])), "who listens to which group");
        assert!(passes(&frame(0x86dd, &[(20, &[17]), (56, &50_000u16.to_be_bytes())])));
        assert!(!passes(&frame(0x86dd, &[(20, &[17]), (56, &68u16.to_be_bytes())])));
        assert!(!passes(&frame(0x86dd, &[(20, &[6])])));
        assert!(!passes(&frame(0x88cc, &[])), "LLDP");
        assert!(!passes(&v4(50_000, &[])[..30]), "cut off");
        assert!(!passes(&[]));
    }

    #[test]
    fn tags_and_others_frames() {
        let arp = frame(0x806, &[]);
        let tagged = |tag| Besides { kind: 1, tag: Some(tag) };
        assert!(passes(0, tagged(0xe000), &arp), "only a priority");
        assert!(!passes(0, tagged(7), &arp));
        assert!(passes(7, tagged(0x2007), &arp));
        assert!(!passes(7, tagged(8), &arp) && !passes(7, TO_US, &arp));
        for kind in [1, 2] {
            assert!(passes(0, Besides { kind, tag: None }, &arp));
        }
        for kind in [3, 4] {
            assert!(!passes(0, Besides { kind, tag: None }, &arp), "for others, or from here");
        }
    }
}
