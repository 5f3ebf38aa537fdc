//! The threads that a daemon runs on.

use std::{
    io,
    num::NonZero,
    sync::RwLock,
    thread::{self, available_parallelism},
};

use tokio::runtime::Runtime;

/// Starts the runtime: a thread per processor, and more for what blocks.
///
/// # Errors
///
/// The system refuses as many threads as are needed at the least. (tokio would panic, and might then wait for ever for
/// those that it has got.)
pub fn start() -> io::Result<Runtime> {
    let workers = available_parallelism().map_or(1, NonZero::get);
    can_start_threads(workers + BLOCKING)?;
    Runtime::new()
}

/// Starts so many threads, all there at the same time, and ends them.
fn can_start_threads(count: usize) -> io::Result<()> {
    let gate = RwLock::new(());
    thread::scope(|scope| {
        let closed = gate.write();
        let started = (0..count).try_for_each(|_| {
            let thread = thread::Builder::new();
            thread.spawn_scoped(scope, || drop(gate.read())).map(drop)
        });
        drop(closed);
        let text = |error| format!("{count} threads can't be started - {error}");
        started.map_err(|error| io::Error::new(error.kind(), text(error)))
    })
}

/// One for what blocks, such as opening the data directory, and one to spare.
const BLOCKING: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_runs() {
        let runtime = start().unwrap();
        let sum = async { tokio::task::spawn_blocking(|| 1 + 1).await };
        assert_eq!(runtime.block_on(sum).unwrap(), 2);
    }
}
