//! The terminal, if there is one: how wide it is, and drawing on it in place.

use std::io::{self, IsTerminal as _, Write as _};

use terminal_size::terminal_size;

/// Switches to the other screen and hides the cursor (xterm's control sequences, in all terminals today).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";

/// Undoes that.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Whether standard output is a terminal that can be drawn on.
#[must_use]
pub fn is_there() -> bool {
    let is_able = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    io::stdout().is_terminal() && is_able
}

/// How many characters fit a line; `None` when standard output is no terminal: then anything does.
#[must_use]
pub fn width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    size().map(|(width, _)| width)
}

/// Characters in a line, and lines.
#[must_use]
pub fn size() -> Option<(usize, usize)> {
    let (width, height) = terminal_size()?;
    Some((width.0.into(), height.0.into())).filter(|(width, height)| *width > 0 && *height > 0)
}

/// Writes to standard output, with colours when it is a terminal and nobody objects (`NO_COLOR`).
///
/// # Errors
/// When nobody reads it any more.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The other screen of the terminal, in place of what was there, until it is dropped.
#[derive(Debug)]
pub struct Screen(());

impl Screen {
    /// Takes it.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn take() -> io::Result<Self> {
        raw(ENTER)?;
        Ok(Self(()))
    }

    /// Shows these lines in place of those before: as many as fit.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn show(&self, lines: &[String], height: usize) -> io::Result<()> {
        let mut frame = io::stdout().lock();
        // The colours go when nobody wants them; the rest must not.
        let is_plain = anstream::AutoStream::choice(&frame) == anstream::ColorChoice::Never;
        let shown = lines.iter().take(height).map(|line| match is_plain {
            true => format!("{}\x1b[K", anstream::adapter::strip_str(line)),
            false => format!("{line}\x1b[K"),
        });
        let text = shown.collect::<Vec<_>>().join("\r\n");
        frame.write_all(format!("\x1b[H{text}\x1b[J").as_bytes())?;
        frame.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Without a reader, there is nothing to give back.
        drop(raw(LEAVE));
    }
}

fn raw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
