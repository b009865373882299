use shared::dynamodb::keys::Key;

use super::*;
use crate::simulate::traffic::{Load, Sample};

const MINUTE: f64 = 60.0;

/// A table whose partitions are enough, so that only theirs is the limit.
fn warm() -> TableSettings {
    TableSettings::warm(100_000.0)
}

/// Requests that write one unit to each of their keys.
fn writes(requests: &[&[(&str, &str)]]) -> Traffic {
    traffic(requests, Load { units: Units::writes(1.0), bytes: 0.0 }, false)
}

fn traffic(requests: &[&[(&str, &str)]], load: Load, is_batch: bool) -> Traffic {
    let item = |(pk, sk): &(&str, &str)| (Key { pk: (*pk).to_owned(), sk: format!("K#{sk}") }, load);
    let requests = requests.iter().map(|keys| keys.iter().map(item).collect()).collect();
    Traffic::of(&Sample { requests, is_batch })
}

/// One item that all requests write.
fn one_item() -> Traffic {
    writes(&[&[("a", "1")], &[("a", "1")]])
}

/// One partition key whose sort keys come in their order.
fn increasing() -> Traffic {
    writes(&[&[("a", "1")], &[("a", "2")], &[("a", "3")]])
}

/// One partition key whose sort keys come in any order.
fn scattered() -> Traffic {
    writes(&[&[("a", "5")], &[("a", "2")], &[("a", "7")], &[("a", "1")], &[("a", "4")]])
}

/// A new partition key for each request.
fn unique() -> Traffic {
    writes(&[&[("a", "1")], &[("b", "1")]])
}

/// What passes per second in the minute after each of `minutes`, if `rate` requests are sent per second.
fn accepted<const N: usize>(model: &mut Model, rate: f64, minutes: [u32; N]) -> [f64; N] {
    let mut minute = 0;
    minutes.map(|next| {
        while minute < next {
            model.step(MINUTE, rate);
            minute += 1;
        }
        minute += 1;
        model.step(MINUTE, rate).accepted
    })
}

#[track_caller]
fn assert_near<const N: usize>(actual: [f64; N], expected: [f64; N]) {
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= 0.002 * b;
    assert!(actual.iter().zip(&expected).all(is_near), "{actual:?} is not {expected:?}");
}

#[test]
fn a_hot_item_has_one_partition_at_once_and_never_more() {
    let mut model = Model::new(one_item(), warm());
    assert_near(accepted(&mut model, 5_000.0, [0, 20, 60]), [1_000.0; 3]);
    assert_eq!(model.partitions(), 100);
}

#[test]
fn keys_in_any_order_are_split_for_heat_after_some_minutes() {
    let mut model = Model::new(scattered(), warm());
    assert_near(accepted(&mut model, 3_000.0, [0, 4, 5, 9, 20]), [1_000.0, 1_000.0, 2_000.0, 2_000.0, 3_000.0]);
    assert!(model.partitions() > 100);
}

#[test]
fn keys_in_increasing_order_are_not_split_for_heat() {
    let mut model = Model::new(increasing(), warm());
    assert_near(accepted(&mut model, 3_000.0, [0, 20, 60]), [1_000.0; 3]);
    assert_eq!(model.partitions(), 100);
}

#[test]
fn hot_keys_that_share_a_partition_are_separated() {
    let new = TableSettings::NEW;
    let traffic = writes(&[&[("g", "1")], &[("a", "1")], &[("g", "2")], &[("a", "2")], &[("g", "3")], &[("a", "3")]]);
    let quarter = |index: usize| (traffic.ranges[index].hash * 4.0).floor();
    assert!((quarter(0) - quarter(1)).abs() < 1e-9, "choose other names: {:?}", traffic.ranges);
    assert_near(accepted(&mut Model::new(traffic, new), 2_000.0, [0, 5]), [1_000.0, 2_000.0]);
}

#[test]
fn a_new_table_grows_to_twice_its_previous_peak_in_half_an_hour() {
    let mut model = Model::new(unique(), TableSettings::NEW);
    let passing = accepted(&mut model, 20_000.0, [0, 29, 32, 59, 64, 96]);
    assert_near(passing, [4_000.0, 4_000.0, 8_000.0, 8_000.0, 16_000.0, 20_000.0]);
}

#[test]
fn a_warm_table_takes_its_warm_throughput_at_once() {
    let mut model = Model::new(unique(), TableSettings::warm(20_000.0));
    assert_near(accepted(&mut model, 30_000.0, [0]), [20_000.0]);
}

#[test]
fn unused_throughput_of_the_last_five_minutes_can_be_used_later() {
    let settings = TableSettings { max_writes: 1_000.0, ..TableSettings::NEW };
    let mut model = Model::new(unique(), settings);
    assert_near(accepted(&mut model, 0.0, [0, 20]), [0.0; 2]);
    // 300 s of 1,000 units are left, of which each minute takes 2,000 × 60 beyond the maximum.
    assert_near(accepted(&mut model, 3_000.0, [0, 1, 2, 3]), [3_000.0, 3_000.0, 2_000.0, 1_000.0]);
}

#[test]
fn unused_throughput_does_not_raise_the_limit_of_a_partition() {
    let mut model = Model::new(one_item(), warm());
    assert_near(accepted(&mut model, 0.0, [20]), [0.0]);
    assert_near(accepted(&mut model, 3_000.0, [0]), [1_000.0]);
}

#[test]
fn reads_and_writes_have_limits_of_their_own() {
    let both = Load { units: Units { reads: 3.0, writes: 1.0 }, bytes: 0.0 };
    let reads = Load { units: Units::reads(1.0), bytes: 0.0 };
    for (load, limit) in [(both, 1_000.0), (reads, 3_000.0)] {
        let traffic = traffic(&[&[("a", "1")], &[("a", "1")]], load, false);
        assert_near(accepted(&mut Model::new(traffic, warm()), 5_000.0, [0]), [limit]);
    }
}

#[test]
fn a_partition_of_ten_gigabytes_is_split_and_the_end_of_its_keys_stays_hot() {
    let load = Load { units: Units::writes(1.0), bytes: 100_000.0 };
    let traffic = traffic(&[&[("a", "1")], &[("a", "2")], &[("a", "3")]], load, false);
    let mut model = Model::new(traffic, warm());
    assert_near(accepted(&mut model, 3_000.0, [0]), [1_000.0]);
    assert_eq!(model.partitions(), 100);
    // Each minute stores 6 GB.
    assert_near(accepted(&mut model, 3_000.0, [0]), [1_000.0]);
    assert_eq!(model.partitions(), 101);
    assert_near(accepted(&mut model, 3_000.0, [0]), [1_000.0]);
}

#[test]
fn a_request_passes_if_all_of_its_items_do() {
    let traffic = writes(&[&[("a", "1"), ("x", "1")], &[("a", "1"), ("y", "1")]]);
    let step = Model::new(traffic, warm()).step(MINUTE, 5_000.0);
    assert_near([step.accepted, step.used.writes], [1_000.0, 2_000.0]);
    assert_eq!(step.hottest.0, "… K");
}

#[test]
fn a_refused_request_leaves_its_units_to_others() {
    // Two of three requests need two units of `a`, so only 500 of those pass, and all others find enough of `b`.
    let first: &[_] = &[("a", "1"), ("a", "1"), ("b", "1")];
    let traffic = writes(&[first, first, &[("b", "1")]]);
    let step = Model::new(traffic, warm()).step(MINUTE, 1_380.0);
    assert_near([step.accepted], [500.0 + 460.0]);
}

#[test]
fn a_batch_passes_at_the_pace_of_its_hottest_partition() {
    let load = Load { units: Units::writes(1.0), bytes: 0.0 };
    let first = [("a", "1"), ("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")];
    let second = [("a", "1"), ("a", "1"), ("f", "1"), ("g", "1"), ("h", "1"), ("i", "1")];
    let traffic = traffic(&[&first, &second], load, true);
    // Of each batch, one partition of four has both items of `a` and one of the unique keys.
    assert_near(accepted(&mut Model::new(traffic, TableSettings::NEW), 5_000.0, [0]), [1_000.0 / 3.0]);
}
