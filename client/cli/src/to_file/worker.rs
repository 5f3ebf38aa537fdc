//! The thread that writes the files of one topic. Messages are finished here, once they are on disk.

use std::thread;

use client::consumer::Message;
use tokio::sync::{mpsc, oneshot};

use super::files::{FileError, Files};

/// What the thread is asked to do, in this order.
#[derive(Debug)]
pub(super) enum Order<M> {
    /// Append these messages.
    Write(Vec<M>),
    /// Make everything durable, and finish it.
    Sync,
    /// The same, and see whether a file's time is over.
    Tick,
    /// The same, and end the file, so that somebody else may move it.
    Reopen,
}

/// Orders that wait; each is one batch of messages at most.
const ORDERS_MAX: usize = 2;

/// What the worker needs of a message.
pub(super) trait Written: Send + 'static {
    /// What is written.
    fn body(&self) -> &[u8];
    /// It is on disk.
    fn finish(self);
}

impl Written for Message {
    fn body(&self) -> &[u8] {
        Message::body(self)
    }

    fn finish(self) {
        // Too late, or the connection is gone: the message comes again, as it may.
        let _ = Message::finish(self);
    }
}

struct Worker<M> {
    files: Files,
    /// Appended and not durable; without their bodies they would not be fewer, so they are kept whole.
    unsynced: Vec<M>,
    /// How many of them make a sync.
    sync_at: usize,
}

/// Starts the thread. It ends when the sender is gone, after everything is durable and the file is closed, or with the
/// first failure; messages that are not durable then are given back.
pub(super) fn start<M: Written>(
    files: Files,
    sync_at: usize,
) -> (
    mpsc::Sender<Order<M>>,
    oneshot::Receiver<Result<(), FileError>>,
) {
    let (orders_tx, orders_rx) = mpsc::channel(ORDERS_MAX);
    let (ended_tx, ended_rx) = oneshot::channel();
    let worker = Worker {
        files,
        unsynced: Vec::new(),
        sync_at,
    };
    thread::spawn(move || {
        // Nobody listening means that the command is ending anyway.
        let _ = ended_tx.send(worker.run(orders_rx));
    });
    (orders_tx, ended_rx)
}

impl<M: Written> Worker<M> {
    fn run(mut self, mut orders: mpsc::Receiver<Order<M>>) -> Result<(), FileError> {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Write(messages) => self.write(messages)?,
                Order::Sync => self.sync()?,
                Order::Tick => {
                    self.sync()?;
                    self.files.tick()?;
                }
                Order::Reopen => self.close()?,
            }
        }
        self.close()
    }

    fn write(&mut self, messages: Vec<M>) -> Result<(), FileError> {
        for message in messages {
            if self.files.append(message.body())? {
                self.finish_all();
            }
            self.unsynced.push(message);
            if self.unsynced.len() >= self.sync_at {
                self.sync()?;
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.files.sync()?;
        self.finish_all();
        Ok(())
    }

    fn close(&mut self) -> Result<(), FileError> {
        // Finished before the file moves, which may take its time.
        self.sync()?;
        self.files.close()
    }

    fn finish_all(&mut self) {
        self.unsynced.drain(..).for_each(Written::finish);
    }
}
