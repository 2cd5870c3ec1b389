//! Creates licenses and settings, each once.

use license_core::command::{Idempotency, NewLicense};
use license_core::store::ChangeNotice;
use license_core::store::{Created, StoreError};
use serde_json::json;

use super::database::{Connection, SqlDatabase, reader};
use super::dialect::{Dialect, Durability, values};
use super::rows::license_values;

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_create(&self, new: &NewLicense) -> Result<Created, StoreError> {
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
        let metadata = json!(license.metadata).to_string();
        let values = license_values(license, &metadata);
        if self.fetch(&mut tx, &self.sql.licenses.insert, &values).await?.is_empty() {
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
    ) -> Result<Option<Created>, StoreError> {
        let rows = self.fetch(connection, &self.sql.licenses.idempotency_key, values![key]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let row = reader::<D>(row, "idempotency_keys", key);
        Ok(Some(Created::repeated(request, &row.digest("request")?, row.license_id("license_id")?)))
    }

    pub(super) async fn try_put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.fetch(&mut tx, &self.sql.settings.insert, values![name, value]).await?;
        let rows = self.fetch(&mut tx, &self.sql.settings.get, values![name]).await?;
        let missing = || StoreError::Contended { source: "the setting was deleted".into() };
        let stored = reader::<D>(rows.first().ok_or_else(missing)?, "settings", name).bytes("value")?;
        self.commit(tx).await?;
        Ok(stored)
    }
}
