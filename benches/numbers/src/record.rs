//! Where measured values go at once.

use std::fs;
use std::io::ErrorKind;
use std::sync::{Mutex, PoisonError};

use crate::{Rows, Value, target};

/// One at a time: each adds to a file.
static TURN: Mutex<()> = Mutex::new(());

/// What was recorded as `section` so far, in target/numbers.
#[must_use]
pub fn read(section: &str) -> Rows {
    let text = fs::read_to_string(target().join("numbers").join(format!("{section}.json")));
    text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Writes down what was measured of `row`: in the file target/numbers/`section`.json, beside what is there.
///
/// # Panics
/// When nothing was measured, or the file cannot be written.
pub fn record(section: &str, row: &str, column: &str, measured: &[f64]) {
    let value = Value::of(measured).unwrap_or_else(|| panic!("{row}, {column}: not measured"));
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rows = read(section);
    rows.entry(row.to_owned()).or_default().insert(column.to_owned(), value);
    let folder = target().join("numbers");
    let path = folder.join(format!("{section}.json"));
    let text = serde_json::to_string_pretty(&rows).expect("numbers and names");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .unwrap_or_else(|error| panic!("{}: cannot be written: {error}", path.display()));
}

/// Forgets what was recorded as `section`: all of it is measured anew.
///
/// # Panics
/// When the file is there and cannot be removed.
pub fn begin(section: &str) {
    let path = target().join("numbers").join(format!("{section}.json"));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            panic!("{}: cannot be removed: {error}", path.display())
        }
        _ => {}
    }
}
