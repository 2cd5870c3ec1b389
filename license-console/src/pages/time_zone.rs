//! The choice of the time zone.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};

use super::{notice, see_other};
use crate::failure::Failure;
use crate::form::{Form, Query};
use crate::moment::Moment;
use crate::page::{Page, Section, render};
use crate::visit::{SignedIn, Visit};
use crate::zone;

#[derive(Template)]
#[template(path = "time_zone.html")]
struct TimeZonePage {
    page: Page,
    zone: String,
    error: Option<&'static str>,
    names: Vec<&'static str>,
    now: Moment,
}

pub(crate) async fn ask(
    SignedIn(visit, _): SignedIn,
    Query(query): Query,
) -> Result<impl IntoResponse, Failure> {
    let done = query.text("done").and_then(notice::of_time_zone);
    page(&visit, zone::current().name(), None, done)
}

pub(crate) async fn choose(SignedIn(visit, _): SignedIn, form: Form) -> Result<Response, Failure> {
    let typed = form.text("zone").unwrap_or("UTC");
    let Some(zone) = zone::parse(typed) else {
        let html = page(&visit, typed, Some("There is no such time zone. Choose one of the list."), None)?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response());
    };
    let cookie = zone::cookie(zone, &visit.prefix, visit.connection.https).ok_or_else(Failure::internal)?;
    Ok(([(SET_COOKIE, cookie)], see_other(visit.url("/time-zone?done=zone"))).into_response())
}

fn page(
    visit: &Visit,
    zone: &str,
    error: Option<&'static str>,
    done: Option<&'static str>,
) -> Result<impl IntoResponse + use<>, Failure> {
    render(&TimeZonePage {
        page: Page::new(visit, "Time zone", Section::None).with_notice(done),
        zone: zone.to_owned(),
        error,
        names: zone::names().collect(),
        now: Moment::new(visit.now, visit.now),
    })
}
