//! What stands in the query of a request: arguments, and the names, numbers and times in them.

use client::daemon::duration::GoDuration;
use client::daemon::flags::{ByteSize, boolean, integer};
use client::daemon::http::Query;
use client::wire::{ChannelName, MAX_NAME_BYTES, NameRef, TopicName};

/// What is read is what it is written as, and a query holds no more than was sent.
pub fn http(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(query) = Query::parse(&text) {
        for name in ["topic", "channel", "defer", "binary", "format"] {
            let Some(value) = query.get(name) else {
                continue;
            };
            // Bytes that are no UTF-8 are replaced by a character of three.
            assert!(value.len() <= 3 * text.len());
            values(value);
        }
    }
    values(&text);
}

fn values(text: &str) {
    let name = NameRef::parse(text.as_bytes());
    assert_eq!(TopicName::parse(text).is_ok(), name.is_ok());
    assert_eq!(ChannelName::parse(text).is_ok(), name.is_ok());
    if let Ok(name) = name {
        assert!((1..=MAX_NAME_BYTES).contains(&text.len()) && name.as_str() == text);
    }
    if let Ok(duration) = text.parse::<GoDuration>() {
        let shown = duration.to_string();
        assert_eq!(shown.parse::<GoDuration>().ok(), Some(duration), "{shown}");
    }
    if let Ok(size) = text.parse::<ByteSize>() {
        let shown = size.to_string();
        assert_eq!(shown.parse::<ByteSize>().ok(), Some(size), "{shown}");
    }
    if let Ok(number) = integer::<i64>(text) {
        assert_eq!(integer::<i64>(&number.to_string()).ok(), Some(number));
    }
    if let Ok(value) = boolean(text) {
        assert_eq!(boolean(&value.to_string()), Ok(value));
    }
}
