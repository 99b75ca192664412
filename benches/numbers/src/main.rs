//! Writes what was measured last into the README: `make bench` ends with it.

use std::io;

use fence_kdump_numbers::{Numbers, collect, folder, plot, readme, target, workspace};

fn main() -> io::Result<()> {
    let path = folder().join("numbers.json");
    let mut numbers = Numbers::load(&path).unwrap_or_default();
    collect(&target(), &mut numbers)?;
    numbers.store(&path)?;
    for (name, picture) in plot::all(&numbers) {
        std::fs::write(folder().join(name), picture)?;
    }
    let path = workspace().join("README.md");
    let text = std::fs::read_to_string(&path)?;
    let missing = || io::Error::other("README.md: the marks of the numbers section are missing");
    let new = readme::replaced(&text, &numbers).ok_or_else(missing)?;
    std::fs::write(path, new)?;
    println!("README.md and benches/numbers have what was measured.");
    Ok(())
}
