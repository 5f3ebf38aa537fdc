//! Consumers and publishers of the whole cluster, asked for at most every few seconds, and only when somebody looks.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::cluster::{Cluster, ClusterError, Consumer, Publisher, Warnings};

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// Who holds it asks; others wait, and find the answer.
    asking: Mutex<()>,
    known: RwLock<Option<(Instant, Arc<Lists>)>>,
}

/// Both lists, and who is missing in them.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) warnings: Warnings,
}

impl People {
    /// The lists, no older than [`FRESH_FOR`].
    pub(crate) async fn lists(&self, cluster: &Cluster) -> Result<Arc<Lists>, ClusterError> {
        let _asking = self.asking.lock().await;
        if let Some(lists) = self.known(FRESH_FOR) {
            return Ok(lists);
        }
        let (consumers, warnings) = cluster.consumers().await?;
        let (publishers, _) = cluster.publishers().await?;
        let lists = Arc::new(Lists {
            consumers,
            publishers,
            warnings,
        });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), Arc::clone(&lists)));
        Ok(lists)
    }

    /// Those that were asked for lately; nobody is asked.
    pub(crate) fn known_consumers(&self) -> Vec<Consumer> {
        let lists = self.known(KNOWN_FOR);
        lists
            .map(|lists| lists.consumers.clone())
            .unwrap_or_default()
    }

    fn known(&self, age_max: Duration) -> Option<Arc<Lists>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (at, lists) = known.as_ref()?;
        (at.elapsed() < age_max).then(|| Arc::clone(lists))
    }
}

const FRESH_FOR: Duration = Duration::from_secs(5);
const KNOWN_FOR: Duration = Duration::from_mins(5);
