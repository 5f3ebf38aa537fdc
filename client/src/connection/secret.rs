//! A secret that changes from time to time.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

type Asking = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>> + Send>>;

/// Where the secret for AUTH comes from, asked anew for each connection.
///
/// ```
/// use client::connection::SecretProvider;
///
/// let from_file = SecretProvider::new(|| async { std::fs::read("/run/secrets/nsq") });
/// ```
#[derive(Clone)]
pub struct SecretProvider(Arc<dyn Fn() -> Asking + Send + Sync>);

impl SecretProvider {
    /// A provider that is asked by calling this.
    pub fn new<F, S>(ask: F) -> SecretProvider
    where
        F: Fn() -> S + Send + Sync + 'static,
        S: Future<Output = io::Result<Vec<u8>>> + Send + 'static,
    {
        SecretProvider(Arc::new(move || Box::pin(ask())))
    }

    pub(super) async fn ask(&self) -> io::Result<Vec<u8>> {
        (self.0)().await
    }
}

impl fmt::Debug for SecretProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretProvider")
    }
}
