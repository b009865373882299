use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    time::parse(text).unwrap()
}

/// The partitions after changes at these hours of a day.
fn changed(changes: &[(u8, u8)]) -> ContactPartitions {
    let change = |(hour, count): &(u8, u8)| PartitionChange { since: hour_of_day(*hour), count: *count };
    ContactPartitions::new(changes.iter().map(change).collect())
}

fn hour_of_day(hour: u8) -> DateTime<Utc> {
    at("2024-10-06T00:00:00Z") + TimeDelta::hours(hour.into())
}

#[test]
fn the_partition_of_a_new_id_is_its_last_56_bits_modulo_the_number() {
    let partitions = changed(&[(12, 8)]);
    for (id, expected, number) in [
        // At 11:59:59.999, before the change.
        ("019261b3-65ff-7abc-8000-000000000005", "019261b3-65ff-7abc-8000-000000000005", 0),
        // At 12:00:00.000, from when on there are eight.
        ("019261b3-6600-7abc-8000-000000000000", "019261b3-6600-7abc-8000-000000000000", 0),
        ("019261b3-6600-7abc-8000-000000000005", "019261b3-6600-8c0a-8500-000000000005", 5),
        ("019261b3-6600-7abc-bfff-fffffffffffe", "019261b3-6600-8c0a-86ff-fffffffffffe", 6),
        ("019261b3-6600-7abc-9234-56789abcdef8", "019261b3-6600-7abc-9234-56789abcdef8", 0),
    ] {
        let assigned = partitions.assign(ids::parse_uuid(id).unwrap());
        assert_eq!(
            (assigned.to_string(), partition(assigned).map_or(0, NonZeroU8::get)),
            (expected.to_owned(), number)
        );
    }
}

#[test]
fn only_marked_ids_of_version_8_name_a_partition() {
    for (id, number) in [
        ("019261b3-6600-8c0a-8100-000000000000", 1),
        ("019261b3-6600-8c0a-9fff-ffffffffffff", 31),
        // The organization's own partition, and one beyond the last.
        ("019261b3-6600-8c0a-8000-000000000000", 0),
        ("019261b3-6600-8c0a-a000-000000000000", 0),
        // Another mark, version, variant.
        ("019261b3-6600-8c0b-8100-000000000000", 0),
        ("019261b3-6600-7c0a-8100-000000000000", 0),
        ("019261b3-6600-8c0a-c100-000000000000", 0),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", 0),
    ] {
        let id = ids::parse_uuid(id).unwrap().into();
        assert_eq!(partition(id).map_or(0, NonZeroU8::get), number, "{id}");
    }
}

#[test]
fn new_ids_are_spread_evenly() {
    let partitions = changed(&[(0, 32)]);
    let mut counts = [0; 32];
    for _ in 0..32_000 {
        counts[usize::from(partition(partitions.assign(Uuid::now_v7())).map_or(0, NonZeroU8::get))] += 1;
    }
    assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
}

#[test]
fn periods_are_listed_newest_first() {
    let periods: Vec<_> = changed(&[(6, 4), (12, 8)]).periods().collect();
    let [six, twelve] = [6, 12].map(|hour| Some(hour_of_day(hour)));
    let expected = [(twelve, None, 8), (six, twelve, 4), (None, six, 1)];
    assert_eq!(periods, expected.map(|(since, until, count)| Period { since, until, count }));
    let only: Vec<_> = ContactPartitions::default().periods().collect();
    assert_eq!(only, [Period { since: None, until: None, count: 1 }]);
}

#[test]
fn a_change_begins_a_quarter_of_an_hour_ahead() {
    let now = hour_of_day(12);
    let scheduled = ContactPartitions::default().scheduled(8, now).unwrap().unwrap();
    let begin = at("2024-10-06T12:15:00Z");
    assert_eq!(scheduled.changes(), [PartitionChange { since: begin, count: 8 }]);
    assert_eq!((scheduled.count_at(begin - TimeDelta::milliseconds(1)), scheduled.count_at(begin)), (1, 8));

    assert_eq!(scheduled.scheduled(8, now), Ok(None), "a repetition changes nothing");
    assert_eq!(scheduled.scheduled(4, now), Err(ScheduleError::Pending { since: begin, count: 8 }));
    let back = scheduled.scheduled(1, begin).unwrap().unwrap();
    assert_eq!(back.count_at(begin + LEAD_TIME), 1);
}

#[test]
fn numbers_and_changes_are_limited() {
    let none = ContactPartitions::default();
    for count in [0, MAX_PARTITIONS + 1] {
        assert_eq!(none.scheduled(count, hour_of_day(0)), Err(ScheduleError::OutOfRange));
    }
    assert_eq!(none.scheduled(1, hour_of_day(0)), Ok(None));
    let mut partitions = none;
    for change in 1..=u8::try_from(MAX_CHANGES).unwrap() {
        partitions = partitions.scheduled(2 + change % 2, hour_of_day(change)).unwrap().unwrap();
    }
    assert_eq!(partitions.scheduled(8, hour_of_day(100)), Err(ScheduleError::TooManyChanges));
}

/// An id of this hour of the day that names a partition.
fn id(hour: u8, number: u8) -> ContactId {
    let id = ids::first_uuid_at(hour_of_day(hour));
    NonZeroU8::new(number).map_or(id, |partition| in_partition(id, partition)).into()
}

fn span_of(ids: &[ContactId]) -> Option<PartitionSpan> {
    ids.iter().fold(None, |span, id| PartitionSpan::with(span, *id))
}

#[test]
fn imported_ids_widen_the_periods_of_their_times_only() {
    assert_eq!(span_of(&[id(1, 0), Uuid::new_v4().into()]), None);
    let span = span_of(&[id(8, 3), id(1, 0), id(4, 7)]).unwrap();

    let end = hour_of_day(8) + TimeDelta::milliseconds(1);
    let change = |since, count| PartitionChange { since, count };
    for (before, after) in [
        (changed(&[]), vec![change(hour_of_day(4), 8), change(end, 1)]),
        (changed(&[(6, 16)]), vec![change(hour_of_day(4), 8), change(hour_of_day(6), 16)]),
        (changed(&[(3, 2), (6, 4)]), vec![change(hour_of_day(3), 2), change(hour_of_day(4), 8), change(end, 4)]),
    ] {
        let covering = before.covering(span, hour_of_day(23)).unwrap().unwrap();
        assert_eq!(covering.changes(), after);
        assert_eq!(covering.covering(span, hour_of_day(23)), Ok(None), "a repetition changes nothing");
    }
}

#[test]
fn imported_ids_of_the_future_do_not_spread_new_contacts() {
    let now = hour_of_day(12);
    let before = changed(&[(6, 2)]);
    let span = span_of(&[id(8, 3), id(16, 31)]).unwrap();
    let covering = before.covering(span, now).unwrap().unwrap();
    let change = |hour, count| PartitionChange { since: hour_of_day(hour), count };
    assert_eq!(covering.changes(), [change(6, 2), change(8, 32), change(12, 2)]);
    assert_eq!(before.covering(span_of(&[id(16, 31)]).unwrap(), now), Ok(None));
}

#[test]
fn imported_ids_of_the_future_leave_the_partitions_to_the_operator() {
    let now = hour_of_day(12);
    let span = span_of(&[id(8, 3), id(16, 31)]).unwrap();
    let covering = ContactPartitions::default().covering(span, now).unwrap().unwrap();
    assert!(covering.scheduled(8, now).unwrap().is_some(), "no other change is pending");
}

#[test]
fn imported_ids_after_the_year_9999_leave_the_profile_readable() {
    let last: ContactId = "ffffffff-ffff-8c0a-8100-000000000000".parse().unwrap();
    let span = span_of(&[id(8, 3), last]).unwrap();
    let covering = ContactPartitions::default().covering(span, hour_of_day(12)).unwrap().unwrap();
    let stored = serde_json::to_string(covering.changes()).unwrap();
    assert_eq!(serde_json::from_str::<Vec<PartitionChange>>(&stored).unwrap(), covering.changes());
}

#[test]
fn only_an_id_that_names_a_partition_is_ahead_of_time() {
    for (id, expected) in [(id(13, 1), true), (id(12, 1), true), (id(11, 1), false), (id(13, 0), false)] {
        assert_eq!(is_ahead_of_time(id, hour_of_day(12)), expected, "{id}");
    }
}

proptest! {
    #[test]
    fn an_assigned_id_keeps_its_time_and_names_a_partition_of_it(millis in 0..1_u64 << 48, random: [u8; 10], count in 1..=MAX_PARTITIONS) {
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        let partitions = ContactPartitions::new(vec![PartitionChange { since: DateTime::UNIX_EPOCH, count }]);
        let assigned = partitions.assign(id);
        prop_assert_eq!(ids::timestamp(assigned.into()), ids::timestamp(id));
        prop_assert!(partition(assigned).map_or(0, NonZeroU8::get) < count);
    }
}
