//! Bulk uploads against a real engine: what they cost, and that they can be stopped anywhere and sent again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};
use shared::RequestContext;
use shared::domain::{Contact, ContactFilter, Email, ImportId};
use shared::dynamodb::{self, keys};
use shared::repositories::{Error, Result, RowOutcome};
use shared::testing::fault::{Fault, Kind, Moment, Operation};
use shared::testing::{TestApp, jane, patch};
use shared::wire::Upload;
use tokio::time::Instant;

use crate::faults::survivable;

pub(crate) fn row(n: usize) -> Value {
    let mut row = jane(&format!("jane.{n}@example.com"));
    row["company"] = json!("Acme");
    row
}

pub(crate) fn upload(rows: impl IntoIterator<Item = Value>) -> Upload {
    let rows: Value = rows.into_iter().collect();
    Upload::from_json(rows.to_string().as_bytes()).unwrap()
}

/// A request that has as much time as it takes.
pub(crate) fn patient(test: &TestApp) -> RequestContext {
    test.app.request_context(Instant::now() + Duration::from_mins(5))
}

/// What a bulk upload's endpoint does. Gives the numbers of rows that created and updated.
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
            RowOutcome::Refused(_, fault) => panic!("row {row}: {fault}"),
        }
    }
    Ok((created, updated))
}

/// All contacts of the organization, by their addresses.
async fn stored(test: &TestApp) -> BTreeMap<String, Contact> {
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    let (mut stored, mut cursor) = (BTreeMap::new(), None);
    loop {
        let page = contacts.list(&ContactFilter::default(), 1000, cursor).await.unwrap();
        for contact in page.rows {
            let email = contact.details.email.as_str().to_owned();
            assert!(stored.insert(email.clone(), contact).is_none(), "{email} is two contacts'");
        }
        cursor = page.next;
        if cursor.is_none() {
            return stored;
        }
    }
}

/// There are these contacts and no others, each with one lock and one membership of the import.
async fn assert_whole(test: &TestApp, numbers: Range<usize>, import_id: ImportId) {
    let stored = stored(test).await;
    assert_eq!(stored.len(), numbers.len());
    for n in numbers.clone() {
        let contact = &stored[&format!("jane.{n}@example.com")];
        assert!(contact.import_ids.iter().eq([&import_id]), "{n}");
    }
    for kind in ["contact", "email_lock", "membership"] {
        assert_eq!(test.count(kind).await, numbers.len(), "{kind}");
    }
    assert_eq!(test.count("company").await, 1);
}

#[tokio::test]
async fn five_thousand_new_rows_cost_what_the_budget_says() {
    let mut test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let rows = upload((0..5_000).map(row));
    for (what, outcome, calls, write_units) in [
        // Fifty times a hundred locks, 152 transactions of 33; the import, and the company looked for and made.
        ("new", (5_000, 0), 50 + 152 + 3, 30_000.0 + 2.0),
        // The locks and the contacts, and the import.
        ("sent again", (0, 5_000), 50 + 50 + 1, 0.0),
    ] {
        test.restart();
        let _ = test.principal(&test.org).await;
        let ctx = patient(&test);
        assert_eq!(send(&test, &ctx, &rows, Some(import_id)).await, Ok(outcome), "{what}");
        let consumed_capacity = ctx.consumed_capacity();
        assert_eq!(consumed_capacity.calls, calls, "{what}: {consumed_capacity:?}");
        assert!(
            !test.counts_units() || (consumed_capacity.write_units - write_units).abs() < 1e-9,
            "{what}: {consumed_capacity:?}"
        );
    }
    assert_whole(&test, 0..5_000, import_id).await;
}

/// Fifty uploads of a hundred rows, each killed on the way and then sent again.
#[tokio::test]
async fn what_is_killed_at_any_moment_can_be_sent_again() {
    const KILLS: usize = 50;
    const ROWS: usize = 100;
    let mut test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let proxy = test.behind_faults().await;
    let mut random = fastrand::Rng::with_seed(20_241_006);
    let mut partly = 0;
    for kill in 0..KILLS {
        let rows = upload((kill * ROWS..(kill + 1) * ROWS).map(row));
        let moment = if random.bool() { Moment::Before } else { Moment::After };
        // The locks are looked for, then three transactions of 33 rows and one of a single row are under way at once.
        let mut held = match random.usize(..5) {
            0 => proxy.hold(Operation::BatchGetItem, moment),
            passed => {
                for _ in 1..passed {
                    proxy.inject(Operation::TransactWriteItems, Fault::Slow(Duration::ZERO));
                }
                proxy.hold(Operation::TransactWriteItems, moment)
            }
        };
        let ctx = patient(&test);
        tokio::select! {
            biased;
            () = held.reached() => {}
            outcome = send(&test, &ctx, &rows, Some(import_id)) => panic!("kill {kill} came too late: {outcome:?}"),
        }
        held.release();
        proxy.calm();
        let (created, updated) = send(&test, &patient(&test), &rows, Some(import_id)).await.unwrap();
        assert_eq!(created + updated, ROWS, "kill {kill}");
        partly += usize::from(created > 0 && updated > 0);
    }
    assert!(partly > 0, "some were killed half-way");
    assert_whole(&test, 0..KILLS * ROWS, import_id).await;
}

/// An upload that has the time of a request and no more ends in the middle, and goes on when it is sent again.
#[tokio::test]
async fn what_ends_at_its_deadline_goes_on_when_it_is_sent_again() {
    let mut test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let proxy = test.behind_faults().await;
    let rows = upload((0..100).map(row));
    // The last of four transactions, and every repeat of it, is stopped for longer than the request lasts.
    for _ in 0..3 {
        proxy.inject(Operation::TransactWriteItems, Fault::Slow(Duration::ZERO));
    }
    let held: Vec<_> = (0..4).map(|_| proxy.hold(Operation::TransactWriteItems, Moment::Before)).collect();
    let ctx = test.app.request_context(Instant::now() + Duration::from_secs(2));
    assert_eq!(send(&test, &ctx, &rows, Some(import_id)).await, Err(dynamodb::Error::Unavailable.into()));
    drop(held);
    proxy.calm();
    let (created, updated) = send(&test, &patient(&test), &rows, Some(import_id)).await.unwrap();
    assert!(created + updated == 100 && updated >= 67, "{created} created, {updated} there already");
    assert_whole(&test, 0..100, import_id).await;
}

/// Every fault of every kind of call, and then so many at once that every call meets some.
#[tokio::test]
async fn an_upload_survives_every_fault() {
    for operation in [Operation::GetItem, Operation::BatchGetItem, Operation::TransactWriteItems] {
        for fault in survivable(operation) {
            let mut test = TestApp::new().await;
            let import_id = test.import(&test.org).await;
            test.create(&test.org, row(3), None).await;
            let proxy = test.behind_faults().await;
            let _ = test.principal(&test.org).await;
            proxy.inject(operation, fault.clone());
            let rows = upload((0..70).map(row));
            let outcome = send(&test, &patient(&test), &rows, Some(import_id)).await;
            assert_eq!(outcome, Ok((69, 1)), "{operation:?} {fault:?}");
            assert_whole(&test, 0..70, import_id).await;
        }
    }
    let mut test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let proxy = test.behind_faults().await;
    let _ = test.principal(&test.org).await;
    proxy.randomly(20_241_006, 0.3, Kind::ALL);
    let outcome = send(&test, &patient(&test), &upload((0..1_000).map(row)), Some(import_id)).await;
    proxy.calm();
    assert_eq!(outcome, Ok((1_000, 0)));
    assert_whole(&test, 0..1_000, import_id).await;
}

/// What others do between the reading and the writing of an upload is neither lost nor undone.
#[tokio::test]
async fn others_may_write_between_the_plan_and_the_deed() {
    let test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let principal = test.principal(&test.org).await;
    for n in [1, 2, 3, 4] {
        test.create(&test.org, row(n), None).await;
    }
    let before = stored(&test).await;
    let id = |n: usize| before[&format!("jane.{n}@example.com")].id;
    let mut changed = row(1);
    changed["locale"] = json!("es-ES");
    let rows = upload([row(0), changed, row(2), row(3), row(4)]);
    let ctx = patient(&test);
    let contacts = ctx.contacts(&principal);
    let plan = contacts.plan(&rows.valid, Some(import_id)).await.unwrap();

    let others = test.ctx().contacts(&principal);
    let theirs = test.create(&test.org, row(0), None).await.id;
    others.update(id(1), &patch(json!({"metadata": {"seen": true}})), None).await.unwrap();
    others.delete(id(2), None).await.unwrap();
    others.update(id(3), &patch(json!({"email": "jane.moved@example.com"})), None).await.unwrap();
    others.delete(id(4), None).await.unwrap();
    let again = test.create(&test.org, row(4), None).await.id;

    contacts.carry_out(plan).await.unwrap();
    let after = stored(&test).await;
    let of = |n: usize| &after[&format!("jane.{n}@example.com")];
    assert_eq!(after.len(), 6, "the one that moved is another contact now");
    assert_eq!((of(0).id, of(1).id, of(4).id), (theirs, id(1), again));
    assert!(of(2).id != id(2) && of(3).id != id(3));
    assert_eq!(of(1).details.locale.as_ref().map(shared::domain::Locale::as_str), Some("es-ES"));
    assert!(of(1).enrichment.object.get("seen").is_some(), "what was written meanwhile is still there");
    assert!((0..5).all(|n| of(n).import_ids.contains(&import_id)));
    assert!(after["jane.moved@example.com"].import_ids.is_empty());
    assert_eq!((test.count("email_lock").await, test.count("membership").await), (6, 5));
}

/// Locks are read a hundred at a time: an address may move from one that was read to one that was not yet.
#[tokio::test]
async fn a_contact_may_be_found_under_two_addresses() {
    let test = TestApp::new().await;
    let moved = test.create(&test.org, row(1), None).await.id;
    let left = Email::parse("jane.0@example.com").unwrap();
    let lock = keys::email_lock(test.org.org_id, &left);
    test.put_item(&lock, json!({"type": {"S": "email_lock"}, "contact_id": {"S": moved.to_string()}})).await;
    let (ctx, rows) = (patient(&test), upload((0..3).map(row)));
    let contacts = ctx.contacts(&test.principal(&test.org).await);
    let plan = contacts.plan(&rows.valid, None).await.unwrap();
    let updated =
        |(row, outcome)| matches!(outcome, RowOutcome::Updated(contact) if contact.id == moved).then_some(row);
    assert_eq!(plan.outcomes().filter_map(updated).collect::<Vec<_>>(), [2], "it is at the address that it has");
}

/// A call reads no more than it has memory for, however short it is when it is stored.
#[tokio::test]
async fn contacts_that_are_too_much_for_one_call_are_refused_before_anything_is_written() {
    const CONTACTS: usize = 34;
    let test = TestApp::new().await;
    let numbers: Vec<_> = (0..30_000).map(|_| 1).collect();
    let rows = |count| {
        upload((0..count).map(|n| {
            let mut row = row(n);
            row["metadata"] = json!({"numbers": numbers});
            row
        }))
    };
    assert_eq!(send(&test, &patient(&test), &rows(CONTACTS), None).await, Ok((CONTACTS, 0)));
    let too_much = send(&test, &patient(&test), &rows(CONTACTS), None).await.unwrap_err();
    assert!(matches!(too_much, Error::TooLarge(_)), "{too_much:?}");
    let fewer = CONTACTS - 2;
    assert_eq!(send(&test, &patient(&test), &rows(fewer), None).await, Ok((0, fewer)));
}

/// What a contact may hold includes its imports, which it is told of one by one.
#[tokio::test]
async fn a_contact_is_no_member_of_more_imports_than_it_can_hold() {
    let test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let contact = test.create(&test.org, row(0), None).await;
    let put = async |imports: usize| {
        let imports: Vec<_> = (0..imports).map(|_| uuid::Uuid::new_v4().to_string()).collect();
        let item = json!({
            "type": {"S": "contact"},
            "full_name": {"S": "Jane Doe"}, "email": {"S": contact.details.email.as_str()},
            "linkedin_profile": {"S": contact.details.linkedin_profile.as_str()},
            "created_at": {"S": "2024-04-18T10:15:00.000Z"}, "updated_at": {"S": "2024-04-18T10:15:00.000Z"},
            "version": {"N": "1"}, "growing_bytes": {"N": "0"},
            "enrichment": {"M": {"a": {"S": "b"}}}, "import_ids": {"SS": imports},
        });
        test.put_item(&keys::contact(contact.org_id, contact.id), item).await;
    };
    for (imports, accepted) in [(9_459, false), (9_458, true)] {
        put(imports).await;
        let (ctx, rows) = (patient(&test), upload([row(0)]));
        let contacts = ctx.contacts(&test.principal(&test.org).await);
        let plan = contacts.carry_out(contacts.plan(&rows.valid, Some(import_id)).await.unwrap()).await.unwrap();
        let outcomes: Vec<_> = plan.outcomes().map(|(_, outcome)| outcome).collect();
        match &outcomes[..] {
            [RowOutcome::Updated(_)] => assert!(accepted, "{imports}"),
            [RowOutcome::Refused(_, faults)] => {
                assert!(!accepted, "{imports}");
                assert_eq!(faults.to_string(), "X-Import-ID would grow the contact past 350 KB");
            }
            _ => panic!("{imports} imports: {outcomes:?}"),
        }
    }
    // The bound that is stored beside it holds an update without a read to the same limit, also once all else is gone.
    let contacts = test.ctx().contacts(&test.principal(&test.org).await);
    contacts.update(contact.id, &patch(json!({"metadata": null})), None).await.unwrap();
    let grown = contacts.update(contact.id, &patch(json!({"metadata": {"a": "x".repeat(100)}})), None).await;
    assert!(matches!(grown, Err(Error::TooLarge(_))), "it has outgrown its limit");
}

/// Several uploads of the same rows at once, in other orders.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_once_make_each_contact_once() {
    let test = TestApp::new().await;
    let import_id = test.import(&test.org).await;
    let uploads: Vec<_> = (0..4)
        .map(|seed| {
            let mut numbers: Vec<_> = (0..200).collect();
            fastrand::Rng::with_seed(seed).shuffle(&mut numbers);
            upload(numbers.into_iter().map(row))
        })
        .collect();
    let apps: Vec<_> = uploads.iter().map(|_| patient(&test)).collect();
    let all = uploads.iter().zip(&apps).map(|(upload, ctx)| send(&test, ctx, upload, Some(import_id)));
    let outcomes = futures_util::future::try_join_all(all).await.unwrap();
    assert!(outcomes.iter().all(|(created, updated)| created + updated == 200), "{outcomes:?}");
    assert_eq!(outcomes.iter().map(|(created, _)| created).sum::<usize>(), 200, "{outcomes:?}");
    assert_whole(&test, 0..200, import_id).await;
}
