//! Text on stdout.

use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::error::Error;

/// Prints; a reader who has gone has seen enough.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    print_next(text).map(|_| ())
}

/// Prints the next of many; breaks once the reader has gone.
pub(crate) fn print_next(text: &str) -> Result<ControlFlow<()>, Error> {
    let mut stdout = io::stdout();
    let printed = stdout.write_all(text.as_bytes());
    match printed.and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Error::Output(error)),
    }
}
