//! Every route, with every method, for everybody: who gets through, and how the others are told.

use super::World;
use super::login::{cookie, world};
use crate::http::target::{Ours, Page, Target, View};
use crate::testing::request_with;

/// What a path answers to: for each method what somebody has to be, `-` for nobody in particular.
const ROUTES: &[(&str, &str)] = &[
    ("/ping", "GET -"),
    ("/static/style.css", "GET -"),
    ("/config/log_level", "GET -, PUT -"),
    ("/metrics", "GET -"),
    ("/login", "GET -"),
    ("/render", "GET read-only"),
    ("/", "GET read-only"),
    ("/topics", "GET read-only"),
    ("/topics/t", "GET read-only"),
    ("/topics/t/c", "GET read-only"),
    ("/nodes", "GET read-only"),
    ("/nodes/n:1", "GET read-only"),
    ("/counter", "GET read-only"),
    ("/consumers", "GET read-only"),
    ("/lookup", "GET read-only"),
    ("/audit", "GET admin"),
    ("/api/topics", "GET read-only, POST admin"),
    ("/api/topics/t", "GET read-only, POST admin, DELETE admin"),
    ("/api/topics/t/c", "GET read-only, POST admin, DELETE admin"),
    ("/api/nodes", "GET read-only"),
    ("/api/nodes/n:1", "GET read-only, DELETE admin"),
    ("/api/counter", "GET read-only"),
    ("/api/me", "GET -"),
    ("/api/login", "POST -"),
    ("/api/graphite", "GET read-only"),
    ("/api/history", "GET read-only"),
    ("/api/live", "GET read-only"),
    ("/api/alerts", "GET read-only"),
    ("/api/alerts/silence", "POST admin"),
    ("/api/audit", "GET admin"),
    ("/api/search", "GET read-only"),
    ("/api/lookup", "GET read-only"),
    ("/api/consumers", "GET read-only"),
    ("/api/publishers", "GET read-only"),
    ("/api/impact", "GET read-only"),
    ("/api/peek", "GET publisher"),
    ("/api/publish", "POST publisher"),
    ("/api/tail", "POST publisher"),
    // The last: it ends the session.
    ("/api/logout", "POST -"),
];

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
const ROLES: [&str; 4] = ["-", "read-only", "publisher", "admin"];

/// Where a target's row is. Without a wildcard: a new target does not compile before it is told here where its row is.
fn path(target: &Target) -> &'static str {
    match target {
        Target::Ping => "/ping",
        Target::Static(_) => "/static/style.css",
        Target::Config(_) => "/config/log_level",
        Target::Metrics => "/metrics",
        Target::Render => "/render",
        Target::LoginPage => "/login",
        Target::Page(Page::Overview) => "/",
        Target::Page(Page::Consumers) => "/consumers",
        Target::Page(Page::Lookup) => "/lookup",
        Target::Page(Page::Audit) => "/audit",
        Target::Page(Page::Of(view)) => match view {
            View::Topics => "/topics",
            View::Topic(_) => "/topics/t",
            View::Channel(..) => "/topics/t/c",
            View::Nodes => "/nodes",
            View::Node(_) => "/nodes/n:1",
            View::Counter => "/counter",
        },
        Target::Api(view) => match view {
            View::Topics => "/api/topics",
            View::Topic(_) => "/api/topics/t",
            View::Channel(..) => "/api/topics/t/c",
            View::Nodes => "/api/nodes",
            View::Node(_) => "/api/nodes/n:1",
            View::Counter => "/api/counter",
        },
        Target::Ours(ours) => match ours {
            Ours::Me => "/api/me",
            Ours::Login => "/api/login",
            Ours::Logout => "/api/logout",
            Ours::Graphite => "/api/graphite",
            Ours::History => "/api/history",
            Ours::Live => "/api/live",
            Ours::Alerts => "/api/alerts",
            Ours::Silence => "/api/alerts/silence",
            Ours::Audit => "/api/audit",
            Ours::Search => "/api/search",
            Ours::Lookup => "/api/lookup",
            Ours::Consumers => "/api/consumers",
            Ours::Publishers => "/api/publishers",
            Ours::Impact => "/api/impact",
            Ours::Peek => "/api/peek",
            Ours::Publish => "/api/publish",
            Ours::Tail => "/api/tail",
        },
    }
}

/// What a method takes: `None` if the path does not have it.
fn needed(methods: &'static str, method: &str) -> Option<&'static str> {
    let mut pairs = methods.split(", ").filter_map(|pair| pair.split_once(' '));
    pairs
        .find(|(name, _)| *name == method)
        .map(|(_, role)| role)
}

fn rank(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap()
}

#[test]
fn every_route_has_its_row() {
    for (row, _) in ROUTES {
        let target = Target::parse(row).unwrap_or_else(|| panic!("{row} is no route"));
        assert_eq!(path(&target), *row);
    }
}

/// The status of a request with this cookie, as a page of ours sends it.
async fn status(world: &World, method: &str, path: &str, cookie: &str) -> u16 {
    let lines = format!("Host: 127.0.0.1\r\nX-Requested-With: nsqadmin\r\nCookie: {cookie}\r\n");
    request_with(&world.admin, method, path, &lines, "{}")
        .await
        .status
}

#[tokio::test]
async fn every_route_lets_through_who_may_and_nobody_else() {
    let (world, _file) = world(&[]).await;
    for role in ROLES {
        let cookie = match role {
            "-" => String::new(),
            user => cookie(&world, user).await,
        };
        for (path, methods) in ROUTES {
            for method in METHODS {
                let status = status(&world, method, path, &cookie).await;
                let is_page = !path.starts_with("/api/") && *path != "/render";
                let refusal = match needed(methods, method) {
                    None => Some(405),
                    Some(needed) if rank(role) >= rank(needed) => None,
                    Some(_) if role == "-" && is_page => Some(303),
                    Some(_) if role == "-" => Some(401),
                    Some(_) => Some(403),
                };
                match refusal {
                    Some(refusal) => assert_eq!(status, refusal, "{method} {path} as {role}"),
                    None => assert!(
                        ![303, 401, 403, 405].contains(&status),
                        "{method} {path} as {role}: {status}"
                    ),
                }
            }
        }
    }
}

#[tokio::test]
async fn nothing_changes_on_the_word_of_another_site() {
    let world = World::start(&[]).await;
    for (path, methods) in ROUTES {
        for method in ["POST", "PUT", "DELETE"] {
            if needed(methods, method).is_none() {
                continue;
            }
            for mark in [
                "Sec-Fetch-Site: cross-site",
                "Sec-Fetch-Site: same-site",
                "Origin: http://evil",
                "Origin: null",
                "Sec-Fetch-Site: same-origin",
                "Cookie: a=b",
            ] {
                // The last two are marks of a page of ours, but for the header that no form can send.
                let lines = format!("Host: 127.0.0.1\r\n{mark}\r\n");
                let answer = request_with(&world.admin, method, path, &lines, "{}").await;
                assert_eq!(answer.status, 403, "{method} {path} with {mark}");
            }
        }
    }
    for node in [&world.lookupd, &world.a, &world.b] {
        let asked = node.asked();
        assert!(
            asked.iter().all(|asked| asked.starts_with("GET")),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn no_route_answers_to_the_name_of_another_site() {
    let world = World::start(&[]).await;
    for (path, _) in ROUTES {
        let answer = request_with(&world.admin, "GET", path, "Host: evil:4171\r\n", "").await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.body.contains("FORBIDDEN_HOST"), "{path}");
    }
}

#[tokio::test]
async fn every_route_s_every_answer_keeps_browsers_from_mischief() {
    let world = World::start(&["--admin-user=joe"]).await;
    let paths = ROUTES.iter().map(|(path, _)| *path);
    for path in paths.chain([
        "/nope",
        "/topics/",
        "/static/nope.css",
        "/api/nope",
        "/topics/nope",
    ]) {
        for (method, host) in [
            ("GET", "127.0.0.1"),
            ("PATCH", "127.0.0.1"),
            ("POST", "127.0.0.1"),
            ("OPTIONS", "127.0.0.1"),
            ("GET", "evil"),
        ] {
            let lines = format!("Host: {host}\r\n");
            let answer = request_with(&world.admin, method, path, &lines, "").await;
            let head = answer.head.to_ascii_lowercase();
            for header in [
                "content-security-policy: default-src 'none'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
                "x-content-type-options: nosniff",
                "x-frame-options: deny",
                "referrer-policy: no-referrer",
                "cross-origin-opener-policy: same-origin",
            ] {
                assert!(head.contains(header), "{method} {path} by {host}: {head}");
            }
        }
    }
}
