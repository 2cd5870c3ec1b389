//! The port of webhooks: endpoints and the deliveries to them.

mod deliveries;
mod endpoints;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use license_core::event::EventId;
use license_core::store::{
    DeliveryDetail, EndpointOutcome, LeaseRequest, LeasedDeliveries, Page, PageRequest, Replay, Replayed,
    StoreError, WebhookStore,
};
use license_core::webhook::{
    Delivery, DeliveryStatus, Endpoint, EndpointCommand, EndpointId, LeaseToken, Settled, Settlement,
};
use serde_json::json;

use super::database::reader;
use super::dialect::{Dialect, values};
use super::statements::WebhookStatements;
use super::store::SqlStore;

#[async_trait]
impl<D: Dialect> WebhookStore for SqlStore<D> {
    async fn create_endpoint(&self, endpoint: &Endpoint) -> Result<bool, StoreError> {
        self.database.retry.run(|| self.database.try_create_endpoint(endpoint)).await
    }

    async fn list_endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.database.read_endpoints(&mut *self.database.reader().await?).await
    }

    async fn get_endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let rows = self.database.read(&self.database.sql.webhooks.endpoint, values![id.as_str()]).await?;
        rows.first().map(|row| reader::<D>(row, "endpoints", id.as_str()).endpoint()).transpose()
    }

    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        now: DateTime<Utc>,
    ) -> Result<EndpointOutcome, StoreError> {
        self.database.retry.run(|| self.database.try_execute_endpoint(id, command, now)).await
    }

    async fn delete_endpoint(&self, id: &EndpointId) -> Result<bool, StoreError> {
        self.database.retry.run(|| self.database.try_delete_endpoint(id)).await
    }

    async fn lease_deliveries(&self, request: &LeaseRequest) -> Result<LeasedDeliveries, StoreError> {
        let (now, sql) = (request.now.timestamp_micros(), &self.database.sql.webhooks);
        let due = self.database.read(&sql.due_endpoints, values![now]).await?;
        let due = due.iter().map(|row| reader::<D>(row, "endpoints", "").text("id"));
        let due: Vec<String> = due.collect::<Result<_, _>>()?;
        let deliveries = if due.is_empty() {
            Vec::new()
        } else {
            let due = json!(due).to_string();
            self.database.retry.run(|| self.database.try_lease(request, &due)).await?
        };
        let rows = self.database.read(&sql.next_due, values![now]).await?;
        let next_due =
            rows.first().map_or(Ok(None), |row| reader::<D>(row, "deliveries", "").maybe_time("due_at"))?;
        Ok(LeasedDeliveries { deliveries, next_due })
    }

    async fn settle(&self, settlement: &Settlement) -> Result<Settled, StoreError> {
        self.database.retry.run(|| self.database.try_settle(settlement)).await
    }

    async fn return_delivery(
        &self,
        delivery: &Delivery,
        token: LeaseToken,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.database.retry.run(|| self.database.try_return_delivery(delivery, token, now)).await
    }

    async fn list_deliveries(
        &self,
        endpoint: &EndpointId,
        status: Option<DeliveryStatus>,
        page: &PageRequest<u64>,
    ) -> Result<Page<DeliveryDetail, u64>, StoreError> {
        let status = status.map(DeliveryStatus::as_str);
        let (sql, values) = WebhookStatements::deliveries(endpoint.as_str(), status, page);
        let rows = self.database.read(&sql, &values).await?;
        let read = |row| reader::<D>(row, "deliveries", "").delivery_detail();
        let items = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page::from_one_more(items, page.limit, |item: &DeliveryDetail| item.delivery.position))
    }

    async fn get_delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
    ) -> Result<Option<DeliveryDetail>, StoreError> {
        let row = self.database.find_delivery(&mut *self.database.reader().await?, endpoint, event).await?;
        row.map(|row| reader::<D>(&row, "deliveries", "").delivery_detail()).transpose()
    }

    async fn replay_delivery(
        &self,
        endpoint: &EndpointId,
        event: &EventId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.database.retry.run(|| self.database.try_replay(endpoint, event, now)).await
    }

    async fn replay_since(&self, replay: &Replay) -> Result<Replayed, StoreError> {
        self.database.retry.run(|| self.database.try_replay_since(replay)).await
    }
}
