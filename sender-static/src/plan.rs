//! The plan, fence_kdump.plan(5): what the running system knew when the crash kernel's image was
//! built. It says over which links the nodes are reached, what their names mean, and what is to be
//! done before that.
//!
//! A plan is read by a program that has nobody to ask. So what is wrong with it never costs more than
//! itself: each statement, and each part of a `link`, is read on its own or told on its own.

use crate::address::{Address, Zone};
use crate::report::Line;
use crate::text::{Pieces, Words, fields, number, pieces, same, which};

/// Where a plan lies unless somebody says otherwise.
pub const PATH: &core::ffi::CStr = c"/etc/fence_kdump/plan";

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement<'t> {
    /// The first line: this is a plan, in the form of version 1.
    Version,
    /// What is executed when all is done.
    Init(&'t [u8]),
    /// A kernel module: the file's absolute path, and its parameters as finit_module(2) takes them.
    Module(&'t [u8], &'t [u8]),
    /// Words of the sender's own command line.
    Send(Words<'t>),
    /// What a name means.
    Node(Node<'t>),
    /// An interface that nodes are reached through.
    Link(Link<'t>),
}

/// What was wrong with a plan, and what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong<'t> {
    /// Counted from 1.
    pub line: u32,
    /// What the word belongs to.
    pub key: &'t [u8],
    /// The word itself; empty where one is missing.
    pub word: &'t [u8],
    /// What would be right.
    pub right: &'static [u8],
}

impl Wrong<'_> {
    /// Tells it. `path` is the plan's.
    #[inline(never)]
    pub fn say(&self, path: &[u8]) {
        let mut line = Line::new();
        line.text(path).text(b": line ").number(self.line, 10).text(b": ");
        if !self.key.is_empty() {
            line.text(self.key).text(b": ");
        }
        line.text(b"'").text(self.word).text(b"' is not ").text(self.right).say();
    }
}

const VERSION: &[u8] = b"1, the version that is known here";
const FIRST: &[u8] = b"fence_kdump_plan, which comes first";
const STATEMENTS: &[u8] = b"one of init, module, send, node, link";
const A_PATH: &[u8] = b"an absolute path";
const A_NAME: &[u8] = b"a name";
const AN_ADDRESS: &[u8] = b"an address, as 10.0.0.1 or fe80::1%eth0";
const AN_INTERFACE: &[u8] = b"an interface's name, up to 15 characters";
const PARTS: &[u8] = b"one of mac, vlan, address, route, dhcp4, slaac, mode";
const A_MAC: &[u8] = b"a unicast MAC address, as 52:54:00:12:34:56";
const A_VLAN: &[u8] = b"a VLAN's number from 1 to 4094";
const A_PREFIX: &[u8] = b"an address and its prefix, as 10.0.0.5/24";
const A_GATEWAY: &[u8] = b"a gateway's address of the same family";
const A_MODE: &[u8] = b"link or kernel";
const THE_END: &[u8] = b"expected here: the statement ends before it";
const SOME_MAC: &[u8] = b"followed by the MAC address of any network card";

/// Reads the statements of `text`, one a line.
pub fn statements(text: &[u8]) -> Statements<'_> {
    Statements { lines: pieces(text, b'\n'), number: 0, begun: false }
}

/// Tells everything that is wrong with the plan `text`, which was read from `path`. Says whether
/// nothing was.
pub fn check(text: &[u8], path: &[u8]) -> bool {
    let mut good = true;
    for statement in statements(text) {
        match statement {
            Err(wrong) => {
                wrong.say(path);
                good = false;
            }
            Ok(Statement::Node(node)) => {
                for wrong in node.addresses().filter_map(Result::err) {
                    wrong.say(path);
                    good = false;
                }
            }
            Ok(Statement::Link(link)) => {
                for wrong in link.parts().filter_map(Result::err) {
                    wrong.say(path);
                    good = false;
                }
            }
            Ok(_) => {}
        }
    }
    good
}

/// The words that the plan has for the sender's command line, of all its `send` lines.
pub fn send(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let lines = statements(text).filter_map(|statement| match statement {
        Ok(Statement::Send(words)) => Some(words),
        _ => None,
    });
    lines.flatten()
}

/// Gives `found` every address that the plan has for `name`, which is the same in upper and lower
/// case.
pub fn each_address(text: &[u8], name: &[u8], mut found: impl FnMut(Address)) {
    for statement in statements(text) {
        if let Ok(Statement::Node(node)) = statement
            && same(node.name, name)
        {
            node.addresses().flatten().for_each(&mut found);
        }
    }
}

/// The links of a plan.
pub fn links(text: &[u8]) -> impl Iterator<Item = Link<'_>> {
    statements(text).filter_map(|statement| match statement {
        Ok(Statement::Link(link)) => Some(link),
        _ => None,
    })
}

/// Walks over a plan.
#[derive(Clone, Debug)]
pub struct Statements<'t> {
    lines: Pieces<'t>,
    number: u32,
    /// Whether any statement was there.
    begun: bool,
}

impl<'t> Iterator for Statements<'t> {
    type Item = Result<Statement<'t>, Wrong<'t>>;

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let before = self.lines;
            let line = self.lines.next()?;
            self.number = self.number.wrapping_add(1);
            let mut words = fields(without_comment(line));
            let Some(key) = words.next() else {
                continue;
            };
            let wrong = Wrong { line: self.number, key, word: key, right: &[] };
            let first = !core::mem::replace(&mut self.begun, true);
            if first && which(key, b"fence_kdump_plan") > 0 {
                // It is told, and this line is read as what it is the next time.
                self.lines = before;
                self.number = self.number.wrapping_sub(1);
                return Some(Err(Wrong { key: b"", right: FIRST, ..wrong }));
            }
            return Some(statement(wrong, words));
        }
    }
}

fn without_comment(line: &[u8]) -> &[u8] {
    let mut length = 0usize;
    let mut before = b' ';
    for byte in line {
        if *byte == b'#' && before <= b' ' {
            break;
        }
        before = *byte;
        length = length.wrapping_add(1);
    }
    line.get(..length).unwrap_or_default()
}

fn statement<'t>(wrong: Wrong<'t>, mut words: Words<'t>) -> Result<Statement<'t>, Wrong<'t>> {
    let kind = which(wrong.key, b"send init module node link fence_kdump_plan");
    if kind == 0 {
        return Ok(Statement::Send(words));
    }
    let word = words.next().unwrap_or_default();
    let wrong = Wrong { word, ..wrong };
    let right = match kind {
        1 | 2 if !word.starts_with(b"/") => A_PATH,
        1 => return end(wrong, words).map(|()| Statement::Init(word)),
        2 => return Ok(Statement::Module(word, trimmed(words.rest()))),
        3 if word.is_empty() || Address::parse(word).is_some() => A_NAME,
        3 => {
            let node = Node { line: wrong.line, name: word, words };
            if node.addresses().any(|address| address.is_ok()) {
                return Ok(Statement::Node(node));
            }
            let wrong = Wrong { word: words.next().unwrap_or_default(), ..wrong };
            return Err(Wrong { right: AN_ADDRESS, ..wrong });
        }
        4 if Zone::new(word).is_none() => AN_INTERFACE,
        4 => {
            let link = Link { line: wrong.line, name: word, words };
            if link.parts().any(|part| matches!(part, Ok(Part::Mac(_)))) {
                return Ok(Statement::Link(link));
            }
            SOME_MAC
        }
        5 if number(word, 10) != Some(1) => VERSION,
        5 => return end(wrong, words).map(|()| Statement::Version),
        _ => return Err(Wrong { key: b"", word: wrong.key, right: STATEMENTS, ..wrong }),
    };
    Err(Wrong { right, ..wrong })
}

fn end<'t>(wrong: Wrong<'t>, mut words: Words<'t>) -> Result<(), Wrong<'t>> {
    match words.next() {
        None => Ok(()),
        Some(word) => Err(Wrong { word, right: THE_END, ..wrong }),
    }
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b'\0'..=b' ', rest @ ..] | [rest @ .., b'\0'..=b' '] = text {
        text = rest;
    }
    text
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'t> {
    /// Its line in the plan.
    line: u32,
    /// The name, as on the command line.
    pub name: &'t [u8],
    words: Words<'t>,
}

impl<'t> Node<'t> {
    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Result<Address, Wrong<'t>>> + use<'t> {
        let line = self.line;
        self.words.map(move |word| {
            Address::parse(word).ok_or(Wrong { line, key: b"node", word, right: AN_ADDRESS })
        })
    }
}

/// An interface of the running system that nodes were reached through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'t> {
    line: u32,
    /// The interface's name in the running system, which zones of addresses and `--device` mean.
    pub name: &'t [u8],
    words: Words<'t>,
}

/// How messages leave through a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In frames of this program's own; the kernel has no address.
    #[default]
    Link,
    /// From the kernel's sockets; the kernel is given the addresses and routes first.
    Kernel,
}

/// One thing that a plan says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The address of a network card below it.
    Mac([u8; 6]),
    /// The tag of its frames, 1 to 4094.
    Vlan(u16),
    /// An address of this node there, and the length of its prefix.
    Address(Address, u8),
    /// A destination, the length of its prefix, and the gateway that leads there.
    Route(Address, u8, Address),
    /// Ask for an IPv4 address.
    Dhcp4,
    /// Make IPv6 addresses of what routers say.
    Slaac,
    /// How messages leave.
    Mode(Mode),
}

impl<'t> Link<'t> {
    /// What is said of it, in the order of the plan.
    pub fn parts(&self) -> Parts<'t> {
        Parts { line: self.line, words: self.words, macs: None }
    }
}

/// Walks over the parts of a link.
#[derive(Clone, Debug)]
pub struct Parts<'t> {
    line: u32,
    words: Words<'t>,
    /// What is left of a list of MAC addresses.
    macs: Option<Pieces<'t>>,
}

impl<'t> Iterator for Parts<'t> {
    type Item = Result<Part, Wrong<'t>>;

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        let wrong = |key, word, right| Err(Wrong { line: self.line, key, word, right });
        if let Some(word) = self.macs.as_mut().and_then(Iterator::next) {
            return Some(
                mac(word).map_or_else(|| wrong(b"mac", word, A_MAC), |mac| Ok(Part::Mac(mac))),
            );
        }
        self.macs = None;
        let key = self.words.next()?;
        let kind = which(key, b"dhcp4 slaac mac vlan address route mode");
        match kind {
            0 => return Some(Ok(Part::Dhcp4)),
            1 => return Some(Ok(Part::Slaac)),
            7 => return Some(wrong(b"link", key, PARTS)),
            _ => {}
        }
        let word = self.words.next().unwrap_or_default();
        let (part, right) = match kind {
            2 => {
                self.macs = Some(pieces(word, b','));
                return self.next();
            }
            3 => {
                let vlan = number(word, 10).filter(|number| (1..=4094).contains(number));
                (vlan.map(|number| Part::Vlan(number as u16)), A_VLAN)
            }
            4 => (prefix(word).map(|(address, length)| Part::Address(address, length)), A_PREFIX),
            5 => {
                let gateway = self.words.next().unwrap_or_default();
                match prefix(word) {
                    Some((to, length)) => {
                        let address = Address::parse(gateway);
                        let address = address.filter(|address| address.is_v6() == to.is_v6());
                        let Some(address) = address else {
                            return Some(wrong(key, gateway, A_GATEWAY));
                        };
                        (Some(Part::Route(to, length, address)), A_PREFIX)
                    }
                    None => (None, A_PREFIX),
                }
            }
            _ => {
                let mode = match which(word, b"link kernel") {
                    0 => Some(Mode::Link),
                    1 => Some(Mode::Kernel),
                    _ => None,
                };
                (mode.map(Part::Mode), A_MODE)
            }
        };
        Some(part.ok_or(()).or_else(|()| wrong(key, word, right)))
    }
}

/// Six bytes in hexadecimal, with colons between them; not a group's address, and not none.
fn mac(text: &[u8]) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = pieces(text, b':');
    for byte in &mut mac {
        *byte =
            parts.next().filter(|part| part.len() == 2).and_then(|part| number(part, 16))? as u8;
    }
    let [first, ..] = mac;
    (parts.rest().is_none() && first & 1 == 0 && mac != [0; 6]).then_some(mac)
}

/// An address and the length of its prefix; `default` is not known, since it has no family.
fn prefix(text: &[u8]) -> Option<(Address, u8)> {
    let mut parts = pieces(text, b'/');
    let address = Address::parse(parts.next()?)?;
    let most = if address.is_v6() { 128 } else { 32 };
    let length = number(parts.rest()?, 10).filter(|length| *length <= most)?;
    Some((address, length as u8))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
