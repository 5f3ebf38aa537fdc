//! Ready counts and backoff on the wire.
