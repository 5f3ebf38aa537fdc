//! nsqd.
fn main() {}
