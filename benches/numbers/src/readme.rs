//! The README's section with the numbers.

use std::fmt::Write as _;

use crate::layout::{
    AGENTS, CRASHES, FLEET, FOOTPRINT, FULL_QUEUE, MESSAGES, NODES, ONE_BY_ONE, SENDERS, Table,
    Unit, line,
};
use crate::{Numbers, Setting};

const BEGIN: &str = "<!-- numbers: begin; what is in here is written by `make bench` -->\n";
const END: &str = "<!-- numbers: end -->";

/// `text` with the section made anew, or nothing if its marks are missing.
#[must_use]
pub fn replaced(text: &str, numbers: &Numbers) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}{END}{after}", section(numbers)))
}

/// Where and when something was measured, as a sentence.
fn told(setting: &Setting) -> String {
    let Setting { date, processor, kernel, system, stock, rustc } = setting;
    format!("Measured on {date}: {processor}, Linux {kernel}, {system}, {stock}, {rustc}.\n\n")
}

struct Page<'a> {
    numbers: &'a Numbers,
    text: String,
    /// What was said last of where and when.
    setting: Option<&'a Setting>,
}

impl<'a> Page<'a> {
    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// Where and when `section` was measured, unless that was the same before.
    fn setting(&mut self, section: &str) {
        let setting = self.numbers.sections.get(section).map(|section| &section.setting);
        if let Some(setting) = setting
            && self.setting != Some(setting)
        {
            self.text.push_str(&told(setting));
            self.setting = Some(setting);
        }
    }

    /// `tables` below what is said of them; nothing at all if nothing of it was measured.
    fn tables(&mut self, section: &str, words: &[&str], tables: &[&Table]) {
        let shown: Vec<_> = tables.iter().map(|table| table.markdown(self.numbers)).collect();
        if shown.iter().all(String::is_empty) {
            return;
        }
        let (title, words) = words.split_first().expect("a title");
        self.say(title);
        self.setting(section);
        words.iter().for_each(|words| self.say(words));
        self.text.push_str(&shown.concat());
    }
}

fn section(numbers: &Numbers) -> String {
    let mut page = Page { numbers, text: String::new(), setting: None };
    page.say(
        "All of it is written by `make bench`; nothing is typed. Medians; where there are brackets, \
         the quartiles.\nTimes on a shared machine are good for comparing, not for quoting: what is compared took \
         turns.",
    );
    receivers(&mut page);
    senders(&mut page);
    core(&mut page);
    installed(&mut page);
    crash(&mut page);
    page.text
}

fn receivers(page: &mut Page<'_>) {
    page.tables(
        "peers",
        &[
            "### What a datagram costs a receiver",
            "The processor time of the whole program for each datagram, on loopback in a network namespace; first \
             as a multiple of\na bare `recvmmsg` loop that throws everything away. *Valid* comes from one of 10,000 \
             nodes, *signed* also has a MAC,\na *stranger* is nobody's node, *invalid* cannot be a message: the \
             kernel filter of `fence_kdumpd` drops it.\nAn agent ends with the first valid message of its node, \
             so it only has the others' messages. Who checks signatures\nis `fence_kdumpd`; for the rest, *signed* \
             is only longer.",
            "![CPU time for each datagram, by receiver](benches/numbers/receivers.svg)",
        ],
        &[&FULL_QUEUE, &ONE_BY_ONE],
    );
    page.tables(
        "peers",
        &[
            "### What receivers need",
            "With what they were sent above behind them; `fence_kdumpd` knows 10,000 nodes, an agent one.",
        ],
        &[&FOOTPRINT],
    );
    page.tables("peers", &["### How soon an agent answers"], &[&AGENTS]);
    page.tables(
        "fleet",
        &[
            "### Large fleets",
            "A *verdict* takes from the connection of whoever asks to the answer, while the messages of all come \
             in. The daemon has one processor for everything. Of events for which the history has no room at the moment, \
             it only counts how many there were. *Of* is the goal.",
        ],
        &[&CRASHES],
    );
}

fn senders(page: &mut Page<'_>) {
    page.tables(
        "sender",
        &[
            "### The sender",
            "x86_64, one numeric address. The whole one is what is installed; `udp/` can do nothing but UDP. *Of* is \
             the limit\nthat `make test` sets (`--test sender_budget`).",
        ],
        &[&SENDERS],
    );
}

fn core(page: &mut Page<'_>) {
    page.tables(
        "core",
        &[
            "### core",
            "Times by criterion, with the processor's SHA instructions if it has some; instructions by callgrind, \
             which has none.\nThe instructions and bytes are limits of `make test`. *Bytes* are the message's.",
        ],
        &[&MESSAGES],
    );
    if !page.numbers.sections.contains_key("core") {
        return;
    }
    let columns = NODES.iter().map(|(_, title)| format!("{title} nodes"));
    let mut rows = line(std::iter::once("with a fleet of".to_owned()).chain(columns));
    rows += &format!("|---|{}\n", "---:|".repeat(NODES.len()));
    let cell = |what: &str, nodes: &str, column: &str, unit: Unit| {
        let value = page.numbers.get("core", &format!("{what}-{nodes}"), column);
        value.map(|value| unit.show(value.median()))
    };
    for (what, title) in FLEET {
        let cells = NODES.iter().map(|(nodes, _)| {
            let time = cell(what, nodes, "nanoseconds", Unit::Nanoseconds);
            let count = cell(what, nodes, "instructions", Unit::Count);
            let both = [time, count.map(|count| format!("{count} instructions"))];
            both.into_iter().flatten().collect::<Vec<_>>().join(", ")
        });
        rows += &line(std::iter::once(title.to_owned()).chain(cells));
    }
    let memory = NODES.iter().map(|(nodes, _)| {
        cell("hear", nodes, "bytes", Unit::Memory).unwrap_or_else(|| "–".to_owned())
    });
    rows += &line(std::iter::once("memory of all nodes".to_owned()).chain(memory));
    page.say(rows.trim_end());
    if page.numbers.get("core", "encode", "nanoseconds").is_some() {
        page.say("![Time of core by the size of the fleet](benches/numbers/fleet.svg)");
    }
}

fn installed(page: &mut Page<'_>) {
    let Some(sizes) = page.numbers.sections.get("sizes") else {
        return;
    };
    page.say("### What is installed");
    page.setting("sizes");
    page.say("Bytes of `target/dist`, and the limit that `make test` sets (`--test sizes`).");
    let mut rows = String::from("| file | bytes | limit |\n|---|---:|---:|\n");
    for (name, row) in &sizes.rows {
        let bytes = |column: &str| {
            row.get(column).map_or_else(|| "–".to_owned(), |value| Unit::Bytes.show(value.median()))
        };
        let _ = writeln!(rows, "| `{name}` | {} | {} |", bytes("file"), bytes("file limit"));
    }
    page.say(rows.trim_end());
}

/// The crashes of real kernels, whose tables are written by the tests that make them.
fn crash(page: &mut Page<'_>) {
    let texts =
        ["vm-timings", "vm-images"].map(|name| Some((name, page.numbers.sections.get(name)?)));
    if texts.iter().all(Option::is_none) {
        return;
    }
    page.say("### A real crash");
    page.say("`make vm`: a kernel panics in a virtual machine; seconds, medians. All before the sender's start is the kernel and the image.");
    for (name, section) in texts.into_iter().flatten() {
        page.setting(name);
        // What is a table in Markdown already needs no frame.
        let text = section.text.trim_end();
        match text.starts_with('|') {
            true => page.say(text),
            false => page.say(&format!("```text\n{text}\n```")),
        }
    }
}
