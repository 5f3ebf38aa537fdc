//! Text on stdout.

use std::io::{self, Write};

use crate::error::Error;

/// Prints; a reader who has gone has seen enough.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}
