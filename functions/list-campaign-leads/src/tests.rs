//! `handle` behind the whole way of a request, on a table of its own.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::{CampaignId, ContactId, Lead, LeadKey};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse, jane, parse_body};
use shared::{Endpoint, Response};

use super::handle;

const ENDPOINT: Endpoint = Endpoint::ListCampaignLeads;

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The leads that an answer shows, in its order.
fn places(answer: &TestResponse) -> Vec<LeadKey> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let id = |lead: &Value, name: &str| lead[name].as_str().unwrap().parse::<uuid::Uuid>().unwrap();
    let place = |lead: &Value| LeadKey {
        campaign_id: id(lead, "campaign_id").into(),
        contact_id: id(lead, "contact_id").into(),
    };
    answer.json().as_array().unwrap().iter().map(place).collect()
}

/// The leads of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<LeadKey>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(places).collect()
}

/// Campaigns that each have every contact for a lead, both a second apart.
struct Platform {
    app: TestApp,
    campaigns: Vec<CampaignId>,
    contacts: Vec<ContactId>,
}

impl Platform {
    async fn new(campaigns: usize, contacts: usize) -> Self {
        let app = TestApp::new().await;
        let import = app.create_import(&app.org).await;
        let mut platform = Self { app, campaigns: Vec::new(), contacts: Vec::new() };
        for n in 0..contacts {
            platform.app.advance_clock(TimeDelta::seconds(1));
            let contact = platform.app.create_contact(&platform.app.org, jane(&format!("{n}@example.com")), Some(import)).await;
            platform.contacts.push(contact.id);
        }
        for _ in 0..campaigns {
            platform.app.advance_clock(TimeDelta::seconds(1));
            let campaign = platform.app.create_campaign(json!({"name": "Q1"})).await.id;
            platform.app.link_imports(campaign, &[import]).await;
            platform.campaigns.push(campaign);
        }
        platform
    }

    /// Every lead, in the order of the list.
    fn places(&self) -> Vec<LeadKey> {
        let of =
            |campaign_id| self.contacts.iter().rev().map(move |contact| LeadKey { campaign_id, contact_id: *contact });
        self.campaigns.iter().rev().flat_map(|campaign| of(*campaign)).collect()
    }

    async fn set_status(&self, place: LeadKey, status: &str) -> Lead {
        let leads = self.app.ctx().leads(&self.app.principal(&self.app.org).await);
        leads.update(place.lead_id(), &parse_body(json!({"lead_status": status}))).await.unwrap()
    }
}

#[tokio::test]
async fn leads_are_listed_by_campaign_and_contact_as_they_are_shown() {
    let app = TestApp::new().await;
    let one = app.create_lead().await;
    app.advance_clock(TimeDelta::seconds(1));
    let two = app.create_lead().await;
    let answer = app.list(ENDPOINT, handle, "").await;
    let expected: Value = serde_json::to_value(Response::list([&two, &one])).unwrap();
    assert_eq!((answer.status, &json!(answer.text)), (200, &expected["body"]));
    assert_eq!((answer.header("content-type"), answer.header("link")), ("application/json", ""));
    let theirs = TestRequest::to(ENDPOINT, &app.other).query(&format!("contact_id={}", one.key.contact_id));
    assert_eq!(app.send(ENDPOINT, handle, &theirs).await.text, "[]", "whatever it asks for");
    let theirs = TestRequest::to(ENDPOINT, &app.other).query(&format!("campaign_id={}", one.key.campaign_id));
    assert_eq!(app.send(ENDPOINT, handle, &theirs).await.text, "[]", "whatever it asks for");
}

#[tokio::test]
async fn a_list_is_filtered_by_campaign_contact_and_status() {
    let platform = Platform::new(3, 4).await;
    let all = platform.places();
    for (place, status) in [(all[0], "ended"), (all[5], "ended"), (all[6], "paused"), (all[11], "in_progress")] {
        platform.set_status(place, status).await;
    }
    let (campaign, contact) = (all[4].campaign_id, all[5].contact_id);
    let select = |shows: &dyn Fn(&LeadKey) -> bool| all.iter().copied().filter(shows).collect::<Vec<_>>();
    let nobody = uuid::Uuid::now_v7();
    for (query, expected) in [
        (String::new(), all.clone()),
        ("unknown=x".to_owned(), all.clone()),
        (format!("campaign_id={campaign}"), select(&|place| place.campaign_id == campaign)),
        (format!("contact_id={contact}"), select(&|place| place.contact_id == contact)),
        (format!("campaign_id={campaign}&contact_id={contact}"), vec![all[5]]),
        (format!("campaign_id={}", campaign.to_string().to_uppercase()), all[4..8].to_vec()),
        ("status=ended".to_owned(), vec![all[0], all[5]]),
        ("status=in_progress".to_owned(), vec![all[11]]),
        (format!("status=paused&campaign_id={campaign}"), vec![all[6]]),
        (format!("status=pending&campaign_id={campaign}"), vec![all[4], all[7]]),
        (format!("status=ended&contact_id={contact}"), vec![all[5]]),
        (format!("status=paused&campaign_id={campaign}&contact_id={contact}"), vec![]),
        (format!("campaign_id={nobody}"), vec![]),
        (format!("contact_id={nobody}"), vec![]),
        (format!("campaign_id={campaign}&contact_id={nobody}"), vec![]),
        (format!("campaign_id={nobody}&contact_id={contact}"), vec![]),
    ] {
        assert_eq!(places(&platform.app.list(ENDPOINT, handle, &query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let platform = Platform::new(3, 4).await;
    let (app, all) = (&platform.app, platform.places());
    let (campaign, contact) = (all[4].campaign_id, all[1].contact_id);
    let of_campaign = all[4..8].to_vec();
    let of_contact: Vec<_> = all.iter().copied().filter(|place| place.contact_id == contact).collect();
    for (query, lengths, expected) in [
        ("limit=5".to_owned(), vec![5, 5, 2], &all),
        ("limit=4".to_owned(), vec![4, 4, 4], &all),
        ("limit=12".to_owned(), vec![12], &all),
        ("limit=1".to_owned(), vec![1; 12], &all),
        (format!("limit=3&campaign_id={campaign}"), vec![3, 1], &of_campaign),
        (format!("limit=2&contact_id={contact}"), vec![2, 1], &of_contact),
        (format!("limit=1&contact_id={contact}"), vec![1, 1, 1], &of_contact),
        (format!("limit=1&contact_id={contact}&campaign_id={campaign}"), vec![1], &vec![all[5]]),
        ("limit=5&status=pending".to_owned(), vec![5, 5, 2], &all),
    ] {
        let pages = pages(app, &query).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{query}");
        assert_eq!(pages.concat(), *expected, "{query}");
    }
    platform.set_status(all[2], "ended").await;
    platform.set_status(all[11], "ended").await;
    assert_eq!(pages(app, "limit=1&status=ended").await.concat(), [all[2], all[11]]);
}

#[tokio::test]
async fn what_others_do_between_two_pages_neither_skips_nor_repeats_a_row() {
    let platform = Platform::new(2, 4).await;
    let (app, all) = (&platform.app, platform.places());
    let principal = app.principal(&app.org).await;
    let first = app.list(ENDPOINT, handle, "limit=3").await;
    assert_eq!(places(&first), all[..3]);
    let cursor = first.next_page_query(ENDPOINT).unwrap();
    app.advance_clock(TimeDelta::seconds(1));
    let new = app.create_lead().await;
    platform.set_status(all[4], "ended").await;
    // The last row seen goes, and one that was not seen yet.
    app.ctx().contacts(&principal).delete(all[2].contact_id, None).await.unwrap();
    assert_eq!(places(&app.list(ENDPOINT, handle, &cursor).await), [all[3], all[4], all[5]]);
    assert_eq!(pages(app, &cursor).await.concat(), [all[3], all[4], all[5], all[7]]);
    assert_eq!(places(&app.list(ENDPOINT, handle, "limit=1").await), [new.key]);
}

#[tokio::test]
async fn a_cursor_of_another_list_is_a_place_all_the_same() {
    let platform = Platform::new(3, 2).await;
    let (app, all) = (&platform.app, platform.places());
    let cursor = |answer: &TestResponse| answer.next_page_query(ENDPOINT).unwrap().split_once("cursor=").unwrap().1.to_owned();
    let newest = cursor(&app.list(ENDPOINT, handle, "limit=1").await);
    let oldest = cursor(&app.list(ENDPOINT, handle, "limit=5").await);
    let [first, last] = [all[0].campaign_id, all[5].campaign_id];
    let contact = all[5].contact_id;
    for (query, expected) in [
        (format!("campaign_id={last}&cursor={newest}"), vec![all[4], all[5]]),
        (format!("campaign_id={first}&cursor={oldest}"), vec![]),
        (format!("contact_id={contact}&cursor={newest}"), vec![all[1], all[3], all[5]]),
        (format!("contact_id={contact}&cursor={oldest}"), vec![all[5]]),
        (format!("contact_id={contact}&campaign_id={first}&cursor={oldest}"), vec![]),
        (format!("contact_id={contact}&campaign_id={last}&cursor={newest}"), vec![all[5]]),
    ] {
        assert_eq!(places(&app.list(ENDPOINT, handle, &query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn what_the_index_still_names_is_not_shown_once_it_is_gone() {
    let platform = Platform::new(2, 3).await;
    let (app, all) = (&platform.app, platform.places());
    let principal = app.principal(&app.org).await;
    app.ctx().campaigns(&principal).delete(all[0].campaign_id).await.unwrap();
    // A contact that is gone but for its leads, which a late writer stored.
    app.ctx().contacts(&principal).delete(all[4].contact_id, None).await.unwrap();
    let mut late = json!({"type": {"S": "lead"}});
    for (name, value) in keys::lead_in_indexes(app.org.org_id, all[4]) {
        late[name] = json!({"S": value});
    }
    for (name, value) in
        [("campaign_id", all[4].campaign_id.to_string()), ("contact_id", all[4].contact_id.to_string())]
    {
        late[name] = json!({"S": value});
    }
    for name in ["created_at", "updated_at"] {
        late[name] = json!({"S": "2024-10-06T12:00:00.000Z"});
    }
    late["lead_status"] = json!({"S": "pending"});
    app.put_item(&keys::lead(app.org.org_id, all[4]), late).await;
    assert_eq!(app.count_items("lead").await, 5);
    for query in [
        String::new(),
        "status=pending".to_owned(),
        "limit=1".to_owned(),
        format!("campaign_id={}", all[3].campaign_id),
    ] {
        assert_eq!(pages(app, &query).await.concat(), [all[3], all[5]], "{query}");
    }
    for query in [
        format!("campaign_id={}", all[0].campaign_id),
        format!("contact_id={}", all[4].contact_id),
        format!("contact_id={}&campaign_id={}", all[0].contact_id, all[0].campaign_id),
    ] {
        assert_eq!(pages(app, &query).await.concat(), [], "{query}");
    }
    assert_eq!(places(&app.list(ENDPOINT, handle, &format!("contact_id={}", all[0].contact_id)).await), [all[3]]);
}

#[tokio::test]
async fn what_is_wrong_with_the_query_is_said_at_once() {
    let app = TestApp::new().await;
    let limit = "limit must be an integer from 1 to 1000";
    let cursor = "cursor must be the cursor of a Link header";
    let status = "status must be one of pending in_progress ended paused";
    let all = format!("{limit}; {cursor}; campaign_id must be a valid UUID; {status}; contact_id must be a valid UUID");
    for (query, detail) in [
        ("cursor=AAAAAAAAAAAAAAAAAAAAAA", cursor),
        ("status=", status),
        ("status=PENDING", status),
        ("status=pending&status=ended", "status must be given once"),
        ("campaign_id=all", "campaign_id must be a valid UUID"),
        ("contact_id=", "contact_id must be a valid UUID"),
        ("contact_id=x&status=x&campaign_id=x&cursor=x&limit=x", &all),
    ] {
        let answer = app.list(ENDPOINT, handle, query).await;
        assert_eq!((answer.status, answer.detail()), (400, format!("Validation error: {detail}")), "{query}");
    }
}
