//! Terms and updates windows of imported licenses.

use license_core::license::{License, LicenseId};
use license_core::service::{ExportKeys, ImportOptions};
use license_core::transfer::Columns;
use serde_json::{Value, json};

use super::server::{HEX, OTHER, Server, line, server};

fn boxed(fields: &str) -> String {
    line(fields).replace("\"open\"", "\"boxed\"")
}

async fn license(server: &Server, id: &str) -> License {
    let id = LicenseId::parse(id).expect("an id");
    License::clone(&server.store.get(&id).await.expect("read").expect("it is there").license)
}

fn shown(license: &License) -> Value {
    let License { expires_at, anchor_day, term, updates_until, .. } = license;
    json!([term.starts, term.started_at, expires_at, anchor_day, updates_until])
}

/// Fields that a line omits follow from the others and from the plan.
#[tokio::test]
async fn term_of_a_line_is_completed_by_the_plan() {
    let server = server(HEX, 1).await;
    let waits = json!(["first_use", null, null, null, null]);
    let end = "2026-02-28T12:00:00Z";
    let started = "2026-01-31T12:00:00Z";
    let cases = [
        (r#""id":"lic_1""#, waits.clone()),
        (r#""id":"lic_2","created_at":"2026-01-31T12:00:00Z""#, waits.clone()),
        (r#""id":"lic_3","term":{"starts":"first_use","started_at":null},"expires_at":null"#, waits),
        (
            r#""id":"lic_4","activated_at":"2026-01-31T12:00:00Z""#,
            json!(["first_use", started, end, 31, end]),
        ),
        (
            r#""id":"lic_5","created_at":"2026-01-31T12:00:00Z","expires_at":"2026-02-28T12:00:00Z""#,
            json!(["issue", started, end, 28, end]),
        ),
        (
            r#""id":"lic_6","created_at":"2026-01-31T12:00:00Z","expires_at":"2026-02-28T12:00:00Z","anchor_day":31,"updates_until":null"#,
            json!(["issue", started, end, 31, null]),
        ),
        (
            r#""id":"lic_7","created_at":"2026-01-31T12:00:00Z","expires_at":"2026-02-27T12:00:00Z","anchor_day":31"#,
            json!(["issue", started, "2026-02-27T12:00:00Z", 27, end]),
        ),
        (
            r#""id":"lic_8","created_at":"2026-01-31T12:00:00Z","expires_at":null"#,
            json!(["issue", started, null, null, end]),
        ),
        (
            r#""id":"lic_9","created_at":"2026-01-31T12:00:00Z","state":"expired""#,
            json!(["issue", started, "2026-06-01T12:00:00.123456Z", 1, end]),
        ),
    ];
    let text: Vec<_> = cases.iter().map(|(fields, _)| boxed(fields)).collect();
    let (_, faults) = server.import(&text.join("\n"), ImportOptions::default()).await;
    assert_eq!(faults, Vec::<String>::new());
    for (number, (fields, expected)) in (1..).zip(&cases) {
        let found = shown(&license(&server, &format!("lic_{number}")).await);
        let without_anchor = number == 8;
        let found =
            if without_anchor { json!([found[0], found[1], found[2], null, found[4]]) } else { found };
        assert_eq!(found, *expected, "{fields}");
    }
}

#[tokio::test]
async fn contradicting_terms_are_rejected() {
    let server = server(HEX, 1).await;
    let waiting = "term: only a term that waits for the first use has no started_at; such a license has no activated_at, no \
                   expires_at and no updates_until";
    let day = "anchor_day: it must be a day of the month, from 1 to 31";
    let cases = [
        (r#""term":{"starts":"issue","started_at":null}"#, waiting),
        (r#""term":{"starts":"first_use","started_at":null},"expires_at":"2027-01-01T00:00:00Z""#, waiting),
        (r#""term":{"starts":"first_use","started_at":null},"activated_at":"2026-01-01T00:00:00Z""#, waiting),
        (
            r#""term":{"starts":"first_use","started_at":null},"updates_until":"2027-01-01T00:00:00Z""#,
            waiting,
        ),
        (r#""term":{"starts":"first_use","started_at":null},"state":"expired""#, waiting),
        (r#""anchor_day":0"#, day),
        (r#""anchor_day":32"#, day),
    ];
    let text: Vec<_> =
        cases.iter().zip(1..).map(|((fields, _), n)| boxed(&format!(r#""id":"lic_{n}",{fields}"#))).collect();
    let (report, mut faults) = server.import(&text.join("\n"), ImportOptions::default()).await;
    faults.sort();
    let expected: Vec<_> = (1..).zip(cases).map(|(n, (_, fault))| format!("{n}: {fault}")).collect();
    assert_eq!((report.imported, faults), (0, expected));
    for fields in [r#""term":{"starts":"later","started_at":null}"#, r#""term":{"start":"issue"}"#] {
        let (report, _) =
            server.import(&boxed(&format!(r#""id":"lic_x",{fields}"#)), ImportOptions::default()).await;
        assert_eq!(report.imported, 0, "{fields}");
    }
}

/// An export contains the term of each license, also of those beyond their limit, and reads back the same.
#[tokio::test]
async fn exported_terms_are_imported_unchanged() {
    let from = server(HEX, 1).await;
    let text = [
        boxed(r#""id":"lic_1""#),
        boxed(r#""id":"lic_2","activated_at":"2026-01-31T12:00:00Z","devices":["a","b"]"#),
        boxed(r#""id":"lic_3","expires_at":null"#),
        line(r#""id":"lic_4""#),
    ];
    let (report, faults) = from.import(&text.join("\n"), ImportOptions::default()).await;
    assert_eq!((report.imported, faults), (4, Vec::new()));
    let exported = from.export(ExportKeys::Clear).await;
    assert!(
        exported
            .contains(r#""anchor_day":31,"term":{"starts":"first_use","started_at":"2026-01-31T12:00:00Z"}"#)
    );
    let into = server(OTHER, 2).await;
    let (_, faults) = into.import(&exported, ImportOptions::default()).await;
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(into.export(ExportKeys::Clear).await, exported);
    assert!(license(&into, "lic_1").await.awaits_first_use());
}

#[tokio::test]
async fn rows_of_tables_can_set_the_updates_window() {
    let server = server(HEX, 1).await;
    let columns = Columns::new(
        &["id", "Activated At", "Updates Until"],
        &[],
        &["plan=boxed".to_owned(), "customer_email=a@b.com".to_owned()],
    );
    let columns = columns.expect("columns");
    let mut importer = server.services.transfer.import(ImportOptions::default()).await.expect("an import");
    for (number, row) in (2..).zip([["lic_1", "2026-01-31", "2026-12-31"], ["lic_2", "", ""]]) {
        importer.row(number, columns.license(&row)).await.expect("the import goes on");
    }
    assert_eq!(importer.finish().await.expect("it ends").imported, 2);
    let started = json!([
        "first_use",
        "2026-01-31T00:00:00Z",
        "2026-02-28T00:00:00Z",
        31,
        "2026-12-31T23:59:59.999999Z"
    ]);
    assert_eq!(shown(&license(&server, "lic_1").await), started);
    assert!(license(&server, "lic_2").await.awaits_first_use());
}
