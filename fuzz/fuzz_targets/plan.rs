//! Any text as a plan: every line is a statement or is told, and no line costs another one.
#![no_main]

use fence_kdump_sender::plan;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let lines = text.split(|byte| *byte == b'\n').count();
    let read = plan::statements(text).count();
    assert!(read <= lines + 1);
    for link in plan::links(text) {
        let parts = link.parts().count();
        assert!(parts <= text.len() + 1);
    }
    assert!(plan::send(text).count() <= text.len());
    let mut found = 0;
    plan::each_address(text, b"n1", |_| found += 1);
    assert!(found <= text.len());
    // A good line more is read, whatever stood before it.
    let more = [text, b"\nnode the-last-one 192.0.2.77\n"].concat();
    let mut last = 0;
    plan::each_address(&more, b"the-last-one", |address| {
        last += usize::from(address.as_v4() == Some([192, 0, 2, 77]));
    });
    assert!(last > 0 || !plan_begins(text), "{}", text.escape_ascii());
});

/// Whether the text says that it is a plan: without that, it is none.
fn plan_begins(text: &[u8]) -> bool {
    plan::statements(text).any(|read| matches!(read, Ok(plan::Statement::Version)))
}
