//! The cut-over, rehearsed: what another platform has written is imported, and its clients go on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use shared::RequestContext;
use shared::auth::Principal;
use shared::domain::{
    Activity, Campaign, CampaignFilter, CampaignId, Contact, ContactFilter, ContactId, ContactPatch,
    Import as ImportEntity, ImportFilter, ImportId, TimelineFilter, TimelinePage,
};
use shared::domain::{ApiKeySecret, AuditAction, AuditEntry, AuditFilter, NewContact};
use shared::wire::{FromBody, Resource, Upload};
use uuid::Uuid;

use super::*;
use crate::account::tests::TestTable;
use crate::org::export::{Format, export};

/// The most that is fast on every engine.
const UNLIMITED: NonZeroU32 = NonZeroU32::MAX;
const IMPORTS: usize = 20;
const CAMPAIGNS: usize = 5;
/// Every such contact has activities.
const CONTACTS_PER_TIMELINE: usize = 10;
const ACTIVITIES: usize = 3;

/// The data of another platform.
struct Platform {
    org: OrgId,
    key: ApiKeySecret,
    campaigns: Vec<Value>,
    imports: Vec<Value>,
    /// Newest last.
    contacts: Vec<Value>,
    activities: Vec<Value>,
    leads: Vec<Value>,
}

impl Platform {
    fn new(contacts: usize) -> Self {
        let at = |minutes: usize| {
            let start = shared::domain::time::parse("2021-01-01T00:00:00.123Z").unwrap();
            let minutes = i64::try_from(minutes).unwrap();
            shared::domain::time::to_millis(start + chrono::TimeDelta::minutes(minutes))
        };
        let uuid = || Uuid::new_v4().to_string();
        let campaigns: Vec<_> = (0..CAMPAIGNS)
            .map(|n| {
                let status = if n == 0 { "active" } else { "paused" };
                json!({"type": "campaign", "id": uuid(), "name": format!("Campaign {n}"), "status": status,
                       "lead_magnet": {"name": "Guide", "url": "https://example.com/guide.pdf"},
                       "created_at": at(n), "updated_at": at(n + 100)})
            })
            .collect();
        let imports: Vec<_> = (0..IMPORTS)
            .map(|n| {
                json!({"type": "import", "id": uuid(), "source": "csv", "status": "completed", "total_rows": 7,
                       "campaign_id": campaigns[n % CAMPAIGNS]["id"], "created_at": at(n), "updated_at": at(n)})
            })
            .collect();
        let contacts: Vec<_> = (0..contacts)
            .map(|n| {
                json!({"type": "contact", "id": uuid(), "full_name": format!("Lead {n}"),
                       "email": format!("lead-{n}@example.com"), "linkedin_profile": format!("linkedin.com/in/lead-{n}"),
                       "company": format!("Company {}", n % 50), "metadata": {"n": n},
                       "import_ids": [imports[n % IMPORTS]["id"]], "created_at": at(1_000 + n), "updated_at": at(2_000 + n)})
            })
            .collect();
        let with_timeline = || contacts.iter().step_by(CONTACTS_PER_TIMELINE);
        let activities = with_timeline().flat_map(|contact| {
            let campaign = campaigns[0]["id"].clone();
            (0..ACTIVITIES).map(move |n| {
                json!({"type": "activity", "contact_id": contact["id"], "id": format!("act_{n}"), "event_time": at(9_000 + n),
                       "campaign_id": campaign, "event_type": "message_sent", "event_text": {"message": "Hola"}})
            })
        });
        let leads = with_timeline().map(|contact| {
            json!({"type": "lead", "contact_id": contact["id"], "campaign_id": campaigns[1]["id"], "lead_status": "ended",
                   "created_at": at(8_000), "updated_at": at(8_001)})
        });
        let (activities, leads) = (activities.collect(), leads.collect());
        // Of another length than the keys that this platform makes.
        let key = ApiKeySecret::parse(&format!("sk_live_{}", Uuid::new_v4().simple())).unwrap();
        Self { org: Uuid::new_v4().into(), key, campaigns, imports, contacts, activities, leads }
    }

    /// Every record as a line, those of a type that refers to another one first.
    fn lines(&self) -> Vec<String> {
        let key = json!({"type": "api_key", "sha256": self.key.hash().as_str(), "display_prefix": self.key.display_prefix(),
                         "name": "CRM", "scopes": ["admin"], "created_at": "2021-01-01T00:00:00Z"});
        let organization =
            json!({"type": "organization", "id": self.org, "name": "Tech Corp", "created_at": "2021-01-01T00:00:00Z"});
        let of_few = [key].into_iter().chain(self.imports.clone()).chain(self.campaigns.clone()).chain([organization]);
        let records =
            self.activities.iter().cloned().chain(self.leads.clone()).chain(self.contacts.clone()).chain(of_few);
        records.map(|record| record.to_string()).collect()
    }

    fn write(&self, dir: &Path) -> PathBuf {
        let file = dir.join(format!("{}.ndjson", self.org));
        fs::write(&file, self.lines().join("\n")).unwrap();
        file
    }

    fn import(&self, account: Account, file: &Path) -> Import {
        Import::new(account, self.org, vec![file.to_owned()], UNLIMITED).unwrap()
    }
}

/// A folder of its own, which is removed at the end.
struct TestDir(PathBuf);

impl TestDir {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("org-import-{}", Uuid::new_v4()));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id<T: From<Uuid>>(value: &Value) -> T {
    value["id"].as_str().unwrap().parse::<Uuid>().unwrap().into()
}

fn body<T: FromBody>(body: &Value) -> T {
    T::from_body(&serde_json::value::to_raw_value(body).unwrap()).unwrap()
}

fn view(resource: &impl Resource) -> Value {
    serde_json::to_value(resource.view()).unwrap()
}

/// The ids of records, newest first.
fn newest_first(records: &[Value]) -> Vec<String> {
    records.iter().rev().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of the contacts on all pages.
async fn listed(table: &TestTable, key: &str, filter: &ContactFilter, limit: Option<usize>) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let (ctx, principal) = table.authenticate(key).await.unwrap();
        let page = ctx.contacts(&principal).list::<Contact>(filter, limit, cursor).await.unwrap();
        ids.extend(page.rows.iter().map(|contact| contact.id.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// The number of contacts of the rehearsal: fewer on DynamoDB Local, which is ten times slower.
fn rehearsed_contacts() -> usize {
    if std::env::var("TEST_DYNAMODB_URL").is_ok() { 1_000 } else { 10_000 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_get_the_same_answers_after_an_import_that_was_killed_again_and_again() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let platform = Platform::new(rehearsed_contacts());
    let file = platform.write(&dir.0);

    import_with_kills(&table, &platform, &file).await;

    let key = platform.key.in_clear();
    let (ctx, principal) = table.authenticate(key).await.unwrap();
    assert_eq!(principal.org_id(), platform.org);
    check_lists(&table, &platform).await;
    check_one_contact(&ctx, &principal, &platform).await;
    check_imports(&ctx, &principal, &platform).await;
    check_writes(&ctx, &principal, &platform).await;
}

/// Imports, and drops the import in the middle several times.
async fn import_with_kills(table: &TestTable, platform: &Platform, file: &Path) {
    let mut kills = 0;
    loop {
        let mut import = platform.import(table.options.connect().await.unwrap(), file);
        let time = Duration::from_millis(fastrand::u64(200..3_000) + 2_000 * kills);
        if let Ok(outcome) = tokio::time::timeout(time, import.run(false, OnError::Abort)).await {
            outcome.unwrap();
            let Report { lines, unknown, records, .. } = &import.report;
            let total = records.total();
            assert_eq!((*unknown, total.refused), (0, 0));
            assert_eq!(*lines, u64::try_from(platform.lines().len()).unwrap());
            assert_eq!(total.written + total.already_there, *lines);
            return;
        }
        kills += 1;
    }
}

async fn check_lists(table: &TestTable, platform: &Platform) {
    let key = platform.key.in_clear();
    let expected = newest_first(&platform.contacts);
    for limit in [None, Some(1_000), Some(333)] {
        let ids = listed(table, key, &ContactFilter::default(), limit).await;
        assert!(ids == expected, "limit {limit:?}: {} of {}", ids.len(), expected.len());
    }
    let middle = platform.contacts.len() / 2;
    let created_after = shared::domain::time::parse(platform.contacts[middle]["created_at"].as_str().unwrap()).unwrap();
    let filter = ContactFilter { created_after: Some(created_after), ..ContactFilter::default() };
    assert!(listed(table, key, &filter, None).await == newest_first(&platform.contacts[middle + 1..]));
    let filter = ContactFilter { company: Some("company 7".parse().unwrap()), ..ContactFilter::default() };
    let of_company: Vec<_> = platform.contacts.iter().skip(7).step_by(50).cloned().collect();
    assert_eq!(listed(table, key, &filter, Some(50)).await, newest_first(&of_company));

    let (ctx, principal) = table.authenticate(key).await.unwrap();
    let imports = ctx.imports(&principal).list::<ImportEntity>(&ImportFilter::default(), Some(7), None).await.unwrap();
    let ids: Vec<_> = imports.rows.iter().map(|import| import.id.to_string()).collect();
    assert_eq!(ids, newest_first(&platform.imports)[..7]);
    let campaigns = ctx.campaigns(&principal).list::<Campaign>(&CampaignFilter::default(), None, None).await.unwrap();
    let ids: Vec<_> = campaigns.rows.iter().map(|campaign| campaign.id.to_string()).collect();
    assert_eq!(ids, newest_first(&platform.campaigns));
}

async fn check_one_contact(ctx: &RequestContext, principal: &Principal, platform: &Platform) {
    let contact = &platform.contacts[0];
    let page = TimelinePage { filter: TimelineFilter::Active, page: 0, limit: 50, after: None };
    let (stored, timeline) = ctx.contacts(principal).get::<Activity>(id(contact), &page).await.unwrap();
    assert_eq!(
        view(&stored),
        json!({
            "id": contact["id"],
            "org_id": platform.org,
            "full_name": "Lead 0",
            "email": "lead-0@example.com",
            "linkedin_profile": "https://www.linkedin.com/in/lead-0",
            "company": "Company 0",
            "locale": null,
            "timezone": null,
            "enrichment": {"n": 0},
            "created_at": "2021-01-01T16:40:00Z",
            "updated_at": "2021-01-02T09:20:00Z",
        })
    );
    let ids: Vec<_> = timeline.activities.iter().map(|activity| activity.id.as_str().to_owned()).collect();
    assert_eq!(ids, ["act_0", "act_1", "act_2"]);
}

async fn check_imports(ctx: &RequestContext, principal: &Principal, platform: &Platform) {
    let import = &platform.imports[3];
    let import_id: ImportId = id(import);
    let (stored, count) = ctx.imports(principal).get(import_id).await.unwrap();
    assert_eq!(view(&stored)["updated_at"], json!("2021-01-01T00:03:00Z"));
    assert_eq!(count, u64::try_from(platform.contacts.len() / IMPORTS).unwrap());
    // A paused campaign that shares no account: every contact of the import becomes a lead.
    let campaign: CampaignId = id(&platform.campaigns[2]);
    let linked = ctx.leads(principal).link(campaign, &[import_id].into()).await.unwrap();
    assert_eq!(
        (linked.contacts, linked.inserted),
        (platform.contacts.len() / IMPORTS, platform.contacts.len() / IMPORTS)
    );
}

async fn check_writes(ctx: &RequestContext, principal: &Principal, platform: &Platform) {
    let contacts = ctx.contacts(principal);
    let (first, second): (ContactId, ContactId) = (id(&platform.contacts[1]), id(&platform.contacts[2]));
    let patch: ContactPatch = body(&json!({"locale": "es-ES"}));
    let updated = contacts.update(first, &patch, None).await.unwrap();
    assert_eq!(view(&updated)["locale"], json!("es-ES"));
    contacts.delete(second, None).await.unwrap();
    let again: NewContact =
        body(&json!({"full_name": "New", "email": "lead-2@example.com", "linkedin_profile": "linkedin.com/in/new"}));
    contacts.create(&contacts.draft(again, None), None).await.unwrap();

    let rows =
        json!([{"full_name": "Upserted", "email": "lead-3@example.com", "linkedin_profile": "linkedin.com/in/lead-3"}]);
    let upload = Upload::from_json(rows.to_string().as_bytes()).unwrap();
    let plan = contacts.carry_out(contacts.plan(&upload.valid, None).await.unwrap()).await.unwrap();
    let report = serde_json::to_value(upload.report(&plan).view(false, None)).unwrap();
    assert_eq!((&report["updated"], &report["details"][0]["id"]), (&json!(1), &platform.contacts[3]["id"]));

    let newest = platform.contacts.len() - 1;
    let page = contacts.list::<Contact>(&ContactFilter::default(), Some(2), None).await.unwrap();
    let ids: Vec<_> = page.rows.iter().map(|contact| contact.id.to_string()).collect();
    assert_eq!(ids[1], platform.contacts[newest]["id"].as_str().unwrap(), "a new contact is before all migrated ones");
}

#[tokio::test]
async fn an_invalid_line_stops_all_or_is_left_out() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let platform = Platform::new(2);
    let mut lines = platform.lines();
    lines.insert(1, r#"{"type":"contact","id":"x"}"#.to_owned());
    lines.insert(2, "no JSON".to_owned());
    let file = dir.0.join("lines.ndjson");
    fs::write(&file, lines.join("\n")).unwrap();

    let mut aborted = platform.import(table.options.connect().await.unwrap(), &file);
    let error = aborted.run(false, OnError::Abort).await.unwrap_err().to_string();
    assert!(error.starts_with("2 lines are not valid, so nothing is written"), "{error}");
    assert!(table.authenticate(platform.key.in_clear()).await.is_err());

    fs::remove_file(dir.0.join("lines.ndjson.rejected.ndjson")).unwrap();
    let mut skipped = platform.import(table.options.connect().await.unwrap(), &file);
    let error = skipped.run(false, OnError::Skip).await.unwrap_err().to_string();
    assert!(error.starts_with("2 lines are not stored"), "{error}");
    let rejected = fs::read_to_string(dir.0.join("lines.ndjson.rejected.ndjson")).unwrap();
    let rejected: Vec<_> = rejected.lines().collect();
    assert!(
        rejected[0].starts_with(
            r#"{"rejected":"line 2: Validation error: id must be a valid UUID; full_name field is required"#
        ),
        "{rejected:?}"
    );
    assert!(rejected[0].ends_with(r#","type":"contact","id":"x"}"#) && rejected[1] == "no JSON", "{rejected:?}");
    let total = skipped.report.records.total();
    assert_eq!(total.written, skipped.report.lines - 2);
}

#[tokio::test]
async fn a_dry_run_notices_a_missing_organization_and_a_missing_table() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let platform = Platform::new(1);
    let (all, contact) = (platform.write(&dir.0), dir.0.join("contact.ndjson"));
    fs::write(&contact, platform.contacts[0].to_string()).unwrap();

    let mut complete = platform.import(table.options.connect().await.unwrap(), &all);
    complete.run(true, OnError::Abort).await.unwrap();
    let report = complete.report.to_string();
    assert!(report.contains("It did not see which emails stored contacts have"), "{report}");
    let unknown = platform.import(table.options.connect().await.unwrap(), &contact).run(true, OnError::Abort).await;
    let unreachable = platform.import(table.nowhere().connect().await.unwrap(), &all).run(true, OnError::Abort).await;

    assert_eq!(unknown.unwrap_err().to_string(), no_profile(platform.org));
    assert!(unreachable.unwrap_err().to_string().starts_with("cannot use the table nowhere"));
    let (ctx, operator) = table.account.call(platform.org);
    assert_eq!(ctx.organizations(&operator).get().await.unwrap(), None, "a dry run writes nothing");
}

#[tokio::test]
async fn rejected_lines_are_written_to_new_files_of_their_own_which_only_the_operator_reads() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let files = ["leads.001", "leads.002"].map(|name| dir.0.join(name));
    for file in &files {
        fs::write(file, file.display().to_string()).unwrap();
    }
    let org: OrgId = Uuid::new_v4().into();
    let (ctx, operator) = table.account.call(org);
    ctx.organizations(&operator).create("Acme".parse().unwrap()).await.unwrap();

    let mut import = Import::new(table.account, org, files.to_vec(), UNLIMITED).unwrap();
    import.run(false, OnError::Abort).await.unwrap_err();

    for (file, rejected) in files.iter().zip(&import.report.rejected_files) {
        assert_eq!(*rejected, PathBuf::from(format!("{}.rejected.ndjson", file.display())));
        assert_eq!(fs::read_to_string(rejected).unwrap(), format!("{}\n", file.display()));
        assert_eq!(fs::metadata(rejected).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(import.report.rejected_files.len(), 2);
}

#[tokio::test]
async fn an_import_that_would_overwrite_rejected_lines_does_not_begin() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let [leads, rejected] = ["leads.ndjson", "leads.ndjson.rejected.ndjson"].map(|name| dir.0.join(name));
    fs::write(&leads, "").unwrap();
    fs::write(&rejected, "corrected").unwrap();

    let exists = "exists already: import the lines that it has, then rename or remove it, and run the command again";
    let both = "has the rejected lines of another file here: import the one without the other";
    let cases = [
        (vec![leads.clone()], format!("{} {exists}", rejected.display())),
        (vec![leads.clone(), rejected.clone()], format!("{} {both}", rejected.display())),
        (vec![leads.clone(), leads.clone()], format!("{} is named twice: name each file once", leads.display())),
    ];
    for (files, expected) in cases {
        let account = table.options.connect().await.unwrap();
        let refused = Import::new(account, Uuid::new_v4().into(), files, UNLIMITED).map(|_| ());
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
    assert_eq!(fs::read_to_string(&rejected).unwrap(), "corrected");
}

#[tokio::test]
async fn a_file_that_appears_at_the_path_of_rejected_lines_is_kept() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let [leads, rejected] = ["leads.ndjson", "leads.ndjson.rejected.ndjson"].map(|name| dir.0.join(name));
    fs::write(&leads, "no JSON").unwrap();

    let mut import = Import::new(table.account, Uuid::new_v4().into(), vec![leads], UNLIMITED).unwrap();
    fs::write(&rejected, "of another run").unwrap();
    let error = import.run(false, OnError::Skip).await.unwrap_err();

    assert_eq!(error.to_string(), format!("cannot write {}", rejected.display()));
    assert_eq!(fs::read_to_string(&rejected).unwrap(), "of another run");
}

#[tokio::test]
async fn an_import_overwrites_nothing_and_reports_what_it_refuses() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let platform = Platform::new(3);
    let file = platform.write(&dir.0);
    platform.import(table.options.connect().await.unwrap(), &file).run(false, OnError::Abort).await.unwrap();
    let (ctx, principal) = table.authenticate(platform.key.in_clear()).await.unwrap();
    let changed: ContactId = id(&platform.contacts[0]);
    ctx.contacts(&principal).update(changed, &body(&json!({"full_name": "Changed"})), None).await.unwrap();

    let mut other = platform.contacts[1].clone();
    other["id"] = json!(Uuid::new_v4());
    let lost = json!({"type": "activity", "contact_id": Uuid::new_v4(), "id": "a", "event_time": "2021-01-01T00:00:00Z",
                      "event_type": "x"});
    let more = dir.0.join("more.ndjson");
    fs::write(&more, format!("{other}\n{lost}\n")).unwrap();
    let files = vec![file, more];
    let mut again = Import::new(table.options.connect().await.unwrap(), platform.org, files, UNLIMITED).unwrap();
    let error = again.run(false, OnError::Abort).await.unwrap_err().to_string();

    assert!(error.starts_with("2 lines are not stored"), "{error}");
    let total = again.report.records.total();
    assert_eq!((total.written, total.already_there, total.refused), (0, again.report.lines - 2, 2));
    let rejected = fs::read_to_string(dir.0.join("more.ndjson.rejected.ndjson")).unwrap();
    assert!(rejected.contains("line 1: email belongs to another contact"), "{rejected}");
    assert!(rejected.contains("line 2: contact_id names no contact"), "{rejected}");
    let page = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 50, after: None };
    let (contact, _) = ctx.contacts(&principal).get::<Activity>(changed, &page).await.unwrap();
    assert_eq!(contact.details.full_name.as_str(), "Changed");
}

#[tokio::test]
async fn an_export_is_imported_as_it_was() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let platform = Platform::new(120);
    let file = platform.write(&dir.0);
    platform.import(table.options.connect().await.unwrap(), &file).run(false, OnError::Abort).await.unwrap();
    let first = dir.0.join("first.ndjson");
    export(&table.account, platform.org, Format::Ndjson, &first).await.unwrap();

    let copy = TestTable::new().await;
    let mut import = platform.import(copy.options.connect().await.unwrap(), &first);
    import.run(false, OnError::Abort).await.unwrap();
    let second = dir.0.join("second.ndjson");
    let report = export(&copy.account, platform.org, Format::Ndjson, &second).await.unwrap();

    let (first, second) = (fs::read_to_string(first).unwrap(), fs::read_to_string(second).unwrap());
    assert_eq!(first, second);
    assert_eq!(report.records.total().written, import.report.lines);
    let of_platform = platform.lines().len() + 50;
    assert_eq!(
        import.report.lines,
        u64::try_from(of_platform).unwrap(),
        "the records of the platform, and the companies"
    );
    let (ctx, operator) = table.account.call(platform.org);
    let exports = AuditFilter { action: Some(AuditAction::OrganizationExported), ..AuditFilter::default() };
    let log = ctx.audit_log(&operator).list::<AuditEntry>(&exports, None, None).await.unwrap();
    assert_eq!(log.rows.len(), 1);

    let csv = dir.0.join("contacts.csv");
    export(&table.account, platform.org, Format::Csv, &csv).await.unwrap();
    let csv = fs::read_to_string(csv).unwrap();
    let mut lines = csv.lines();
    let header = "id,full_name,email,linkedin_profile,company,locale,timezone,metadata,created_at,updated_at";
    assert_eq!(lines.next(), Some(header));
    assert_eq!(lines.count(), platform.contacts.len());
}

#[tokio::test]
async fn contacts_of_several_partitions_are_listed_and_exported_after_an_import() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let mut platform = Platform::new(4);
    platform.activities.clear();
    platform.leads.clear();
    // Of version 7, in partitions 1 and 31, and of version 8 from elsewhere, which has no mark.
    let ids = [
        "019261b3-6600-7abc-8000-000000000005",
        "019261b3-7000-8c0a-8100-000000000005",
        "019261b3-8000-8c0a-9f00-000000000005",
        "019261b3-9000-8abc-8100-000000000005",
    ];
    for (contact, id) in platform.contacts.iter_mut().zip(ids) {
        contact["id"] = json!(id);
    }
    let file = platform.write(&dir.0);
    for _ in 0..2 {
        platform.import(table.options.connect().await.unwrap(), &file).run(false, OnError::Abort).await.unwrap();
    }

    let newest_first = [ids[2], ids[1], ids[0], ids[3]];
    let all = ContactFilter::default();
    assert_eq!(listed(&table, platform.key.in_clear(), &all, Some(2)).await, newest_first, "migrated ones come last");
    let (ctx, principal) = table.authenticate(platform.key.in_clear()).await.unwrap();
    for id in ids {
        let page = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 1, after: None };
        let id: ContactId = id.parse().unwrap();
        assert_eq!(ctx.contacts(&principal).get::<Activity>(id, &page).await.unwrap().0.id, id);
    }
    let jane: NewContact = body(
        &json!({"full_name": "Jane Doe", "email": "jane@example.com", "linkedin_profile": "linkedin.com/in/jane"}),
    );
    let new = ctx.contacts(&principal).draft(jane, None);
    assert_eq!(contact_partitions::partition(new.id), None, "new contacts are not spread by an import");
    let copy = dir.0.join("copy.ndjson");
    let report = export(&table.account, platform.org, Format::Ndjson, &copy).await.unwrap();
    assert_eq!(report.records.0[&RecordType::Contact].written, 4);
}

#[tokio::test]
async fn a_contact_whose_id_names_a_partition_in_the_future_is_refused() {
    let (table, dir) = (TestTable::new().await, TestDir::new());
    let mut platform = Platform::new(4);
    platform.activities.clear();
    platform.leads.clear();
    let tomorrow = shared::domain::ids::first_uuid_at(chrono::Utc::now() + chrono::TimeDelta::days(1)).to_string();
    let ids = [
        "019261b3-7000-8c0a-8100-000000000005".to_owned(),
        format!("{}-8c0a-9f00-000000000005", &tomorrow[..13]),
        // In the year 10889, which is not stored.
        "ffffffff-ffff-8c0a-9f00-000000000005".to_owned(),
        // Without the mark, an id of any time is stored.
        "ffffffff-ffff-8abc-8100-000000000005".to_owned(),
    ];
    for (contact, id) in platform.contacts.iter_mut().zip(&ids) {
        contact["id"] = json!(id);
    }
    let file = platform.write(&dir.0);

    let mut import = platform.import(table.options.connect().await.unwrap(), &file);
    let error = import.run(false, OnError::Skip).await.unwrap_err().to_string();

    assert!(error.starts_with("2 lines are not stored"), "{error}");
    let rejected = fs::read_to_string(&import.report.rejected_files[0]).unwrap();
    let reason = "id must not have the third group 8c0a and a time in the future";
    assert_eq!(rejected.matches(reason).count(), 2, "{rejected}");
    let listed = listed(&table, platform.key.in_clear(), &ContactFilter::default(), None).await;
    assert_eq!(listed, [ids[0].clone(), ids[3].clone()]);
    let (ctx, operator) = table.account.call(platform.org);
    let changed = ctx.organizations(&operator).partition_contacts(8).await.unwrap();
    assert!(matches!(changed, Repartition::Changed(_)), "{changed:?}");
}
