//! The timeline and the campaigns that it is filtered by.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{delete, get, new_campaign, new_contact, patch, post, put};

/// The ids of a page of a contact's timeline.
fn page(contact: &str, query: &str) -> Vec<String> {
    let contact = get(&format!("/contacts/{contact}?{query}")).send().expect(200).json();
    let activities = contact["activities"].as_array().unwrap().iter();
    activities.map(|activity| activity["id"].as_str().unwrap().to_owned()).collect()
}

fn activity(id: &str, minute: u32, campaign_id: Option<&str>) -> Value {
    let event_time = format!("2024-04-18T10:{minute:02}:00Z");
    json!({"id": id, "event_time": event_time, "event_type": "message_sent", "campaign_id": campaign_id})
}

#[test]
fn a_status_decides_with_the_next_read_what_is_shown() {
    let (contact, campaign, other) = (new_contact(), new_campaign("active"), new_campaign("active"));
    let sent = [
        activity("act_3", 3, Some(&campaign)),
        activity("act_1", 1, Some(&other)),
        activity("act_2", 2, Some(&campaign)),
        activity("act_4", 4, None),
    ];
    post(&format!("/contacts/{contact}/activities"), &json!(sent)).send().expect(201);

    let path = format!("/campaigns/{campaign}");
    let of_campaign = format!("campaign_id={campaign}");
    for (status, shown) in [
        ("active", &["act_1", "act_2", "act_3"][..]),
        ("paused", &["act_1"]),
        ("active", &["act_1", "act_2", "act_3"]),
        ("archived", &["act_1"]),
    ] {
        let changed = put(&path, &json!({"status": status})).send().expect(200);
        assert_eq!(changed.json()["status"], json!(status));
        assert_eq!(page(&contact, "campaign_id=all"), shown, "{status}");
        assert_eq!(page(&contact, ""), shown, "{status}");
        assert_eq!(page(&contact, &of_campaign), ["act_2", "act_3"], "{status}");
        assert_eq!(page(&contact, "campaign_id=any"), ["act_1", "act_2", "act_3", "act_4"], "{status}");
    }
    assert_eq!(page(&contact, &format!("campaign_id={}", Uuid::now_v7())), Vec::<String>::new());

    delete(&path).send().expect(200);
    get(&path).send().refused(404, "Campaign not found");
    assert_eq!(page(&contact, &of_campaign), Vec::<String>::new());
    delete(&format!("/campaigns/{other}")).send().expect(200);
}

#[test]
fn a_link_leads_through_the_timeline() {
    let contact = new_contact();
    let sent: Vec<_> = (10..17).map(|minute| activity(&format!("act_{minute}"), minute, None)).collect();
    post(&format!("/contacts/{contact}/activities"), &json!(sent)).send().expect(201);

    let (mut next, mut shown) = (Some(format!("/contacts/{contact}?campaign_id=any&limit=3")), Vec::new());
    while let Some(path) = next {
        let answer = get(&path).send().expect(200);
        let activities = answer.json()["activities"].as_array().unwrap().clone();
        shown.extend(activities.into_iter().map(|activity| activity["id"].clone()));
        next = answer.header("link").strip_prefix('<').and_then(|link| link.split('>').next()).map(str::to_owned);
    }
    assert_eq!(shown, (10..17).map(|minute| json!(format!("act_{minute}"))).collect::<Vec<_>>());
}

#[test]
fn an_activity_sent_again_changes_nothing_and_loses_no_flag() {
    let contact = new_contact();
    let path = format!("/contacts/{contact}/activities");
    let sent = json!([activity("act_1", 1, None), activity("act_2", 2, None)]);
    post(&path, &sent).send().expect(201);
    let flags = json!({"event_time": "2024-04-18T10:01:00Z", "metadata": {"opened": true}});
    let merged = patch(&format!("{path}/act_1"), &flags).send().expect(200);
    assert_eq!(merged.json()["metadata"]["opened"], json!(true));

    post(&path, &sent).send().expect(201);
    let shown = get(&format!("/contacts/{contact}?campaign_id=any")).send().expect(200).json();
    assert_eq!(shown["activities"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(shown["activities"][0], merged.json());
}
