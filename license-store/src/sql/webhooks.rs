//! Implements `WebhookStore`: endpoints and the deliveries to them.

mod deliveries;
mod endpoints;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::access::AuditEntry;
use license_core::event::EventId;
use license_core::store::{
    DeliveryBacklog, DeliveryDetail, DeliveryLeaseRequest, LeasedDeliveries, Page, PageRequest, Replay,
    Replayed, WebhookStore,
};
use license_core::webhook::{
    Delivery, DeliveryStatus, Endpoint, EndpointCommand, EndpointContext, EndpointId, EndpointOutcome,
    LeaseToken, MAX_LEASE, NewEndpoint, Settled, Settlement,
};

use super::prelude::*;
use super::statements::WebhookStatements;
use super::store::SqlStore;

/// Returns the time after which no lease that was made at a correct time ends.
fn lapsed_after(now: DateTime<Utc>) -> i64 {
    (now + MAX_LEASE).timestamp_micros()
}

#[async_trait]
impl<D: Dialect> WebhookStore for SqlStore<D> {
    async fn create_endpoint(&self, new: &NewEndpoint) -> Result<bool> {
        retry(|| self.database.try_create_endpoint(new)).await
    }

    async fn list_endpoints(&self) -> Result<Vec<Endpoint>> {
        self.database.read_endpoints(&mut *self.database.reader().await?).await
    }

    async fn get_endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>> {
        let rows = self.database.read(&self.database.sql.webhooks.endpoint, values![id.as_str()]).await?;
        rows.first("endpoints", id.as_str(), Reader::endpoint)
    }

    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        context: &EndpointContext,
    ) -> Result<EndpointOutcome> {
        retry(|| self.database.try_execute_endpoint(id, command, context)).await
    }

    async fn delete_endpoint(&self, id: &EndpointId, audit: Option<AuditEntry>) -> Result<bool> {
        retry(|| self.database.try_delete_endpoint(id, audit.as_ref())).await
    }

    async fn lease_deliveries(&self, request: &DeliveryLeaseRequest) -> Result<LeasedDeliveries> {
        let (now, sql) = (request.now.timestamp_micros(), &self.database.sql.webhooks);
        let values = values![now, lapsed_after(request.now), request.latest_retry.timestamp_micros()];
        let due = self.database.read(&sql.due_endpoints, values).await?;
        let due = due.all("endpoints", "", |row| row.text("id"))?;
        let (deliveries, freed) = if due.is_empty() {
            (Vec::new(), 0)
        } else {
            let due = json!(due).to_string();
            retry(|| self.database.try_lease(request, &due)).await?
        };
        let rows = self.database.read(&sql.next_due, values![now]).await?;
        let next_due = rows.first("deliveries", "", |row| row.maybe_time("due_at"))?.flatten();
        Ok(LeasedDeliveries { deliveries, next_due, freed })
    }

    async fn settle(&self, settlement: &Settlement) -> Result<Settled> {
        retry(|| self.database.try_settle(settlement)).await
    }

    async fn return_delivery(
        &self,
        delivery: &Delivery,
        token: LeaseToken,
        now: DateTime<Utc>,
    ) -> Result<()> {
        retry(|| self.database.try_return_delivery(delivery, token, now)).await
    }

    async fn delivery_backlog(&self, now: DateTime<Utc>) -> Result<DeliveryBacklog> {
        let rows = self.database.list(&self.database.sql.webhooks.backlog, &[]).await?;
        let backlog = rows.first("deliveries", "", |row| {
            let oldest_due_at = row.maybe_time("oldest")?.filter(|due| *due <= now);
            Ok(DeliveryBacklog { pending: row.count("n")?, oldest_due_at })
        })?;
        Ok(backlog.unwrap_or_default())
    }

    async fn list_deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>> {
        let status = status.map(DeliveryStatus::as_str);
        let (sql, values) = WebhookStatements::deliveries(endpoint.as_str(), status, page);
        let rows = self.database.list(&sql, &values).await?;
        let items = rows.all("deliveries", "", Reader::delivery_detail)?;
        Ok(Page::from_one_more(items, page.limit, |item: &DeliveryDetail| item.delivery.position))
    }

    async fn get_delivery(&self, endpoint: &EndpointId, event: &EventId) -> Result<Option<DeliveryDetail>> {
        let rows = self.database.find_delivery(&mut *self.database.reader().await?, endpoint, event).await?;
        rows.first("deliveries", "", Reader::delivery_detail)
    }

    async fn replay_delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
        audit: Option<AuditEntry>,
    ) -> Result<bool> {
        retry(|| self.database.try_replay(endpoint, event, now, audit.as_ref())).await
    }

    async fn replay_since(&self, replay: &Replay) -> Result<Replayed> {
        retry(|| self.database.try_replay_since(replay)).await
    }
}
