//! The repositories on a real engine: the cost of operations, database faults, and races.

mod budgets;
mod bulk;
mod caller_budgets;
mod cascade;
mod costs;
mod deletes;
mod faults;
mod linking;
mod organizations;
mod partitions;
mod races;
mod rate_limits;
mod repair;
mod timeline;
mod transfer;
mod updated_at;
