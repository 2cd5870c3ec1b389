//! A snapshot for exports.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::license::{ActivationId, Counters, Lease, LeaseId, License, LicenseId};
use license_core::store::TransferSnapshot;
use license_core::trial::{TrialClaim, TrialDigest};
use license_core::usage::{ActivationDetail, Rollup, RollupKey};

use crate::sql::leases::accepted_since;
use crate::sql::prelude::*;

/// A transaction that reads from one snapshot.
pub(super) struct SqlSnapshot<'a, D: Dialect> {
    database: &'a SqlDatabase<D>,
    tx: Tx<D>,
}

impl<'a, D: Dialect> SqlSnapshot<'a, D> {
    pub(super) async fn begin(database: &'a SqlDatabase<D>) -> Result<Self> {
        let mut tx = database.begin_snapshot().await?;
        database.fetch(&mut tx, &database.sql.transfer.first_read, &[]).await?;
        Ok(Self { database, tx })
    }
}

#[async_trait]
impl<D: Dialect> TransferSnapshot for SqlSnapshot<'_, D> {
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>> {
        let values = values![after.map_or("", LicenseId::as_str), i64::from(limit)];
        let found = self.database.fetch(&mut self.tx, &self.database.sql.transfer.licenses, values).await?;
        found.all("licenses", "", |row| Ok((row.license()?.into(), row.counters()?)))
    }

    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>> {
        let (license, id) = after.map_or(("", ""), |(license, id)| (license.as_str(), id.as_str()));
        let values = values![license, id, i64::from(limit)];
        let found =
            self.database.fetch(&mut self.tx, &self.database.sql.transfer.activations, values).await?;
        found.all("activations", "", |row| Ok((row.license_id("license_id")?, row.activation_detail()?)))
    }

    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>> {
        self.database.read_rollups(&mut self.tx, None, after, i64::from(limit)).await
    }

    async fn trial_claims(&mut self, after: Option<&TrialDigest>, limit: u32) -> Result<Vec<TrialClaim>> {
        let after = after.map_or(&[][..], |digest| digest.as_bytes());
        let values = values![after, i64::from(limit)];
        let found = self.database.fetch(&mut self.tx, &self.database.sql.trial_claims.list, values).await?;
        found.all("trial_claims", "", Reader::trial_claim)
    }

    async fn leases(
        &mut self,
        after: Option<(&LicenseId, &LeaseId)>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Lease>> {
        let (license, id) = after.map_or(("", ""), |(license, id)| (license.as_str(), id.as_str()));
        let values = values![license, id, accepted_since(now), i64::from(limit)];
        let found = self.database.fetch(&mut self.tx, &self.database.sql.leases.export, values).await?;
        found.all("leases", "", Reader::lease)
    }
}
