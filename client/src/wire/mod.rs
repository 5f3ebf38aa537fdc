//! The NSQ wire protocol.
