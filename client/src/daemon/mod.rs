//! What nsqd, nsqlookupd and nsqadmin have in common as processes (feature `daemon`).
//!
//! | module | owns |
//! | --- | --- |
//! | [`flags`] | the command line as the reference's, the configuration file, how a start fails |
//! | [`duration`] | durations as operators write them: `300ms`, `1m30s` |
//! | [`log`] | lines on stderr in the reference's form, and their level |
//! | [`runtime`] | the threads, or a clear error where there are too few |
//! | [`service`] | from the start to the stop |
//! | [`signals`] | when to stop |
//! | [`listen`] | TCP and unix sockets that go on accepting whatever happens |
//! | [`http`] | an HTTP/1.1 server: a table of routes, and a deadline for everything |

pub mod duration;
pub mod flags;
pub mod http;
pub mod listen;
pub mod log;
pub mod runtime;
pub mod service;
pub mod signals;
