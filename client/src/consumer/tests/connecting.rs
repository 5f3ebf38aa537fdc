//! Connecting, refusals, and what is no nsqd.
