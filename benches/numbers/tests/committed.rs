//! Nobody types a number: what the README and the pictures say is what the committed file says.

use fence_kdump_numbers::{Numbers, folder, plot, readme, workspace};

const AGAIN: &str = "not what benches/numbers/numbers.json says: cargo run -p fence-kdump-numbers";

fn committed() -> Numbers {
    Numbers::load(&folder().join("numbers.json")).expect("the committed file")
}

#[test]
fn the_readme_says_what_was_measured() {
    let text = std::fs::read_to_string(workspace().join("README.md")).expect("the README");
    let new = readme::replaced(&text, &committed()).expect("the marks are there");
    assert!(text == new, "README.md: {AGAIN}");
}

#[test]
fn the_pictures_show_what_was_measured() {
    let pictures = plot::all(&committed());
    assert!(!pictures.is_empty());
    for (name, picture) in pictures {
        let text = std::fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert!(text == picture, "{name}: {AGAIN}");
    }
}

#[test]
fn another_number_would_be_noticed() {
    let text = std::fs::read_to_string(workspace().join("README.md")).expect("the README");
    let mut numbers = committed();
    let sections = numbers.sections.values_mut();
    let value =
        sections.flat_map(|section| section.rows.values_mut()).flat_map(|row| row.values_mut());
    for value in value {
        *value = fence_kdump_numbers::Value::One(value.median() * 2.0 + 1.0);
    }
    let new = readme::replaced(&text, &numbers).expect("the marks are there");
    assert_ne!(text, new);
}
