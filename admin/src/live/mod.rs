//! Figures as they change: each view is made once for a sample, whatever the number of those who watch it.
//!
//! A viewer that does not read is dropped as soon as a few events wait for it; viewers above the bound are refused.

mod events;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::alerts::Alerts;
use crate::cluster::Cluster;
use crate::sample::Sample;

/// What can be watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum View {
    /// Sums of the cluster, and its alerts.
    Overview,
    /// A row for each topic; after the first event those that have changed.
    Topics,
    Topic(String),
    Channel(String, String),
    Nodes,
    Node(String),
    Counter,
}

/// What views are made of.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Asked for what is not in samples: the clients of a channel that somebody looks at.
    pub(crate) cluster: Cluster,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) samples: watch::Receiver<Arc<Sample>>,
}

/// Everybody who watches.
#[derive(Debug)]
pub(crate) struct Hub {
    viewers_max: usize,
    viewers: Mutex<HashMap<View, Vec<mpsc::Sender<Bytes>>>>,
}

impl Hub {
    pub(crate) fn new(viewers_max: usize) -> Self {
        Self {
            viewers_max,
            viewers: Mutex::default(),
        }
    }

    /// The events of `view`, the whole of it first; `None` while there are too many viewers.
    pub(crate) async fn watch(&self, scene: &Scene, view: View) -> Option<mpsc::Receiver<Bytes>> {
        if self.count() >= self.viewers_max {
            return None;
        }
        let (events_tx, events_rx) = mpsc::channel(EVENTS_MAX);
        let sample = scene.sample();
        let whole = events::render(scene, &view, None, &sample).await;
        events_tx
            .try_send(event(&sample, &whole))
            .expect("the mailbox is new");
        // Others may have come meanwhile: the bound holds at this moment.
        let mut viewers = self.viewers();
        if viewers.values().map(Vec::len).sum::<usize>() >= self.viewers_max {
            return None;
        }
        viewers.entry(view).or_default().push(events_tx);
        Some(events_rx)
    }

    /// How many watch. One that has gone counts until the next event.
    pub(crate) fn count(&self) -> usize {
        self.viewers().values().map(Vec::len).sum()
    }

    /// Sends events until `stopped`; then ends all streams.
    pub(crate) async fn run(&self, mut scene: Scene, mut stopped: watch::Receiver<bool>) {
        let send = async {
            let mut before = scene.sample();
            loop {
                match timeout(HEARTBEAT, scene.samples.changed()).await {
                    Ok(Ok(())) => {}
                    // The sampler has ended, as everything does.
                    Ok(Err(_)) => return,
                    Err(_) => {
                        self.send_all(&Bytes::from_static(b":\n\n"));
                        continue;
                    }
                }
                let sample = Arc::clone(&scene.samples.borrow_and_update());
                self.send_sample(&scene, &before, &sample).await;
                before = sample;
            }
        };
        tokio::select! {
            () = send => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        self.viewers().clear();
    }

    async fn send_sample(&self, scene: &Scene, before: &Arc<Sample>, sample: &Arc<Sample>) {
        let views: Vec<View> = self.viewers().keys().cloned().collect();
        let mut rendering = JoinSet::new();
        for view in views {
            let (scene, before, sample) = (scene.clone(), Arc::clone(before), Arc::clone(sample));
            rendering.spawn(async move {
                let data = events::render(&scene, &view, Some(&before), &sample).await;
                (view, event(&sample, &data))
            });
        }
        while let Some(rendered) = rendering.join_next().await {
            // None of them panics, and none is aborted while this is polled.
            if let Ok((view, event)) = rendered {
                let mut viewers = self.viewers();
                if let Some(watching) = viewers.get_mut(&view) {
                    watching.retain(|viewer| viewer.try_send(event.clone()).is_ok());
                }
                viewers.retain(|_, watching| !watching.is_empty());
            }
        }
    }

    fn send_all(&self, bytes: &Bytes) {
        let mut viewers = self.viewers();
        for watching in viewers.values_mut() {
            watching.retain(|viewer| viewer.try_send(bytes.clone()).is_ok());
        }
        viewers.retain(|_, watching| !watching.is_empty());
    }

    fn viewers(&self) -> MutexGuard<'_, HashMap<View, Vec<mpsc::Sender<Bytes>>>> {
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scene {
    /// The last sample.
    pub(crate) fn sample(&self) -> Arc<Sample> {
        Arc::clone(&self.samples.borrow())
    }

    /// All that there is to be seen of `view` now.
    pub(crate) async fn whole(&self, view: &View) -> serde_json::Value {
        events::render(self, view, None, &self.sample()).await
    }
}

/// An event of a stream (HTML, server-sent events). JSON has no line breaks of its own.
fn event(sample: &Sample, data: &serde_json::Value) -> Bytes {
    format!("id: {}\ndata: {data}\n\n", sample.tick).into()
}

/// Events that wait for a viewer before it is given up.
const EVENTS_MAX: usize = 8;
/// Often enough for proxies between us and the viewer.
const HEARTBEAT: Duration = Duration::from_secs(15);
