//! What the last runs left, put together.

use std::path::Path;
use std::time::SystemTime;
use std::{fs, io};

use serde_json::Value as Json;

use crate::{Numbers, Rows, Section, Setting, Value, record, workspace};

/// Puts what was measured last, as it lies in the folder `target`, into `numbers`. What was not measured
/// anew stays as it was.
///
/// # Errors
/// When a file that is there cannot be read.
pub fn collect(target: &Path, numbers: &mut Numbers) -> io::Result<()> {
    let folder = target.join("numbers");
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            continue;
        };
        let setting = Setting::here(fs::metadata(&path)?.modified()?);
        let section = Section { setting, rows: record::read(name), text: String::new() };
        numbers.sections.insert(name.to_owned(), section);
    }
    let (rows, when) = core(target)?;
    let section = Section { setting: Setting::here(when), rows, text: String::new() };
    numbers.sections.insert("core".to_owned(), section);
    for (name, file) in [("timings", "timings.txt"), ("images", "images.md")] {
        let path = workspace().join("target/vm").join(file);
        if path.exists() {
            let setting = Setting::here(fs::metadata(&path)?.modified()?);
            let text = fs::read_to_string(&path)?;
            let section = Section { setting, rows: Rows::new(), text };
            numbers.sections.insert(format!("vm-{name}"), section);
        }
    }
    Ok(())
}

/// What criterion measured, beside the baseline of instructions; and when that was.
fn core(target: &Path) -> io::Result<(Rows, SystemTime)> {
    let baseline = workspace().join("benches/instructions/baseline.txt");
    let mut rows = Rows::new();
    // At least what is counted is known.
    let mut when = fs::metadata(&baseline)?.modified()?;
    for line in fs::read_to_string(baseline)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, instructions, bytes] = words.as_slice() else {
            continue;
        };
        let (Ok(instructions), Ok(bytes)) = (instructions.parse(), bytes.parse()) else {
            continue;
        };
        let row = rows.entry((*name).to_owned()).or_default();
        row.insert("instructions".to_owned(), Value::One(instructions));
        row.insert("bytes".to_owned(), Value::One(bytes));
        let path = target.join("criterion").join(name).join("new/estimates.json");
        if let Ok(text) = fs::read_to_string(&path) {
            let found: Json = serde_json::from_str(&text).map_err(io::Error::other)?;
            if let Some(median) = found["median"]["point_estimate"].as_f64() {
                row.insert("nanoseconds".to_owned(), Value::One(median));
                when = when.max(fs::metadata(&path)?.modified()?);
            }
        }
    }
    Ok((rows, when))
}
