//! Strict decoding: every length is compared with what is there before anything is allocated for it.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::bundles::{Bundles, DecodeError, well_formed};
use super::frame::{Announced, Frame, Goodbye, Hello, Ids, TopicChange};
use super::history_codec;
use super::kind::Kind;
use super::members;
use super::{MAX_FRAME_LEN, MAX_HEADERS_PER_FRAME, MAX_IDS_PER_FRAME, MAX_RARE_LEN, MAX_TOPICS_PER_FRAME};
use crate::rumor::{BundleId, EVIDENCE_LEN, Evidence, SIGNED_HEADER_LEN, SignedHeader, TopicId};

impl Frame {
    /// Decodes one frame's payload (kind and content, without the length), strictly.
    ///
    /// # Errors
    /// Any is an offence: a correct node never sends such bytes.
    pub fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        frame(payload)
    }
}

fn frame(payload: Bytes) -> Result<Frame, DecodeError> {
    if payload.len() > MAX_FRAME_LEN {
        return Err(DecodeError::FrameLength(payload.len()));
    }
    let Some((&kind, content)) = payload.split_first() else {
        return Err(DecodeError::FrameLength(0));
    };
    match Kind::from_byte(kind).ok_or(DecodeError::Kind(kind))? {
        Kind::Hello => {
            let hello: Hello = rare(content)?;
            topic_list(&hello.topics)?;
            if hello.is_canonical() { Ok(Frame::Hello(hello)) } else { Err(DecodeError::NotCanonical) }
        }
        Kind::Topics => {
            let change: TopicChange = rare(content)?;
            topic_list(&change.joined)?;
            topic_list(&change.left)?;
            if change.keeps.len() > MAX_TOPICS_PER_FRAME {
                return Err(DecodeError::Length);
            }
            Ok(Frame::Topics(change))
        }
        Kind::Goodbye => Ok(Frame::Goodbye(rare::<Goodbye>(content)?)),
        Kind::Bundles if content.is_empty() => Err(DecodeError::Length),
        Kind::Bundles => Ok(Frame::Bundles(Bundles::of(payload.slice(1..)))),
        Kind::Announce => announce(content),
        Kind::Headers => {
            let (headers, tail) = content.as_chunks::<SIGNED_HEADER_LEN>();
            if !tail.is_empty() || headers.is_empty() || headers.len() > MAX_HEADERS_PER_FRAME {
                return Err(DecodeError::Length);
            }
            headers
                .iter()
                .map(|bytes| well_formed(SignedHeader::decode(bytes)))
                .collect::<Result<_, _>>()
                .map(Frame::Headers)
        }
        Kind::Pull => ids(content).map(Frame::Pull),
        Kind::Gone => ids(content).map(Frame::Gone),
        Kind::Cancel => ids(content).map(Frame::Cancel),
        Kind::Ask => history_codec::decode_ask(content).map(Frame::Ask),
        Kind::Tell => history_codec::decode_tell(content).map(Frame::Tell),
        Kind::Fetch => history_codec::decode_fetch(content).map(Frame::Fetch),
        Kind::Page => history_codec::decode_page(content).map(Frame::Page),
        Kind::More => history_codec::decode_more(content).map(Frame::More),
        Kind::Pulses => members::decode_pulses(content).map(Frame::Pulses),
        Kind::MembersAsk => members::decode_members_ask(content).map(Frame::MembersAsk),
        Kind::Stop => history_codec::decode_stop(content).map(Frame::Stop),
        Kind::Evidence => {
            let bytes: &[u8; EVIDENCE_LEN] = content.try_into().map_err(|_| DecodeError::Length)?;
            Ok(Frame::Evidence(Box::new(Evidence::decode(bytes)?)))
        }
    }
}

/// postcard, bounded and canonical: it accepts padded varints and trailing bytes, so the value must encode to the very
/// same bytes again.
fn rare<T: Serialize + DeserializeOwned>(content: &[u8]) -> Result<T, DecodeError> {
    if content.len() > MAX_RARE_LEN {
        return Err(DecodeError::Length);
    }
    let value: T = postcard::from_bytes(content).map_err(|_| DecodeError::NotCanonical)?;
    match postcard::to_allocvec(&value) {
        Ok(again) if again == content => Ok(value),
        _ => Err(DecodeError::NotCanonical),
    }
}

fn topic_list(topics: &[[u8; 32]]) -> Result<(), DecodeError> {
    if topics.len() > MAX_TOPICS_PER_FRAME { Err(DecodeError::Length) } else { Ok(()) }
}

fn announce(content: &[u8]) -> Result<Frame, DecodeError> {
    let (topic, items) = content.split_first_chunk::<32>().ok_or(DecodeError::Length)?;
    let (items, tail) = items.as_chunks::<33>();
    if !tail.is_empty() || items.is_empty() || items.len() > MAX_IDS_PER_FRAME {
        return Err(DecodeError::Length);
    }
    let items = items.iter().map(|[id @ .., size]| (BundleId::from_bytes(*id), *size)).collect();
    Ok(Frame::Announce(Announced { topic: TopicId::from_bytes(*topic), items }))
}

fn ids(content: &[u8]) -> Result<Ids, DecodeError> {
    let (topic, ids) = content.split_first_chunk::<32>().ok_or(DecodeError::Length)?;
    let (ids, tail) = ids.as_chunks::<32>();
    if !tail.is_empty() || ids.is_empty() || ids.len() > MAX_IDS_PER_FRAME {
        return Err(DecodeError::Length);
    }
    let ids = ids.iter().map(|id| BundleId::from_bytes(*id)).collect();
    Ok(Ids { topic: TopicId::from_bytes(*topic), ids })
}
