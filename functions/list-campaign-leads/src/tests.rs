//! Requests through `serve` and `handle`. Each test has a table of its own.

use chrono::TimeDelta;
use serde_json::json;
use shared::Response;
use shared::domain::{CampaignId, ContactId, LeadKey};
use shared::dynamodb::keys;
use shared::testing::{TestApp, TestRequest, TestResponse, jane, parse_body};
use uuid::Uuid;

use super::{ENDPOINT, handle};

shared::every_endpoint!(
    ENDPOINT, handle:
    routes, credentials, rate_limits, suspension, order_of_refusals, request_ids, bugs, unavailable, lists
);

/// The keys of the leads that a response has, in its order.
fn lead_keys(response: &TestResponse) -> Vec<LeadKey> {
    let ids = |field: &str| response.values_of(field).into_iter().map(|id| id.parse::<Uuid>().unwrap());
    let pairs = ids("campaign_id").zip(ids("contact_id"));
    pairs.map(|(campaign, contact)| LeadKey { campaign_id: campaign.into(), contact_id: contact.into() }).collect()
}

async fn list(app: &TestApp, query: &str) -> Vec<LeadKey> {
    lead_keys(&app.list(ENDPOINT, handle, query).await)
}

/// The leads of every page from this query on.
async fn pages(app: &TestApp, query: &str) -> Vec<Vec<LeadKey>> {
    app.list_all_pages(ENDPOINT, handle, query).await.iter().map(lead_keys).collect()
}

/// Campaigns and contacts, each created one second after the previous one. Every contact is a lead of every campaign.
struct Leads {
    app: TestApp,
    /// Every lead in the order of the list: newest campaign first, in it newest contact first.
    all: Vec<LeadKey>,
}

impl Leads {
    async fn new(campaigns: usize, contacts: usize) -> Self {
        let app = TestApp::new().await;
        let import = app.create_import(&app.org).await;
        let mut contact_ids: Vec<ContactId> = Vec::new();
        for n in 0..contacts {
            app.advance_clock(TimeDelta::seconds(1));
            let contact = app.create_contact(&app.org, jane(&format!("{n}@example.com")), Some(import)).await;
            contact_ids.insert(0, contact.id);
        }
        let mut campaign_ids: Vec<CampaignId> = Vec::new();
        for _ in 0..campaigns {
            app.advance_clock(TimeDelta::seconds(1));
            let campaign = app.create_campaign(json!({"name": "Q1"})).await;
            app.link_imports(campaign.id, &[import]).await;
            campaign_ids.insert(0, campaign.id);
        }
        let mut all = Vec::new();
        for campaign_id in &campaign_ids {
            for contact_id in &contact_ids {
                all.push(LeadKey { campaign_id: *campaign_id, contact_id: *contact_id });
            }
        }
        Self { app, all }
    }

    fn of_campaign(&self, campaign: CampaignId) -> Vec<LeadKey> {
        self.all.iter().copied().filter(|lead| lead.campaign_id == campaign).collect()
    }

    fn of_contact(&self, contact: ContactId) -> Vec<LeadKey> {
        self.all.iter().copied().filter(|lead| lead.contact_id == contact).collect()
    }

    async fn set_status(&self, lead: LeadKey, status: &str) {
        let leads = self.app.ctx().leads(&self.app.principal(&self.app.org).await);
        leads.update(lead.lead_id(), &parse_body(json!({"lead_status": status}))).await.unwrap();
    }

    async fn delete_contact(&self, contact: ContactId) {
        let contacts = self.app.ctx().contacts(&self.app.principal(&self.app.org).await);
        contacts.delete(contact, None).await.unwrap();
    }

    async fn delete_campaign(&self, campaign: CampaignId) {
        let campaigns = self.app.ctx().campaigns(&self.app.principal(&self.app.org).await);
        campaigns.delete(campaign).await.unwrap();
    }
}

#[tokio::test]
async fn leads_are_listed_newest_campaign_first_in_the_form_of_a_single_lead() {
    let app = TestApp::new().await;
    let one = app.create_lead().await;
    app.advance_clock(TimeDelta::seconds(1));
    let two = app.create_lead().await;

    let response = app.list(ENDPOINT, handle, "").await;

    let one_alone = |row| serde_json::to_value(Response::ok(row)).unwrap()["body"].as_str().unwrap().to_owned();
    assert_eq!(response.status, 200);
    assert_eq!(response.text, format!("[{},{}]", one_alone(&two), one_alone(&one)));
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.header("link"), "");
}

#[tokio::test]
async fn a_filter_finds_no_leads_of_another_organization() {
    let app = TestApp::new().await;
    let lead = app.create_lead().await;
    for query in [format!("contact_id={}", lead.key.contact_id), format!("campaign_id={}", lead.key.campaign_id)] {
        let request = TestRequest::to(ENDPOINT, &app.other).query(&query);
        assert_eq!(app.send(ENDPOINT, handle, &request).await.text, "[]", "{query}");
    }
}

#[tokio::test]
async fn the_list_is_filtered_by_campaign_contact_and_status() {
    let leads = Leads::new(3, 4).await;
    let all = &leads.all;
    for (lead, status) in [(all[0], "ended"), (all[5], "ended"), (all[6], "paused"), (all[11], "in_progress")] {
        leads.set_status(lead, status).await;
    }
    let (campaign, contact, unknown) = (all[4].campaign_id, all[5].contact_id, Uuid::now_v7());
    let campaign_in_upper_case = campaign.to_string().to_uppercase();
    for (query, expected) in [
        // No filter.
        (String::new(), all.clone()),
        ("unknown=x".to_owned(), all.clone()),
        // By campaign and contact.
        (format!("campaign_id={campaign}"), leads.of_campaign(campaign)),
        (format!("campaign_id={campaign_in_upper_case}"), leads.of_campaign(campaign)),
        (format!("contact_id={contact}"), leads.of_contact(contact)),
        (format!("campaign_id={campaign}&contact_id={contact}"), vec![all[5]]),
        // By status.
        ("status=ended".to_owned(), vec![all[0], all[5]]),
        ("status=in_progress".to_owned(), vec![all[11]]),
        // By status and another filter.
        (format!("status=paused&campaign_id={campaign}"), vec![all[6]]),
        (format!("status=pending&campaign_id={campaign}"), vec![all[4], all[7]]),
        (format!("status=ended&contact_id={contact}"), vec![all[5]]),
        (format!("status=paused&campaign_id={campaign}&contact_id={contact}"), vec![]),
        // By an unknown campaign or contact.
        (format!("campaign_id={unknown}"), vec![]),
        (format!("contact_id={unknown}"), vec![]),
        (format!("campaign_id={campaign}&contact_id={unknown}"), vec![]),
        (format!("campaign_id={unknown}&contact_id={contact}"), vec![]),
    ] {
        assert_eq!(list(&leads.app, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn the_pages_together_are_the_list() {
    let leads = Leads::new(3, 4).await;
    let all = &leads.all;
    let (campaign, contact) = (all[4].campaign_id, all[1].contact_id);
    for (query, lengths, expected) in [
        // No filter.
        ("limit=5".to_owned(), vec![5, 5, 2], all.clone()),
        ("limit=4".to_owned(), vec![4, 4, 4], all.clone()),
        ("limit=12".to_owned(), vec![12], all.clone()),
        ("limit=1".to_owned(), vec![1; 12], all.clone()),
        // Filtered.
        (format!("limit=3&campaign_id={campaign}"), vec![3, 1], leads.of_campaign(campaign)),
        (format!("limit=2&contact_id={contact}"), vec![2, 1], leads.of_contact(contact)),
        (format!("limit=1&contact_id={contact}"), vec![1, 1, 1], leads.of_contact(contact)),
        (format!("limit=1&contact_id={contact}&campaign_id={campaign}"), vec![1], vec![all[5]]),
        ("limit=5&status=pending".to_owned(), vec![5, 5, 2], all.clone()),
    ] {
        let pages = pages(&leads.app, &query).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{query}");
        assert_eq!(pages.concat(), expected, "{query}");
    }
}

#[tokio::test]
async fn the_pages_of_a_rare_status_together_are_the_list() {
    let leads = Leads::new(3, 4).await;
    leads.set_status(leads.all[2], "ended").await;
    leads.set_status(leads.all[11], "ended").await;

    let pages = pages(&leads.app, "limit=1&status=ended").await;

    assert_eq!(pages.concat(), [leads.all[2], leads.all[11]]);
}

#[tokio::test]
async fn changes_between_two_pages_neither_skip_nor_repeat_a_row() {
    let leads = Leads::new(2, 4).await;
    let (app, all) = (&leads.app, &leads.all);
    let first = app.list(ENDPOINT, handle, "limit=3").await;
    assert_eq!(lead_keys(&first), all[..3]);
    let next = first.next_page_query(ENDPOINT).unwrap();

    app.advance_clock(TimeDelta::seconds(1));
    let new = app.create_lead().await;
    leads.set_status(all[4], "ended").await;
    // The contact of the last row of the first page. Its other lead, `all[6]`, is on a later page.
    leads.delete_contact(all[2].contact_id).await;

    assert_eq!(list(app, &next).await, [all[3], all[4], all[5]]);
    assert_eq!(pages(app, &next).await.concat(), [all[3], all[4], all[5], all[7]]);
    assert_eq!(list(app, "limit=1").await, [new.key]);
}

#[tokio::test]
async fn a_cursor_of_a_list_with_other_filters_is_a_position_in_this_list() {
    let leads = Leads::new(3, 2).await;
    let (app, all) = (&leads.app, &leads.all);
    let cursor_after = async |rows: usize| {
        let page = app.list(ENDPOINT, handle, &format!("limit={rows}")).await;
        page.next_page_query(ENDPOINT).unwrap().split_once("cursor=").unwrap().1.to_owned()
    };
    let (after_first, after_fifth) = (cursor_after(1).await, cursor_after(5).await);
    let (newest, oldest, contact) = (all[0].campaign_id, all[5].campaign_id, all[5].contact_id);
    for (query, expected) in [
        (format!("campaign_id={oldest}&cursor={after_first}"), vec![all[4], all[5]]),
        (format!("campaign_id={newest}&cursor={after_fifth}"), vec![]),
        (format!("contact_id={contact}&cursor={after_first}"), vec![all[1], all[3], all[5]]),
        (format!("contact_id={contact}&cursor={after_fifth}"), vec![all[5]]),
        (format!("contact_id={contact}&campaign_id={newest}&cursor={after_fifth}"), vec![]),
        (format!("contact_id={contact}&campaign_id={oldest}&cursor={after_first}"), vec![all[5]]),
    ] {
        assert_eq!(list(app, &query).await, expected, "{query}");
    }
}

/// Stores a pending lead without looking at its contact and its campaign, as a late writer does.
async fn put_lead(app: &TestApp, lead: LeadKey) {
    let mut item = json!({
        "type": {"S": "lead"},
        "campaign_id": {"S": lead.campaign_id},
        "contact_id": {"S": lead.contact_id},
        "lead_status": {"S": "pending"},
        "created_at": {"S": "2024-10-06T12:00:00.000Z"},
        "updated_at": {"S": "2024-10-06T12:00:00.000Z"},
    });
    for (name, value) in keys::lead_in_indexes(app.org.org_id, lead) {
        item[name] = json!({"S": value});
    }
    app.put_item(&keys::lead(app.org.org_id, lead), item).await;
}

#[tokio::test]
async fn leads_of_a_deleted_campaign_and_of_a_deleted_contact_are_hidden() {
    let leads = Leads::new(2, 3).await;
    let (app, all) = (&leads.app, &leads.all);
    let (deleted_campaign, deleted_contact) = (all[0].campaign_id, all[4].contact_id);
    leads.delete_campaign(deleted_campaign).await;
    leads.delete_contact(deleted_contact).await;
    put_lead(app, all[4]).await;
    assert_eq!(app.count_items("lead").await, 5, "the leads are still stored");
    let (other_campaign, other_contact) = (all[3].campaign_id, all[0].contact_id);
    for (query, expected) in [
        // Lists that would have hidden and visible leads.
        (String::new(), vec![all[3], all[5]]),
        ("status=pending".to_owned(), vec![all[3], all[5]]),
        ("limit=1".to_owned(), vec![all[3], all[5]]),
        (format!("campaign_id={other_campaign}"), vec![all[3], all[5]]),
        (format!("contact_id={other_contact}"), vec![all[3]]),
        // Lists that would have hidden leads only.
        (format!("campaign_id={deleted_campaign}"), vec![]),
        (format!("contact_id={deleted_contact}"), vec![]),
        (format!("contact_id={other_contact}&campaign_id={deleted_campaign}"), vec![]),
    ] {
        assert_eq!(pages(app, &query).await.concat(), expected, "{query}");
    }
}

#[tokio::test]
async fn an_invalid_query_is_a_validation_error() {
    let app = TestApp::new().await;
    let status = "status must be one of pending in_progress ended paused";
    let all_parameters = "limit must be an integer from 1 to 1000; \
                          cursor must be the cursor of a Link header; \
                          campaign_id must be a valid UUID; \
                          status must be one of pending in_progress ended paused; \
                          contact_id must be a valid UUID";
    for (query, detail) in [
        ("cursor=AAAAAAAAAAAAAAAAAAAAAA", "cursor must be the cursor of a Link header"),
        ("status=PENDING", status),
        ("status=pending&status=ended", "status must be given once"),
        ("campaign_id=all", "campaign_id must be a valid UUID"),
        ("contact_id=x&status=x&campaign_id=x&cursor=x&limit=x", all_parameters),
    ] {
        let response = app.list(ENDPOINT, handle, query).await;
        assert_eq!(response.status, 400, "{query}: {}", response.text);
        assert_eq!(response.detail(), format!("Validation error: {detail}"), "{query}");
    }
}
