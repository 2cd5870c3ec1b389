//! `/api/v1/licenses/{id}/grants`: features of one license beyond its plan.

use axum::response::Response;
use license_core::catalog::FeatureName;
use license_core::command::Command;
use license_core::error::ServiceError;
use license_core::license::{GrantId, GrantSource};
use license_core::validation::Denial;

use super::licenses::{execute, respond};
use crate::extract::{Fields, LicenseCommand, NoBody, Query, grant};
use crate::problem::Problem;

pub(super) async fn add(
    LicenseCommand { services, actor, license, version }: LicenseCommand,
    fields: Fields,
) -> Result<Response, Problem> {
    let command = Command::AddGrant(grant::grant(fields)?);
    let now = services.now();
    let granted = services.licenses.by(&actor).execute(&license, &command, version).await;
    let granted = granted.map_err(|error| {
        let is_end = matches!(error, ServiceError::Denied(Denial::GrantEnded { .. }));
        let problem = Problem::from_body_error(error);
        if is_end { problem.at("until") } else { problem }
    })?;
    respond(&services, &granted, now).await
}

pub(super) async fn remove(
    command: LicenseCommand,
    mut query: Query,
    _: NoBody,
) -> Result<Response, Problem> {
    let feature = query.take("feature", "the name of a feature", |text| FeatureName::parse(text).ok())?;
    let source = query.take("source", "the source of the grant", |text| GrantSource::parse(text).ok())?;
    query.finish()?;
    let feature = feature.ok_or_else(|| Problem::bad_request("feature", "This parameter is missing."))?;
    execute(command, Command::RemoveGrant(GrantId { feature, source })).await
}
