//! What pages are made with: files built in, or read from `--dev-static-dir`.

use client::daemon::http::{HttpError, Response};
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::Admin;

/// An asset that is built in.
struct Asset {
    name: &'static str,
    bytes: &'static [u8],
}

/// The files of `assets/`.
macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset { name: $name, bytes: include_bytes!(concat!("../../assets/", $name)) }),*]
    };
}

const ASSETS: &[Asset] = assets![
    "style.css",
    "logo.svg",
    "theme.js",
    "app.js",
    "dom.js",
    "live.js",
    "spark.js",
    "table.js",
    "alerts.js",
    "act.js",
    "clean.js",
    "message.js",
    "peek.js",
    "tail.js",
    "publish.js",
    "jump.js",
    "login.js",
];

/// Answers GET `/static/<name>`: exactly one of those there are.
pub(super) async fn serve(admin: &Admin, name: &str) -> Result<Response, HttpError> {
    let not_found = HttpError::not_found("NOT_FOUND");
    let content_type = content_type(name).ok_or(not_found)?;
    let response = match &admin.dev_static_dir {
        None => {
            let asset = ASSETS.iter().find(|asset| asset.name == name);
            Response::text(asset.ok_or(not_found)?.bytes)
        }
        // A plain name leads nowhere else.
        Some(folder) if is_plain(name) => {
            let path = folder.join(name);
            let read = tokio::task::spawn_blocking(|| std::fs::read(path)).await;
            let bytes = read.ok().and_then(Result::ok);
            Response::text(bytes.ok_or(not_found)?)
        }
        Some(_) => return Err(not_found),
    };
    Ok(response.with_header(CONTENT_TYPE, HeaderValue::from_static(content_type)))
}

fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.starts_with('.') && name.bytes().all(is_plain)
}

fn content_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_known_kinds_are_files() {
        for name in ["a.css", "live-1.js", "logo_2.svg"] {
            assert!(is_plain(name) && content_type(name).is_some(), "{name}");
        }
        for name in [
            "../a.css", "a/b.css", ".css", "..", "a\\b.css", "a\0.css", "a%2f.css",
        ] {
            assert!(!is_plain(name), "{name}");
        }
        for name in ["passwd", "a.html", "a.", ""] {
            assert!(content_type(name).is_none(), "{name}");
        }
    }
}
