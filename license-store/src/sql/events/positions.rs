//! Positions of events, and the deliveries that come with them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use license_core::event::{EventId, EventType};
use license_core::store::position_order;

use crate::sql::prelude::*;
use crate::sql::rows::delivery_row;

/// Maximum number of attempts without the lock.
const ATTEMPTS: usize = 3;

impl<D: Dialect> SqlDatabase<D> {
    /// Plans the positions without the lock, then takes it and writes the plan in steps, if no position was
    /// assigned in between. If other nodes are faster several times, it locks before it plans. An endpoint
    /// that changes in between may miss events that were committed before the change.
    pub(super) async fn try_assign_positions(&self, now: DateTime<Utc>, limit: u32) -> Result<u32> {
        let _positions = self.positions.lock().await;
        for _ in 0..ATTEMPTS {
            let plans = self.plan_positions(&mut *self.reader().await?, now, limit).await?;
            let mut assigned = 0;
            for plan in &plans {
                let mut tx = self.begin(Durability::ProcessCrash).await?;
                let step = self.write_positions(&mut tx, plan).await?;
                if step == 0 {
                    break;
                }
                self.commit(tx).await?;
                assigned += step;
            }
            if assigned > 0 || plans.is_empty() {
                return Ok(assigned);
            }
        }
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.lock_positions(&mut tx).await?;
        let mut assigned = 0;
        for plan in &self.plan_positions(&mut tx, now, limit).await? {
            assigned += self.write_positions(&mut tx, plan).await?;
        }
        self.commit(tx).await?;
        Ok(assigned)
    }

    /// Assigns the positions of a plan. Returns the number of events. If another node has assigned positions
    /// since, returns 0 and writes nothing.
    async fn write_positions(&self, tx: &mut Tx<D>, plan: &str) -> Result<u32> {
        if self.fetch(tx, &self.sql.events.advance, values![plan]).await?.is_empty() {
            return Ok(0);
        }
        let positioned = self.fetch(tx, &self.sql.events.set_positions, values![plan]).await?;
        self.fetch(tx, &self.sql.events.insert_deliveries, values![plan]).await?;
        Ok(u32::try_from(positioned.len()).unwrap_or(u32::MAX))
    }

    /// Returns the next positions and their deliveries, as the JSON parameter of each step; empty if all
    /// events have a position.
    async fn plan_positions(
        &self,
        connection: &mut Connection<D>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<String>> {
        // Read before the events: if it is unchanged at the write, no other node has assigned positions.
        let last = self.fetch(connection, &self.sql.events.last_position, &[]).await?;
        let last = last.count("position_counter", "last_position")?;
        let values = values![i64::from(limit)];
        let rows = self.fetch(connection, &self.sql.events.without_position, values).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut types: BTreeMap<EventId, (EventType, bool)> = BTreeMap::new();
        let mut order = Vec::with_capacity(rows.len());
        for row in rows.iter("events", "") {
            let (subject, sequence) = (row.subject()?, row.count("sequence")?);
            types.insert(EventId::new(subject.clone(), sequence), (row.event_type()?, row.is_of_job()?));
            order.push((subject, sequence, row.time("at")?));
        }
        position_order(&mut order);
        // Read after the events, so that an endpoint gets every event committed after its creation.
        let endpoints = self.read_endpoints(connection).await?;
        let mut plans = Vec::new();
        let lasts = (last..).step_by(D::STEP_ROWS as usize);
        for (last, step) in lasts.zip(order.chunks(D::STEP_ROWS as usize)) {
            let (mut positions, mut deliveries) = (Vec::new(), Vec::new());
            for (position, (subject, sequence, _)) in (last + 1..).zip(step) {
                positions.push(json!([subject.as_str(), sequence, position]));
                let id = EventId::new(subject.clone(), *sequence);
                let Some((event_type, of_job)) = types.get(&id) else { continue };
                let wanting =
                    endpoints.iter().filter(|endpoint| endpoint.wants(*event_type, id.subject(), *of_job));
                deliveries.extend(wanting.map(|endpoint| delivery_row(&endpoint.id, position, &id, now)));
            }
            let range = json!([[last, last + positions.len() as u64]]);
            let plan = json!({ "range": range, "positions": positions, "deliveries": deliveries });
            plans.push(plan.to_string());
        }
        Ok(plans)
    }
}
