//! The way from clients to nsqd: always at the same address, wherever nsqd listens, and able to fail.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

/// How long a link that trickles waits after each [`TRICKLE_BYTES`].
const TRICKLE_PAUSE: Duration = Duration::from_millis(10);
const TRICKLE_BYTES: usize = 64;

/// A proxy; it ends with this value, and all links with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    target: Mutex<Option<SocketAddr>>,
    links: Mutex<Vec<Weak<Link>>>,
    is_closed: AtomicBool,
}

/// One connection through the proxy.
#[derive(Debug)]
pub struct Link {
    client: TcpStream,
    server: TcpStream,
    /// How many bytes may still pass, both ways together, before the link is reset.
    left: AtomicU64,
    /// Nothing passes, and nobody is told.
    is_silent: AtomicBool,
    is_reset: AtomicBool,
    /// What nsqd sends passes in small pieces.
    trickles: AtomicBool,
}

impl Proxy {
    /// Listens on a free port.
    pub fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, shared })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where nsqd listens now; none while it is down.
    pub fn set_target(&self, target: Option<SocketAddr>) {
        *lock(&self.shared.target) = target;
    }

    /// The links that are open.
    pub fn links(&self) -> Vec<Arc<Link>> {
        let mut links = lock(&self.shared.links);
        links.retain(|link| link.strong_count() > 0);
        links.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Release);
        // Wakes who accepts.
        let _ = TcpStream::connect(self.address);
        for link in self.links() {
            link.reset();
        }
    }
}

impl Link {
    /// Resets the connection after so many more bytes.
    pub fn cut_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Release);
    }

    /// Lets nothing pass any more, and tells nobody.
    pub fn silence(&self) {
        self.is_silent.store(true, Ordering::Release);
    }

    /// Makes what nsqd sends pass slowly from now on, or at once again.
    pub fn trickle(&self, slowly: bool) {
        self.trickles.store(slowly, Ordering::Release);
    }

    /// Ends the connection of both sides by a TCP reset, without what was on the way.
    pub fn reset(&self) {
        self.is_reset.store(true, Ordering::Release);
        for stream in [&self.client, &self.server] {
            // Ending only the reading wakes the pumps and tells the peer nothing: the last of them closes, and that resets.
            let _ = set_socket_linger(stream, Some(Duration::ZERO));
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    /// Carries bytes one way until that way ends; what fails is reset.
    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, may_trickle: bool) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let trickles = may_trickle && self.trickles.load(Ordering::Acquire);
            let room = if trickles {
                TRICKLE_BYTES
            } else {
                buffer.len()
            };
            let count = match from.read(&mut buffer[..room]) {
                Ok(0) if !self.is_reset.load(Ordering::Acquire) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(count @ 1..) => count,
                _ => break,
            };
            while self.is_silent.load(Ordering::Acquire) && !self.is_reset.load(Ordering::Acquire) {
                thread::sleep(TRICKLE_PAUSE);
            }
            if self.is_reset.load(Ordering::Acquire) {
                break;
            }
            let passing = self.take(count);
            if to.write_all(&buffer[..passing]).is_err() || passing < count {
                break;
            }
            if trickles {
                thread::sleep(TRICKLE_PAUSE);
            }
        }
        self.reset();
    }

    /// How many of so many bytes may pass.
    fn take(&self, count: usize) -> usize {
        let count = count as u64;
        let before = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                Some(left.saturating_sub(count))
            })
            .expect("the update always has a value");
        usize::try_from(before.min(count)).expect("no more than was read")
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        if shared.is_closed.load(Ordering::Acquire) {
            return;
        }
        let target = *lock(&shared.target);
        // One that finds nobody is closed at once, as a port without a listener would refuse it.
        let Some(server) = target.and_then(|target| TcpStream::connect(target).ok()) else {
            continue;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let link = Arc::new(Link {
            client,
            server,
            left: AtomicU64::new(u64::MAX),
            is_silent: AtomicBool::new(false),
            is_reset: AtomicBool::new(false),
            trickles: AtomicBool::new(false),
        });
        lock(&shared.links).push(Arc::downgrade(&link));
        let up = Arc::clone(&link);
        thread::spawn(move || up.pump(&up.client, &up.server, false));
        thread::spawn(move || link.pump(&link.server, &link.client, true));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
