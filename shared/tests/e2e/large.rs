//! The largest uploads that the API accepts.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Request, Response, eventually, get, new_campaign, new_import, post};

const MAX_ROWS: usize = 5_000;
const MAX_BYTES: usize = 4_000_000;

/// Sends a request until the time of one call suffices, as a client does: a 503 asks to send it again and to continue.
fn send_until_complete(request: &Request) -> Response {
    eventually(Duration::from_mins(5), || {
        let response = request.send();
        if response.status == 503 {
            assert_ne!(response.header("retry-after"), "", "{response:?}");
            return Err(format!("{response:?}"));
        }
        Ok(response)
    })
}

fn csv_upload(query: &str, csv: String) -> Request {
    post(&format!("/contacts/bulk{query}"), &json!(null)).header("content-type", "text/csv").body(csv)
}

fn number(body: &Value, member: &str) -> usize {
    usize::try_from(body[member].as_u64().unwrap()).unwrap()
}

#[test]
fn five_thousand_rows_are_uploaded_and_linked() {
    let (import, domain) = (new_import(), format!("{}.example.com", Uuid::new_v4().simple()));
    let mut csv = "email,full_name,linkedin_profile,company\n".to_owned();
    for n in 0..MAX_ROWS {
        writeln!(csv, "jane.{n}@{domain},Jane Doe,linkedin.com/in/janedoe,Company {}", n % 10).unwrap();
    }
    let upload = csv_upload("", csv).header("x-import-id", &import);

    let report = send_until_complete(&upload).expect(201).json();
    assert_eq!(number(&report, "created") + number(&report, "updated"), MAX_ROWS);
    assert_eq!(number(&report, "inserted"), MAX_ROWS);
    assert_eq!(report["details"].as_array().unwrap().len(), MAX_ROWS);

    let second = send_until_complete(&upload).expect(201).json();
    assert_eq!(number(&second, "created"), 0);
    assert_eq!(number(&second, "updated"), MAX_ROWS);
    assert_eq!(second["details"], report["details"], "the same contacts");
    let stored = get(&format!("/imports/{import}")).send().expect(200).json();
    assert_eq!(number(&stored, "contacts_count"), MAX_ROWS);
    let listed = get(&format!("/contacts/?import_id={import}")).send().expect(200);
    let rows = listed.json().as_array().unwrap().len();
    assert_eq!((rows, listed.next_page().is_none()), (MAX_ROWS, true), "one response");

    let campaign = new_campaign("paused");
    let link = post(&format!("/campaign-imports/{campaign}/imports"), &json!({"import_ids": [import]}));
    let linked = send_until_complete(&link).expect(201).json();
    assert_eq!(number(&linked, "considered_contacts"), MAX_ROWS);
    assert_eq!(number(&linked, "excluded_contacts") + number(&linked, "inserted_leads"), MAX_ROWS);
    let linked = send_until_complete(&link).expect(201).json();
    assert_eq!(number(&linked, "excluded_contacts"), MAX_ROWS);
    assert_eq!(number(&linked, "inserted_leads"), 0);
}

#[test]
fn an_upload_over_the_limit_of_rows_or_bytes_is_rejected() {
    let csv = |rows: usize| format!("email,full_name,linkedin_profile\n{}", "x,,\n".repeat(rows));
    let csv_of_length = |bytes: usize| csv(1) + &"\n".repeat(bytes - csv(1).len());
    let upload = |csv: String| csv_upload("?on_error=skip", csv).send();

    let report = upload(csv(MAX_ROWS)).expect(201).json();
    assert_eq!(report["skipped"].as_array().unwrap().len(), 1_000);
    assert_eq!(number(&report, "skipped_count"), MAX_ROWS);
    upload(csv(MAX_ROWS + 1)).expect_error(413, "Request must have at most 5000 rows");

    let report = upload(csv_of_length(MAX_BYTES)).expect(201).json();
    assert_eq!(report["skipped"][0]["row"], json!(1));
    upload(csv_of_length(MAX_BYTES + 1)).expect_error(413, "Request body must be at most 4000000 bytes");
}
