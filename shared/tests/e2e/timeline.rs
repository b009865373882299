//! The timeline of a contact, and the campaigns that filter it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{delete, get, new_campaign, new_contact, patch, post, put};

/// The ids of the activities that a contact's timeline shows.
fn activity_ids(contact: &str, query: &str) -> Vec<String> {
    let contact = get(&format!("/contacts/{contact}?{query}")).send().expect(200).json();
    ids(&contact["activities"])
}

fn ids(activities: &Value) -> Vec<String> {
    let activities = activities.as_array().unwrap().iter();
    activities.map(|activity| activity["id"].as_str().unwrap().to_owned()).collect()
}

fn activity(id: &str, minute: u32, campaign_id: Option<&str>) -> Value {
    json!({
        "id": id,
        "event_time": format!("2024-04-18T10:{minute:02}:00Z"),
        "event_type": "message_sent",
        "campaign_id": campaign_id,
    })
}

#[test]
fn a_campaigns_status_decides_at_the_next_read_which_activities_are_shown() {
    let (contact, campaign, other) = (new_contact(), new_campaign("active"), new_campaign("active"));
    let activities = json!([
        activity("act_3", 3, Some(&campaign)),
        activity("act_1", 1, Some(&other)),
        activity("act_2", 2, Some(&campaign)),
        activity("act_4", 4, None),
    ]);
    post(&format!("/contacts/{contact}/activities"), &activities).send().expect(201);

    let path = format!("/campaigns/{campaign}");
    let of_campaign = format!("campaign_id={campaign}");
    for (status, of_active_campaigns) in [
        ("active", vec!["act_1", "act_2", "act_3"]),
        ("paused", vec!["act_1"]),
        ("active", vec!["act_1", "act_2", "act_3"]),
        ("archived", vec!["act_1"]),
    ] {
        let updated = put(&path, &json!({"status": status})).send().expect(200);
        assert_eq!(updated.json()["status"], json!(status));
        assert_eq!(activity_ids(&contact, "campaign_id=all"), of_active_campaigns, "{status}");
        assert_eq!(activity_ids(&contact, ""), of_active_campaigns, "{status}");
        assert_eq!(activity_ids(&contact, &of_campaign), ["act_2", "act_3"], "{status}");
        assert_eq!(activity_ids(&contact, "campaign_id=any"), ["act_1", "act_2", "act_3", "act_4"], "{status}");
    }
    assert_eq!(activity_ids(&contact, &format!("campaign_id={}", Uuid::now_v7())), Vec::<String>::new());

    delete(&path).send().expect(200);
    get(&path).send().expect_error(404, "Campaign not found");
    assert_eq!(activity_ids(&contact, &of_campaign), Vec::<String>::new());
    delete(&format!("/campaigns/{other}")).send().expect(200);
}

#[test]
fn links_lead_through_all_pages_of_the_timeline() {
    let contact = new_contact();
    let sent: Vec<Value> = (10..17).map(|minute| activity(&format!("act_{minute}"), minute, None)).collect();
    post(&format!("/contacts/{contact}/activities"), &json!(sent)).send().expect(201);

    let mut shown = Vec::new();
    let mut next = Some(get(&format!("/contacts/{contact}?campaign_id=any&limit=3")));
    while let Some(request) = next {
        let page = request.send().expect(200);
        shown.extend(ids(&page.json()["activities"]));
        next = page.next_page();
    }

    assert_eq!(shown, ["act_10", "act_11", "act_12", "act_13", "act_14", "act_15", "act_16"]);
}

#[test]
fn an_activity_that_is_sent_again_keeps_its_flags() {
    let contact = new_contact();
    let path = format!("/contacts/{contact}/activities");
    let activities = json!([activity("act_1", 1, None), activity("act_2", 2, None)]);
    post(&path, &activities).send().expect(201);
    let flags = json!({"event_time": "2024-04-18T10:01:00Z", "metadata": {"opened": true}});
    let updated = patch(&format!("{path}/act_1"), &flags).send().expect(200);
    assert_eq!(updated.json()["metadata"]["opened"], json!(true));

    post(&path, &activities).send().expect(201);

    let contact = get(&format!("/contacts/{contact}?campaign_id=any")).send().expect(200).json();
    assert_eq!(contact["activities"].as_array().unwrap().len(), 2, "{contact}");
    assert_eq!(contact["activities"][0], updated.json());
}
