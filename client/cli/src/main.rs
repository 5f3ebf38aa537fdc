//! nsq.
fn main() {}
