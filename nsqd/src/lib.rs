//! nsqd: takes messages, keeps them, and fans each topic out to its channels.

pub mod channel;
pub mod clock;
pub mod data_dir;
pub mod log;
pub mod message_id;
pub mod timers;
pub mod topic;
