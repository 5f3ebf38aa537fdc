//! Pages: what they show, what they escape, where they are.

use serde_json::json;

use super::{World, stats};

#[tokio::test]
async fn pages_show_what_there_is_and_escape_what_nodes_say() {
    let world = World::start(&["--sample-interval=100ms"]).await;
    let odd = "a<b>&\"c'/#%";
    let figures = stats(odd, "<script>alert(1)</script>").to_string();
    world.a.says("/stats", figures);
    // The next look sees it.
    while !world.get("/topics").await.body.contains("a&#60;b") {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let node = world.a.address();
    for (path, parts) in [
        (
            "/topics".to_owned(),
            &[
                "1,200",
                "/topics/a%3Cb%3E%26%22c%27%2F%23%25",
                "a&#60;b&#62;&#38;&#34;c&#39;/#%",
                "on no node",
            ][..],
        ),
        (
            "/topics/t".to_owned(),
            &["Waiting in the topic itself", "/topics/t/c", "host-b"][..],
        ),
        (
            "/topics/t/c".to_owned(),
            &["&#60;i&#62;h&#60;/i&#62;", "&#34;&#62;&#60;script&#62;x"][..],
        ),
        ("/nodes".to_owned(), &["1.3.0", node.as_str(), "1 of 1"][..]),
        (
            format!("/nodes/{node}"),
            &["&#60;script&#62;alert(1)", "Published since its start"][..],
        ),
    ] {
        let page = world.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(
            page.head.contains("text/html; charset=utf-8"),
            "{}",
            page.head
        );
        for part in parts {
            assert!(
                page.body.contains(part),
                "{path} lacks {part}: {}",
                page.body
            );
        }
        assert!(
            !page.body.contains("<script>") && !page.body.contains("<i>"),
            "{path}"
        );
        assert!(
            page.body.contains("<html lang=\"en\">") && page.body.contains("<h1>"),
            "{path}"
        );
    }
    let missing = world.get("/topics/%3Cb%3E").await;
    assert!(
        missing.status == 404 && missing.body.contains("Nobody knows"),
        "{}",
        missing.body
    );
}

#[tokio::test]
async fn a_base_path_stands_before_everything() {
    let world = World::start(&["--base-path=nsq//x/"]).await;
    assert_eq!(world.get("/nsq/x/ping").await.body, "OK");
    assert_eq!(
        world.json("/nsq/x/api/topics").await["topics"],
        json!(["idle", "t"])
    );
    let page = world.get("/nsq/x").await.body;
    assert!(
        page.contains("href=\"/nsq/x/topics/t\"")
            && page.contains("href=\"/nsq/x/static/style.css\""),
        "{page}"
    );
    for path in ["/", "/ping", "/nsq", "/nsq/xy", "/api/topics"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
    let moved = world.get("/nsq/x/").await;
    assert_eq!(moved.status, 301);
    assert!(
        moved
            .head
            .to_ascii_lowercase()
            .contains("location: /nsq/x\r\n"),
        "{}",
        moved.head
    );
}
