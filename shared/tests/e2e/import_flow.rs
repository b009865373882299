//! The flow of the "Create Contact" page in one go: an import, its contacts one by one and in bulk, its campaign, their
//! leads, their timelines; and what is left when they go.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{SOON, delete, eventually, get, jane, new_email, patch, post, put, rows};

/// The values of a member of each of these objects.
fn all<'a>(rows: &'a [Value], member: &str) -> BTreeSet<&'a str> {
    rows.iter().map(|row| row[member].as_str().unwrap()).collect()
}

/// A campaign's leads, once there are so many: deployed, an index follows the table a moment later.
fn leads_of(campaign: &str, count: usize) -> Vec<Value> {
    eventually(SOON, || {
        let leads = rows(&format!("/campaign-leads/?campaign_id={campaign}"));
        if leads.len() == count { Ok(leads) } else { Err(format!("{} leads: {leads:?}", leads.len())) }
    })
}

#[test]
fn leads_are_loaded_linked_read_and_cleared() {
    let import = json!({"source": "csv", "file_name": "leads.csv", "status": "processing"});
    let import = post("/imports/", &import).send().expect(201).id();

    // Two one by one, and a file in which one of them comes again, one row is bad, and a value has line breaks.
    let emails: Vec<_> = (0..5).map(|_| new_email()).collect();
    for email in &emails[..2] {
        post("/contacts/", &jane(email)).header("x-import-id", &import).send().expect(201);
    }
    let row = |email| format!("Jane Doe;{email};linkedin.com/in/janedoe;\"{{\"\"source\"\":\r\n\"\"fair\"\"}}\"\r\n");
    let csv = format!(
        "\u{FEFF}Full_Name;EMAIL;linkedin_profile;metadata\r\n{}Nobody;nowhere;linkedin.com/in/nobody;\r\n",
        emails[1..].iter().map(row).collect::<String>()
    );
    let bulk = |query: &str| {
        let form = format!(
            "--boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"leads.csv\"\r\n\r\n{csv}\r\n--boundary--\r\n"
        );
        let request = post(&format!("/contacts/bulk{query}"), &json!(null)).header("x-import-id", &import);
        request.header("content-type", "multipart/form-data; boundary=boundary").body(form).send()
    };
    let bad = "Validation error: row 5: email must be a valid email address";
    bulk("").refused(400, bad);
    let dry = bulk("?on_error=skip&dry_run=true").expect(200).json();
    assert_eq!((&dry["created"], &dry["updated"], &dry["details"][1]["id"]), (&json!(3), &json!(1), &json!(null)));
    for (created, updated) in [(3, 1), (0, 4)] {
        let report = bulk("?on_error=skip").expect(201).json();
        assert_eq!(
            (&report["created"], &report["updated"], &report["inserted"]),
            (&json!(created), &json!(updated), &json!(4))
        );
        assert_eq!(report["skipped"], json!([{"row": 5, "email": "nowhere", "detail": &bad.replace("row 5: ", "")}]));
        assert_eq!(all(report["details"].as_array().unwrap(), "email"), emails[1..].iter().map(|e| &**e).collect());
    }

    let completed = json!({"status": "completed", "total_rows": 5});
    let completed = put(&format!("/imports/{import}"), &completed).send().expect(200).json();
    assert_eq!((&completed["status"], &completed["total_rows"]), (&json!("completed"), &json!(5)));
    assert_eq!(get(&format!("/imports/{import}")).send().expect(200).json()["contacts_count"], json!(5));
    let contacts = rows(&format!("/contacts/?import_id={import}"));
    assert_eq!(all(&contacts, "email"), emails.iter().map(|email| &**email).collect());

    // Two active campaigns that send from one account: whom the first writes to, the second leaves alone.
    let account = Uuid::new_v4();
    let campaign = || {
        let campaign = json!({"name": "Q1-2024", "status": "active", "provider_account_id": [account]});
        post("/campaigns/", &campaign).send().expect(201).id()
    };
    let (first, second) = (campaign(), campaign());
    let link = |campaign: &str| {
        let linked = post(&format!("/campaign-imports/{campaign}/imports"), &json!({"import_ids": [import]}));
        let linked = linked.send().expect(201).json();
        assert_eq!((&linked["campaign_id"], &linked["linked_imports"]), (&json!(campaign), &json!(1)));
        ["considered_contacts", "excluded_contacts", "inserted_leads"].map(|name| linked[name].as_u64().unwrap())
    };
    assert_eq!(link(&first), [5, 0, 5]);
    assert_eq!(link(&first), [5, 5, 0]);
    assert_eq!(link(&second), [5, 5, 0]);
    let linked = get(&format!("/imports/{import}")).send().expect(200).json();
    assert_eq!(linked["campaign_id"], json!(second), "the campaign it was linked to last");

    let leads = leads_of(&first, 5);
    assert_eq!(all(&leads, "contact_id"), all(&contacts, "id"));
    assert_eq!(all(&leads, "lead_status"), BTreeSet::from(["pending"]));
    let lead = format!("/campaign-leads/{}", leads[0]["id"].as_str().unwrap());
    let ended = patch(&lead, &json!({"lead_status": "ended", "lead_score": 7.5})).send().expect(200).json();
    assert_eq!((&ended["lead_status"], &ended["lead_score"]), (&json!("ended"), &json!(7.5)));
    assert_eq!(get(&lead).send().expect(200).json(), ended);
    assert_eq!(link(&second), [5, 4, 1], "whose lead has ended is free for another campaign");

    // A contact with what the first campaign wrote to it.
    let contact = leads[1]["contact_id"].as_str().unwrap();
    let of_contact = rows(&format!("/campaign-leads/?contact_id={contact}&status=pending"));
    assert_eq!(all(&of_contact, "campaign_id"), BTreeSet::from([&*first]));
    for (campaign, id) in [(&first, "act_1"), (&second, "act_2")] {
        let activity = json!({"id": id, "event_time": "2024-04-18T10:15:00Z", "event_type": "message_sent", "campaign_id": campaign});
        post(&format!("/contacts/{contact}/activities"), &activity).send().expect(201);
    }
    let shown = get(&format!("/contacts/{contact}?campaign_id={first}")).send().expect(200).json();
    assert_eq!(all(shown["activities"].as_array().unwrap(), "id"), BTreeSet::from(["act_1"]));

    // What goes takes with it what hangs on it, and nothing else.
    delete(&format!("/contacts/{contact}")).send().expect(200);
    let left = rows(&format!("/campaign-leads/?campaign_id={first}"));
    assert!(left.len() == 4 && !all(&left, "contact_id").contains(contact), "{left:?}");
    delete(&format!("/campaigns/{first}")).send().expect(200);
    assert_eq!(rows(&format!("/campaign-leads/?campaign_id={first}")), Vec::<Value>::new());
    get(&lead).send().refused(404, "Lead not found");
    delete(&format!("/imports/{import}")).send().expect(200);
    assert_eq!(rows(&format!("/contacts/?import_id={import}")), Vec::<Value>::new());
    let stays = all(&contacts, "id").into_iter().filter(|id| *id != contact);
    stays.for_each(|id| drop(get(&format!("/contacts/{id}")).send().expect(200)));
}
