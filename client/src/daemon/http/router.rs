//! Which handler answers a request, and the answers when none does.
//!
//! | request | answer |
//! | --- | --- |
//! | known path, known method | the handler |
//! | known path, `OPTIONS` | 200 with `Allow` |
//! | known path, other method (HEAD too) | 405 `METHOD_NOT_ALLOWED` with `Allow` |
//! | trailing or doubled slash, `.` or `..`, wrong case | redirect: 301 for GET, 307 for others |
//! | anything else | 404 `NOT_FOUND` |

use std::{fmt, pin::Pin, sync::Arc};

use hyper::{
    Method, StatusCode,
    header::{ALLOW, HeaderName, HeaderValue, LOCATION},
};

use super::{HttpError, Request, Response};

/// The routes of an API over a state `S`.
pub struct Router<S> {
    routes: Vec<Route<S>>,
    /// Answers everything, if nothing may be asked.
    closed: Option<Box<dyn Fn() -> Response + Send + Sync>>,
    /// On every answer.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One path with its methods.
struct Route<S> {
    /// The path, without the `*` that makes it a prefix.
    path: &'static str,
    is_prefix: bool,
    is_quiet: bool,
    handlers: Vec<(Method, Handler<S>)>,
}

type Handler<S> = Box<dyn Fn(Arc<S>, Request) -> Answer + Send + Sync>;

/// A handler at work.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response, HttpError>> + Send>>;

impl<S> Default for Router<S> {
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            closed: None,
            headers: Vec::new(),
        }
    }
}

impl<S: Send + Sync + 'static> Router<S> {
    /// Returns a router without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a router that gives every request, whatever it asks for, the same answer.
    #[must_use]
    pub fn closed(answer: impl Fn() -> Response + Send + Sync + 'static) -> Self {
        Self {
            closed: Some(Box::new(answer)),
            ..Self::default()
        }
    }

    /// Adds a handler for GET.
    #[must_use]
    pub fn get<F, A>(self, path: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Response, HttpError>> + Send + 'static,
    {
        self.route(Method::GET, path, handler)
    }

    /// Adds a handler for POST.
    #[must_use]
    pub fn post<F, A>(self, path: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Response, HttpError>> + Send + 'static,
    {
        self.route(Method::POST, path, handler)
    }

    /// Adds a handler for `method` on `path`: in lower case, without a slash at its end. A path that ends
    /// in `/*` is a prefix: the handler finds what follows it, never empty, in [`Request::tail`].
    #[must_use]
    pub fn route<F, A>(mut self, method: Method, path: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Response, HttpError>> + Send + 'static,
    {
        let handler: Handler<S> = Box::new(move |state, request| Box::pin(handler(state, request)));
        self.entry(path).handlers.push((method, handler));
        self
    }

    /// Leaves requests for `path` out of the log: there are as many as messages.
    #[must_use]
    pub fn quiet(mut self, path: &'static str) -> Self {
        self.entry(path).is_quiet = true;
        self
    }

    /// Adds a header to every answer that has none of this name: those of handlers, redirects and refusals.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// `response` with the headers that every answer has.
    pub(super) fn with_common_headers(&self, mut response: Response) -> Response {
        let headers = response.0.headers_mut();
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        response
    }

    fn entry(&mut self, pattern: &'static str) -> &mut Route<S> {
        let path = pattern.strip_suffix('*').unwrap_or(pattern);
        let index = self.routes.iter().position(|route| route.path == path);
        let index = index.unwrap_or_else(|| {
            let is_prefix = path != pattern;
            self.routes.push(Route {
                path,
                is_prefix,
                is_quiet: false,
                handlers: Vec::new(),
            });
            self.routes.len() - 1
        });
        &mut self.routes[index]
    }

    /// True if requests for `path` are not logged.
    pub(super) fn is_quiet(&self, path: &str) -> bool {
        self.find(path).is_some_and(|(route, _)| route.is_quiet)
    }

    /// Starts the handler of `request`, or answers in place of one.
    pub(super) fn dispatch(&self, state: &Arc<S>, mut request: Request) -> Answer {
        if let Some(closed) = &self.closed {
            return answer(closed());
        }
        let path = request.uri().path();
        let Some((route, tail)) = self.find(path) else {
            return answer(match self.canonical(path) {
                Some(canonical) => redirect(&canonical, &request),
                None => not_found(),
            });
        };
        let tail = tail.to_owned();
        let handler = route
            .handlers
            .iter()
            .find(|(method, _)| method == request.method());
        let Some((_, handler)) = handler else {
            return answer(route.without_handler(request.method()));
        };
        request.set_tail(tail);
        handler(Arc::clone(state), request)
    }

    /// The route of exactly this path, and what follows its prefix.
    fn find<'p>(&self, path: &'p str) -> Option<(&Route<S>, &'p str)> {
        self.routes.iter().find_map(|route| {
            let tail = path.strip_prefix(route.path)?;
            (route.is_prefix != tail.is_empty()).then_some((route, tail))
        })
    }

    /// The path of a route that `path` was meant to be.
    fn canonical(&self, path: &str) -> Option<String> {
        let mut segments = Vec::new();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment),
            }
        }
        let cleaned = format!("/{}", segments.join("/"));
        self.routes.iter().find_map(|route| {
            let (head, tail) = cleaned.split_at_checked(route.path.len())?;
            let is_meant =
                head.eq_ignore_ascii_case(route.path) && route.is_prefix != tail.is_empty();
            is_meant.then(|| format!("{}{tail}", route.path))
        })
    }
}

impl<S> Route<S> {
    /// The answer for a method that has no handler.
    fn without_handler(&self, method: &Method) -> Response {
        let mut allowed: Vec<&str> = self
            .handlers
            .iter()
            .map(|(method, _)| method.as_str())
            .collect();
        allowed.push(Method::OPTIONS.as_str());
        allowed.sort_unstable();
        let allow =
            HeaderValue::from_str(&allowed.join(", ")).expect("methods are letters in the table");
        let response = if *method == Method::OPTIONS {
            Response::empty()
        } else {
            Response::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
        };
        response.with_header(ALLOW, allow)
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.routes.iter().map(|route| route.path))
            .finish()
    }
}

fn redirect(path: &str, request: &Request) -> Response {
    let location = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let status = if request.method() == Method::GET {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    match HeaderValue::from_str(&location) {
        Ok(location) => Response::empty()
            .with_status(status)
            .with_header(LOCATION, location),
        Err(_) => not_found(),
    }
}

fn not_found() -> Response {
    HttpError::not_found("NOT_FOUND").into()
}

fn answer(response: Response) -> Answer {
    Box::pin(std::future::ready(Ok(response)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<()> {
        async fn handler(_: Arc<()>, _: Request) -> Result<Response, HttpError> {
            Ok(Response::empty())
        }
        Router::new()
            .get("/", handler)
            .get("/ping", handler)
            .post("/topic/create", handler)
            .get("/config/*", handler)
            .route(Method::PUT, "/config/*", handler)
            .quiet("/ping")
    }

    #[test]
    fn paths_are_found_exactly_and_prefixes_with_their_tail() {
        let router = router();
        let tail = |path| router.find(path).map(|(_, tail)| tail.to_owned());
        for path in ["/", "/ping", "/topic/create"] {
            assert_eq!(tail(path).as_deref(), Some(""), "{path}");
        }
        assert_eq!(tail("/config/log_level").as_deref(), Some("log_level"));
        for path in ["/config/", "/config", "/pings", "/PING", "/topic", "*", ""] {
            assert_eq!(tail(path), None, "{path}");
        }
        assert!(router.is_quiet("/ping") && !router.is_quiet("/topic/create"));
    }

    #[test]
    fn near_misses_lead_to_the_path_that_was_meant() {
        let router = router();
        for (path, meant) in [
            ("/ping/", "/ping"),
            ("/PING", "/ping"),
            ("//ping", "/ping"),
            ("/./x/../ping", "/ping"),
            ("/../ping", "/ping"),
            ("/topic//create/", "/topic/create"),
            ("/Config/Log_Level/", "/config/Log_Level"),
            ("//", "/"),
        ] {
            assert_eq!(router.canonical(path).as_deref(), Some(meant), "{path}");
        }
        for path in ["//example.com/ping", "/pin", "/config/", "/pingé", "/é"] {
            assert_eq!(router.canonical(path), None, "{path}");
        }
    }
}
