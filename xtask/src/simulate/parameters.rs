//! The parameters of the model, each with its source, and the assumptions, each with its reason.
//!
//! Pages of AWS are those of the Amazon DynamoDB Developer Guide, under
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/>. "The paper" is *Amazon DynamoDB: A Scalable,
//! Predictably Performant, and Fully Managed `NoSQL` Database Service*, USENIX ATC 2022,
//! <https://www.usenix.org/conference/atc22/presentation/elhemali>. "The series" is *Scaling DynamoDB: How partitions, hot keys,
//! and split for heat impact performance* on the AWS Database Blog, parts 1 to 3, such as
//! <https://aws.amazon.com/blogs/database/part-3-scaling-dynamodb-how-partitions-hot-keys-and-split-for-heat-impact-performance/>.

use super::traffic::Units;

/// What one partition takes per second, whatever the table takes: "Best practices for designing and using partition keys
/// effectively in DynamoDB" (`bp-partition-key-design.html`). Reads and writes are limited independently of each other: "Key range
/// throughput exceeded (hot partitions)" (`throttling-key-range-limit-exceeded-mitigation.html`). A partition gets all of it at
/// once, however many partitions the table has: "DynamoDB burst and adaptive capacity" (`burst-adaptive-capacity.html`).
pub(super) const PARTITION_LIMIT: Units = Units { reads: 3_000.0, writes: 1_000.0 };

/// What a new on-demand table takes per second: "DynamoDB on-demand capacity mode" (`on-demand-capacity-mode.html`). A warm
/// throughput replaces it: "Understanding DynamoDB warm throughput" (`warm-throughput.html`).
pub(super) const NEW_TABLE: Units = Units { reads: 12_000.0, writes: 4_000.0 };

/// How many times its previous peak an on-demand table takes at once, and the age in seconds from which on a peak counts as
/// previous: `on-demand-capacity-mode.html`. The page says that more "can" be throttled, so this is the cautious reading.
pub(super) const GROWTH: f64 = 2.0;
/// See [`GROWTH`].
pub(super) const PEAK_AGE: f64 = 30.0 * 60.0;

/// The seconds of unused throughput that can be used later: `burst-adaptive-capacity.html`. It raises what the table takes and
/// never what a partition takes: part 3 of the series, and "How does DynamoDB handle spiky workloads in short intervals" on
/// AWS re:Post.
pub(super) const BURST_SECONDS: f64 = 300.0;

/// The bytes of a partition at which it is split: part 3 of the series. An item collection is split as well, between two sort
/// keys, since the table has no local secondary index (same source).
pub(super) const PARTITION_BYTES: f64 = 10e9;

/// The share of [`PARTITION_LIMIT`] from which on a partition counts as hot. Assumed: part 3 of the series says "near its
/// throughput capacity limit".
pub(super) const HOT: f64 = 0.9;

/// The seconds for which a partition has to be hot until its split is complete. Assumed: part 3 of the series says that
/// detection takes several minutes, section 4.4 of the paper that a split takes minutes.
pub(super) const SPLIT_SECONDS: f64 = 5.0 * 60.0;

/// The largest share of a partition's heat that one half may keep. Assumed: section 4.4 of the paper says that DynamoDB does not
/// split where it gains nothing, as with one hot item or with keys that are accessed in their order.
pub(super) const LARGEST_HALF: f64 = 0.95;

/// The most units per second that one table may use unless the account's quota is raised: "Quotas in Amazon DynamoDB"
/// (`ServiceQuotas.html`).
pub(super) const TABLE_QUOTA: f64 = 40_000.0;
