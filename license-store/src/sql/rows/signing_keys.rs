//! Rows of signing keys.

use license_core::key::SealedSecret;
use license_core::signing::{PublicKey, SigningKey, SigningKeyId, SigningKeyState};

use super::reader::{Reader, micros};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn signing_key(&self) -> Result<SigningKey> {
        let id = self.parsed("id", SigningKeyId::parse)?;
        let public =
            self.parse("public_key", self.bytes("public_key")?, |bytes| PublicKey::from_bytes(&bytes))?;
        if public.id() != id {
            return Err(self.corrupt("public_key", format!("it is not the key with the id {id}")));
        }
        Ok(SigningKey {
            id,
            public,
            sealed: SealedSecret::from_bytes(self.bytes("sealed_key")?),
            state: self.known("state", SigningKeyState::parse)?,
            created_at: self.time("created_at")?,
            activated_at: self.maybe_time("activated_at")?,
            replaced_at: self.maybe_time("replaced_at")?,
            signed_until: self.maybe_time("signed_until")?,
        })
    }
}

pub(crate) fn signing_key_values(key: &SigningKey) -> [Value<'_>; 8] {
    let SigningKey { id, public, sealed, state, created_at, activated_at, replaced_at, signed_until } = key;
    [
        id.as_str().into(),
        public.as_bytes().as_slice().into(),
        sealed.as_bytes().into(),
        state.as_str().into(),
        created_at.timestamp_micros().into(),
        micros(*activated_at).into(),
        micros(*replaced_at).into(),
        micros(*signed_until).into(),
    ]
}
