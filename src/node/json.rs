//! Bodies and values as JSON, for applications that say structs.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::kv::{Kv, PutError, Written};
use super::message::How;
use super::publishing::Publishing;
use super::topic::TopicHandle;
use crate::key::PublicKey;
use crate::protocol::PublishError;
use crate::rumor::Rumor;

/// Bytes are not the JSON of the type that was asked for. Anybody who may speak can say such a thing: skip it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no JSON of the type that was asked for: {0}; skip what its author said, or ask for another type")]
pub struct JsonError(String);

impl Rumor {
    /// Reads the body as JSON. (Feature `serde`.)
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use vouchsafe::TopicHandle;
    /// #[derive(Serialize, Deserialize)]
    /// struct Order {
    ///     item: String,
    ///     count: u32,
    /// }
    /// # async fn f(orders: TopicHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// orders.publish_json(&Order { item: "tea".into(), count: 2 }).await?;
    /// let rumor = orders.subscribe().next().await.ok_or("closed")??;
    /// let Order { item, count } = rumor.json()?;
    /// println!("{count} of {item}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the body is not JSON of that type: its author may have said anything.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        decode(self.body())
    }
}

impl TopicHandle {
    /// As [`TopicHandle::publish`], of a value as JSON, which [`Rumor::json`] reads. (Feature `serde`.) What is dropped before it is done is
    /// taken back like that.
    ///
    /// # Errors
    /// [`PublishError::Json`] if the value can't be said as JSON, such as a map whose keys are no texts. Else as [`TopicHandle::publish`].
    pub fn publish_json<T: Serialize + ?Sized>(&self, value: &T) -> Publishing<'_> {
        Publishing::new(self, encode(value), How::Waits { kept: true })
    }
}

impl Kv {
    /// As [`Kv::put`], of a value as JSON, which [`Kv::get_json`] reads. (Feature `serde`.) What is dropped before it is done is taken back
    /// like that.
    ///
    /// # Errors
    /// [`PublishError::Json`] if the value can't be said as JSON. Else as [`Kv::put`].
    pub async fn put_json<T: Serialize + Sync + ?Sized>(
        &self,
        key: impl Into<Bytes>,
        value: &T,
    ) -> Result<Written, PutError> {
        let value = encode(value)?;
        self.put(key, value).await
    }

    /// As [`Kv::get`], of a value that is JSON. (Feature `serde`.)
    ///
    /// ```
    /// # use vouchsafe::{Kv, PublicKey};
    /// # async fn f(kv: Kv, friend: PublicKey) -> Result<(), Box<dyn std::error::Error>> {
    /// kv.put_json("limits", &[3, 5]).await?;
    /// let limits: Option<Vec<u32>> = kv.get_json(friend, "limits")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the value is not JSON of that type: its author may have said anything.
    pub fn get_json<T: DeserializeOwned>(
        &self,
        author: PublicKey,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<T>, JsonError> {
        self.get(author, key).map(|value| decode(&value)).transpose()
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, PublishError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| PublishError::Json(error.to_string()))
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, JsonError> {
    serde_json::from_slice(bytes).map_err(|error| JsonError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_value_survives_its_json_and_nothing_else_is_one() {
        let value = BTreeMap::from([("a".to_owned(), vec![1, 2]), ("b".to_owned(), Vec::new())]);
        let bytes = encode(&value).unwrap();
        assert_eq!(decode(&bytes), Ok(value));
        let refused = decode::<BTreeMap<String, u8>>(&bytes).unwrap_err();
        assert!(refused.to_string().contains("invalid type"), "{refused}");
        for bad in [b"".as_slice(), b"{", b"\xff", &b"[".repeat(60_000)] {
            assert!(decode::<serde_json::Value>(bad).is_err());
        }
        let no_texts = BTreeMap::from([([1, 2], 3)]);
        assert!(matches!(encode(&no_texts), Err(PublishError::Json(_))));
    }
}
