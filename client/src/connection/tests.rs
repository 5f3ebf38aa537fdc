use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::*;
use crate::wire::{
    BatchBuf, CommandDecoder, Decoded, ErrorReply, IdentifyRequest, put_error, put_message,
};
use crate::wire::{ErrorCode, MessageId, put_response};

/// An nsqd that says what a test tells it to.
struct Fake {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Fake {
    async fn accept(listener: &TcpListener) -> Fake {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut magic = [0; 4];
        stream.read_exact(&mut magic).await.unwrap();
        assert_eq!(magic, MAGIC_V2);
        let received = Vec::new();
        Fake { stream, received }
    }

    /// Accepts and answers IDENTIFY with this.
    async fn identified(listener: &TcpListener, response: &[u8]) -> (Fake, IdentifyRequest) {
        let mut fake = Fake::accept(listener).await;
        let body = fake
            .command(|command| match command {
                Command::Identify { body } => body.to_vec(),
                other => panic!("{other:?} is not IDENTIFY"),
            })
            .await;
        fake.respond(response).await;
        (fake, IdentifyRequest::parse(&body).unwrap())
    }

    /// Waits for a command.
    async fn command<T>(&mut self, read: impl FnOnce(Command<'_>) -> T) -> T {
        let mut decoder = CommandDecoder::default();
        loop {
            let outcome = decoder.decode(&self.received, &Limits::default(), |_| Ok(()));
            if let Decoded::Command { command, consumed } = outcome.unwrap() {
                let value = read(command);
                self.received.drain(..consumed);
                return value;
            }
            assert_ne!(self.stream.read_buf(&mut self.received).await.unwrap(), 0);
        }
    }

    async fn expect(&mut self, expected: Command<'_>) {
        self.command(|command| assert_eq!(command, expected)).await;
    }

    async fn respond(&mut self, data: &[u8]) {
        let mut frame = Vec::new();
        put_response(&mut frame, data);
        self.stream.write_all(&frame).await.unwrap();
    }
}

async fn listen() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address.parse().unwrap())
}

async fn connect(address: &Address) -> Result<Connection, ConnectError> {
    Connection::connect(address, &ConnectOptions::default()).await
}

/// A connection and the fake nsqd at its other end.
async fn connected() -> (Fake, Connection) {
    let (listener, address) = listen().await;
    let (fake, connection) =
        tokio::join!(Fake::identified(&listener, OK_RESPONSE), connect(&address));
    (fake.0, connection.unwrap())
}

fn name(text: &str) -> NameRef<'_> {
    NameRef::parse(text.as_bytes()).unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn the_handshake_says_who_it_is_and_keeps_the_answer() {
    let (listener, address) = listen().await;
    let mut options = ConnectOptions::default();
    options.identify.tls_v1 = Some(true);
    options.identify.msg_timeout = Some(5000);
    let ((_fake, request), connection) = tokio::join!(
        Fake::identified(&listener, br#"{"max_rdy_count":7,"version":"1.3.0"}"#),
        Connection::connect(&address, &options)
    );

    assert_eq!(request.feature_negotiation, Some(true));
    assert_eq!(
        request.user_agent.unwrap(),
        format!("nsq-rust/{}", env!("CARGO_PKG_VERSION"))
    );
    assert!(
        request
            .hostname
            .unwrap()
            .starts_with(&request.client_id.unwrap())
    );
    assert_eq!(request.msg_timeout, Some(5000));
    assert_eq!(request.tls_v1, None, "the options of TLS decide");
    let connection = connection.unwrap();
    assert_eq!(connection.settled().max_rdy_count, 7);
    assert_eq!(connection.settled().version, "1.3.0");
}

#[tokio::test]
async fn an_nsqd_without_negotiation_gives_the_defaults() {
    let (_fake, connection) = connected().await;
    assert_eq!(connection.settled().max_rdy_count, 2500);
}

#[tokio::test]
async fn a_secret_is_sent_when_it_is_wanted() {
    let (listener, address) = listen().await;
    let options = ConnectOptions {
        auth_secret: Some(b"secret".to_vec()),
        ..ConnectOptions::default()
    };
    let nsqd = async {
        let wanted = br#"{"auth_required":true}"#;
        let (mut fake, _) = Fake::identified(&listener, wanted).await;
        fake.expect(Command::Auth { secret: b"secret" }).await;
        fake.respond(br#"{"permission_count":1}"#).await;
    };
    let ((), connection) = tokio::join!(nsqd, Connection::connect(&address, &options));
    assert!(connection.unwrap().settled().auth_required);

    let wanted = Fake::identified(&listener, br#"{"auth_required":true}"#);
    let (_, refused) = tokio::join!(wanted, connect(&address));
    assert!(matches!(
        refused.unwrap_err().cause,
        ConnectionError::SecretNeeded
    ));
}

#[tokio::test]
async fn a_provider_is_asked_at_each_connect_and_may_have_nothing() {
    let (listener, address) = listen().await;
    let secrets = ["first", "second"].map(|secret| Ok(secret.as_bytes().to_vec()));
    let secrets = std::sync::Mutex::new(secrets.into_iter());
    let next = move || {
        let nothing = || Err(std::io::Error::other("the vault is sealed"));
        let secret = secrets.lock().unwrap().next();
        std::future::ready(secret.unwrap_or_else(nothing))
    };
    let options = ConnectOptions {
        auth_provider: Some(SecretProvider::new(next)),
        ..ConnectOptions::default()
    };
    let wanted = br#"{"auth_required":true}"#;
    for secret in [b"first".as_slice(), b"second"] {
        let nsqd = async {
            let (mut fake, _) = Fake::identified(&listener, wanted).await;
            fake.expect(Command::Auth { secret }).await;
            let mut refusal = Vec::new();
            let refused = ErrorReply::new(ErrorCode::AuthFailed, "AUTH failed");
            put_error(&mut refusal, &refused);
            fake.stream.write_all(&refusal).await.unwrap();
        };
        let ((), refused) = tokio::join!(nsqd, Connection::connect(&address, &options));
        let cause = refused.unwrap_err().cause;
        let ConnectionError::SecretRefused(text) = &cause else {
            panic!("{cause:?}");
        };
        assert_eq!(text, "E_AUTH_FAILED AUTH failed");
        assert!(!cause.is_permanent(), "the next secret may be better");
    }
    let wanted = Fake::identified(&listener, wanted);
    let (_, refused) = tokio::join!(wanted, Connection::connect(&address, &options));
    let told = chain(&refused.unwrap_err());
    assert!(
        told.ends_with("there is no secret: the vault is sealed"),
        "{told}"
    );
}

#[tokio::test]
async fn each_failure_to_connect_says_what_it_is() {
    let (listener, address) = listen().await;
    let check = async |answer: &[u8], expected: &str| {
        let nsqd = async {
            let mut fake = Fake::accept(&listener).await;
            fake.command(|_| ()).await;
            fake.stream.write_all(answer).await.unwrap();
        };
        let ((), refused) = tokio::join!(nsqd, connect(&address));
        let expected = format!("cannot connect to {address}: {expected}");
        assert_eq!(chain(&refused.unwrap_err()), expected);
    };
    let mut refusal = Vec::new();
    put_error(
        &mut refusal,
        &ErrorReply::new(ErrorCode::BadBody, "IDENTIFY no"),
    );
    check(&refusal, "refused: E_BAD_BODY IDENTIFY no").await;
    check(
        b"\0\0\0\x0d\0\0\0\x01E_NEW no",
        "the connection was lost: unexpected end of file",
    )
    .await;
    check(b"\0\0\0\x0c\0\0\0\x01E_NEW no", "refused: E_NEW no").await;
    check(b"", "the connection was closed by nsqd").await;
    check(
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "this is an HTTP port; nsqd's TCP port is wanted, by default 4150",
    )
    .await;
    check(
        b"\x15\x03\x03\0\x02\x02\x32",
        "this is an HTTP port; nsqd's TCP port is wanted, by default 4150",
    )
    .await;
    check(
        b"\0\0\0\x08\0\0\0\0what",
        "nsqd sent an answer to IDENTIFY that is not its JSON at the wrong time",
    )
    .await;

    drop(listener);
    let refused = connect(&address).await.unwrap_err();
    let ConnectionError::Connect(error) = refused.cause else {
        panic!("{refused:?} is not a refused connection");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_nsqd_that_says_nothing_is_given_up() {
    let (_listener, address) = listen().await;
    let options = ConnectOptions {
        timeout: Duration::from_millis(50),
        ..ConnectOptions::default()
    };
    let error = Connection::connect(&address, &options).await.unwrap_err();
    assert!(chain(&error).ends_with("no answer within 50ms"));
}

#[tokio::test]
async fn a_connection_leaves_from_the_address_that_was_asked_for() {
    let (listener, address) = listen().await;
    let options = ConnectOptions {
        local_address: Some("127.0.0.2:0".parse().unwrap()),
        timeout: Duration::from_millis(200),
        ..ConnectOptions::default()
    };
    let connecting = tokio::spawn(async move { Connection::connect(&address, &options).await });
    let (_stream, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip().to_string(), "127.0.0.2");
    // The fake says nothing.
    connecting.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_unix_socket_is_an_address_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nsqd.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let address = path.to_str().unwrap().parse().unwrap();
    let nsqd = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut response = Vec::new();
        put_response(&mut response, OK_RESPONSE);
        stream.write_all(&response).await.unwrap();
        stream
    };
    let (_stream, connection) = tokio::join!(nsqd, connect(&address));
    connection.unwrap();
}

#[tokio::test]
async fn heartbeats_are_answered_between_frames() {
    let (mut fake, mut connection) = connected().await;
    let nsqd = async {
        fake.respond(HEARTBEAT).await;
        fake.expect(Command::Nop).await;
        let (topic, channel) = (name("orders"), name("kitchen"));
        fake.expect(Command::Subscribe { topic, channel }).await;
        fake.respond(OK_RESPONSE).await;
    };
    let client = async {
        let waiting = tokio::time::timeout(Duration::from_millis(50), connection.next_frame());
        waiting.await.unwrap_err();
        connection.subscribe(name("orders"), name("kitchen")).await
    };
    let ((), subscribed) = tokio::join!(nsqd, client);
    subscribed.unwrap();
}

#[tokio::test]
async fn a_reader_that_is_dropped_halfway_loses_nothing() {
    let (mut fake, connection) = connected().await;
    let (mut reader, _writer) = connection.split();
    let body = vec![b'x'; 3 * 8 * 1024];
    let mut frames = Vec::new();
    for attempts in 1..=3 {
        put_message(
            &mut frames,
            -1,
            attempts,
            MessageId::from_u64(attempts.into()),
            &body,
        );
    }
    let nsqd = async {
        for piece in frames.chunks(5000) {
            fake.stream.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(fake);
    };
    let client = async {
        let mut attempts = Vec::new();
        loop {
            tokio::select! {
                biased;
                frame = reader.next_frame() => match frame {
                    Ok(Frame::Message(message)) if message.body == body => {
                        attempts.push(message.attempts);
                    }
                    other => return (attempts, other),
                },
                () = tokio::task::yield_now() => {}
            }
        }
    };
    let ((), (attempts, last)) = tokio::join!(nsqd, client);
    assert_eq!(attempts, [1, 2, 3]);
    assert!(matches!(last, Err(ConnectionError::Closed)));
}

#[tokio::test]
async fn a_flush_that_is_dropped_halfway_goes_on() {
    const COUNT: usize = 2000;
    let (mut fake, connection) = connected().await;
    let (_reader, mut writer) = connection.split();
    let body = vec![b'x'; 4096];
    let topic = name("orders");
    let publish = Command::Publish { topic, body: &body };
    let client = async {
        let mut written = 0;
        while written < COUNT || writer.unsent_bytes() > 0 {
            if written < COUNT {
                writer.write(&publish);
                written += 1;
            }
            tokio::select! {
                biased;
                flushed = writer.flush() => flushed.unwrap(),
                () = tokio::task::yield_now() => {}
            }
        }
    };
    let nsqd = async {
        for _ in 0..COUNT {
            fake.expect(publish).await;
        }
    };
    tokio::join!(client, nsqd);
}

#[tokio::test]
async fn several_messages_leave_as_one_command() {
    let (mut fake, mut connection) = connected().await;
    let bodies: [&[u8]; 2] = [b"one", b"two"];
    let batch: BatchBuf = bodies.into_iter().collect();
    let (topic, batch) = (name("orders"), batch.as_batch());
    let command = Command::PublishMany { topic, batch };
    connection.writer().write(&command);
    connection.writer().flush().await.unwrap();
    fake.command(|command| match command {
        Command::PublishMany { topic, batch } => {
            assert_eq!(topic, name("orders"));
            assert_eq!(batch.iter().collect::<Vec<_>>(), bodies);
        }
        other => panic!("{other:?} is not MPUB"),
    })
    .await;
}
