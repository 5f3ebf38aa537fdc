//! What a path stands for.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::session::Role;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Ping,
    /// A file that pages are made with.
    Static(String),
    /// A setting.
    Config(String),
    Metrics,
    /// A graph of Graphite.
    Render,
    /// The page to log in on.
    LoginPage,
    /// Shown to people.
    Page(Page),
    /// Told to scripts.
    Api(View),
    /// Told to scripts and to our own pages; the reference has none of it.
    Ours(Ours),
}

/// A view of the cluster. Names are as they were given: no more than text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    Topics,
    Topic(String),
    Channel(String, String),
    Nodes,
    Node(String),
    Counter,
}

/// What people look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    /// The same as scripts are told.
    Of(View),
    Consumers,
    Lookup,
    Audit,
}

/// What only this nsqadmin tells and does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    Me,
    Login,
    Logout,
    Graphite,
    History,
    Live,
    Alerts,
    Silence,
    Audit,
    Search,
    Lookup,
    Consumers,
    Publishers,
    Impact,
    Peek,
    Publish,
    Tail,
}

impl Target {
    /// Reads a path without its base path. Each part is percent-decoded once, so that `%23` is the `#` of `#ephemeral` and
    /// `%2F` is a slash in a name.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let decode = |part| percent_decode_str(part).decode_utf8().ok();
        let parts: Option<Vec<_>> = path.split('/').map(decode).collect();
        let parts = parts?;
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        match parts[..] {
            [""] => Some(Self::Page(Page::Overview)),
            ["ping"] => Some(Self::Ping),
            ["metrics"] => Some(Self::Metrics),
            ["render"] => Some(Self::Render),
            ["login"] => Some(Self::LoginPage),
            ["static", name] => Some(Self::Static(name.to_owned())),
            ["config", option] => Some(Self::Config(option.to_owned())),
            ["api", ref rest @ ..] => {
                let ours = Ours::parse(rest).map(Self::Ours);
                ours.or_else(|| View::parse(rest).map(Self::Api))
            }
            ["consumers"] => Some(Self::Page(Page::Consumers)),
            ["lookup"] => Some(Self::Page(Page::Lookup)),
            ["audit"] => Some(Self::Page(Page::Audit)),
            ref parts => View::parse(parts).map(|view| Self::Page(Page::Of(view))),
        }
    }

    /// The methods that it has.
    pub(super) fn methods(&self) -> Vec<Method> {
        match self {
            Self::Api(View::Topics) => vec![Method::GET, Method::POST],
            Self::Api(View::Topic(_) | View::Channel(..)) => {
                vec![Method::GET, Method::POST, Method::DELETE]
            }
            Self::Api(View::Node(_)) => vec![Method::GET, Method::DELETE],
            Self::Config(_) => vec![Method::GET, Method::PUT],
            Self::Ours(Ours::Login | Ours::Logout | Ours::Silence | Ours::Publish | Ours::Tail) => {
                vec![Method::POST]
            }
            _ => vec![Method::GET],
        }
    }

    /// What somebody has to be to ask for it with this method; `None` where anybody may.
    pub(super) fn role(&self, method: &Method) -> Option<Role> {
        match self {
            // Settings have their own guard, by address. Figures are for a Prometheus, which has no session.
            Self::Ping | Self::Static(_) | Self::Config(_) | Self::Metrics | Self::LoginPage => {
                None
            }
            Self::Ours(Ours::Me | Ours::Login | Ours::Logout) => None,
            Self::Ours(Ours::Peek | Ours::Publish | Ours::Tail) => Some(Role::Publisher),
            Self::Ours(Ours::Silence | Ours::Audit) | Self::Page(Page::Audit) => Some(Role::Admin),
            Self::Api(_) if *method != Method::GET => Some(Role::Admin),
            Self::Api(_) | Self::Page(_) | Self::Ours(_) | Self::Render => Some(Role::ReadOnly),
        }
    }

    /// True if people look at it.
    pub(super) fn is_page(&self) -> bool {
        matches!(self, Self::Page(_))
    }
}

impl Ours {
    fn parse(parts: &[&str]) -> Option<Self> {
        Some(match *parts {
            ["me"] => Self::Me,
            ["login"] => Self::Login,
            ["logout"] => Self::Logout,
            ["graphite"] => Self::Graphite,
            ["history"] => Self::History,
            ["live"] => Self::Live,
            ["alerts"] => Self::Alerts,
            ["alerts", "silence"] => Self::Silence,
            ["audit"] => Self::Audit,
            ["search"] => Self::Search,
            ["lookup"] => Self::Lookup,
            ["consumers"] => Self::Consumers,
            ["publishers"] => Self::Publishers,
            ["impact"] => Self::Impact,
            ["peek"] => Self::Peek,
            ["publish"] => Self::Publish,
            ["tail"] => Self::Tail,
            _ => return None,
        })
    }
}

impl View {
    fn parse(parts: &[&str]) -> Option<Self> {
        Some(match *parts {
            ["topics"] => Self::Topics,
            ["topics", topic] => Self::Topic(topic.to_owned()),
            ["topics", topic, channel] => Self::Channel(topic.to_owned(), channel.to_owned()),
            ["nodes"] => Self::Nodes,
            ["nodes", node] => Self::Node(node.to_owned()),
            ["counter"] => Self::Counter,
            _ => return None,
        })
    }
}

/// The path that was meant, if it is another: no slash at its end, none doubled, none alone after a base path.
pub(super) fn canonical(path: &str) -> Option<String> {
    let mut cleaned = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        cleaned.push('/');
        cleaned.push_str(part);
    }
    (cleaned != path).then_some(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_for_views() {
        let topic = |name: &str| View::Topic(name.to_owned());
        for (path, target) in [
            ("", Target::Page(Page::Overview)),
            ("/", Target::Page(Page::Overview)),
            ("/ping", Target::Ping),
            ("/topics", Target::Page(Page::Of(View::Topics))),
            ("/counter", Target::Page(Page::Of(View::Counter))),
            ("/lookup", Target::Page(Page::Lookup)),
            (
                "/topics/a%23ephemeral",
                Target::Page(Page::Of(topic("a#ephemeral"))),
            ),
            ("/api/topics/a%2Fb", Target::Api(topic("a/b"))),
            ("/api/topics/a%2523", Target::Api(topic("a%23"))),
            (
                "/api/topics/t/c",
                Target::Api(View::Channel("t".into(), "c".into())),
            ),
            (
                "/api/nodes/h:4151",
                Target::Api(View::Node("h:4151".into())),
            ),
            ("/api/counter", Target::Api(View::Counter)),
            ("/api/peek", Target::Ours(Ours::Peek)),
            ("/api/alerts/silence", Target::Ours(Ours::Silence)),
            ("/static/..%2fx", Target::Static("../x".into())),
        ] {
            assert_eq!(Target::parse(path), Some(target), "{path}");
        }
        for path in [
            "/api",
            "/lookup/x",
            "/topics/a/b/c",
            "/Topics",
            "/topics/%ff",
            "/api/ping",
            "*",
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }

    #[test]
    fn slashes_too_many_lead_to_the_path_that_was_meant() {
        for (path, meant) in [
            ("/", ""),
            ("//", ""),
            ("/topics/", "/topics"),
            ("//topics//a", "/topics/a"),
            ("topics", "/topics"),
        ] {
            assert_eq!(canonical(path).as_deref(), Some(meant), "{path}");
        }
        for path in ["", "/topics", "/topics/a%2F"] {
            assert_eq!(canonical(path), None, "{path}");
        }
    }
}
