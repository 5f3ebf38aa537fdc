//! Messages on their way into an MPUB.

use super::batch::{Batch, SIZE_BYTES, put_size};

/// Messages that are to be published together, encoded as they come, so that sending them is one copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchBuf {
    /// Size and message, `count` times.
    items: Vec<u8>,
    count: usize,
}

impl BatchBuf {
    /// Appends a message.
    ///
    /// # Panics
    /// If it has 2 GiB or more, which no size on the wire can say.
    pub fn push(&mut self, message: &[u8]) {
        self.items.reserve(SIZE_BYTES + message.len());
        put_size(&mut self.items, message.len());
        self.items.extend_from_slice(message);
        self.count += 1;
    }

    /// Makes room for so many messages of so many bytes each.
    pub fn reserve(&mut self, messages: usize, bytes_each: usize) {
        let bytes = messages.saturating_mul(SIZE_BYTES + bytes_each);
        self.items.reserve(bytes);
    }

    /// How many bytes fit in without further memory, sizes included.
    pub fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// Forgets the messages, and keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.count = 0;
    }

    /// The messages, for [`Command::PublishMany`](super::Command::PublishMany).
    pub fn as_batch(&self) -> Batch<'_> {
        Batch::of_checked(&self.items, self.count)
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes the messages from index `at` on away; none if there are no more than that.
    #[must_use = "they are not in this batch any more"]
    pub fn split_off(&mut self, at: usize) -> BatchBuf {
        let before = self.as_batch().iter().take(at);
        let bytes = before.map(|message| SIZE_BYTES + message.len()).sum();
        let count = self.count.saturating_sub(at);
        self.count -= count;
        BatchBuf {
            items: self.items.split_off(bytes),
            count,
        }
    }
}

impl<M: AsRef<[u8]>> Extend<M> for BatchBuf {
    fn extend<I: IntoIterator<Item = M>>(&mut self, messages: I) {
        for message in messages {
            self.push(message.as_ref());
        }
    }
}

impl<M: AsRef<[u8]>> FromIterator<M> for BatchBuf {
    fn from_iter<I: IntoIterator<Item = M>>(messages: I) -> BatchBuf {
        let mut batch = BatchBuf::default();
        batch.extend(messages);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(batch: &BatchBuf) -> Vec<&[u8]> {
        batch.as_batch().iter().collect()
    }

    #[test]
    fn what_is_pushed_is_there_in_order() {
        let batch: BatchBuf = ["a", "", "bcd"].into_iter().collect();
        assert_eq!(messages(&batch), [&b"a"[..], b"", b"bcd"]);
        assert_eq!((batch.len(), batch.as_batch().body_bytes()), (3, 4));
        assert!(!batch.is_empty() && BatchBuf::default().is_empty());
    }

    #[test]
    fn it_splits_anywhere() {
        let whole: BatchBuf = ["a", "bb", "ccc"].into_iter().collect();
        for at in 0..5 {
            let mut first = whole.clone();
            let second = first.split_off(at);
            assert_eq!(first.len(), at.min(3));
            let joined = [messages(&first), messages(&second)].concat();
            assert_eq!(joined, messages(&whole), "split at {at}");
        }
    }
}
