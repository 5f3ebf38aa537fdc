//! The task of one nsqd: connect, publish, and come back, until the producer is over.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument, info, info_span, warn};

use super::events::Event;
use super::hub::Hub;
use super::session::{End, Lost, Patience, Session};
use crate::connection::{Address, ConnectError, ConnectOptions, Connection};
use crate::reconnect::Reconnect;

/// An nsqd, and how to reach it.
#[derive(Debug)]
pub(super) struct NodeTask {
    pub(super) hub: Arc<Hub>,
    pub(super) index: usize,
    pub(super) address: Arc<Address>,
    pub(super) options: Arc<ConnectOptions>,
    pub(super) reconnect: Reconnect,
    pub(super) patience: Patience,
}

impl NodeTask {
    /// Runs until the producer is over. A circuit stands around the nsqd: each failure in a row opens
    /// it for longer, and the next attempt decides whether it closes.
    pub(super) async fn run(self) {
        let mut failures = 0;
        loop {
            let wait = match self.connect().await {
                None => return,
                Some(Err(error)) => {
                    failures += 1;
                    self.unreachable(error, failures)
                }
                Some(Ok(connection)) => match self.serve(connection).await {
                    End::Over => return,
                    End::Refused(back) => {
                        failures = 0;
                        self.hub.put_back(self.index, back);
                        Duration::ZERO
                    }
                    End::Lost(lost) => {
                        failures = if lost.was_useful { 1 } else { failures + 1 };
                        self.lost(lost, failures)
                    }
                },
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.hub.over() => return,
            }
        }
    }

    /// `None` once the producer is over.
    async fn connect(&self) -> Option<Result<Connection, ConnectError>> {
        let span = info_span!("nsq.connect", messaging.system = "nsq", node = %self.address);
        let connecting = Connection::connect(&self.address, &self.options).instrument(span);
        tokio::select! {
            connected = connecting => Some(connected),
            () = self.hub.over() => None,
        }
    }

    async fn serve(&self, connection: Connection) -> End {
        info!(node = %self.address, "producer connected");
        let zone = connection.settled().topology_zone.clone();
        self.hub.connected(self.index, &zone);
        self.hub.tell(Event::Connected {
            node: Arc::clone(&self.address),
        });
        let (hub, index, patience) = (&self.hub, self.index, self.patience);
        Session::new(hub, index, &self.address, patience, connection)
            .run()
            .await
    }

    fn unreachable(&self, error: ConnectError, failures: u32) -> Duration {
        let permanent = error.cause.is_permanent();
        let retry_in = if permanent {
            self.reconnect.max
        } else {
            self.reconnect.delay(failures)
        };
        warn!(node = %self.address, error = %error.cause, permanent, ?retry_in, "nsqd not reached");
        let cause = Arc::new(error);
        self.hub.unreachable(self.index, &cause);
        self.hub.tell(Event::ConnectFailed {
            cause,
            permanent,
            retry_in,
        });
        retry_in
    }

    fn lost(&self, lost: Lost, failures: u32) -> Duration {
        let retry_in = self.reconnect.delay(failures);
        let Lost { back, cause, .. } = lost;
        warn!(
            node = %self.address, error = %cause, sent_again = back.len(), ?retry_in,
            "connection lost"
        );
        self.hub.lost(self.index, back);
        self.hub.tell(Event::Disconnected {
            node: Arc::clone(&self.address),
            cause,
            retry_in,
        });
        retry_in
    }
}
