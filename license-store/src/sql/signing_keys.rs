//! Implements `SigningKeyStore`.

use std::sync::Arc;

use async_trait::async_trait;
use license_core::signing::{
    SigningKeyChanges, SigningKeyCommand, SigningKeyContext, SigningKeyDecision, SigningKeyOutcome,
    SigningKeySet, decide_signing_keys,
};
use license_core::store::{ChangeNotice, SigningKeyStore};

use sqlx::SqlStr;

use super::prelude::*;
use super::rows::signing_key_values;
use super::store::SqlStore;

impl<D: Dialect> SqlDatabase<D> {
    async fn read_signing_keys(
        &self,
        connection: &mut Connection<D>,
        sql: &SqlStr,
        revision: u64,
    ) -> Result<SigningKeySet> {
        let rows = self.fetch(connection, sql, &[]).await?;
        Ok(SigningKeySet::from_stored(revision, rows.all("signing_keys", "", Reader::signing_key)?))
    }

    async fn try_load_signing_keys(&self, known: u64) -> Result<Option<SigningKeySet>> {
        let mut tx = self.begin_read().await?;
        let revision = self.fetch(&mut tx, &self.sql.signing_keys.revision, &[]).await?;
        let revision = revision.count("signing_key_set", "revision")?;
        if revision == known {
            return Ok(None);
        }
        self.read_signing_keys(&mut tx, &self.sql.signing_keys.all, revision).await.map(Some)
    }

    async fn try_execute_signing_keys(
        &self,
        command: &SigningKeyCommand,
        context: &SigningKeyContext,
    ) -> Result<SigningKeyOutcome> {
        let sql = &self.sql.signing_keys;
        let mut tx = self.begin(Durability::PowerLoss).await?;
        let revision = self.fetch(&mut tx, &sql.lock, &[]).await?.count("signing_key_set", "revision")?;
        let before = Arc::new(self.read_signing_keys(&mut tx, &sql.lock_all, revision).await?);
        let SigningKeyDecision { outcome, changes } = decide_signing_keys(&before, command, context);
        let Some(SigningKeyChanges { set, keys, audit }) = changes else { return Ok(outcome) };
        self.fetch(&mut tx, &sql.set_revision, values![int(set.revision())]).await?;
        for key in &keys {
            self.fetch(&mut tx, &sql.put, &signing_key_values(key)).await?;
        }
        if let Some(entry) = &audit {
            self.insert_audit(&mut tx, entry).await?;
        }
        self.commit_and_notify(tx, vec![ChangeNotice::SigningKeysChanged]).await?;
        Ok(outcome)
    }
}

#[async_trait]
impl<D: Dialect> SigningKeyStore for SqlStore<D> {
    async fn load_signing_keys(&self, known: u64) -> Result<Option<SigningKeySet>> {
        self.database.try_load_signing_keys(known).await
    }

    async fn execute_signing_keys(
        &self,
        command: &SigningKeyCommand,
        context: &SigningKeyContext,
    ) -> Result<SigningKeyOutcome> {
        retry(|| self.database.try_execute_signing_keys(command, context)).await
    }
}
