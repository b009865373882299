//! Bulk uploads: their cost, interruptions at any point, concurrent writers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};
use shared::RequestContext;
use shared::domain::{Contact, ContactFilter, Email, ImportId};
use shared::dynamodb::{self, keys};
use shared::repositories::RowOutcome;
use shared::repositories::{Error, Result};
use shared::testing::fault::{Fault, FaultKind, HoldPoint, Operation};
use shared::testing::{TestApp, contact_patch, jane};
use shared::wire::Upload;
use tokio::time::Instant;

use crate::faults::transient_faults;

fn email(n: usize) -> String {
    format!("jane.{n}@example.com")
}

/// The row of the contact with number `n`.
pub(crate) fn row(n: usize) -> Value {
    let mut row = jane(&email(n));
    row["company"] = json!("Acme");
    row
}

pub(crate) fn upload(rows: impl IntoIterator<Item = Value>) -> Upload {
    let rows: Value = rows.into_iter().collect();
    Upload::from_json(rows.to_string().as_bytes()).unwrap()
}

/// A request whose deadline is later than any test needs.
pub(crate) fn unhurried_ctx(test: &TestApp) -> RequestContext {
    test.app.request_context(Instant::now() + Duration::from_mins(5), "test")
}

/// Uploads rows as the endpoint does, and returns how many contacts were created and updated.
pub(crate) async fn send(
    test: &TestApp,
    ctx: &RequestContext,
    upload: &Upload,
    import_id: Option<ImportId>,
) -> Result<(usize, usize)> {
    let contacts = ctx.contacts(&test.principal(&test.org).await);
    let import_id = contacts.known_import(import_id).await?;
    let plan = contacts.plan(&upload.valid, import_id).await?;
    let plan = contacts.carry_out(plan).await?;
    let (mut created, mut updated) = (0, 0);
    for (row, outcome) in plan.outcomes() {
        match outcome {
            RowOutcome::Created(_) => created += 1,
            RowOutcome::Updated(_) => updated += 1,
            RowOutcome::Refused(_, errors) => panic!("row {row}: {errors}"),
        }
    }
    Ok((created, updated))
}

/// All contacts of the organization by email.
async fn contacts_by_email(test: &TestApp) -> BTreeMap<String, Contact> {
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    let (mut stored, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = contacts.list::<Contact>(&ContactFilter::default(), Some(1000), cursor).await.unwrap();
        for contact in page.rows {
            let email = contact.details.email.as_str().to_owned();
            assert!(stored.insert(email.clone(), contact).is_none(), "{email} belongs to two contacts");
        }
        cursor = page.next;
        if cursor.is_none() {
            return stored;
        }
    }
}

/// Asserts that the table holds exactly these contacts, each with one email lock and one membership of the import.
async fn assert_consistent(test: &TestApp, numbers: Range<usize>, import_id: ImportId) {
    let stored = contacts_by_email(test).await;
    assert_eq!(stored.len(), numbers.len());
    for n in numbers.clone() {
        let contact = &stored[&email(n)];
        assert!(contact.import_ids.iter().eq([&import_id]), "row {n}");
    }
    for item_type in ["contact", "email_lock", "membership"] {
        assert_eq!(test.count_items(item_type).await, numbers.len(), "{item_type}");
    }
    assert_eq!(test.count_items("company").await, 1);
}

#[tokio::test]
async fn five_thousand_rows_cost_what_the_budget_says() {
    let mut test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let rows = upload((0..5_000).map(row));
    // Batches of a hundred email locks; transactions of 33 contacts; reads of the import and of the company, and the
    // creation of the company.
    let first = (50 + 152 + 3, 30_000.0 + 2.0);
    // Batches of a hundred locks, of a hundred contacts and of a hundred memberships; a read of the import.
    let repeated = (50 + 50 + 50 + 1, 0.0);
    for (outcome, (calls, write_units)) in [((5_000, 0), first), ((0, 5_000), repeated)] {
        test.restart();
        let _ = test.principal(&test.org).await;
        let ctx = unhurried_ctx(&test);
        assert_eq!(send(&test, &ctx, &rows, Some(import_id)).await, Ok(outcome));
        let consumed = ctx.consumed_capacity();
        assert_eq!(consumed.calls, calls, "{outcome:?}: {consumed:?}");
        if test.uses_embedded_engine() {
            assert!((consumed.write_units - write_units).abs() < 1e-9, "{outcome:?}: {consumed:?}");
        }
    }
    assert_consistent(&test, 0..5_000, import_id).await;
}

/// Kills fifty uploads of a hundred rows, each at a random call, and sends each again.
#[tokio::test]
async fn a_killed_upload_is_completed_when_it_is_sent_again() {
    const KILLS: usize = 50;
    const ROWS: usize = 100;
    let mut test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let proxy = test.start_fault_proxy().await;
    let mut rng = fastrand::Rng::with_seed(20_241_006);
    let mut killed_half_way = 0;
    for kill in 0..KILLS {
        let rows = upload((kill * ROWS..(kill + 1) * ROWS).map(row));
        let point = if rng.bool() { HoldPoint::BeforeExecution } else { HoldPoint::AfterExecution };
        // An upload reads the locks, and then runs three transactions of 33 rows and one of a single row in parallel.
        let mut hold = match rng.usize(..5) {
            0 => proxy.hold(Operation::BatchGetItem, point),
            transaction => {
                for _ in 1..transaction {
                    proxy.inject(Operation::TransactWriteItems, Fault::Delayed(Duration::ZERO));
                }
                proxy.hold(Operation::TransactWriteItems, point)
            }
        };
        let ctx = unhurried_ctx(&test);
        tokio::select! {
            biased;
            () = hold.reached() => {}
            outcome = send(&test, &ctx, &rows, Some(import_id)) => panic!("kill {kill}: no call was held: {outcome:?}"),
        }
        hold.release();
        proxy.clear_faults();
        let (created, updated) = send(&test, &unhurried_ctx(&test), &rows, Some(import_id)).await.unwrap();
        assert_eq!(created + updated, ROWS, "kill {kill}");
        if created > 0 && updated > 0 {
            killed_half_way += 1;
        }
    }
    assert!(killed_half_way > 0, "a kill between the transactions happens");
    assert_consistent(&test, 0..KILLS * ROWS, import_id).await;
}

#[tokio::test]
async fn an_upload_over_its_deadline_is_completed_when_it_is_sent_again() {
    let mut test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let proxy = test.start_fault_proxy().await;
    let rows = upload((0..100).map(row));
    // The last of four transactions, and every retry of it, is held until after the deadline.
    for _ in 0..3 {
        proxy.inject(Operation::TransactWriteItems, Fault::Delayed(Duration::ZERO));
    }
    let holds: Vec<_> = (0..4).map(|_| proxy.hold(Operation::TransactWriteItems, HoldPoint::BeforeExecution)).collect();
    let ctx = test.app.request_context(Instant::now() + Duration::from_secs(2), "test");
    assert_eq!(send(&test, &ctx, &rows, Some(import_id)).await, Err(dynamodb::Error::Unavailable.into()));
    drop(holds);
    proxy.clear_faults();
    let (created, updated) = send(&test, &unhurried_ctx(&test), &rows, Some(import_id)).await.unwrap();
    assert_eq!(created + updated, 100);
    assert!(
        updated >= 67,
        "two transactions of 33 rows and the single row were written before the deadline: {updated}"
    );
    assert_consistent(&test, 0..100, import_id).await;
}

/// Injects every fault into every operation, and then random faults into a large upload.
#[tokio::test]
async fn an_upload_survives_every_fault() {
    for operation in [Operation::GetItem, Operation::BatchGetItem, Operation::TransactWriteItems] {
        for fault in transient_faults(operation) {
            let mut test = TestApp::new().await;
            let import_id = test.create_import(&test.org).await;
            test.create_contact(&test.org, row(3), None).await;
            let proxy = test.start_fault_proxy().await;
            let _ = test.principal(&test.org).await;
            proxy.inject(operation, fault.clone());
            let rows = upload((0..70).map(row));
            let outcome = send(&test, &unhurried_ctx(&test), &rows, Some(import_id)).await;
            assert_eq!(outcome, Ok((69, 1)), "{operation:?} {fault:?}");
            assert_consistent(&test, 0..70, import_id).await;
        }
    }
    let mut test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let proxy = test.start_fault_proxy().await;
    let _ = test.principal(&test.org).await;
    proxy.inject_randomly(20_241_006, 0.3, FaultKind::ALL);
    let outcome = send(&test, &unhurried_ctx(&test), &upload((0..1_000).map(row)), Some(import_id)).await;
    proxy.clear_faults();
    assert_eq!(outcome, Ok((1_000, 0)));
    assert_consistent(&test, 0..1_000, import_id).await;
}

#[tokio::test]
async fn writes_between_the_plan_and_its_execution_are_neither_lost_nor_undone() {
    let test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let principal = test.principal(&test.org).await;
    for n in [1, 2, 3, 4] {
        test.create_contact(&test.org, row(n), None).await;
    }
    let before = contacts_by_email(&test).await;
    let id = |n: usize| before[&email(n)].id;
    let mut changed = row(1);
    changed["locale"] = json!("es-ES");
    let rows = upload([row(0), changed, row(2), row(3), row(4)]);
    let ctx = unhurried_ctx(&test);
    let contacts = ctx.contacts(&principal);
    let plan = contacts.plan(&rows.valid, Some(import_id)).await.unwrap();

    // Meanwhile another client creates row 0, updates row 1, deletes row 2, moves row 3 to another email, and replaces
    // row 4.
    let others = test.ctx().contacts(&principal);
    let created = test.create_contact(&test.org, row(0), None).await.id;
    others.update(id(1), &contact_patch(json!({"metadata": {"seen": true}})), None).await.unwrap();
    others.delete(id(2), None).await.unwrap();
    others.update(id(3), &contact_patch(json!({"email": "jane.moved@example.com"})), None).await.unwrap();
    others.delete(id(4), None).await.unwrap();
    let recreated = test.create_contact(&test.org, row(4), None).await.id;

    contacts.carry_out(plan).await.unwrap();
    let after = contacts_by_email(&test).await;
    let contact = |n: usize| &after[&email(n)];
    assert_eq!(after.len(), 6, "the moved contact, and a new one at its old email");
    assert_eq!(contact(0).id, created);
    assert_eq!(contact(1).id, id(1));
    assert_ne!(contact(2).id, id(2));
    assert_ne!(contact(3).id, id(3));
    assert_eq!(contact(4).id, recreated);
    assert_eq!(contact(1).details.locale.as_ref().map(shared::domain::Locale::as_str), Some("es-ES"));
    assert!(contact(1).enrichment.object.get("seen").is_some(), "the other client's metadata is kept");
    assert!((0..5).all(|n| contact(n).import_ids.contains(&import_id)));
    assert!(after["jane.moved@example.com"].import_ids.is_empty());
    assert_eq!(test.count_items("email_lock").await, 6);
    assert_eq!(test.count_items("membership").await, 5);
}

#[tokio::test]
async fn a_lost_membership_is_written_when_the_upload_is_sent_again() {
    let test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let mut changed = row(1);
    changed["locale"] = json!("es-ES");
    send(&test, &unhurried_ctx(&test), &upload((0..3).map(row)), Some(import_id)).await.unwrap();
    let before = contacts_by_email(&test).await;
    for n in [0, 1] {
        test.delete_item(&keys::membership(test.org.org_id, import_id, before[&email(n)].id)).await;
    }

    let (ctx, rows) = (unhurried_ctx(&test), upload([row(0), changed, row(2)]));
    assert_eq!(send(&test, &ctx, &rows, Some(import_id)).await, Ok((0, 3)));

    assert_consistent(&test, 0..3, import_id).await;
    let after = contacts_by_email(&test).await;
    let versions: Vec<_> = (0..3).map(|n| after[&email(n)].version).collect();
    assert_eq!(versions, [1, 2, 1], "a membership is no change of its contact");
    if test.uses_embedded_engine() {
        // The condition check and the membership of the first contact; the contact and the membership of the second.
        let consumed = ctx.consumed_capacity();
        assert!((consumed.write_units - 8.0).abs() < 1e-9, "{consumed:?}");
    }
}

#[tokio::test]
async fn a_contact_that_was_deleted_meanwhile_gets_no_membership() {
    let test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let rows = upload([row(0)]);
    send(&test, &unhurried_ctx(&test), &rows, Some(import_id)).await.unwrap();
    let id = contacts_by_email(&test).await[&email(0)].id;
    test.delete_item(&keys::membership(test.org.org_id, import_id, id)).await;
    let ctx = unhurried_ctx(&test);
    let contacts = ctx.contacts(&test.principal(&test.org).await);
    let plan = contacts.plan(&rows.valid, Some(import_id)).await.unwrap();

    contacts.delete(id, None).await.unwrap();
    contacts.carry_out(plan).await.unwrap();

    assert_ne!(contacts_by_email(&test).await[&email(0)].id, id);
    assert_consistent(&test, 0..1, import_id).await;
}

/// Locks are read in batches of a hundred. A contact may change its email between two batches, from an email that was
/// read to one that was not, and is then found under both.
#[tokio::test]
async fn a_contact_found_under_two_emails_is_updated_at_its_current_one() {
    let test = TestApp::new().await;
    let moved = test.create_contact(&test.org, row(1), None).await.id;
    let old_email = Email::parse(&email(0)).unwrap();
    let lock = keys::email_lock(test.org.org_id, &old_email);
    test.put_item(&lock, json!({"type": {"S": "email_lock"}, "contact_id": {"S": moved.to_string()}})).await;
    let (ctx, rows) = (unhurried_ctx(&test), upload((0..3).map(row)));
    let contacts = ctx.contacts(&test.principal(&test.org).await);
    let plan = contacts.plan(&rows.valid, None).await.unwrap();
    let mut updating = Vec::new();
    for (row, outcome) in plan.outcomes() {
        if matches!(outcome, RowOutcome::Updated(contact) if contact.id == moved) {
            updating.push(row);
        }
    }
    assert_eq!(updating, [2], "the row with the contact's current email");
}

/// The limit is on the size in memory, which for numbers is a multiple of the stored size.
#[tokio::test]
async fn contacts_too_large_for_one_call_are_refused_before_anything_is_written() {
    const CONTACTS: usize = 34;
    let test = TestApp::new().await;
    let large_row = |n: usize| {
        let mut row = row(n);
        row["metadata"] = json!({"numbers": vec![1; 30_000]});
        row
    };
    // One upload of them all would have too many values.
    for half in [0..CONTACTS / 2, CONTACTS / 2..CONTACTS] {
        let created = half.len();
        assert_eq!(send(&test, &unhurried_ctx(&test), &upload(half.map(large_row)), None).await, Ok((created, 0)));
    }
    let rows = |count: usize| upload((0..count).map(row));
    let error = send(&test, &unhurried_ctx(&test), &rows(CONTACTS), None).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error:?}");
    let fewer = CONTACTS - 2;
    assert_eq!(send(&test, &unhurried_ctx(&test), &rows(fewer), None).await, Ok((0, fewer)));
}

/// The size limit of a contact includes the ids of its imports.
#[tokio::test]
async fn a_contact_at_its_size_limit_joins_no_further_import() {
    let test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let contact = test.create_contact(&test.org, row(0), None).await;
    let put_with_imports = async |imports: usize| {
        let imports: Vec<_> = (0..imports).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let item = json!({
            "type": {"S": "contact"},
            "full_name": {"S": "Jane Doe"},
            "email": {"S": contact.details.email.as_str()},
            "linkedin_profile": {"S": contact.details.linkedin_profile.as_str()},
            "created_at": {"S": "2024-04-18T10:15:00.000Z"},
            "updated_at": {"S": "2024-04-18T10:15:00.000Z"},
            "version": {"N": "1"},
            "growing_bytes": {"N": "0"},
            "enrichment": {"M": {"a": {"S": "b"}}},
            "import_ids": {"SS": imports},
        });
        test.put_item(&keys::contact(contact.org_id, contact.id), item).await;
    };
    for (imports, accepted) in [(9_459, false), (9_458, true)] {
        put_with_imports(imports).await;
        let (ctx, rows) = (unhurried_ctx(&test), upload([row(0)]));
        let contacts = ctx.contacts(&test.principal(&test.org).await);
        let plan = contacts.carry_out(contacts.plan(&rows.valid, Some(import_id)).await.unwrap()).await.unwrap();
        let outcomes: Vec<_> = plan.outcomes().map(|(_, outcome)| outcome).collect();
        match &outcomes[..] {
            [RowOutcome::Updated(_)] => assert!(accepted, "{imports}"),
            [RowOutcome::Refused(_, errors)] => {
                assert!(!accepted, "{imports}");
                assert_eq!(errors.to_string(), "Validation error: X-Import-ID would grow the contact past 350 KB");
            }
            _ => panic!("{imports} imports: {outcomes:?}"),
        }
    }
    // The stored upper bound of the size holds an update without a read to the same limit, even after the metadata was
    // removed.
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    contacts.update(contact.id, &contact_patch(json!({"metadata": null})), None).await.unwrap();
    let grown = contacts.update(contact.id, &contact_patch(json!({"metadata": {"a": "x".repeat(100)}})), None).await;
    assert!(matches!(grown, Err(Error::TooLarge(_))), "{grown:?}");
}

/// Uploads the same rows four times concurrently, in different orders.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_uploads_create_each_contact_once() {
    let test = TestApp::new().await;
    let import_id = test.create_import(&test.org).await;
    let uploads: Vec<_> = (0..4)
        .map(|seed| {
            let mut numbers: Vec<_> = (0..200).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut numbers);
            upload(numbers.into_iter().map(row))
        })
        .collect();
    let contexts: Vec<_> = uploads.iter().map(|_| unhurried_ctx(&test)).collect();
    let all = uploads.iter().zip(&contexts).map(|(upload, ctx)| send(&test, ctx, upload, Some(import_id)));
    let outcomes = futures_util::future::try_join_all(all).await.unwrap();
    assert!(outcomes.iter().all(|(created, updated)| created + updated == 200), "{outcomes:?}");
    assert_eq!(outcomes.iter().map(|(created, _)| created).sum::<usize>(), 200, "{outcomes:?}");
    assert_consistent(&test, 0..200, import_id).await;
}
