//! Buffers of batches that were sent, for the next ones: the first touch of fresh memory costs more than filling it.

use std::sync::{Mutex, PoisonError};

use crate::wire::BatchBuf;

/// So many buffers are kept, of at most [`BYTES_MAX`] each.
const COUNT_MAX: usize = 16;
const BYTES_MAX: usize = 256 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<BatchBuf>>);

impl Spare {
    /// An empty batch, with room for messages if there is one to spare.
    pub(super) fn take(&self) -> BatchBuf {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_default()
    }

    /// Takes back a batch that is not needed any more.
    pub(super) fn keep(&self, mut batch: BatchBuf) {
        if batch.capacity() > BYTES_MAX {
            return;
        }
        batch.clear();
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < COUNT_MAX {
            spare.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_empty_and_bounded() {
        let spare = Spare::default();
        let batch: BatchBuf = ["message"].into_iter().collect();
        for _ in 0..2 * COUNT_MAX {
            spare.keep(batch.clone());
        }
        spare.keep([vec![b'x'; BYTES_MAX]].into_iter().collect());
        let kept: Vec<_> = (0..2 * COUNT_MAX).map(|_| spare.take()).collect();
        assert!(kept.iter().all(BatchBuf::is_empty));
        let with_room = kept.iter().filter(|batch| batch.capacity() > 0);
        assert_eq!(with_room.count(), COUNT_MAX);
    }
}
