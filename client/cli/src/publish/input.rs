//! Where the lines come from, read by a thread of its own: a read of a terminal or a pipe may never
//! return.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::progress::Progress;
use crate::error::Error;

const CHUNK_BYTES: usize = 64 * 1024;
/// How many chunks are read ahead.
const CHUNKS_AHEAD: usize = 4;

/// Chunks as they are read, or why there are no more.
pub(super) type Chunks = mpsc::Receiver<Result<Bytes, Error>>;

/// An open input.
pub(crate) struct Source {
    name: String,
    input: Box<dyn Read + Send>,
    /// How much there is, if that is known.
    bytes: Option<u64>,
    /// A person types it.
    is_typed: bool,
}

impl Source {
    /// Opens a file, or stdin.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub(crate) fn open(path: Option<&Path>) -> Result<Source, Error> {
        let Some(path) = path else {
            return Ok(Source {
                name: "stdin".to_owned(),
                input: Box::new(io::stdin()),
                bytes: None,
                is_typed: io::stdin().is_terminal(),
            });
        };
        let name = path.display().to_string();
        let failed = |cause| Error::Input {
            path: name.clone(),
            cause,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        Ok(Source {
            bytes: metadata.is_file().then_some(metadata.len()),
            input: Box::new(file),
            is_typed: false,
            name,
        })
    }

    /// What a person sees while it is read: nothing in the midst of what they type.
    pub(super) fn progress(&self) -> Progress {
        if self.is_typed {
            Progress::none()
        } else {
            Progress::on_terminal(self.bytes)
        }
    }

    /// Reads until the end, or until the receiver is gone.
    pub(super) fn read(mut self) -> Chunks {
        let (chunks_tx, chunks_rx) = mpsc::channel(CHUNKS_AHEAD);
        std::thread::spawn(move || {
            while let Some(chunk) = self.read_chunk().transpose() {
                let is_last = chunk.is_err();
                let chunk = chunk.map_err(|cause| Error::Input {
                    path: self.name.clone(),
                    cause,
                });
                if chunks_tx.blocking_send(chunk).is_err() || is_last {
                    break;
                }
            }
        });
        chunks_rx
    }

    fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match self.input.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    chunk.truncate(count);
                    return Ok(Some(chunk.into()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
