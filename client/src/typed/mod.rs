//! Values instead of bytes: a codec for each kind of message, and a topic that knows its codec, shared
//! by who publishes and who consumes.
//!
//! ```
//! use client::typed::{Decode, Encode, Json, TypedTopic};
//! use client::wire::TopicName;
//!
//! #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
//! struct Order {
//!     id: u32,
//! }
//!
//! let orders: TypedTopic<Order> = TypedTopic::new(TopicName::parse("orders")?, Json);
//! let body = orders.codec().encode(&Order { id: 7 })?;
//! assert_eq!(body, r#"{"id":7}"#);
//! assert_eq!(orders.decode(&body)?, Order { id: 7 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::str::Utf8Error;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::TopicName;

/// Writes values of a type as messages.
pub trait Encode<T: ?Sized> {
    /// Why a value cannot be written.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns the body of a message. NSQ refuses one that is empty.
    ///
    /// # Errors
    /// The value has no form in this codec.
    fn encode(&self, value: &T) -> Result<Bytes, Self::Error>;
}

/// Reads values of a type from messages.
pub trait Decode<T> {
    /// Why a body is no such value.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns the value in the body of a message; may keep a slice of it.
    ///
    /// # Errors
    /// The body is no such value.
    fn decode(&self, body: &Bytes) -> Result<T, Self::Error>;
}

/// JSON, through serde.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

impl<T: Serialize + ?Sized> Encode<T> for Json {
    type Error = serde_json::Error;

    fn encode(&self, value: &T) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(value).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decode<T> for Json {
    type Error = serde_json::Error;

    fn decode(&self, body: &Bytes) -> Result<T, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

/// The bytes as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw;

impl Encode<Bytes> for Raw {
    type Error = Infallible;

    fn encode(&self, value: &Bytes) -> Result<Bytes, Infallible> {
        Ok(value.clone())
    }
}

impl Decode<Bytes> for Raw {
    type Error = Infallible;

    fn decode(&self, body: &Bytes) -> Result<Bytes, Infallible> {
        Ok(body.clone())
    }
}

/// Text in UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text;

impl Encode<str> for Text {
    type Error = Infallible;

    fn encode(&self, value: &str) -> Result<Bytes, Infallible> {
        Ok(Bytes::copy_from_slice(value.as_bytes()))
    }
}

impl Encode<String> for Text {
    type Error = Infallible;

    fn encode(&self, value: &String) -> Result<Bytes, Infallible> {
        Encode::<str>::encode(self, value)
    }
}

impl Decode<String> for Text {
    type Error = Utf8Error;

    fn decode(&self, body: &Bytes) -> Result<String, Utf8Error> {
        str::from_utf8(body).map(str::to_owned)
    }
}

/// A topic whose messages are values of `T`, written by the codec `C`.
pub struct TypedTopic<T: ?Sized, C = Json> {
    name: TopicName,
    codec: C,
    /// A topic holds no `T`: it may be shared among threads whatever `T` is.
    values: PhantomData<fn(&T)>,
}

impl<T: ?Sized, C> TypedTopic<T, C> {
    /// The topic of this name, with this codec.
    pub fn new(name: TopicName, codec: C) -> TypedTopic<T, C> {
        TypedTopic {
            name,
            codec,
            values: PhantomData,
        }
    }

    /// Its name.
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// Its codec.
    pub fn codec(&self) -> &C {
        &self.codec
    }
}

impl<T, C: Decode<T>> TypedTopic<T, C> {
    /// Returns the value in the body of a message of this topic.
    ///
    /// # Errors
    /// The body is no such value.
    pub fn decode(&self, body: &Bytes) -> Result<T, C::Error> {
        self.codec.decode(body)
    }
}

impl<T: ?Sized, C: Clone> Clone for TypedTopic<T, C> {
    fn clone(&self) -> TypedTopic<T, C> {
        TypedTopic::new(self.name.clone(), self.codec.clone())
    }
}

impl<T: ?Sized, C: fmt::Debug> fmt::Debug for TypedTopic<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedTopic")
            .field("name", &self.name)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T, C>(codec: &C, value: &T, body: &'static [u8])
    where
        T: PartialEq + fmt::Debug,
        C: Encode<T> + Decode<T>,
    {
        let body = Bytes::from_static(body);
        assert_eq!(codec.encode(value).unwrap(), body);
        assert_eq!(codec.decode(&body).unwrap(), *value);
    }

    #[test]
    fn what_a_codec_writes_it_reads() {
        check(&Json, &vec![1, 2], b"[1,2]");
        check(&Raw, &Bytes::from_static(b"\0\xff"), b"\0\xff");
        check(&Text, &"é".to_owned(), "é".as_bytes());
    }

    #[test]
    fn a_body_that_is_no_such_value_is_an_error() {
        let body = Bytes::from_static(b"\xff");
        assert!(Decode::<Vec<u8>>::decode(&Json, &body).is_err());
        assert!(Text.decode(&body).is_err());
    }
}
