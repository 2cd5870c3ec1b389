//! Domains and devices on which a license is denied.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::activation::{ActivationKind, Binding};
use super::fingerprint::Fingerprint;
use super::numbered_id::numbered_id;
use super::reason::Reason;
use crate::clock::whole_micros;
use crate::domain::DomainName;
use crate::limits;

numbered_id! {
    /// The id of a block: `blk_`, the license id's suffix, and its event number in at least ten digits.
    BlockId = "blk_", BlockIdError, "a block id"
}

/// A blocked domain or device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "BlockFields", try_from = "BlockFields")]
pub struct Block {
    /// The id.
    pub id: BlockId,
    /// The domain, wildcard or device. A wildcard blocks every host that it covers.
    pub binding: Binding,
    /// The reason, if one was given.
    pub reason: Option<Reason>,
    /// Time of the block.
    pub created_at: DateTime<Utc>,
}

/// The stored form of a block, which exports have too.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockFields {
    id: String,
    kind: String,
    value: String,
    created_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Block> for BlockFields {
    fn from(Block { id, binding, reason, created_at }: Block) -> Self {
        Self {
            id: id.as_str().to_owned(),
            kind: binding.kind().as_str().to_owned(),
            value: binding.value().to_owned(),
            created_at,
            reason: reason.map(|reason| reason.as_str().to_owned()),
        }
    }
}

impl TryFrom<BlockFields> for Block {
    type Error = String;

    fn try_from(fields: BlockFields) -> Result<Self, String> {
        let BlockFields { id, kind, value, created_at, reason } = fields;
        let wrong = |error: &dyn std::fmt::Display| error.to_string();
        let binding = match ActivationKind::parse(&kind) {
            Some(ActivationKind::Domain) => {
                Binding::Domain(DomainName::parse_registered(&value).map_err(|error| wrong(&error))?)
            }
            Some(ActivationKind::Device) => {
                Binding::Device(Fingerprint::parse(&value).map_err(|error| wrong(&error))?)
            }
            None => return Err("kind must be domain or device".to_owned()),
        };
        let reason = reason.map(|text| Reason::parse(&text)).transpose().map_err(|error| wrong(&error))?;
        let id = BlockId::parse(&id).map_err(|error| wrong(&error))?;
        Ok(Self { id, binding, reason, created_at: whole_micros(created_at) })
    }
}

/// The blocks of a license, oldest first, at most [`limits::BLOCKS`].
///
/// They are a field of the license, so that each decision on a license knows all of its blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Blocks(Vec<Block>);

impl Blocks {
    /// Iterates over the blocks, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        self.0.iter()
    }

    /// Returns whether nothing is blocked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether no other block fits.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= limits::BLOCKS
    }

    /// Returns whether `domain` is blocked, by its name or by a wildcard. A wildcard is blocked only by itself.
    #[must_use]
    pub fn has_domain(&self, domain: &DomainName) -> bool {
        self.iter().any(|block| matches!(&block.binding, Binding::Domain(blocked) if blocked.covers(domain)))
    }

    /// Returns whether a device is blocked.
    #[must_use]
    pub fn has_device(&self, device: &Fingerprint) -> bool {
        self.iter().any(|block| matches!(&block.binding, Binding::Device(blocked) if blocked == device))
    }

    /// Returns the block of exactly this domain or device.
    pub(crate) fn of(&self, binding: &Binding) -> Option<&Block> {
        self.iter().find(|block| block.binding == *binding)
    }

    pub(crate) fn push(&mut self, block: Block) {
        self.0.push(block);
    }

    pub(crate) fn remove(&mut self, id: &BlockId) -> Option<Block> {
        let index = self.0.iter().position(|block| block.id == *id)?;
        Some(self.0.remove(index))
    }

    pub(crate) fn remove_reasons(&mut self) {
        self.0.iter_mut().for_each(|block| block.reason = None);
    }

    /// Returns the estimated heap memory in bytes.
    pub(crate) fn heap_size(&self) -> usize {
        let texts = self.iter().map(|Block { id, binding, reason, .. }| {
            id.as_str().len() + binding.value().len() + reason.as_ref().map_or(0, |text| text.as_str().len())
        });
        self.0.capacity() * size_of::<Block>() + texts.sum::<usize>()
    }

    /// Returns the stored form, which is JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serialising these types to JSON cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// Returns [`BlocksError`] if the text is not one that [`to_json`](Self::to_json) returns.
    pub fn from_json(text: &str) -> Result<Self, BlocksError> {
        Ok(serde_json::from_str(text)?)
    }
}

impl FromIterator<Block> for Blocks {
    fn from_iter<I: IntoIterator<Item = Block>>(blocks: I) -> Self {
        Self(blocks.into_iter().collect())
    }
}

/// The text is not the stored form of blocks.
#[derive(Debug, thiserror::Error)]
#[error("the blocks cannot be read: {0}")]
pub struct BlocksError(#[from] serde_json::Error);

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64, binding: Binding, reason: Option<&str>) -> Block {
        let id = BlockId::parse(&format!("blk_a1_{number:010}")).unwrap();
        let reason = reason.map(|text| Reason::parse(text).unwrap());
        Block { id, binding, reason, created_at: "2027-06-15T10:00:00.000001Z".parse().unwrap() }
    }

    fn registered(text: &str) -> Binding {
        Binding::Domain(DomainName::parse_registered(text).unwrap())
    }

    #[test]
    fn domain_is_blocked_by_name_or_wildcard() {
        let blocks: Blocks = [
            block(1, registered("*.nulled.example.com"), None),
            block(2, registered("shop.example.org"), None),
        ]
        .into_iter()
        .collect();
        for (host, blocked) in [
            ("a.nulled.example.com", true),
            ("a.b.nulled.example.com", true),
            ("www.nulled.example.com", true),
            ("nulled.example.com", false),
            ("evilnulled.example.com", false),
            ("shop.example.org", true),
            ("www.shop.example.org", true),
            ("eu.shop.example.org", false),
            ("example.org", false),
        ] {
            assert_eq!(blocks.has_domain(&DomainName::parse(host).unwrap()), blocked, "{host}");
        }
        let wider = DomainName::parse_registered("*.example.org").unwrap();
        assert!(!blocks.has_domain(&wider), "a wildcard is blocked only by itself");
    }

    #[test]
    fn stored_form_is_read_as_written() {
        let device = Binding::Device(Fingerprint::parse("MAC \"00:11\"").unwrap());
        let blocks: Blocks =
            [block(1, device, Some("chargeback")), block(2, registered("*.example.com"), None)]
                .into_iter()
                .collect();
        assert_eq!(Blocks::from_json(&blocks.to_json()).unwrap(), blocks);
        assert_eq!(Blocks::default().to_json(), "[]");
        for wrong in [
            "",
            "{}",
            r#"[{"id":"blk_a","kind":"site","value":"a","created_at":"2027-06-15T10:00:00Z"}]"#,
            r#"[{"id":"act_a","kind":"device","value":"a","created_at":"2027-06-15T10:00:00Z"}]"#,
            r#"[{"id":"blk_a","kind":"device","value":"","created_at":"2027-06-15T10:00:00Z"}]"#,
            r#"[{"id":"blk_a","kind":"device","value":"a","created_at":"2027-06-15T10:00:00Z","reason":" "}]"#,
        ] {
            assert!(Blocks::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
