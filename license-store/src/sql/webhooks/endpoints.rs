//! Endpoints.

use license_core::access::AuditEntry;
use license_core::limits;
use license_core::store::ChangeNotice;
use license_core::webhook::{
    Endpoint, EndpointChanges, EndpointCommand, EndpointContext, EndpointDecision, EndpointId,
    EndpointOutcome, NewEndpoint, decide_endpoint,
};

use super::lapsed_after;
use crate::sql::prelude::*;
use crate::sql::rows::endpoint_values;

impl<D: Dialect> SqlDatabase<D> {
    /// Locks the position counter. Its holder assigns positions and changes endpoints.
    pub(crate) async fn lock_positions(&self, tx: &mut Tx<D>) -> Result<()> {
        self.fetch(tx, &self.sql.webhooks.lock_positions, &[]).await.map(drop)
    }

    pub(crate) async fn read_endpoints(&self, connection: &mut Connection<D>) -> Result<Vec<Endpoint>> {
        let rows = self.fetch(connection, &self.sql.webhooks.endpoints, &[]).await?;
        rows.all("endpoints", "", Reader::endpoint)
    }

    pub(super) async fn lock_endpoint(&self, tx: &mut Tx<D>, id: &EndpointId) -> Result<Option<Endpoint>> {
        let rows = self.fetch(tx, &self.sql.webhooks.lock_endpoint, values![id.as_str()]).await?;
        rows.first("endpoints", "", Reader::endpoint)
    }

    pub(super) async fn update_endpoint(&self, tx: &mut Tx<D>, endpoint: &Endpoint) -> Result<()> {
        self.fetch(tx, &self.sql.webhooks.update_endpoint, &endpoint_values(endpoint)).await.map(drop)
    }

    pub(super) async fn try_create_endpoint(
        &self,
        NewEndpoint { endpoint, audit }: &NewEndpoint,
    ) -> Result<bool> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_positions(&mut tx).await?;
        let rows = self.fetch(&mut tx, &self.sql.webhooks.count_endpoints, &[]).await?;
        if rows.count("endpoints", "n")? >= limits::ENDPOINTS as u64 {
            return Ok(false);
        }
        let values = endpoint_values(endpoint);
        if self.fetch(&mut tx, &self.sql.webhooks.insert_endpoint, &values).await?.is_empty() {
            return Err(StoreError::AlreadyExists { what: "the endpoint id" });
        }
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        self.commit(tx).await?;
        Ok(true)
    }

    pub(super) async fn try_execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        context: &EndpointContext,
    ) -> Result<EndpointOutcome> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_positions(&mut tx).await?;
        let Some(before) = self.lock_endpoint(&mut tx, id).await? else {
            return Ok(EndpointOutcome::NotFound);
        };
        let used_key = match &context.idempotency {
            Some(asked) => self.find_used_key(&mut tx, asked).await?,
            None => None,
        };
        let EndpointDecision { outcome, changes } =
            decide_endpoint(before, used_key.as_ref(), command, context);
        let Some(changes) = changes else { return Ok(outcome) };
        let EndpointChanges { endpoint, event, makes_due, audit, idempotency } = &changes;
        self.update_endpoint(&mut tx, endpoint).await?;
        self.insert_events(&mut tx, event.as_slice()).await?;
        self.insert_unused_key(&mut tx, idempotency.as_ref(), event.as_slice()).await?;
        if *makes_due {
            let now = context.now;
            let values = values![id.as_str(), now.timestamp_micros(), lapsed_after(now)];
            self.fetch(&mut tx, &self.sql.webhooks.make_due, values).await?;
        }
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        self.commit_and_notify(tx, vec![ChangeNotice::Events]).await?;
        Ok(outcome)
    }

    pub(super) async fn try_delete_endpoint(
        &self,
        id: &EndpointId,
        audit: Option<&AuditEntry>,
    ) -> Result<bool> {
        let mut tx = self.begin(Durability::PowerLoss).await?;
        self.lock_positions(&mut tx).await?;
        self.lock_endpoint(&mut tx, id).await?;
        self.fetch(&mut tx, &self.sql.webhooks.delete_deliveries, values![id.as_str()]).await?;
        let deleted = self.fetch(&mut tx, &self.sql.webhooks.delete_endpoint, values![id.as_str()]).await?;
        if deleted.is_empty() {
            return Ok(false);
        }
        if let Some(audit) = audit {
            self.insert_audit(&mut tx, audit).await?;
        }
        self.commit(tx).await?;
        Ok(true)
    }
}
