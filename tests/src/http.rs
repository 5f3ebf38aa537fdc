//! One HTTP/1.1 request on a connection of its own, read byte by byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::wait::PATIENCE;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code, such as 200.
    pub status: u16,
    /// The header lines, without the status line.
    pub headers: String,
    /// Everything behind the empty line.
    pub body: String,
}

impl Answer {
    /// The value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.headers.lines().filter_map(|line| line.split_once(':'));
        pairs
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("not an HTTP answer: {text:?}"));
        let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("not a status line: {first:?}")),
            headers: headers.to_owned(),
            body: body.to_owned(),
        }
    }
}

/// Sends one request with a correct length, and reads the answer to its end.
pub fn request(to: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    raw(to, &encode(method, path, body))
}

/// As [`request`], to a server that may be down: the error tells that it was, or that it closed without an answer.
pub fn try_request(to: SocketAddr, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
    let answer = exchange(to, &encode(method, path, body))?;
    if !answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Answer::parse(&answer))
}

fn encode(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: nsqd\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends these bytes, whatever they are, and reads until the server closes.
pub fn raw(to: SocketAddr, bytes: &[u8]) -> Answer {
    Answer::parse(&exchange(to, bytes).expect("nsqd listens for HTTP"))
}

/// What comes back until the server closes or goes silent.
fn exchange(to: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A server may answer, and close, before it has read everything; the answer is what counts.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut piece = [0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..count]);
    }
    Ok(answer)
}
