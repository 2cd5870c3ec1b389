use chrono::TimeDelta;
use license_core::limits;
use license_core::usage::UsageRetention;
use serde_json::{Value, json};

use super::app::{EMAIL, TestApp};
use super::call::Reply;

async fn used(app: &TestApp) -> String {
    let license = app
        .issue_with(json!({ "plan": "starter", "customer_email": EMAIL, "domains": ["one.example"] }))
        .await;
    for (domain, fingerprint) in [
        (Some("one.example"), None),
        (Some("two.example"), Some("machine-1")),
        (None, Some("machine-1")),
        (Some("api.test"), None),
    ] {
        app.validate(json!({ "key": license.key, "domain": domain, "fingerprint": fingerprint })).await;
        app.advance(TimeDelta::hours(1));
    }
    format!("{}/usage", license.path)
}

fn record(hour: u32, outcome: &str, domain: impl Into<Value>, fingerprint: impl Into<Value>) -> Value {
    let at = format!("2026-01-01T{hour:02}:00:00Z");
    json!({
        "at": at, "outcome": outcome, "domain": domain.into(), "fingerprint": fingerprint.into(),
        "country": null, "region": null, "client": null,
    })
}

#[tokio::test]
async fn report_counts_the_range() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let first = record(0, "VALID", "one.example", Value::Null);
    let second = record(1, "DOMAIN_LIMIT_REACHED", "two.example", "machine-1");
    let third = record(2, "VALID", Value::Null, "machine-1");
    let fourth = record(3, "VALID", "api.test", Value::Null);
    for (query, expected) in [
        (
            "",
            json!({
                "total": 3, "denied": 1, "last_validated_at": "2026-01-01T03:00:00Z",
                "by_outcome": {"VALID": 3, "DOMAIN_LIMIT_REACHED": 1},
                "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T03:00:00Z",
                "series": null, "breakdown": null, "records_from": null, "days_from": null,
                "recent": [fourth, third, second, first], "next_cursor": null, "as_of": "2026-01-01T04:00:00Z",
            }),
        ),
        (
            "?from=2026-01-01T01:00:00Z&to=2026-01-01T03:00:00%2B00:00",
            json!({
                "total": 1, "denied": 1, "last_validated_at": "2026-01-01T02:00:00Z",
                "by_outcome": {"VALID": 1, "DOMAIN_LIMIT_REACHED": 1},
                "first_at": "2026-01-01T01:00:00Z", "last_at": "2026-01-01T02:00:00Z",
                "series": null, "breakdown": null, "records_from": null, "days_from": null,
                "recent": [third, second], "next_cursor": null, "as_of": "2026-01-01T04:00:00Z",
            }),
        ),
        (
            "?from=2027-01-01T00:00:00Z&interval=day",
            json!({
                "total": 0, "denied": 0, "last_validated_at": null, "by_outcome": {},
                "first_at": null, "last_at": null,
                "series": [], "breakdown": null, "records_from": null, "days_from": null,
                "recent": [], "next_cursor": null, "as_of": "2026-01-01T04:00:00Z",
            }),
        ),
    ] {
        let reply = app.get(&format!("{usage}{query}")).await;
        assert_eq!((reply.status, reply.json()), (200, expected), "{query}");
        assert_eq!(reply.header("vary"), Some("accept"));
    }
    let expected = r#"{"total":3,"denied":1,"last_validated_at":"2026-01-01T03:00:00Z","by_outcome":"#;
    assert!(app.get(&usage).await.text().starts_with(expected));
}

#[tokio::test]
async fn series_includes_empty_intervals() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let query = "interval=hour&from=2026-01-01T00:30:00Z&to=2026-01-01T05:00:00Z";
    let report = app.get(&format!("{usage}?{query}")).await.json();
    let point = |hour: u32, total: u64, denied: u64| {
        let mut by_outcome = json!({});
        if total > 0 {
            by_outcome["VALID"] = total.into();
        }
        if denied > 0 {
            by_outcome["DOMAIN_LIMIT_REACHED"] = denied.into();
        }
        json!({ "start": format!("2026-01-01T0{hour}:00:00Z"), "total": total, "denied": denied, "by_outcome": by_outcome })
    };
    let expected = json!([point(0, 0, 0), point(1, 0, 1), point(2, 1, 0), point(3, 1, 0), point(4, 0, 0)]);
    assert_eq!(report["series"], expected, "the first half hour is outside the range");
    // Without a range, the series is from the first validation to now.
    app.advance(TimeDelta::days(40));
    let series = app.get(&format!("{usage}?interval=month")).await.json()["series"].clone();
    let months: Vec<_> = series
        .as_array()
        .unwrap()
        .iter()
        .map(|point| (point["start"].clone(), point["total"].clone()))
        .collect();
    assert_eq!(
        months,
        [(json!("2026-01-01T00:00:00Z"), json!(3)), (json!("2026-02-01T00:00:00Z"), json!(0))]
    );
}

#[tokio::test]
async fn breakdown_has_counts_and_shares() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let by =
        async |group: &str| app.get(&format!("{usage}?group_by={group}")).await.json()["breakdown"].clone();
    let share = |value: Value, count: u64, first: u32, last: u32| {
        let at = |hour| format!("2026-01-01T0{hour}:00:00Z");
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let share = count as f64 / 4.0;
        json!({ "value": value, "count": count, "share": share, "first_at": at(first), "last_at": at(last) })
    };
    let shares = [share(json!("VALID"), 3, 0, 3), share(json!("DOMAIN_LIMIT_REACHED"), 1, 1, 1)];
    assert_eq!(
        by("outcome").await,
        json!({ "by": "outcome", "shares": shares, "other": 0, "other_share": 0.0 })
    );
    let shares = [share(Value::Null, 2, 0, 3), share(json!("machine-1"), 2, 1, 2)];
    assert_eq!(by("device").await["shares"], json!(shares));
    let shares = [
        share(Value::Null, 1, 2, 2),
        share(json!("api.test"), 1, 3, 3),
        share(json!("one.example"), 1, 0, 0),
        share(json!("two.example"), 1, 1, 1),
    ];
    assert_eq!(by("domain").await["shares"], json!(shares));
    assert_eq!(by("country").await["shares"], json!([share(Value::Null, 4, 0, 3)]));
}

#[tokio::test]
async fn overview_covers_all_licenses() {
    let app = TestApp::new().await;
    used(&app).await;
    let other = app.issue("professional").await;
    app.validate(json!({ "key": other.key, "domain": "one.example" })).await;
    let overview = app.get("/api/v1/usage?interval=day&group_by=domain&limit=1").await.json();
    assert_eq!((&overview["usage"]["total"], &overview["usage"]["denied"]), (&json!(4), &json!(1)));
    assert_eq!(overview["usage"]["series"][0]["total"], 4);
    assert_eq!(overview["usage"]["breakdown"]["shares"][0]["value"], "one.example");
    let active = ["active_licenses", "active_domains", "active_devices"].map(|name| overview[name].as_u64());
    assert_eq!(active, [Some(2), Some(2), Some(1)]);
    assert_eq!(overview["top_licenses"][0]["total"], 3);
    assert_eq!(
        overview["by_plan"],
        json!([
            { "plan": "professional", "active_licenses": 1, "total": 1, "denied": 0 },
            { "plan": "starter", "active_licenses": 1, "total": 3, "denied": 1 },
        ])
    );
    assert_eq!(overview["usage"]["recent"][0]["license_id"], other.id);
    let cursor = overview["usage"]["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("/api/v1/usage?cursor={cursor}")).await.json();
    assert_eq!(rest["usage"]["recent"].as_array().unwrap().len(), 4);
}

/// A clock that was ahead has recorded a validation. Ranges without an end do not reach it.
#[tokio::test]
async fn validation_in_the_future_does_not_extend_a_series() {
    let app = TestApp::new().await;
    let license = app.issue("perpetual").await;
    let validate = async || app.validate(json!({ "key": license.key, "domain": "one.example" })).await;
    validate().await;
    for ahead in [TimeDelta::days(1_500), TimeDelta::days(2)] {
        app.advance(ahead);
        validate().await;
        app.advance(-ahead);
    }
    for path in [format!("{}/usage", license.path), "/api/v1/usage".to_owned()] {
        for (query, total, points) in [
            ("interval=day&from=2025-12-30T00:00:00Z", 1, 3),
            ("interval=hour&from=2025-12-31T22:00:00Z", 1, 3),
            ("interval=day", 1, 1),
            ("interval=day&from=2025-12-30T00:00:00Z&to=2026-01-04T00:00:00Z", 2, 5),
        ] {
            let reply = app.get(&format!("{path}?{query}")).await;
            assert_eq!(reply.status, 200, "{path}?{query}: {}", reply.text());
            let report = reply.json();
            let report = report.get("usage").unwrap_or(&report);
            assert_eq!(report["total"], total, "{path}?{query}");
            assert_eq!(report["series"].as_array().unwrap().len(), points, "{path}?{query}");
        }
    }
    // The counters have all validations.
    assert_eq!(app.get(&license.path).await.json()["validation_count"], 3);
}

/// The error names the earliest time that is kept. All-time totals are unaffected.
#[tokio::test]
async fn range_before_retention_is_refused() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    app.advance(TimeDelta::days(100));
    let retention = UsageRetention { record_days: 30, rollup_days: 90 };
    while app.services.usage.prune(&retention, app.services.now(), 100).await.unwrap() > 0 {}
    let report = app.get(&usage).await.json();
    assert_eq!((&report["total"], &report["denied"], &report["recent"]), (&json!(3), &json!(1), &json!([])));
    assert_eq!(report["first_at"], "2026-01-01T00:00:00Z");
    assert_eq!(
        (&report["records_from"], &report["days_from"]),
        (&json!("2026-03-12T00:00:00Z"), &json!("2026-01-11T00:00:00Z"))
    );
    for (query, field, since) in [
        ("from=2026-01-10T00:00:00Z", "from", "2026-01-11T00:00:00Z"),
        ("to=2026-01-10T00:00:00Z", "to", "2026-01-11T00:00:00Z"),
        ("from=2026-02-01T00:00:01Z", "from", "2026-03-12T00:00:00Z"),
        ("from=2026-02-01T00:00:00Z&to=2026-02-02T00:00:01Z", "to", "2026-03-12T00:00:00Z"),
        ("interval=hour&from=2026-03-11T00:00:00Z", "from", "2026-03-12T00:00:00Z"),
        ("interval=hour", "from", "2026-03-12T00:00:00Z"),
    ] {
        for path in [usage.as_str(), "/api/v1/usage"] {
            let reply = app.get(&format!("{path}?{query}")).await;
            assert_eq!(
                reply.fault(),
                (400, "BAD_REQUEST".to_owned(), Some(field.to_owned())),
                "{path}?{query}"
            );
            assert!(reply.text().contains(since), "{query}: {}", reply.text());
        }
    }
    let days = app.get(&format!("{usage}?from=2026-01-11T00:00:00Z&interval=day")).await;
    assert_eq!((days.status, days.json()["series"].as_array().unwrap().len()), (200, 91));
}

async fn accepting(app: &TestApp, path: &str, accept: &str) -> Reply {
    app.admin("GET", path).header("accept", accept).send(&app.router).await
}

#[tokio::test]
async fn csv_is_returned_if_accepted() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let reply = accepting(&app, &usage, "text/csv").await;
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let expected = "start,total,denied,LICENSE_REVOKED,LICENSE_SUSPENDED,LICENSE_EXPIRED,DOMAIN_LIMIT_REACHED,\
        DOMAIN_NOT_ALLOWED,DEVICE_LIMIT_REACHED,VERSION_NOT_COVERED,PRODUCT_MISMATCH,PRODUCT_REQUIRED,DOMAIN_REQUIRED,DEVICE_REQUIRED,\
        FEATURE_MISSING,DOMAIN_NOT_ACTIVATED,DEVICE_NOT_ACTIVATED,DOMAIN_BLOCKED,DEVICE_BLOCKED,TRIAL_USED,OFFLINE_NOT_ALLOWED,OFFLINE_LIMIT_REACHED\r\n\
        2026-01-01T00:00:00Z,3,1,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\r\n";
    assert_eq!(reply.text(), expected);
    assert_eq!(accepting(&app, "/api/v1/usage?interval=month", "text/csv").await.text(), expected);
    let license = app.issue("professional").await;
    for device in ["=1+1", "a,\"b\""] {
        app.validate(json!({ "key": license.key, "fingerprint": device })).await;
    }
    let reply =
        accepting(&app, &format!("{}/usage?group_by=device", license.path), "text/csv, */*;q=0.1").await;
    let at = "2026-01-01T04:00:00Z";
    let expected = format!(
        "device,count,share,first_at,last_at\r\n'=1+1,1,0.5,{at},{at}\r\n\"a,\"\"b\"\"\",1,0.5,{at},{at}\r\n"
    );
    assert_eq!(reply.text(), expected);
    let reply = accepting(&app, &format!("{usage}?interval=week"), "text/csv").await;
    assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some("interval".to_owned())));
}

#[tokio::test]
async fn svg_chart_is_returned_if_accepted() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let reply =
        accepting(&app, &format!("{usage}?interval=hour"), "image/avif,image/svg+xml,*/*;q=0.8").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/svg+xml")));
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"), "{policy}");
    let text = reply.text();
    assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
    let bars = |colour: &str| text.matches(&format!("opacity=\"1\" fill=\"{colour}\"")).count();
    assert_eq!(
        (bars("#0969DA"), bars("#BC4C00")),
        (4, 2),
        "three valid and one denied, and the legend: {text}"
    );
    for word in
        ["by hour", "Validations", "Start of the hour, UTC", "01 Jan 03:00", "prefers-color-scheme:dark"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    // Without validations, the chart is empty.
    let license = app.issue("starter").await;
    let reply = accepting(&app, &format!("{}/usage", license.path), "image/svg+xml").await;
    assert_eq!(
        (reply.status, reply.text().matches("opacity=\"1\" fill=\"#0969DA\"").count()),
        (200, 1),
        "the legend"
    );
}

#[tokio::test]
async fn empty_range_is_accepted() {
    let app = TestApp::new().await;
    let usage = used(&app).await;
    let reply = app.get(&format!("{usage}?from=2026-01-01T01:00:00Z&to=2026-01-01T01:00:00Z")).await;
    assert_eq!((reply.status, &reply.json()["recent"]), (200, &json!([])));
}

#[tokio::test]
async fn validations_of_the_same_moment_are_paged() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    for _ in 0..7 {
        app.validate(json!({ "key": license.key, "domain": "one.example" })).await;
    }
    app.advance(TimeDelta::seconds(1));
    app.validate(json!({ "key": license.key, "domain": "api.test" })).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("{}/usage?limit=3{cursor}", license.path)).await.json();
        assert_eq!(page["total"], 8, "totals cover the range, not the page");
        seen.extend(page["recent"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        // Newer validations do not appear on later pages.
        app.validate(json!({ "key": license.key, "domain": "denied.example" })).await;
    }
    assert_eq!(seen.len(), 8);
    assert_eq!(seen.iter().filter(|record| record["domain"] == "one.example").count(), 7);
}

#[tokio::test]
async fn client_is_recorded_cleaned_and_denies_nothing() {
    let app = TestApp::new().await;
    let license = app.issue("starter").await;
    let (long, browser) =
        ("x".repeat(200), "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)");
    for (client, recorded) in [
        (json!(" Acme \t Editor/2.1.0\n"), json!("Acme Editor/2.1.0")),
        (json!("Éditeur/2.0"), json!("Éditeur/2.0")),
        (json!("Acme/1.0/beta"), json!("Acme/1.0/beta")),
        (json!(browser), json!(browser)),
        (json!(long), json!(long[..limits::CLIENT_BYTES])),
        (json!("a\u{0}b"), json!("a b")),
        (json!(""), Value::Null),
        (json!("/"), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let reply = app.validate(json!({ "key": license.key, "client": client })).await;
        assert_eq!(reply.json()["valid"], true, "{client}: {}", reply.text());
        let usage = app.get(&format!("{}/usage", license.path)).await.json();
        assert_eq!(usage["recent"][0]["client"], recorded, "{client}");
        app.advance(TimeDelta::hours(1));
    }
    for client in [json!(1), json!(["a"]), json!({"name": "a"}), json!(true)] {
        let reply = app.validate(json!({ "key": license.key, "client": client })).await;
        assert_eq!(reply.fault(), (400, "BAD_REQUEST".to_owned(), Some("client".to_owned())), "{client}");
    }
}
