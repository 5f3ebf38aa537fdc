//! An HTTP/1.1 server for the daemons' APIs: a table of routes, typed ends of a request, a limit for everything.
//!
//! ```
//! use std::sync::Arc;
//! use client::daemon::http::{HttpError, Request, Response, Router};
//!
//! struct Node { health: String }
//!
//! async fn ping(node: Arc<Node>, _: Request) -> Result<Response, HttpError> {
//!     Ok(Response::plain(&node.health))
//! }
//! async fn create_topic(_: Arc<Node>, request: Request) -> Result<Response, HttpError> {
//!     let query = request.query()?;
//!     let _name = query.get("topic").ok_or(HttpError::bad_request("MISSING_ARG_TOPIC"))?;
//!     Ok(Response::empty())
//! }
//!
//! let router = Router::new().get("/ping", ping).post("/topic/create", create_topic);
//! ```
//!
//! | part | owns |
//! | --- | --- |
//! | [`Router`] | which handler; the answers 404, 405, OPTIONS and redirects of the reference |
//! | [`Request`] | query and body, each checked as it is asked for |
//! | [`Response`], [`HttpError`] | bodies and headers in the form that NSQ's tools expect |
//! | `economy.rs` | what a client has already, or takes compressed: [`Response::economical`] |
//! | [`serve`], [`Limits`] | connections: deadlines, sizes, panics, the end |

mod body;
mod connection;
mod cross_site;
mod deadline;
mod economy;
mod request;
mod response;
mod router;
mod server;

pub use request::{BodyError, Query, Request};
pub use response::{HttpError, Response};
pub use router::Router;
pub use server::{Limits, serve};

#[cfg(test)]
mod tests;
