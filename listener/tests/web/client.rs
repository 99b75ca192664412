//! An HTTP client that says exactly what it is told, and reads one answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Reads the status and the headers.
pub(crate) fn read_head(reader: &mut impl std::io::BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => return Ok(Answer { status, headers, body: String::new() }),
        }
    }
}

/// Says `method path` with `headers`, and reads the answer.
pub(crate) fn request(
    address: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
) -> Answer {
    let mut stream = connect(address);
    let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all((text + "\r\n").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut answer = read_head(&mut reader).unwrap();
    reader.read_to_string(&mut answer.body).unwrap();
    answer
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, ("GET", path), &[])
}

/// One who follows the events.
pub(crate) struct Follower(BufReader<TcpStream>);

impl Follower {
    pub(crate) fn start(address: SocketAddr, last: Option<&str>) -> Self {
        let mut stream = connect(address);
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let text = format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n{last}\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader).unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        Self(reader)
    }

    /// The next frame that is more than a comment, without what HTTP puts around it.
    pub(crate) fn next(&mut self) -> Vec<String> {
        let mut frame: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it has ended");
            let line = line.trim_end();
            let is_chunk_size = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
            if line.is_empty() && frame.iter().any(|line| !line.starts_with("retry")) {
                return frame;
            }
            if !line.is_empty() && !line.starts_with(':') && !is_chunk_size {
                frame.push(line.to_owned());
            } else if line.is_empty() {
                frame.clear();
            }
        }
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> Value {
        let frame = self.next();
        let data = frame.iter().find_map(|line| line.strip_prefix("data: "));
        serde_json::from_str(data.unwrap_or_else(|| panic!("{frame:?}"))).unwrap()
    }
}
