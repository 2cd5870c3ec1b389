//! Rows of events.

use license_core::event::{Event, EventType, Subject};
use license_core::store::SequencedEvent;
use serde_json::Value as Json;

use super::reader::Reader;
use crate::Result;
use crate::sql::dialect::SqlRow;

impl<R: SqlRow> Reader<'_, R> {
    /// Reads what an event is about: a license or an endpoint.
    pub(crate) fn subject(&self) -> Result<Subject> {
        self.known("license_id", Subject::from_stored)
    }

    pub(crate) fn sequenced_event(&self) -> Result<SequencedEvent> {
        Ok(SequencedEvent { position: self.count("position")?, event: self.event(self.subject()?)? })
    }

    pub(crate) fn event_type(&self) -> Result<EventType> {
        self.known("event_type", EventType::parse)
    }

    pub(crate) fn is_of_job(&self) -> Result<bool> {
        Ok(self.maybe_text("job")?.is_some())
    }

    pub(crate) fn event(&self, subject: Subject) -> Result<Event> {
        Ok(Event {
            subject,
            sequence: self.count("sequence")?,
            event_type: self.event_type()?,
            at: self.time("at")?,
            data: self.json("data")?,
        })
    }
}

/// An event as a JSON row.
pub(crate) fn event_row(event: &Event) -> Vec<Json> {
    let Event { subject, sequence, event_type, at, data } = event;
    vec![
        subject.as_str().into(),
        (*sequence).into(),
        event_type.as_str().into(),
        at.timestamp_micros().into(),
        data.to_string().into(),
    ]
}
