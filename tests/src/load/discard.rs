//! A server that takes messages and throws them away: the floor of what publishing over this protocol costs.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::log::Log;
use crate::{process, wait};

/// The command `discard`, which was built beside this program, running as a process of its own.
#[derive(Debug)]
pub struct Discard {
    process: Child,
    address: SocketAddr,
}

impl Discard {
    /// Starts it on a free port.
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(program.with_file_name("discard"));
        let mut process = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("discard lies beside this program: cargo build -p tests --bins");
        let log = Log::collect(process.stderr.take().expect("stderr is piped"));
        let address = wait::some("discard listens", || log.after("TCP: listening on "));
        Self {
            process,
            address: address.parse().expect("an address"),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time used since its start.
    pub fn cpu_time(&self) -> Duration {
        process::cpu_time(self.process.id())
    }
}

impl Drop for Discard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
