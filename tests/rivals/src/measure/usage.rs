//! What processes have used so far, as the kernel tells it.

use std::fs;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::systems::Server;

/// Ticks of `/proc/PID/stat` in a second (`USER_HZ`).
const TICKS: u64 = 100;

/// What a server and this program have used at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// The moment.
    pub(crate) at: Instant,
    /// Processor time of the server.
    pub(crate) server_cpu: Duration,
    /// Processor time of this program.
    pub(crate) load_cpu: Duration,
    /// Bytes that the server has had the disk write.
    pub(crate) written_bytes: u64,
}

impl Usage {
    /// What has been used until now.
    pub(crate) fn of(server: &Server) -> Result<Self, Error> {
        let pid = server.pid();
        let io = read(&format!("/proc/{pid}/io"))?;
        Ok(Self {
            at: Instant::now(),
            server_cpu: cpu(&read(&format!("/proc/{pid}/stat"))?)?,
            load_cpu: cpu(&read("/proc/self/stat")?)?,
            written_bytes: field(&io, "write_bytes:")?,
        })
    }
}

/// Memory of a server, now or (`VmHWM`) at its peak, in bytes.
pub(crate) fn resident_bytes(server: &Server, key: &str) -> Result<u64, Error> {
    let status = read(&format!("/proc/{}/status", server.pid()))?;
    Ok(field(&status, key)? * 1024)
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::io(path))
}

/// User and system time, the 14th and 15th field. The name in brackets, which is the second, may hold anything.
fn cpu(stat: &str) -> Result<Duration, Error> {
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
    let ticks = fields
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2);
    let ticks: Option<Vec<u64>> = ticks.map(|field| field.parse().ok()).collect();
    match ticks.as_deref() {
        Some([user, system]) => Ok(Duration::from_millis((user + system) * 1000 / TICKS)),
        _ => Err(Error::Unexpected(stat.to_owned())),
    }
}

/// The number behind a key that begins a line.
fn field(text: &str, key: &str) -> Result<u64, Error> {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Error::Unexpected(format!("no {key} in {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu(stat).unwrap(), Duration::from_secs(2));
        assert!(cpu("7 (a)").is_err());
    }

    #[test]
    fn numbers_are_found_by_their_key() {
        let text = "wchar: 1\nwrite_bytes: 4096\nVmHWM:\t  12 kB\n";
        assert_eq!(field(text, "write_bytes:").unwrap(), 4096);
        assert_eq!(field(text, "VmHWM:").unwrap(), 12);
        assert!(field(text, "VmRSS:").is_err());
    }
}
