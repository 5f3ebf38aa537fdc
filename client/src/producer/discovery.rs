//! Finding nsqds to publish to.

use tokio::task::JoinSet;

use super::ProducerBuilder;
use crate::http::{Client, RequestError};

impl ProducerBuilder {
    /// Adds every nsqd that one of these nsqlookupds knows, as they say now (`GET /nodes`). All are asked at once, as
    /// `client` says; one that does not answer is left out while another does.
    ///
    /// Nobody is asked again: a producer has the nsqds that it was built with. One that is to follow a cluster whose
    /// nsqds come and go is built anew from time to time; the old one ends by itself, see [the module](super).
    ///
    /// # Errors
    /// None of them answered; why the first did not.
    pub async fn lookupd_nodes<I>(
        mut self,
        client: &Client,
        lookupds: I,
    ) -> Result<ProducerBuilder, RequestError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut asking = JoinSet::new();
        for (index, lookupd) in lookupds.into_iter().enumerate() {
            let (client, lookupd) = (client.clone(), lookupd.into());
            asking.spawn(async move { (index, client.lookupd(&lookupd).nodes().await) });
        }
        let mut answers = asking.join_all().await;
        answers.sort_unstable_by_key(|(index, _)| *index);
        let has_answer = answers.iter().any(|(_, answer)| answer.is_ok());
        for (_, answer) in answers {
            match answer {
                Ok(nodes) => {
                    for node in nodes {
                        self = self.nsqd(node.tcp_address().to_string());
                    }
                }
                Err(error) if has_answer => {
                    tracing::warn!(%error, "nsqlookupd gave no answer");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self)
    }
}
