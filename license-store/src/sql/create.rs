//! Creates licenses and settings, each once.

use license_core::access::AuditEntry;
use license_core::command::NewLicense;
use license_core::store::{ChangeNotice, Created};

use super::prelude::*;
use super::rows::{license_values, metadata_rows};

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_create(&self, new: &NewLicense) -> Result<Created> {
        let NewLicense { license, activations, events, idempotency, audit } = new;
        let mut tx = self.begin(Durability::PowerLoss).await?;
        // Inserted first: callers that race wait here, and then find the row of the first one.
        if let Some(asked) = idempotency
            && !self.insert_used_key(&mut tx, asked, events).await?
        {
            let missing = || StoreError::Contended { source: "the idempotency key was deleted".into() };
            let used = self.find_used_key(&mut tx, asked).await?.ok_or_else(missing)?;
            return Ok(Created::repeated(asked, &used));
        }
        if self.fetch(&mut tx, &self.sql.licenses.insert, &license_values(license)).await?.is_empty() {
            if let Some(external_id) = &license.external_id
                && self.has_external_id(&mut tx, external_id).await?
            {
                return Ok(Created::ExternalIdTaken);
            }
            return Err(StoreError::AlreadyExists { what: "the license id or key" });
        }
        let metadata = metadata_rows(license);
        if !metadata.is_empty() {
            self.insert_metadata(&mut tx, json_rows(metadata.into_iter())).await?;
        }
        self.insert_activations(&mut tx, license, activations).await?;
        self.insert_events(&mut tx, events).await?;
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        self.commit_and_notify(tx, vec![ChangeNotice::LicenseChanged(new.notice())]).await?;
        Ok(Created::New)
    }

    pub(super) async fn try_put_if_absent(
        &self,
        name: &str,
        value: &[u8],
        audit: Option<&AuditEntry>,
    ) -> Result<Vec<u8>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let inserted = self.fetch(&mut tx, &self.sql.settings.insert, values![name, value]).await?;
        if !inserted.is_empty()
            && let Some(audit) = audit
        {
            self.insert_audit(&mut tx, audit).await?;
        }
        let rows = self.fetch(&mut tx, &self.sql.settings.get, values![name]).await?;
        let missing = || StoreError::Contended { source: "the setting was deleted".into() };
        let stored = rows.first("settings", name, |row| row.bytes("value"))?.ok_or_else(missing)?;
        self.commit(tx).await?;
        Ok(stored)
    }
}
