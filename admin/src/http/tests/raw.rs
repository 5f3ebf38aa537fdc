//! What no browser sends: requests that two readers could read in two ways, paths that lead out, proxies for all the world.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::World;
use crate::testing::{Fake, request, start};

/// All that comes back for these bytes until the server closes.
async fn send(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.admin.http_address())
        .await
        .unwrap();
    // It may be refused before all of it is read.
    let _ = stream.write_all(bytes).await;
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A body that would be a second request, if its first were read to end early.
const SMUGGLED: &str = "DELETE /api/topics/t HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// Lines of a head of which two readers could think differently, and the status.
const HEADS: &[(&str, &str)] = &[
    // What is chunked is read so, whatever else is said, and these are no chunks.
    ("Content-Length: 0\r\nTransfer-Encoding: chunked", "500"),
    ("Content-Length: 1\r\nContent-Length: 2", "400"),
    ("Content-Length: 1, 2", "400"),
    ("Content-Length: +1", "400"),
    ("Content-Length: -1", "400"),
    ("Content-Length: 0x1", "400"),
    ("Content-Length: 1 1", "400"),
    ("Content-Length: 99999999999999999999", "400"),
    ("Content-Length : 1", "400"),
    ("Transfer-Encoding: chunked, identity", "400"),
    ("Transfer-Encoding: identity", "400"),
    ("Transfer-Encoding: xchunked", "400"),
    ("X: a\r\n folded", "400"),
    ("X: a\0b", "400"),
    ("X: a\x1bb", "400"),
    ("X\u{e9}: a", "400"),
    (": empty", "400"),
    ("no colon", "400"),
    ("Host: evil", "400"),
];

/// First lines that are none.
const LINES: &[(&str, &str)] = &[
    ("GET  /ping HTTP/1.1", "400"),
    ("GET /ping", "400"),
    ("GET /ping HTTP/0.9", "400"),
    ("GET /ping HTTP/2.0", "400"),
    ("GET /pi ng HTTP/1.1", "400"),
    ("GET /\0ping HTTP/1.1", "400"),
    ("G\x01T /ping HTTP/1.1", "400"),
    ("CONNECT evil:80 HTTP/1.1", "307"),
    ("TRACE /ping HTTP/1.1", "405"),
    ("get /ping HTTP/1.1", "405"),
    ("PRI * HTTP/2.0", "400"),
];

/// Starts of a chunked body that no chunk has.
const CHUNKS: &[&str] = &["x\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "1\r\nab\r\n"];

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_nothing_is_smuggled() {
    let world = World::start(&[]).await;
    let post = |head: &str, body: &str| {
        format!("POST /api/topics/t HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n{body}{SMUGGLED}")
    };
    let line = |line: &str| format!("{line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let heads = HEADS.iter().map(|(head, status)| (post(head, ""), *status));
    let lines = LINES.iter().map(|(text, status)| (line(text), *status));
    let chunks = CHUNKS
        .iter()
        .map(|chunk| (post("Transfer-Encoding: chunked", chunk), "500"));
    let mut wrong = Vec::new();
    for (request, expected) in heads.chain(lines).chain(chunks) {
        let answer = send(&world, request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or("none").to_owned();
        if status != expected || answer.matches("HTTP/1.1 ").count() != 1 {
            wrong.push((request, status));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for node in [&world.lookupd, &world.a, &world.b] {
        let asked = node.asked();
        assert!(
            asked.iter().all(|asked| !asked.contains("/topic/")),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let world = World::start(&[]).await;
    let get = |path: &str, lines: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{lines}\r\n")
    };
    let long = "a".repeat(1 << 20);
    for (request, status) in [
        (get(&format!("/topics/{}", &long[..9_000]), ""), "414"),
        (get(&format!("/api/search?q={}", &long[..9_000]), ""), "414"),
        (get(&format!("/api/search?q={long}"), ""), "431"),
        (get("/ping", &format!("X: {long}\r\n")), "431"),
        (get("/ping", &"X: y\r\n".repeat(65)), "431"),
        (
            format!(
                "POST /api/topics HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
                1_u64 << 40
            )
            .replace("Host: h", "Host: 127.0.0.1"),
            "413",
        ),
    ] {
        let answer = send(&world, request.as_bytes()).await;
        assert_eq!(
            answer.split(' ').nth(1),
            Some(status),
            "{}: {answer}",
            &request[..60]
        );
    }
    let deep = "[".repeat(100_000);
    world
        .check("POST /api/topics", &deep[..60_000], 400, "INVALID_BODY")
        .await;
    world
        .check(
            "PUT /config/nsqlookupd_http_addresses",
            &deep[..60_000],
            400,
            "INVALID_VALUE",
        )
        .await;
}

#[tokio::test]
async fn no_path_leads_out_of_what_pages_are_made_with() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("static")).unwrap();
    std::fs::write(folder.path().join("secret.css"), "canary").unwrap();
    std::fs::write(folder.path().join("static/ours.css"), "ours").unwrap();
    std::fs::write(folder.path().join("static/.hidden.css"), "canary").unwrap();
    let flag = format!(
        "--dev-static-dir={}",
        folder.path().join("static").display()
    );
    let dots = [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "..%00",
        "....",
        "..;",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%u002e%u002e",
    ];
    let slashes = [
        "/", "%2f", "%2F", "\\", "%5c", "%252f", "//", "%c0%af", "/./",
    ];
    for world in [World::start(&[]).await, World::start(&[&flag]).await] {
        for file in ["secret.css", "etc/passwd", "etc%2fpasswd"] {
            for (dots, slash) in dots
                .iter()
                .flat_map(|dots| slashes.map(|slash| (dots, slash)))
            {
                for path in [
                    format!("/static/{dots}{slash}{file}"),
                    format!("/static{slash}{dots}{slash}{dots}{slash}{file}"),
                ] {
                    let answer = request(&world.admin, "GET", &path, "").await;
                    assert!(
                        [301, 400, 404].contains(&answer.status),
                        "{path}: {}",
                        answer.status
                    );
                    assert!(
                        !answer.body.contains("canary") && !answer.body.contains("root:"),
                        "{path}"
                    );
                }
            }
        }
        for path in [
            "/static/.hidden.css",
            "/static/",
            "/static",
            "/static/%00.css",
            "/static/style.css%00.png",
        ] {
            let answer = world.get(path).await;
            assert!(
                [301, 404].contains(&answer.status),
                "{path}: {}",
                answer.status
            );
        }
    }
    let world = World::start(&[&flag]).await;
    assert_eq!(world.get("/static/ours.css").await.body, "ours");
}

#[tokio::test]
async fn graphs_come_from_the_one_graphite_and_from_nowhere_else() {
    let (graphite, other) = (Fake::start().await, Fake::start().await);
    graphite.says("/g/render", "graph");
    let (url, node) = (
        format!("--graphite-url=http://{}/g", graphite.address()),
        Fake::start().await,
    );
    let source = format!("--nsqd-http-address={}", node.address());
    let admin = start(&[&url, "--proxy-graphite", &source]).await;
    let evil = other.address();
    for (path, status) in [
        ("/render?target=a&from=-1h".to_owned(), 200),
        (format!("/render?url=http://{evil}/"), 200),
        (format!("/render?@{evil}/"), 200),
        (format!("/render/http://{evil}/"), 301),
        (format!("/render/../../x?{evil}"), 404),
        (format!("/render%2f..%2f..%2fadmin?{evil}"), 404),
        // What names another host gets our own page.
        (format!("http://{evil}/ping"), 200),
    ] {
        let answer = request(&admin, "GET", &path, "").await;
        assert_eq!(answer.status, status, "{path}");
    }
    let asked = graphite.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.starts_with("GET /g/render?")),
        "{asked:?}"
    );
    assert_eq!(other.asked(), Vec::<String>::new());
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(
            request(&admin, method, "/render?target=a", "x")
                .await
                .status,
            405,
            "{method}"
        );
    }
    // Neither cookies nor any other header of the browser's goes there.
    graphite.does(
        "/g/render",
        crate::testing::Reply::Status(500, "secret of Graphite".to_owned()),
    );
    let failed = request(&admin, "GET", "/render?x", "").await;
    assert!(
        failed.status == 502 && !failed.body.contains("secret"),
        "{}",
        failed.body
    );
    let off = start(&[&url, &source]).await;
    assert_eq!(
        request(&off, "GET", "/render?target=a", "").await.status,
        404
    );
    assert!(
        graphite
            .asked()
            .iter()
            .all(|asked| asked.starts_with("GET"))
    );
}
