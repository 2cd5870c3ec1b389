//! Creates licenses and settings, each once.

use license_core::command::{Idempotency, NewLicense};
use license_core::store::{ChangeNotice, Created};

use super::prelude::*;
use super::rows::license_values;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_create(&self, new: &NewLicense) -> Result<Created> {
        let NewLicense { license, activations, events, idempotency, audit } = new;
        let mut tx = self.begin(Durability::PowerLoss).await?;
        if let Some(Idempotency { key, request }) = idempotency {
            // Inserted first: callers that race wait here, and then find the row of the first one.
            let created_at = license.created_at.timestamp_micros();
            let values = values![key.as_str(), request.as_slice(), license.id.as_str(), created_at];
            if self.fetch(&mut tx, &self.sql.licenses.insert_idempotency_key, values).await?.is_empty() {
                let missing = || StoreError::Contended { source: "the idempotency key was deleted".into() };
                return self.find_created(&mut tx, key.as_str(), request).await?.ok_or_else(missing);
            }
        }
        if self.fetch(&mut tx, &self.sql.licenses.insert, &license_values(license)).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the license id or key" });
        }
        self.insert_activations(&mut tx, license, activations).await?;
        self.insert_events(&mut tx, events).await?;
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        self.commit_and_notify(tx, vec![ChangeNotice::LicenseChanged(new.notice())]).await?;
        Ok(Created::New)
    }

    pub(super) async fn find_created(
        &self,
        connection: &mut Connection<D>,
        key: &str,
        request: &[u8; 32],
    ) -> Result<Option<Created>> {
        let rows = self.fetch(connection, &self.sql.licenses.idempotency_key, values![key]).await?;
        rows.first("idempotency_keys", key, |row| {
            Ok(Created::repeated(request, &row.digest("request")?, row.license_id("license_id")?))
        })
    }

    pub(super) async fn try_put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.fetch(&mut tx, &self.sql.settings.insert, values![name, value]).await?;
        let rows = self.fetch(&mut tx, &self.sql.settings.get, values![name]).await?;
        let missing = || StoreError::Contended { source: "the setting was deleted".into() };
        let stored = rows.first("settings", name, |row| row.bytes("value"))?.ok_or_else(missing)?;
        self.commit(tx).await?;
        Ok(stored)
    }
}
