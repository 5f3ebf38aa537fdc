//! Listening sockets, TCP or unix, that go on accepting whatever happens.
//!
//! Running out of file descriptors must not turn into a busy loop, nor leave peers hanging, nor keep the daemon from its
//! own files: the last descriptors are not for connections ([`no_room`]). Should there be none all the same,
//! a spare one is given up for long enough to accept the waiting peer and close the connection at once.

mod descriptors;
mod refusals;
mod stream;

use std::{
    fs::File,
    io,
    net::SocketAddr,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpSocket, UnixListener},
    time::Instant,
};
use tracing::warn;

pub use descriptors::raise_descriptor_limit;
pub use refusals::{Refusals, no_room};
pub use stream::Stream;

use crate::tls::ServerConfig;
use descriptors::Part;
use refusals::Rarely;

/// A listening socket. Dropping it closes it, and removes the file of a unix socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Open on `/dev/null`, to be closed when there are no descriptors left; `None` while there are none.
    spare: Option<File>,
    trouble: Trouble,
    tls: Option<Arc<ServerConfig>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// An address that could not be listened on.
#[derive(Debug, Error)]
#[error("listen ({address}) failed - {cause}")]
pub struct BindError {
    address: String,
    cause: io::Error,
}

impl Listener {
    /// Listens on `host:port`, on `:port` (all interfaces, IPv6 and IPv4), or on the unix socket at a path.
    ///
    /// An address with a `/` or without a `:` is a path. Port 0 lets the system choose. A socket file
    /// that nobody listens on any more, left by a crash, is replaced.
    ///
    /// # Errors
    ///
    /// The address cannot be resolved, is in use or is not allowed.
    pub async fn bind(address: &str) -> Result<Self, BindError> {
        let socket = if address.contains('/') || !address.contains(':') {
            bind_unix(Path::new(address))
        } else {
            bind_tcp(address).await.map(Socket::Tcp)
        };
        let socket = socket.and_then(Socket::with_long_queue);
        let socket = socket.map_err(|cause| BindError {
            address: address.to_owned(),
            cause,
        })?;
        Ok(Self {
            socket,
            spare: spare(),
            trouble: Trouble::default(),
            tls: None,
        })
    }

    /// Notes that every connection is to begin with TLS. The handshake is left to whoever serves the connection, so that
    /// a slow one holds up nobody else.
    #[must_use]
    pub fn with_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Returns how connections are to begin with TLS, if they are.
    pub fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref()
    }

    /// Returns the TCP port that is really bound; `None` for a unix socket.
    pub fn local_port(&self) -> Option<u16> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Socket::Unix(..) => None,
        }
    }

    /// Returns what is listened on, for log lines: `127.0.0.1:4150` or the path.
    pub fn local_address(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "?".to_owned(), |address| address.to_string()),
            Socket::Unix(_, file) => file.0.display().to_string(),
        }
    }

    /// Waits for the next connection. Never gives up: after an error it waits (5 ms, doubled up to
    /// 1 s) and tries again. It may be dropped at any time, as in `select!`, without losing a connection.
    ///
    /// While only those file descriptors are left that are kept for files, peers are accepted and closed at once.
    pub async fn accept(&mut self) -> Stream {
        loop {
            self.trouble.pause().await;
            let (error, refused) = match self.socket.accept().await {
                Ok(stream) if stream.part_of_descriptors() == Part::Files => {
                    (io::Error::from(rustix::io::Errno::MFILE), true)
                }
                Ok(stream) => {
                    self.trouble.over();
                    self.spare = self.spare.take().or_else(spare);
                    return stream;
                }
                Err(error) => {
                    let refused = out_of_descriptors(&error) && self.refuse_one().await;
                    (error, refused)
                }
            };
            self.trouble.note(&error, refused);
        }
    }

    /// Gives up the spare descriptor to accept the first waiting peer and close the connection; true if one was.
    async fn refuse_one(&mut self) -> bool {
        let Some(given_up) = self.spare.take() else {
            self.spare = spare();
            return false;
        };
        drop(given_up);
        let accepted = tokio::time::timeout(REFUSE_WITHIN, self.socket.accept()).await;
        let refused = matches!(accepted, Ok(Ok(_)));
        drop(accepted);
        self.spare = spare();
        refused
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Stream::tcp(stream, peer))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Stream::unix(stream))
            }
        }
    }
}

/// How long accepting has been failing, when to try again, and when that was last logged.
#[derive(Debug, Default)]
struct Trouble {
    pause: Duration,
    retry_at: Option<Instant>,
    log: Rarely,
}

impl Trouble {
    async fn pause(&mut self) {
        if let Some(at) = self.retry_at {
            tokio::time::sleep_until(at).await;
            self.retry_at = None;
        }
    }

    fn over(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// Doubles the pause, unless a peer was refused: then the queue moves on, and the next one is served as soon.
    fn note(&mut self, error: &io::Error, refused: bool) {
        self.pause = if refused {
            PAUSE_MIN
        } else {
            (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
        };
        self.retry_at = Some(Instant::now() + self.pause);
        if let Some(count) = self.log.note() {
            warn!(%error, count, "accepting connections fails, trying again");
        }
    }
}

impl Socket {
    /// Lets [`BACKLOG`] connections wait, where `bind` lets 128.
    fn with_long_queue(self) -> io::Result<Socket> {
        let socket = match &self {
            Socket::Tcp(listener) => socket2::SockRef::from(listener),
            Socket::Unix(listener, _) => socket2::SockRef::from(listener),
        };
        socket.listen(BACKLOG)?;
        Ok(self)
    }
}

/// The file of a unix socket, removed with its listener.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Already gone is as good; anything else is found and replaced by the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn bind_tcp(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else {
        return TcpListener::bind(address).await;
    };
    let port: u16 = port
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "port is not 0 to 65535"))?;
    match bind_all_interfaces(port) {
        Ok(listener) => Ok(listener),
        // Without IPv6 in the kernel, IPv4 is all interfaces.
        Err(_) => TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await,
    }
}

/// One socket for IPv6 and, as long as the system does not forbid it, IPv4.
fn bind_all_interfaces(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v6()?;
    socket.set_reuseaddr(true)?;
    socket2::SockRef::from(&socket).set_only_v6(false)?;
    socket.bind(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)))?;
    socket.listen(BACKLOG.unsigned_abs())
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    Ok(Socket::Unix(listener, SocketFile(path.to_owned())))
}

/// True if `path` is a socket that nobody listens on.
fn is_stale(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let probe = || std::os::unix::net::UnixStream::connect(path);
    is_socket && probe().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// `EMFILE` (this process has no descriptors left) or `ENFILE` (the machine has none).
fn out_of_descriptors(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(
        errno,
        Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
    )
}

const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The peer that made `accept` fail waits in the queue already; more time than this means it left.
const REFUSE_WITHIN: Duration = Duration::from_millis(10);
/// Connections that may wait to be accepted; what comes beyond is tried again by its system a second later. The system bounds it
/// further (`net.core.somaxconn`, mostly 4096).
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn echoes_over(
        listener: &mut Listener,
        client: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    ) {
        let mut server = listener.accept().await;
        client.write_all(b"ping").await.unwrap();
        let mut bytes = [0; 4];
        server.read_exact(&mut bytes).await.unwrap();
        server.write_all(&bytes).await.unwrap();
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"ping");
    }

    #[tokio::test]
    async fn tcp_connections_have_peer_and_nodelay() {
        for address in ["127.0.0.1:0", ":0"] {
            let mut listener = Listener::bind(address).await.unwrap();
            let port = listener.local_port().unwrap();
            let mut client = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            let local = client.local_addr().unwrap();
            let accepted = listener.accept().await;
            assert_eq!(accepted.peer(), local.to_string(), "listening on {address}");
            assert_eq!(accepted.peer_ip(), Some(local.ip()));
            let Stream::Tcp(socket, _) = &accepted else {
                panic!("{accepted:?}");
            };
            let waits = socket2::SockRef::from(socket).tcp_user_timeout().unwrap();
            assert_eq!(waits, Some(Duration::from_secs(75)));

            client = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            echoes_over(&mut listener, &mut client).await;
        }
    }

    #[tokio::test]
    async fn a_burst_of_connections_waits_to_be_accepted() {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_port().unwrap();
        let connect = |_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let start = std::time::Instant::now();
        let waiting: Vec<_> = (0..1000).map(connect).collect();
        // What finds no place is tried again after a second, then after two, four and so on.
        assert!(start.elapsed() < Duration::from_mins(1));
        drop(waiting);
    }

    #[tokio::test]
    async fn a_unix_socket_replaces_a_stale_file_but_not_a_live_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nsqd.sock");
        let address = path.to_str().unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a closed listener leaves its file");

        let mut listener = Listener::bind(address).await.unwrap();
        assert_eq!(
            (listener.local_port(), listener.local_address().as_str()),
            (None, address)
        );
        let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
        echoes_over(&mut listener, &mut client).await;

        let error = Listener::bind(address)
            .await
            .expect_err("in use")
            .to_string();
        assert!(
            error.starts_with(&format!("listen ({address}) failed - ")),
            "{error}"
        );
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(path.to_str().unwrap()).await.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn bind_errors_name_the_address() {
        let first = Listener::bind("127.0.0.1:0").await.unwrap();
        for address in [
            first.local_address().as_str(),
            "127.0.0.1:99999",
            ":x",
            "127.0.0.1:",
        ] {
            let error = Listener::bind(address)
                .await
                .expect_err(address)
                .to_string();
            assert!(
                error.starts_with(&format!("listen ({address}) failed - ")),
                "{error}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_are_capped() {
        let mut trouble = Trouble::default();
        let error = io::Error::from_raw_os_error(24);
        assert!(out_of_descriptors(&error));
        let mut pauses = Vec::new();
        for _ in 0..10 {
            trouble.note(&error, false);
            let before = Instant::now();
            trouble.pause().await;
            pauses.push(before.elapsed().as_millis());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        trouble.over();
        trouble.note(&error, false);
        assert_eq!(trouble.pause, PAUSE_MIN);
    }
}
