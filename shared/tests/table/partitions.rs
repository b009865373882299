//! An organization gets further partitions for its contacts while it reads and writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::App;
use shared::auth::{Credentials, Principal};
use shared::domain::contact_partitions::{LEAD_TIME, ScheduleError, partition};
use shared::domain::{Activity, AuditAction, Contact, ContactFilter, ContactId, TimelineFilter, TimelinePage};
use shared::dynamodb::keys::Key;
use shared::dynamodb::{CreationPosition, Cursor, Parent};
use shared::repositories::{Contacts, Page, Repartition, RowOutcome};
use shared::testing::costs::CostCase;
use shared::testing::fault::Operation;
use shared::testing::{TestApp, contact_patch, deadline, jane, new_contact};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bulk::{row, upload};
use crate::cascade::process_removal;
use crate::costs::assert_cost;
use crate::faults::transient_faults;

/// The longest time that a process knows an earlier profile.
const CACHED: TimeDelta = TimeDelta::seconds(60);

/// A test whose organization has a profile, and whose clock moves only when the test moves it.
async fn test_with_profile() -> TestApp {
    let test = TestApp::new().await;
    test.stop_clock();
    test.organization().create("Acme".parse().unwrap()).await.unwrap().unwrap();
    test
}

/// Gives an organization this number of partitions, and waits until they are in force everywhere.
async fn partition_at_once(test: &TestApp, count: u8) {
    let changed = test.organization().partition_contacts(count).await.unwrap();
    assert!(matches!(changed, Repartition::Changed(_)), "{changed:?}");
    test.advance_clock(LEAD_TIME);
}

/// The contacts of the organization as a request to a process reaches them.
async fn contacts_in(test: &TestApp, process: &App) -> Contacts {
    let ctx = process.request_context(deadline(), "test");
    let credentials = Credentials { api_key: Some(test.org.admin_key.in_clear()), authorization: None };
    ctx.contacts(&ctx.authenticate(credentials).await.unwrap())
}

/// A new contact with an email of its own.
fn draft(contacts: &Contacts) -> Contact {
    contacts.draft(new_contact(jane(&format!("{}@example.com", Uuid::new_v4()))), None)
}

async fn create(contacts: &Contacts) -> ContactId {
    let contact = draft(contacts);
    contacts.create(&contact, None).await.unwrap();
    contact.id
}

/// Creates a contact in each of these partitions, newest last, a millisecond after the other.
async fn create_in_each(test: &TestApp, partitions: usize) -> Vec<ContactId> {
    let mut created = Vec::with_capacity(partitions);
    for wanted in 0..partitions {
        test.advance_clock(TimeDelta::milliseconds(1));
        let contacts = contacts_in(test, &test.app).await;
        let contact = loop {
            let draft = draft(&contacts);
            if number(draft.id) == wanted {
                break draft;
            }
        };
        contacts.create(&contact, None).await.unwrap();
        created.push(contact.id);
    }
    created
}

/// The body of an activity.
fn activity() -> Value {
    json!({"event_type": "x", "event_time": "2024-04-18T10:15:00Z"})
}

fn number(id: ContactId) -> usize {
    partition(id).map_or(0, |number| number.get().into())
}

async fn page(
    contacts: &Contacts,
    limit: Option<usize>,
    cursor: Option<Cursor<CreationPosition>>,
) -> Page<Contact, CreationPosition> {
    contacts.list(&ContactFilter::default(), limit, cursor).await.unwrap()
}

/// The ids of a list, read page by page.
async fn list(contacts: &Contacts, limit: Option<usize>) -> Vec<ContactId> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let Page { rows, next } = page(contacts, limit, cursor).await;
        ids.extend(rows.iter().map(|contact| contact.id));
        cursor = next;
        if cursor.is_none() {
            return ids;
        }
    }
}

#[tokio::test]
async fn contacts_of_all_times_are_one_list_and_each_is_read_updated_and_deleted_by_its_id() {
    let test = test_with_profile().await;
    let mut ids = create_in_each(&test, 1).await;
    for count in [4, 2, 1, 8] {
        partition_at_once(&test, count).await;
        ids.extend(create_in_each(&test, count.into()).await);
        test.advance_clock(TimeDelta::minutes(1));
    }
    let contacts = contacts_in(&test, &test.app).await;

    let listed = list(&contacts, Some(3)).await;

    assert!(listed.is_sorted_by(|newer, older| newer > older), "newest first, and each once");
    assert!(ids.iter().all(|id| listed.contains(id)));
    assert_eq!(list(&contacts, None).await, listed);
    for id in ids {
        let page = TimelinePage { filter: TimelineFilter::Any, page: 0, limit: 1, after: None };
        assert_eq!(contacts.get::<Activity>(id, &page).await.unwrap().0.id, id);
        let updated = contacts.update(id, &contact_patch(json!({"locale": "es-ES"})), None).await.unwrap();
        test.record_activity(id, activity()).await;
        contacts.delete(id, None).await.unwrap();
        assert_eq!((test.stored_contact(id).await, updated.id), (None, id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_every_contact_once_while_others_write_and_the_partitions_change() {
    let test = test_with_profile().await;
    let processes: Vec<_> = (0..4).map(|_| test.start_plain_process()).collect();
    let world = World::default();
    let (test, world) = (&test, &world);
    let writers = processes.iter().map(|process| world.write(test, process));
    let uploaders = processes.iter().take(2).map(|process| world.upload(test, process));
    let readers = processes.iter().zip([3, 25, 100]).map(|(process, limit)| world.read(test, process, limit));
    let change = async {
        for count in [4, 16, 3, 1] {
            world.wait_for_work().await;
            let changed = test.organization().partition_contacts(count).await.unwrap();
            assert!(matches!(changed, Repartition::Changed(_)), "{changed:?}");
            let second = TimeDelta::seconds(1);
            // While some processes know the change, while all do, just before it begins, and since it has begun.
            for step in [second * 30, second * 30, LEAD_TIME - second * 61, second, second] {
                world.wait_for_work().await;
                test.advance_clock(step);
            }
        }
        world.wait_for_work().await;
        world.has_ended.store(true, Ordering::SeqCst);
    };
    tokio::join!(join_all(writers), join_all(uploaders), join_all(readers), change);

    let contacts = contacts_in(test, &test.app).await;
    let listed: BTreeSet<_> = list(&contacts, Some(50)).await.into_iter().collect();
    let (created, deleted) = (world.created.lock().unwrap().clone(), world.deleted.lock().unwrap().clone());
    assert_eq!(listed, created.difference(&deleted).copied().collect());
    assert_eq!(test.count_items("contact").await, listed.len());
    assert_eq!(test.count_items("email_lock").await, listed.len());
    let used: BTreeSet<_> = created.iter().map(|id| number(*id)).collect();
    assert!(used.len() > 4, "the contacts of each change have their partitions: {used:?}");
}

/// What the tasks of a test know of each other's writes.
#[derive(Default)]
struct World {
    created: Mutex<BTreeSet<ContactId>>,
    /// Contacts whose deletion has begun.
    deleted: Mutex<BTreeSet<ContactId>>,
    /// Is notified of every write and of every list that was read.
    work: Notify,
    uploads: AtomicUsize,
    has_ended: AtomicBool,
}

impl World {
    /// Creates, updates, reads and deletes contacts until the end.
    async fn write(&self, test: &TestApp, process: &App) {
        let mut own = Vec::new();
        while !self.has_ended.load(Ordering::SeqCst) {
            let contacts = contacts_in(test, process).await;
            let id = create(&contacts).await;
            self.created.lock().unwrap().insert(id);
            own.push(id);
            let older = own[own.len() / 2];
            let locale = if own.len() % 2 == 0 { "es-ES" } else { "en-US" };
            contacts.update(older, &contact_patch(json!({"locale": locale})), None).await.unwrap();
            assert!(test.stored_contact(older).await.is_some());
            if own.len() % 4 == 0 {
                let id = own.swap_remove(own.len() / 3);
                self.deleted.lock().unwrap().insert(id);
                contacts.delete(id, None).await.unwrap();
            }
            self.work.notify_one();
        }
    }

    /// Uploads new and known rows until the end.
    async fn upload(&self, test: &TestApp, process: &App) {
        while !self.has_ended.load(Ordering::SeqCst) {
            let contacts = contacts_in(test, process).await;
            let first = self.uploads.fetch_add(10, Ordering::SeqCst);
            let rows = upload((first..first + 20).map(row));
            let plan = contacts.plan(&rows.valid, None).await.unwrap();
            let plan = contacts.carry_out(plan).await.unwrap();
            let mut created = self.created.lock().unwrap();
            for (_, outcome) in plan.outcomes() {
                match outcome {
                    RowOutcome::Created(contact) | RowOutcome::Updated(contact) => created.insert(contact.id),
                    RowOutcome::Refused(..) => panic!("a row is refused"),
                };
            }
            drop(created);
            self.work.notify_one();
        }
    }

    /// Reads the list page by page until the end. Each list has every contact that exists throughout, once and in order.
    async fn read(&self, test: &TestApp, process: &App, limit: usize) {
        while !self.has_ended.load(Ordering::SeqCst) {
            let before = self.created.lock().unwrap().clone();
            let (mut listed, mut cursor) = (Vec::new(), None);
            loop {
                // Each page is a request of its own, which may know later partitions than the page before.
                let Page { rows, next } = page(&contacts_in(test, process).await, Some(limit), cursor).await;
                listed.extend(rows.iter().map(|contact| contact.id));
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert!(listed.is_sorted_by(|newer, older| newer > older), "newest first, and each once");
            let deleted = self.deleted.lock().unwrap().clone();
            let listed: BTreeSet<_> = listed.into_iter().collect();
            let skipped: Vec<_> = before.iter().filter(|id| !listed.contains(id) && !deleted.contains(id)).collect();
            assert!(skipped.is_empty(), "a list with a limit of {limit} skips {skipped:?}");
            self.work.notify_one();
        }
    }

    /// Waits until the tasks have written and read some more.
    async fn wait_for_work(&self) {
        for _ in 0..8 {
            self.work.notified().await;
        }
    }
}

#[tokio::test]
async fn a_writer_that_does_not_know_a_change_yet_writes_what_all_lists_read() {
    let test = test_with_profile().await;
    let late = contacts_in(&test, &test.app).await;
    partition_at_once(&test, 8).await;
    let _ = create_in_each(&test, 8).await;

    // The request began long ago, and its process knows nothing of the change.
    let id = create(&late).await;

    assert_eq!(number(id), 0);
    let contacts = contacts_in(&test, &test.start_plain_process()).await;
    assert!(list(&contacts, Some(2)).await.contains(&id));
    assert!(test.stored_contact(id).await.is_some());
}

#[tokio::test]
async fn every_process_knows_a_change_before_it_begins() {
    let test = test_with_profile().await;
    let processes = [test.start_plain_process(), test.start_plain_process()];
    for process in &processes {
        // Caches the profile as it was before the change.
        let _ = contacts_in(&test, process).await;
    }
    test.organization().partition_contacts(4).await.unwrap();
    let informed = contacts_in(&test, &test.start_plain_process()).await;
    assert!((0..100).all(|_| number(draft(&informed).id) == 0), "others do not read the partitions yet");
    test.advance_clock(CACHED);
    assert!(CACHED + TimeDelta::seconds(25) + TimeDelta::minutes(5) * 2 < LEAD_TIME);
    let readers = [contacts_in(&test, &processes[0]).await, contacts_in(&test, &processes[1]).await];

    test.advance_clock(LEAD_TIME);

    let created = create_in_each(&test, 4).await;
    for reader in &readers {
        let listed = list(reader, Some(3)).await;
        assert!(created.iter().all(|id| listed.contains(id)), "the partitions were known before they were used");
    }
}

#[tokio::test]
async fn a_get_costs_the_same_in_every_partition_and_so_does_a_create() {
    let test = test_with_profile().await;
    partition_at_once(&test, 4).await;
    let principal = test.principal(&test.org).await;
    for id in create_in_each(&test, 4).await {
        let ctx = test.ctx();
        let page = TimelinePage { filter: TimelineFilter::Active, page: 0, limit: 20, after: None };
        ctx.contacts(&principal).get::<Activity>(id, &page).await.unwrap();
        assert_cost(&test, &ctx, CostCase::GetContact);
    }
    let ctx = crate::costs::create_contact(&test, jane("a@example.com"), None).await;
    assert_cost(&test, &ctx, CostCase::CreateContact);
}

/// The calls, rounds and read units of a page.
async fn cost_of_page(
    test: &TestApp,
    created_after: Option<DateTime<Utc>>,
    limit: usize,
    cursor: Option<Cursor<CreationPosition>>,
) -> (u32, u32, f64) {
    let principal = test.principal(&test.org).await;
    let ctx = test.ctx();
    let filter = ContactFilter { created_after, ..ContactFilter::default() };
    ctx.contacts(&principal).list::<Contact>(&filter, Some(limit), cursor).await.unwrap();
    let consumed = ctx.consumed_capacity();
    (consumed.calls, consumed.rounds, consumed.read_units)
}

#[tokio::test]
async fn a_page_reads_each_partition_of_its_time_once_and_no_other() {
    let test = test_with_profile().await;
    for _ in 0..30 {
        create_in_each(&test, 1).await;
    }
    partition_at_once(&test, 4).await;
    let begin = test.ctx().now();
    for _ in 0..50 {
        create_in_each(&test, 4).await;
    }
    let contacts = contacts_in(&test, &test.app).await;

    let (calls, rounds, units) = cost_of_page(&test, None, 100, None).await;
    assert_eq!((calls, rounds), (4, 1));
    // One partition would have 9 units: contacts have 0.4 KB.
    assert!(units <= 18.0, "half as much again, and the rest of a unit per partition: {units}");
    let before = begin - TimeDelta::milliseconds(1);
    for created_after in [before, begin, test.ctx().now()] {
        let (calls, ..) = cost_of_page(&test, Some(created_after), 1_000, None).await;
        assert_eq!(calls, 4, "nothing older is read");
    }
    let (calls, ..) = cost_of_page(&test, Some(before - TimeDelta::milliseconds(1)), 1_000, None).await;
    assert_eq!(calls, 5);
    let older = page(&contacts, Some(210), None).await.next;
    assert_eq!(cost_of_page(&test, None, 10, older).await.0, 1, "there was one partition then");
}

#[tokio::test]
async fn a_page_ends_between_empty_periods_when_little_time_is_left() {
    let test = test_with_profile().await;
    let oldest = create_in_each(&test, 1).await;
    for count in [2, 4] {
        partition_at_once(&test, count).await;
    }
    let principal = test.principal(&test.org).await;
    let late = test.app.request_context(Instant::now() + Duration::from_secs(4), "test");

    let Page { rows, next } = page(&late.contacts(&principal), None, None).await;

    assert!(rows.is_empty());
    assert_eq!(late.consumed_capacity().calls, 4, "the partitions of the newest period are read and no others");
    let rest = page(&contacts_in(&test, &test.app).await, None, next).await;
    assert_eq!(rest.rows.iter().map(|contact| contact.id).collect::<Vec<_>>(), oldest);
}

#[tokio::test]
async fn the_children_of_a_contact_in_any_partition_are_deleted_after_it() {
    let test = test_with_profile().await;
    partition_at_once(&test, 4).await;
    for id in create_in_each(&test, 4).await {
        test.record_activity(id, activity()).await;
        let parent = Parent::Contact(id);
        process_removal(&test, &parent.key(test.org.org_id)).await;
        assert_eq!(test.count_items("activity").await, 1, "the contact exists");

        contacts_in(&test, &test.app).await.delete(id, None).await.unwrap();

        process_removal(&test, &parent.key(test.org.org_id)).await;
        assert_eq!(test.count_items("activity").await, 0);
        let late = Key { sk: "LEAD#1".to_owned(), ..parent.tombstone(test.org.org_id) };
        test.put_item(&late, json!({"type": {"S": "lead"}})).await;
        process_removal(&test, &parent.tombstone(test.org.org_id)).await;
        assert_eq!(test.count_items("lead").await, 0);
    }
}

#[tokio::test]
async fn concurrent_commands_schedule_one_change_with_one_entry_in_the_audit_log() {
    let test = test_with_profile().await;
    test.advance_clock(TimeDelta::milliseconds(1));
    let organization = test.organization();

    let outcomes = join_all((0..4).map(|_| organization.partition_contacts(8))).await;

    let changed = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Repartition::Changed(_)))).count();
    let unchanged = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Repartition::Unchanged(_)))).count();
    assert_eq!((changed, unchanged), (1, 3));
    let since = test.ctx().now() + LEAD_TIME;
    let pending = Repartition::Refused(ScheduleError::Pending { since, count: 8 });
    assert_eq!(organization.partition_contacts(4).await, Ok(pending));
    assert_eq!(organization.partition_contacts(33).await, Ok(Repartition::Refused(ScheduleError::OutOfRange)));
    let actions: Vec<_> = test.audit_log().await.into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions, [AuditAction::OrganizationPartitioned, AuditAction::OrganizationCreated]);
}

#[tokio::test]
async fn an_organization_without_a_profile_gets_no_partitions() {
    let test = TestApp::new().await;
    assert_eq!(test.organization().partition_contacts(8).await, Ok(Repartition::NoProfile));
}

#[tokio::test]
async fn a_change_survives_every_fault_and_has_one_entry() {
    for fault in transient_faults(Operation::TransactWriteItems) {
        let mut test = TestApp::new().await;
        let proxy = test.start_fault_proxy().await;
        test.organization().create("Acme".parse().unwrap()).await.unwrap();
        proxy.inject(Operation::TransactWriteItems, fault.clone());

        let changed = test.organization().partition_contacts(8).await.unwrap();

        assert!(matches!(changed, Repartition::Changed(_)), "{fault:?}: {changed:?}");
        assert_eq!(test.count_items("audit_entry").await, 2, "{fault:?}");
    }
}

#[tokio::test]
async fn an_operator_lists_the_partitions_of_a_profile() {
    let test = test_with_profile().await;
    partition_at_once(&test, 4).await;
    let created = create_in_each(&test, 4).await;
    let profile = test.organization().get().await.unwrap().unwrap();
    let operator = Principal::operator(test.org.org_id, "test");
    let operator = operator.with_contact_partitions(profile.placement.contact_partitions);
    let listed = list(&test.ctx().contacts(&operator), Some(3)).await;
    assert!(created.iter().all(|id| listed.contains(id)));
}
