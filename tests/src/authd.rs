//! An authorization server that says what a test wants, right or wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::wait::PATIENCE;

/// What is done with a question.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An answer with this status and body.
    Answer(u16, String),
    /// These bytes instead of an answer, then the end.
    Bytes(Vec<u8>),
    /// The same answer, some time later.
    Late(Duration, u16, String),
    /// Nothing at all, as long as anybody waits.
    Never,
}

impl Reply {
    /// A grant of this many seconds, with these authorizations in JSON.
    pub fn grant(ttl: i64, authorizations: &str) -> Self {
        let body = format!(
            r#"{{"ttl":{ttl},"identity":"joe","identity_url":"http://x","authorizations":[{authorizations}]}}"#
        );
        Self::Answer(200, body)
    }

    /// Everything is allowed, for an hour.
    pub fn all() -> Self {
        Self::grant(
            3600,
            r#"{"topic":".*","channels":[".*"],"permissions":["subscribe","publish"]}"#,
        )
    }
}

/// A server on a port of its own. It listens as long as this value lives.
#[derive(Debug)]
pub struct Authd {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    reply: Arc<Mutex<Reply>>,
    closing: Arc<Mutex<bool>>,
}

impl Authd {
    /// Starts one that replies this to every question.
    pub fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let authd = Self {
            address: listener.local_addr().expect("it is bound"),
            requests: Arc::default(),
            reply: Arc::new(Mutex::new(reply)),
            closing: Arc::default(),
        };
        let (requests, reply) = (Arc::clone(&authd.requests), Arc::clone(&authd.reply));
        let closing = Arc::clone(&authd.closing);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *lock(&closing) {
                    return;
                }
                let (requests, reply) = (Arc::clone(&requests), Arc::clone(&reply));
                thread::spawn(move || serve(stream, &requests, &reply));
            }
        });
        authd
    }

    /// `host:port`, as `--auth-http-address` wants it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The flag for nsqd.
    pub fn flag(&self) -> String {
        format!("--auth-http-address={}", self.address)
    }

    /// Replies this from now on.
    pub fn set(&self, reply: Reply) {
        *lock(&self.reply) = reply;
    }

    /// Every question so far: head and body.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }
}

impl Drop for Authd {
    fn drop(&mut self) {
        *lock(&self.closing) = true;
        // Wakes the listener, so that it sees that it is over; it may have ended already.
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads one question, and replies.
fn serve(mut stream: TcpStream, requests: &Mutex<Vec<String>>, reply: &Mutex<Reply>) {
    let Some(request) = read(&mut stream) else {
        return;
    };
    lock(requests).push(request);
    let reply = lock(reply).clone();
    let bytes = match reply {
        Reply::Answer(status, body) => answer(status, &body),
        Reply::Bytes(bytes) => bytes,
        Reply::Late(delay, status, body) => {
            thread::sleep(delay);
            answer(status, &body)
        }
        Reply::Never => {
            // Until the other side has had enough.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    // Who asked may be gone.
    let _ = stream.write_all(&bytes);
}

/// A request up to the end of its body; none if it is broken off.
fn read(stream: &mut TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = lengths
                .next()
                .map_or(0, |(_, value)| value.parse().unwrap_or(0));
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut piece) {
            Ok(count @ 1..) => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
