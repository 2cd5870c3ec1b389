//! Rows of bulk jobs.

use std::collections::BTreeMap;

use license_core::access::{Actor, Principal, TokenId};
use license_core::bulk::{
    BulkAction, BulkJob, BulkJobId, BulkJobStatus, BulkJobStep, BulkProgress, LicenseOutcome, NewBulkJob,
    RefusedLicense,
};
use license_core::license::{LicenseId, Reason};

use super::reader::{Reader, unknown};
use crate::Result;
use crate::sql::dialect::{SqlRow, Value};

/// The parameters of a new job, in the order of the columns.
pub(crate) fn job_values(new: &NewBulkJob) -> [Value<'_>; 15] {
    let NewBulkJob { id, action, created_at, by, idempotency, reason } = new;
    let principal = by.as_ref().map(|by| &by.principal);
    let address = by.as_ref().and_then(|by| by.address);
    [
        id.as_str().into(),
        action.name().into(),
        action.plan().into(),
        BulkJobStatus::Running.as_str().into(),
        created_at.timestamp_micros().into(),
        Value::Int(None),
        principal.map(Principal::kind).into(),
        principal.and_then(Principal::token_id).map(TokenId::as_str).into(),
        principal.and_then(Principal::name).into(),
        by.as_ref().and_then(|by| by.request_id.as_deref()).into(),
        address.map(|address| address.to_string()).into(),
        action.plan_version().map(i64::from).into(),
        reason.as_ref().map(Reason::as_str).into(),
        idempotency.as_ref().map(|asked| asked.key.as_bytes().as_slice()).into(),
        idempotency.as_ref().map(|asked| asked.request.as_slice()).into(),
    ]
}

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn job(&self) -> Result<BulkJob> {
        Ok(BulkJob {
            id: self.job_id()?,
            action: self.job_action()?,
            status: self.known("status", BulkJobStatus::parse)?,
            created_at: self.time("created_at")?,
            finished_at: self.maybe_time("finished_at")?,
            by: self.job_actor()?,
            progress: self.progress()?,
            reason: self.job_reason()?,
        })
    }

    pub(crate) fn job_step(&self) -> Result<BulkJobStep> {
        let rows: Vec<[String; 1]> = self.json("licenses")?;
        let ids = rows.iter().map(|[id]| LicenseId::parse(id));
        let licenses = ids.collect::<Result<_, _>>().map_err(|error| self.corrupt("licenses", error))?;
        let (action, by, reason) = (self.job_action()?, self.job_actor()?, self.job_reason()?);
        Ok(BulkJobStep { id: self.job_id()?, action, by, licenses, reason })
    }

    pub(crate) fn refused_license(&self) -> Result<RefusedLicense> {
        let id = self.parsed("license_id", LicenseId::parse)?;
        let outcome = self.known("outcome", LicenseOutcome::from_stored)?;
        Ok(RefusedLicense { id, outcome })
    }

    pub(crate) fn job_id(&self) -> Result<BulkJobId> {
        self.parsed("id", BulkJobId::parse)
    }

    pub(crate) fn job_action(&self) -> Result<BulkAction> {
        let (name, plan) = (self.text("action")?, self.maybe_text("plan")?);
        let version = self.parse("plan_version", self.maybe_int("plan_version")?, |version| {
            version.map(u32::try_from).transpose()
        })?;
        self.parse("action", plan, |plan| {
            BulkAction::from_stored(&name, plan, version).ok_or_else(|| unknown(&name))
        })
    }

    fn job_reason(&self) -> Result<Option<Reason>> {
        self.maybe_parsed("reason", Reason::parse)
    }

    fn job_actor(&self) -> Result<Option<Actor>> {
        if self.maybe_text("actor_kind")?.is_some() { self.actor().map(Some) } else { Ok(None) }
    }

    fn progress(&self) -> Result<BulkProgress> {
        let rows: Vec<(Option<String>, u64)> = self.json("outcomes")?;
        let (mut open, mut outcomes) = (0, BTreeMap::new());
        for (outcome, licenses) in rows {
            match outcome {
                None => open = licenses,
                Some(text) => {
                    let outcome = self.parse("outcomes", text, |text| {
                        LicenseOutcome::from_stored(&text).ok_or_else(|| unknown(&text))
                    })?;
                    outcomes.insert(outcome, licenses);
                }
            }
        }
        Ok(BulkProgress { open, outcomes })
    }
}
