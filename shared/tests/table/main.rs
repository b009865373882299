//! The table room against a real engine: what operations cost, what survives faults, what survives a race.

mod budgets;
mod bulk;
mod cascade;
mod faults;
mod linking;
mod races;
mod timeline;
