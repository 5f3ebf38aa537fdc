//! The life of a daemon: start, wait for a signal, stop.

use std::fmt::Display;
use std::io;
use std::pin::pin;

use tracing::info;

use super::flags::{Daemon, Exit};
use super::{listen, runtime, signals};

/// Runs a daemon on all processors until a signal asks for its end, which may come before it has started. See
/// [`signals`] for what is heard.
///
/// # Errors
///
/// The process is to end with status 1, and says why: there are too few threads, or `starting` or `stop` failed.
pub fn run<Service, Cause: Display>(
    daemon: &Daemon,
    starting: impl Future<Output = Result<Service, Cause>>,
    stop: impl AsyncFnOnce(Service) -> io::Result<()>,
) -> Result<(), Exit> {
    listen::raise_descriptor_limit();
    let runtime = runtime::start().map_err(|error| daemon.fatal(&error.to_string()))?;
    let outcome = runtime.block_on(live(starting, stop));
    // What had to be done is done; what still blocks, such as reading a large data directory for a start that is not
    // wanted any more, is not waited for.
    runtime.shutdown_background();
    outcome.map_err(|text| daemon.fatal(&text))
}

/// Says why it ended otherwise than it should.
async fn live<Service, Cause: Display>(
    starting: impl Future<Output = Result<Service, Cause>>,
    stop: impl AsyncFnOnce(Service) -> io::Result<()>,
) -> Result<(), String> {
    let shutdown = signals::shutdown().map_err(|error| error.to_string())?;
    let mut shutdown = pin!(shutdown);
    let started = tokio::select! {
        started = starting => started,
        () = &mut shutdown => {
            info!("stopped before it had started");
            return Ok(());
        }
    };
    let service = started.map_err(|cause| cause.to_string())?;
    shutdown.await;
    stop(service).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: Daemon = Daemon {
        name: "test",
        config_keys: &[],
    };

    #[test]
    fn a_start_that_fails_ends_the_process_with_its_text() {
        let starting = async { Err::<(), _>("no room") };
        let exit = run(&DAEMON, starting, async |()| Ok(())).unwrap_err();
        assert_eq!((exit.status, exit.to_stdout), (1, false));
        assert!(exit.text.ends_with("no room"), "{}", exit.text);
    }
}
