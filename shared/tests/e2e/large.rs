//! As much as one request may carry, through the whole way of a request.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Request, eventually, get, new_campaign, new_import, post};

const ROWS: usize = 5_000;

/// Sends it again for as long as the time of one call does not suffice, as clients do. Gives the last answer.
fn until_done(request: &Request) -> Answer {
    eventually(Duration::from_mins(5), || {
        let answer = request.send();
        assert!(answer.status != 503 || !answer.header("retry-after").is_empty(), "{answer:?}");
        if answer.status == 503 { Err(format!("{answer:?}")) } else { Ok(answer) }
    })
}

#[test]
fn five_thousand_rows_are_loaded_and_linked() {
    let (import, of_all) = (new_import(), Uuid::new_v4().simple());
    let row = |n| format!("jane.{n}.{of_all}@example.com,Jane Doe,linkedin.com/in/janedoe,Company {}\n", n % 10);
    let csv = format!("email,full_name,linkedin_profile,company\n{}", (0..ROWS).map(row).collect::<String>());
    let upload = post("/contacts/bulk", &json!(null)).header("x-import-id", &import);
    let upload = upload.header("content-type", "text/csv").body(csv);
    let report = until_done(&upload).expect(201).json();
    let count = |report: &Value, name: &str| usize::try_from(report[name].as_u64().unwrap()).unwrap();
    assert_eq!(count(&report, "created") + count(&report, "updated"), ROWS);
    assert_eq!((count(&report, "inserted"), report["details"].as_array().unwrap().len()), (ROWS, ROWS));
    let again = until_done(&upload).expect(201).json();
    assert_eq!((count(&again, "created"), count(&again, "updated")), (0, ROWS));
    assert_eq!(again["details"], report["details"], "the same contacts");
    let counted = get(&format!("/imports/{import}")).send().expect(200).json();
    assert_eq!(count(&counted, "contacts_count"), ROWS);

    let campaign = new_campaign("paused");
    let link = post(&format!("/campaign-imports/{campaign}/imports"), &json!({"import_ids": [import]}));
    let linked = until_done(&link).expect(201).json();
    assert_eq!(count(&linked, "considered_contacts"), ROWS);
    assert_eq!(count(&linked, "excluded_contacts") + count(&linked, "inserted_leads"), ROWS);
    let linked = until_done(&link).expect(201).json();
    assert_eq!((count(&linked, "excluded_contacts"), count(&linked, "inserted_leads")), (ROWS, 0));
}

#[test]
fn more_than_an_upload_may_have_is_refused() {
    let csv = |rows: usize| format!("email,full_name,linkedin_profile\n{}", "x,,\n".repeat(rows));
    let upload =
        |csv: String| post("/contacts/bulk?on_error=skip", &json!(null)).header("content-type", "text/csv").body(csv);
    upload(csv(ROWS + 1)).send().refused(413, "Request must have at most 5000 rows");
    let report = upload(csv(ROWS)).send().expect(201).json();
    assert_eq!(report["skipped"].as_array().unwrap().len(), ROWS);
    let padded = |length: usize| format!("{}{}", csv(1), "\n".repeat(length - csv(1).len()));
    upload(padded(4_000_001)).send().refused(413, "Request body must be at most 4000000 bytes");
    assert_eq!(upload(padded(4_000_000)).send().expect(201).json()["skipped"][0]["row"], json!(1));
}
