//! Tables for people, as wide as there is room.
//!
//! In a narrow terminal the least important columns go first; then what is too long is cut. No line is ever
//! broken, so that one line is one node.

use anstyle::Style;

use super::words;

/// Between two columns, in characters.
const GAP: usize = 2;

/// No column is cut to less, in characters.
const LEAST: usize = 8;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What is written above it.
    pub head: &'static str,
    /// 0: it is always there. Others go when there is no room, the largest first, and when they are
    /// empty.
    pub rank: u8,
    /// Its end is below the end of the others, as with numbers.
    pub to_the_right: bool,
}

impl Column {
    /// One of words.
    #[must_use]
    pub const fn of(head: &'static str, rank: u8) -> Self {
        Self { head, rank, to_the_right: false }
    }

    /// One of numbers.
    #[must_use]
    pub const fn of_numbers(head: &'static str, rank: u8) -> Self {
        Self { head, rank, to_the_right: true }
    }
}

/// What is in one row of one column.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// In colour, where there are colours.
    #[must_use]
    pub fn styled(text: &str, style: Style) -> Self {
        Self { text: words::plain(text), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::styled(&text, Style::new())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::styled(text, Style::new())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    /// Nothing is nothing.
    fn from(it: Option<T>) -> Self {
        it.map(Into::into).unwrap_or_default()
    }
}

/// A table, with one cell for each column in every row.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without a row.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One more row.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, the head first, none wider than `width`.
    #[must_use]
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let widths = self.widths(width);
        let bold = Style::new().bold();
        let head: Vec<_> =
            self.columns.iter().map(|column| Cell::styled(column.head, bold)).collect();
        [&head].into_iter().chain(&self.rows).map(|row| self.line(row, &widths)).collect()
    }

    /// How wide each column is; 0 when it is not there.
    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let all = (0..).zip(&self.columns).map(|(place, column): (usize, _)| {
            let cells = self.rows.iter().filter_map(|row| row.get(place));
            let widest = cells.map(Cell::width).max().unwrap_or(0);
            if widest == 0 && column.rank > 0 { 0 } else { widest.max(column.head.len()) }
        });
        let mut widths: Vec<usize> = all.collect();
        let Some(width) = width else { return widths };
        while total(&widths) > width {
            let there = self.columns.iter().zip(&mut widths).filter(|(_, width)| **width > 0);
            let least = there.filter(|(column, _)| column.rank > 0);
            match least.max_by_key(|(column, _)| column.rank) {
                Some((_, width)) => *width = 0,
                None => break,
            }
        }
        for _ in &self.columns {
            // Of those that are left, the widest is the one with something to spare.
            let excess = total(&widths).saturating_sub(width);
            if let Some(widest) = widths.iter_mut().max() {
                *widest = widest.saturating_sub(excess).max(LEAST.min(*widest));
            }
        }
        widths
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = String::new();
        let mut missing = 0_usize;
        for ((cell, column), &width) in row.iter().zip(&self.columns).zip(widths) {
            if width == 0 {
                continue;
            }
            let text = cut(&cell.text, width);
            let empty = width.saturating_sub(text.chars().count());
            let (before, after) = if column.to_the_right { (empty, 0) } else { (0, empty) };
            // No line ends with spaces.
            line.push_str(&" ".repeat(missing.saturating_add(before)));
            let style = cell.style;
            match text.is_empty() {
                true => {}
                false if style.is_plain() => line.push_str(&text),
                false => line.push_str(&format!("{style}{text}{style:#}")),
            }
            missing = after.saturating_add(GAP);
            if text.is_empty() {
                missing = missing.saturating_add(before);
                line.truncate(line.len().saturating_sub(before));
            }
        }
        line.trim_end().to_owned()
    }
}

fn total(widths: &[usize]) -> usize {
    let there: Vec<_> = widths.iter().filter(|width| **width > 0).collect();
    let gaps = there.len().saturating_sub(1).saturating_mul(GAP);
    there.into_iter().sum::<usize>().saturating_add(gaps)
}

/// No longer than `width`; what is missing is told by `...`.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(3));
    kept.chain("...".chars()).take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstyle::AnsiColor;

    fn table() -> Table {
        let mut table = Table::new(&[
            Column::of("NODE", 0),
            Column::of_numbers("SINCE", 1),
            Column::of("NEVER", 2),
            Column::of("FROM", 3),
        ]);
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        table.push(vec![
            Cell::styled("n1", red),
            "2m 03s".into(),
            Cell::default(),
            "192.0.2.7".into(),
        ]);
        table.push(vec![
            "a-longer-name\u{1b}".into(),
            "4s".into(),
            None::<&str>.into(),
            "-".into(),
        ]);
        table
    }

    fn shown(width: Option<usize>) -> String {
        anstream::adapter::strip_str(&table().lines(width).join("\n")).to_string()
    }

    #[test]
    fn as_wide_as_there_is_room() {
        let whole = "NODE             SINCE  FROM\n\
                     n1              2m 03s  192.0.2.7\n\
                     a-longer-name?      4s  -";
        assert_eq!((shown(None), shown(Some(33))), (whole.to_owned(), whole.to_owned()));
        let less = "NODE             SINCE\n\
                    n1              2m 03s\n\
                    a-longer-name?      4s";
        assert_eq!((shown(Some(32)), shown(Some(22))), (less.to_owned(), less.to_owned()));
        assert_eq!(shown(Some(21)), "NODE\nn1\na-longer-name?");
        assert_eq!(shown(Some(10)), "NODE\nn1\na-longe...");
        assert_eq!(shown(Some(1)), "NODE\nn1\na-lon...");
    }

    #[test]
    fn colours_take_no_room() {
        let lines = table().lines(None);
        assert!(lines[1].starts_with("\u{1b}[31mn1\u{1b}[0m  "), "{lines:?}");
        for width in 8..40 {
            for line in table().lines(Some(width)) {
                assert!(anstream::adapter::strip_str(&line).to_string().len() <= width, "{line}");
            }
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(
            (cut("abcdef", 6), cut("abcdef", 5), cut("abc", 2)),
            ("abcdef".into(), "ab...".into(), "..".into())
        );
    }
}
