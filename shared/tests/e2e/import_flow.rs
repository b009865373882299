//! The import of the "Create Contact" page from start to end: contacts one by one and in bulk, campaigns, leads, timelines,
//! and the deletion of it all.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use shared::dynamodb::keys;
use uuid::Uuid;

use crate::client::{
    API, PROPAGATION_TIMEOUT, Response, delete, eventually, get, jane, new_email, new_import, patch, post, put, rows,
    with_local_table,
};

/// The values of a text member, without duplicates.
fn distinct<'a>(rows: &'a [Value], member: &str) -> BTreeSet<&'a str> {
    rows.iter().map(|row| row[member].as_str().unwrap()).collect()
}

fn set_of(texts: &[String]) -> BTreeSet<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn an_import_is_uploaded_linked_and_deleted() {
    let import = json!({"source": "csv", "file_name": "leads.csv", "status": "processing"});
    let import = post("/imports/", &import).send().expect(201).id();
    let emails: Vec<String> = (0..5).map(|_| new_email()).collect();

    create_one_by_one(&emails[..2], &import);
    upload_in_bulk(&emails[1..], &import);
    let contacts = complete_import(&import, &emails);

    let account = Uuid::new_v4();
    let first = new_active_campaign(account);
    let second = new_active_campaign(account);
    let leads = link_to_campaigns_of_one_account(&import, &first, &second);
    assert_eq!(distinct(&leads, "contact_id"), distinct(&contacts, "id"));

    let lead = format!("/campaign-leads/{}", leads[0]["id"].as_str().unwrap());
    end_lead(&lead, &import, &second);

    let contact = leads[1]["contact_id"].as_str().unwrap();
    record_activities(contact, &first, &second);

    delete_contact(contact, &first);
    delete_campaign(&first, &lead);
    delete_import(&import);
    for id in distinct(&contacts, "id") {
        let status = if id == contact { 404 } else { 200 };
        get(&format!("/contacts/{id}")).send().expect(status);
    }
}

#[test]
fn an_update_without_changes_shows_the_import() {
    let import = new_import();

    let shown = put(&format!("/imports/{import}"), &json!({})).send().expect(200);

    assert_eq!(shown.id(), import);
}

#[test]
fn an_upload_of_known_contacts_adds_them_to_another_import() {
    let contacts = json!([jane(&new_email()), jane(&new_email())]);
    post("/contacts/bulk", &contacts).header("x-import-id", &new_import()).send().expect(201);
    let import = new_import();

    let report = post("/contacts/bulk", &contacts).header("x-import-id", &import).send().expect(201).json();

    assert_eq!(report["updated"], json!(2));
    assert_eq!(contacts_count(&import), json!(2));
}

#[test]
fn an_upload_repairs_a_lost_membership() {
    let import = new_import();
    let contact = post("/contacts/", &jane(&new_email())).header("x-import-id", &import).send().expect(201).json();
    let (org, import_id) = (API.org.org_id.parse().unwrap(), import.parse().unwrap());
    let membership = keys::membership(org, import_id, contact["id"].as_str().unwrap().parse().unwrap());
    // No request can lose it, so a deployed API cannot be tested.
    if with_local_table(async |table| table.delete_item(&membership).await).is_none() {
        return;
    }
    assert_eq!(contacts_count(&import), json!(0));

    post("/contacts/bulk", &json!([contact])).header("x-import-id", &import).send().expect(201);

    assert_eq!(contacts_count(&import), json!(1));
}

fn contacts_count(import: &str) -> Value {
    get(&format!("/imports/{import}")).send().expect(200).json()["contacts_count"].clone()
}

#[test]
fn a_campaign_can_lose_its_lead_magnet() {
    let lead_magnet = json!({"name": "Guide", "url": "https://example.com/guide.pdf", "content_type": "pdf"});
    let campaign = post("/campaigns/", &json!({"name": "Q1-2024", "lead_magnet": lead_magnet})).send().expect(201);
    assert!(campaign.json()["lead_magnet_id"].is_string(), "{campaign:?}");
    let path = format!("/campaigns/{}", campaign.id());

    put(&path, &json!({"lead_magnet": null})).send().expect(200);

    assert_eq!(get(&path).send().expect(200).json()["lead_magnet_id"], json!(null));
}

fn create_one_by_one(emails: &[String], import: &str) {
    for email in emails {
        post("/contacts/", &jane(email)).header("x-import-id", import).send().expect(201);
    }
}

/// Uploads a CSV file as a form: one of the four contacts exists, and a fifth row is invalid.
fn upload_in_bulk(emails: &[String], import: &str) {
    // The byte order mark, the semicolons, the case of the header and the line breaks inside a value are on purpose.
    let mut csv = "\u{FEFF}Full_Name;EMAIL;linkedin_profile;metadata\r\n".to_owned();
    for email in emails {
        let metadata = "{\"\"source\"\":\r\n\"\"fair\"\"}";
        write!(csv, "Jane Doe;{email};linkedin.com/in/janedoe;\"{metadata}\"\r\n").unwrap();
    }
    csv += "John Doe;nowhere;linkedin.com/in/johndoe;\r\n";
    let upload = |query: &str| send_form(&format!("/contacts/bulk{query}"), &csv, import);
    let invalid_email = "email must be a valid email address";

    upload("").expect_error(400, &format!("Validation error: row 5: {invalid_email}"));

    let dry_run = upload("?on_error=skip&dry_run=true").expect(200).json();
    assert_eq!(dry_run["created"], json!(3));
    assert_eq!(dry_run["updated"], json!(1));
    assert_eq!(dry_run["details"][1]["id"], json!(null));

    for (created, updated) in [(3, 1), (0, 4)] {
        let report = upload("?on_error=skip").expect(201).json();
        assert_eq!(report["created"], json!(created));
        assert_eq!(report["updated"], json!(updated));
        assert_eq!(report["inserted"], json!(4));
        let skipped = json!([{"row": 5, "email": "nowhere", "detail": format!("Validation error: {invalid_email}")}]);
        assert_eq!(report["skipped"], skipped);
        assert_eq!(distinct(report["details"].as_array().unwrap(), "email"), set_of(emails));
    }
}

fn send_form(path: &str, csv: &str, import: &str) -> Response {
    let form = format!(
        "--boundary\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"leads.csv\"\r\n\
         \r\n\
         {csv}\r\n\
         --boundary--\r\n"
    );
    post(path, &json!(null))
        .header("x-import-id", import)
        .header("content-type", "multipart/form-data; boundary=boundary")
        .body(form)
        .send()
}

/// Returns the contacts of the import.
fn complete_import(import: &str, emails: &[String]) -> Vec<Value> {
    let path = format!("/imports/{import}");
    let completed = put(&path, &json!({"status": "completed", "total_rows": 5})).send().expect(200).json();
    assert_eq!(completed["status"], json!("completed"));
    assert_eq!(completed["total_rows"], json!(5));
    assert_eq!(get(&path).send().expect(200).json()["contacts_count"], json!(5));

    let contacts = rows(&format!("/contacts/?import_id={import}"));
    assert_eq!(distinct(&contacts, "email"), set_of(emails));
    contacts
}

fn new_active_campaign(account: Uuid) -> String {
    let campaign = json!({"name": "Q1-2024", "status": "active", "provider_account_id": [account]});
    post("/campaigns/", &campaign).send().expect(201).id()
}

/// The counts in the response to linking an import to a campaign.
#[derive(Debug, PartialEq, Eq)]
struct LinkCounts {
    considered: u64,
    excluded: u64,
    inserted: u64,
}

fn link(campaign: &str, import: &str) -> LinkCounts {
    let request = post(&format!("/campaign-imports/{campaign}/imports"), &json!({"import_ids": [import]}));
    let body = request.send().expect(201).json();
    assert_eq!(body["campaign_id"], json!(campaign));
    assert_eq!(body["linked_imports"], json!(1));
    LinkCounts {
        considered: body["considered_contacts"].as_u64().unwrap(),
        excluded: body["excluded_contacts"].as_u64().unwrap(),
        inserted: body["inserted_leads"].as_u64().unwrap(),
    }
}

/// Links the import to two active campaigns that send from the same account: a contact with an open lead of the first is
/// excluded from the second. Returns the leads of the first.
fn link_to_campaigns_of_one_account(import: &str, first: &str, second: &str) -> Vec<Value> {
    assert_eq!(link(first, import), LinkCounts { considered: 5, excluded: 0, inserted: 5 });
    assert_eq!(link(first, import), LinkCounts { considered: 5, excluded: 5, inserted: 0 });
    assert_eq!(link(second, import), LinkCounts { considered: 5, excluded: 5, inserted: 0 });
    let linked = get(&format!("/imports/{import}")).send().expect(200).json();
    assert_eq!(linked["campaign_id"], json!(second), "the campaign that the import was linked to last");

    let leads = wait_for_leads(first, 5);
    assert_eq!(distinct(&leads, "lead_status"), BTreeSet::from(["pending"]));
    leads
}

/// Waits until a campaign has this number of leads. In a deployed table the index lags behind the table.
fn wait_for_leads(campaign: &str, count: usize) -> Vec<Value> {
    eventually(PROPAGATION_TIMEOUT, || {
        let leads = rows(&format!("/campaign-leads/?campaign_id={campaign}"));
        if leads.len() == count { Ok(leads) } else { Err(format!("{} leads: {leads:?}", leads.len())) }
    })
}

/// Ends a lead of the first campaign, which makes its contact available to the second.
fn end_lead(lead: &str, import: &str, second: &str) {
    let ended = patch(lead, &json!({"lead_status": "ended", "lead_score": 7.5})).send().expect(200).json();
    assert_eq!(ended["lead_status"], json!("ended"));
    assert_eq!(ended["lead_score"], json!(7.5));
    assert_eq!(get(lead).send().expect(200).json(), ended);
    assert_eq!(link(second, import), LinkCounts { considered: 5, excluded: 4, inserted: 1 });
}

/// Records an activity of each campaign for a contact that is a lead of the first.
fn record_activities(contact: &str, first: &str, second: &str) {
    let pending = rows(&format!("/campaign-leads/?contact_id={contact}&status=pending"));
    assert_eq!(distinct(&pending, "campaign_id"), BTreeSet::from([first]));
    for (campaign, id) in [(first, "act_1"), (second, "act_2")] {
        let activity = json!({
            "id": id,
            "event_time": "2024-04-18T10:15:00Z",
            "event_type": "message_sent",
            "campaign_id": campaign,
        });
        post(&format!("/contacts/{contact}/activities"), &activity).send().expect(201);
    }
    let timeline = get(&format!("/contacts/{contact}?campaign_id={first}")).send().expect(200).json();
    assert_eq!(distinct(timeline["activities"].as_array().unwrap(), "id"), BTreeSet::from(["act_1"]));
}

/// Deletes a contact, and with it its lead.
fn delete_contact(contact: &str, campaign: &str) {
    delete(&format!("/contacts/{contact}")).send().expect(200);
    let leads = rows(&format!("/campaign-leads/?campaign_id={campaign}"));
    assert_eq!(leads.len(), 4, "{leads:?}");
    assert!(!distinct(&leads, "contact_id").contains(contact), "{leads:?}");
}

/// Deletes a campaign, and with it all its leads.
fn delete_campaign(campaign: &str, lead: &str) {
    delete(&format!("/campaigns/{campaign}")).send().expect(200);
    assert_eq!(rows(&format!("/campaign-leads/?campaign_id={campaign}")), Vec::<Value>::new());
    get(lead).send().expect_error(404, "Lead not found");
}

/// Deletes an import, and with it its memberships.
fn delete_import(import: &str) {
    delete(&format!("/imports/{import}")).send().expect(200);
    assert_eq!(rows(&format!("/contacts/?import_id={import}")), Vec::<Value>::new());
}
