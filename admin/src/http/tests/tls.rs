//! Nodes that only speak TLS, and a Graphite: who is asked, for what.

use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{World, stats};
use crate::testing::{Fake, Reply, request_with, start};

/// Answers everything over TLS with the figures of a node; its port, and its certificate as PEM.
async fn tls_node() -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let body = stats("t", "c").to_string();
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, made.cert.pem())
}

#[tokio::test]
async fn a_node_that_wants_tls_is_asked_again_over_tls() {
    let (port, pem) = tls_node().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    let trusting = format!("--http-client-tls-root-ca-file={}", file.path().display());
    for (flags, is_trusted) in [
        (&["--http-client-tls-insecure-skip-verify"][..], true),
        (&[trusting.as_str()], true),
        (&[], false),
    ] {
        let world = World::start(flags).await;
        let required = json!({"message": "TLS_REQUIRED", "https_port": port}).to_string();
        world.b.does("/stats", Reply::Status(403, required));
        let topic = world.json("/api/topics/t").await;
        let depth = if is_trusted { 10 } else { 5 };
        assert_eq!(topic["depth"], depth, "{flags:?}: {}", topic["message"]);
        assert_eq!(
            topic["message"] == "",
            is_trusted,
            "{flags:?}: {}",
            topic["message"]
        );
    }
}

#[tokio::test]
async fn only_the_graphite_that_was_configured_is_asked_and_only_to_draw() {
    let graphite = Fake::start().await;
    graphite.says(
        "/g/render",
        r#"[{"target":"x","datapoints":[[120.0,1],[60.0,2]]}]"#,
    );
    let url = format!("--graphite-url=http://u:p@{}/g/", graphite.address());
    let admin = start(&[&url, "--proxy-graphite"]).await;
    let lines = "Host: 127.0.0.1\r\nX-Secret: canary\r\n";
    let get = async |path: &str| request_with(&admin, "GET", path, lines, "").await;
    let drawn = get("/render?target=a&url=http://evil/").await;
    assert_eq!(drawn.status, 200, "{}", drawn.body);
    assert_eq!(
        graphite.asked(),
        ["GET /g/render?target=a&url=http://evil/"]
    );
    for path in [
        "/render/..%2fadmin",
        "/render//evil/",
        "/render/x",
        "//evil/render",
    ] {
        assert!([301, 404].contains(&get(path).await.status), "{path}");
    }
    assert!(graphite.asked().is_empty());
    assert_eq!(
        get("/api/graphite?metric=rate&target=t").await.body,
        r#"{"rate":"2.00"}"#
    );
    assert_eq!(get("/api/graphite?metric=x&target=t").await.status, 400);
    assert_eq!(get("/api/graphite?metric=rate").await.status, 400);

    let closed = start(&[&url]).await;
    assert_eq!(
        request_with(&closed, "GET", "/render?target=a", lines, "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn static_files_are_exactly_those_there_are() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("page.js"), "1").unwrap();
    let flag = format!("--dev-static-dir={}", folder.path().display());
    let (built_in, developed) = (start(&[]).await, start(&[&flag]).await);
    let get = async |admin, path: &str| {
        request_with(admin, "GET", path, "Host: 127.0.0.1\r\n", "")
            .await
            .status
    };
    assert_eq!(get(&built_in, "/static/style.css").await, 200);
    assert_eq!(get(&developed, "/static/page.js").await, 200);
    for path in [
        "/static/..%2f..%2fetc/passwd",
        "/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2fetc%2fpasswd",
        "/static/.%2fpage.js",
        "/static/..",
        "/static/nope.css",
        "/static/page.js%00.css",
        "/static/a/page.js",
        "/fonts/x.woff2",
    ] {
        for admin in [&built_in, &developed] {
            assert_eq!(get(admin, path).await, 404, "{path}");
        }
    }
}
