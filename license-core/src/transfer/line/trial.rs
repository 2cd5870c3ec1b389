//! Lines of trial claims and their keys.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::read;
use super::texts::ClearKey;
use super::written;
use crate::key::SealedKey;
use crate::license::LicenseId;
use crate::transfer::ImportLineError;
use crate::trial::{TrialClaim, TrialDigest, TrialKey};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrialClaimFields {
    digest: String,
    license: LicenseId,
}

/// The key of trial digests, in clear or sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrialKeyLine {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<ClearKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_key: Option<SealedKey>,
}

impl TrialKeyLine {
    /// Returns the line of a key, without the key.
    pub(crate) fn of(key: &TrialKey) -> Self {
        Self { id: key.id(), key: None, sealed_key: None }
    }

    /// Returns the key. `open` opens a sealed one.
    pub(crate) fn read_key(
        &self,
        open: impl FnOnce(&SealedKey, &str) -> Option<[u8; 32]>,
    ) -> Result<TrialKey, ImportLineError> {
        let bytes = match (&self.key, &self.sealed_key) {
            (Some(key), None) => from_hex(key.as_str()).ok_or("it must be 64 hexadecimal digits"),
            (None, Some(sealed)) => {
                open(sealed, &self.id).ok_or("it was altered, or sealed with another secret; export again")
            }
            _ => Err("give either the key or the sealed_key"),
        };
        let key = bytes.map(TrialKey::from_bytes).map_err(|why| ImportLineError::field("key", why))?;
        if key.id() != self.id {
            return Err(ImportLineError::field("id", "it is not the id of the key"));
        }
        Ok(key)
    }
}

pub(super) fn read_claim(fields: &Map<String, Value>) -> Result<TrialClaim, ImportLineError> {
    let TrialClaimFields { digest, license } = read(fields)?;
    let bytes = from_hex(&digest).ok_or_else(|| {
        ImportLineError::value("digest", &digest.into(), "it must be 64 hexadecimal digits")
    })?;
    Ok(TrialClaim { digest: TrialDigest::from_bytes(bytes), license })
}

pub(crate) fn trial_claim_line(TrialClaim { digest, license }: &TrialClaim) -> String {
    let digest = to_hex(digest.as_bytes());
    written("trial_claim", &TrialClaimFields { digest, license: license.clone() })
}

pub(crate) fn trial_key_line(line: &TrialKeyLine) -> String {
    written("trial_key", line)
}

/// Returns 32 bytes as 64 digits.
pub(crate) fn to_hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(text).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::line::Line;

    fn claim() -> TrialClaim {
        TrialClaim {
            digest: TrialDigest::from_bytes([0xa5; 32]),
            license: LicenseId::parse("lic_1").unwrap(),
        }
    }

    #[test]
    fn claim_reads_as_it_is_written() {
        let line = trial_claim_line(&claim());
        assert_eq!(
            line,
            format!(r#"{{"type":"trial_claim","digest":"{}","license":"lic_1"}}"#, "a5".repeat(32))
        );
        let Ok(Line::TrialClaim(read)) = Line::parse(line.as_bytes()) else { panic!("{line}") };
        assert_eq!(read, claim());
        for wrong in
            [line.replace("a5a5a5", "a5"), line.replace("a5a5", "xxxx"), line.replace("digest", "digests")]
        {
            assert!(Line::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn key_reads_as_it_is_written() {
        let key = TrialKey::from_bytes([3; 32]);
        let of = TrialKeyLine::of(&key);
        let clear = TrialKeyLine { key: Some(ClearKey::of_text(to_hex(key.as_bytes()))), ..of };
        let line = trial_key_line(&clear);
        let Ok(Line::TrialKey(read)) = Line::parse(line.as_bytes()) else { panic!("{line}") };
        assert_eq!(read.read_key(|_, _| None).unwrap().as_bytes(), key.as_bytes());
        let wrong = TrialKeyLine { id: TrialKey::from_bytes([4; 32]).id(), ..read };
        assert!(wrong.read_key(|_, _| None).unwrap_err().to_string().contains("not the id of the key"));
    }
}
